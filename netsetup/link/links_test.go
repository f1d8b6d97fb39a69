package link

import (
	"testing"
)

func TestPortMatch(t *testing.T) {
	eth0 := ethernet(2, "eth0")
	virtual := Device{Index: 7, Name: "eth0.5", Type: HwEthernet, Addr: macA}
	enslaved := ethernet(3, "eth1")
	enslaved.Perm, enslaved.Master = macB, 9
	for _, tt := range []struct {
		match string
		d     Device
		want  bool
	}{
		{"eth0", eth0, true},
		{"eth1", eth0, false},
		{"eth0.5", virtual, true},
		{"eth*", eth0, true},
		{"e*0", eth0, true},
		{"*", eth0, true},
		{"eth?", eth0, true},
		{"eth??", eth0, false},
		{"*1", eth0, false},
		{"*0*", virtual, false},
		{"driver=virtio_net", eth0, true},
		{"driver=virt*", eth0, true},
		{"driver=*", virtual, false},
		{"driver=e1000", eth0, false},
		{"52-54-00-12-34-56", eth0, true},
		{"52-54-00-12-34-56", virtual, false},
		// A port has the address of the bond.
		{"52-54-00-12-34-56", enslaved, false},
		{"52-54-00-12-34-57", enslaved, true},
		{"00-02-c9-03-00-00-10-39", guidePort(), true},
		{"ib*", guidePort(), true},
		{"*", Device{Index: 1, Name: "lo", Type: HwLoopback, Physical: true}, false},
	} {
		m, err := ParsePortMatch(tt.match)
		if err != nil || m.Selects(tt.d) != tt.want {
			t.Errorf("%s, %s: not %v (%v)", tt.match, tt.d.Name, tt.want, err)
		}
		if again, _ := ParsePortMatch(m.String()); again != m {
			t.Errorf("%s is written as %s", tt.match, m)
		}
	}
}
