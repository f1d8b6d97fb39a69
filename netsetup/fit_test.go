package netsetup

import (
	"testing"

	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// A link has the MTU that it is to have, and not more than what carries its packets.
func TestFit(t *testing.T) {
	dev := func(index int, name string, master, mtu int) link.Device {
		d := linktest.Ethernet(index, name, macA)
		d.Master, d.MTU = master, mtu
		return d
	}
	ib := func(d link.Device) link.Device { d.Type = link.HwInfiniBand; return d }
	on := func(parent int, d link.Device) link.Device { d.Parent = parent; return d }
	const bond, bridge, vlan = "bond=bond0:eth0,eth1:mode=1", "bridge=br0:eth0,eth1", "vlan=vlan5:eth0"
	for name, tt := range map[string]struct {
		line   string
		d      link.Device
		have   []link.Device
		leased int
		want   int
	}{
		"InfiniBand falls":  {bond, ib(dev(9, "bond0", 0, 4092)), []link.Device{dev(2, "eth0", 9, 4092), dev(3, "eth1", 9, 2044)}, 0, 2044},
		"InfiniBand rises":  {bond, ib(dev(9, "bond0", 0, 2044)), []link.Device{dev(2, "eth0", 9, 4092), dev(3, "eth1", 9, 4092)}, 0, 4092},
		"without carrier":   {bond, ib(dev(9, "bond0", 0, 4092)), []link.Device{dev(2, "eth0", 9, 4092), linktest.NoCarrier(dev(3, "eth1", 9, 2044))}, 0, 4092},
		"no carrier at all": {bond, ib(dev(9, "bond0", 0, 4092)), []link.Device{linktest.NoCarrier(dev(2, "eth0", 9, 2044))}, 0, 0},
		"not joined":        {bond, ib(dev(9, "bond0", 0, 4092)), []link.Device{dev(2, "eth0", 0, 2044)}, 0, 0},
		"another's port":    {bond, ib(dev(9, "bond0", 0, 4092)), []link.Device{dev(2, "eth0", 8, 2044)}, 0, 0},
		"written":           {bond + ":2000", ib(dev(9, "bond0", 0, 2000)), []link.Device{dev(2, "eth0", 9, 2044)}, 0, 2000},
		"written too large": {bond + ":4092", ib(dev(9, "bond0", 0, 4092)), []link.Device{dev(2, "eth0", 9, 2044)}, 0, 2044},
		"leased, rises":     {bond, ib(dev(9, "bond0", 0, 1000)), []link.Device{dev(2, "eth0", 9, 2044)}, 2000, 2000},
		"Ethernet falls":    {bond, dev(9, "bond0", 0, 1500), []link.Device{dev(2, "eth0", 9, 1500), dev(3, "eth1", 9, 1400)}, 0, 1400},
		"Ethernet stays":    {bond, dev(9, "bond0", 0, 1500), []link.Device{dev(2, "eth0", 9, 9000), dev(3, "eth1", 9, 9000)}, 0, 1500},
		"Ethernet, leased":  {bond, dev(9, "bond0", 0, 1500), []link.Device{dev(2, "eth0", 9, 9000), dev(3, "eth1", 9, 9000)}, 9000, 9000},
		"bridge":            {bridge + " ip=br0:dhcp:9000", dev(9, "br0", 0, 9000), []link.Device{dev(2, "eth0", 9, 9000), dev(3, "eth1", 9, 1500)}, 0, 1500},
		"bridge rises":      {bridge, dev(9, "br0", 0, 1500), []link.Device{dev(2, "eth0", 9, 9000), dev(3, "eth1", 9, 9000)}, 9000, 9000},
		"VLAN":              {vlan + " ip=vlan5:dhcp:9000", on(2, dev(9, "vlan5", 0, 1500)), []link.Device{dev(2, "eth0", 0, 9000)}, 0, 9000},
		"VLAN, less below":  {vlan + " ip=vlan5:dhcp:9000", on(2, dev(9, "vlan5", 0, 9000)), []link.Device{dev(2, "eth0", 0, 4000)}, 0, 4000},
		"P_Key child":       {"ib.pkey=ib0.8001", on(5, ib(dev(9, "ib0.8001", 0, 4092))), []link.Device{ib(dev(5, "ib0", 0, 2044))}, 0, 0},
		"an adapter":        {bond, dev(2, "eth0", 9, 1500), []link.Device{dev(9, "bond0", 0, 1400)}, 0, 0},
		"somebody's VLAN":   {bond, on(2, dev(9, "vlan7", 0, 1500)), []link.Device{dev(2, "eth0", 0, 1400)}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := parseLine(t, tt.line).Fit(tt.d, tt.have, tt.leased); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

// What a VLAN needs does not make the MTU less that the bond was given when it was made,
// of which the kernel's message may not have come yet.
func TestBelowKeepsWritten(t *testing.T) {
	bond := link.Device{Index: 9, Name: "bond0", Type: link.HwEthernet, Addr: macA, MTU: 1500}
	c := parseLine(t, "bond=bond0:eth0:mode=1:9000 vlan=vlan5:bond0 ip=10.0.0.5:::24::vlan5:none:8000")
	if steps := c.Below(bond); len(steps) == 0 || steps[0] != (link.SetMTU{Dev: "bond0", MTU: 9000}) {
		t.Errorf("%v", steps)
	}
}
