package link

import (
	"testing"
)

// What is one device though the kernel registered it anew.
func TestDeviceSame(t *testing.T) {
	port, eth, zero := guidePort(), ethernet(2, "eth0"), zeroPort()
	zero.Name = "ib0"
	with := func(d Device, f func(*Device)) Device {
		d.Index += 70
		f(&d)
		return d
	}
	for name, tt := range map[string]struct {
		a, b Device
		want bool
	}{
		"port":             {port, with(port, func(d *Device) { d.Name, d.Addr = "ib7", "\x80\x00\x09\x99"+d.Addr[4:] }), true},
		"other port":       {port, with(secondPort(), func(d *Device) { d.Name = port.Name }), false},
		"no GUID":          {zero, with(zero, func(*Device) {}), true},
		"no GUID yet":      {port, with(zero, func(*Device) {}), false},
		"Ethernet":         {eth, with(eth, func(d *Device) { d.Name = "eth7" }), true},
		"set address":      {with(eth, func(d *Device) { d.Addr, d.Perm = macB, macA }), eth, true},
		"other adapter":    {eth, with(eth, func(d *Device) { d.Addr = macB }), false},
		"link":             {Device{Name: "bond0", Addr: macA}, Device{Name: "bond0", Addr: macB, Type: HwInfiniBand}, true},
		"other link":       {Device{Name: "bond0", Addr: macA}, Device{Name: "bond1", Addr: macA}, false},
		"link and adapter": {Device{Name: "eth0", Type: HwEthernet, Addr: macA}, eth, false},
	} {
		if got := tt.a.Same(tt.b); got != tt.want || tt.b.Same(tt.a) != got {
			t.Errorf("%s: %v", name, got)
		}
	}
}
