package netsetup

import (
	"slices"
	"testing"

	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

func TestCandidate(t *testing.T) {
	child, dsa, port := linktest.GuidePort(), linktest.Ethernet(7, "lan1", macB), linktest.Ethernet(8, "eth9", macB)
	child.Name, child.Parent = "ib0.8001", 5
	dsa.Parent, port.Master = 2, 9
	for _, tt := range []struct {
		line string
		d    link.Device
		want bool
	}{
		{"", linktest.GuidePort(), true},
		{"", child, false},
		{"", dsa, true},
		{"", port, false},
		{"ib.pkey=ib0.8001", linktest.GuidePort(), false},
		{"ib.pkey=ib0.8001", child, true},
		{"bond=bond0:ib0:mode=1", linktest.GuidePort(), false},
		{"bond=bond0:ib0:mode=1", link.Device{Name: "bond0", Type: link.HwEthernet}, true},
	} {
		if got := parseLine(t, tt.line).candidate(tt.d, false); got != tt.want {
			t.Errorf("%q, %s: %v", tt.line, tt.d.Name, got)
		}
	}
}

func TestPortSelector(t *testing.T) {
	second := linktest.GuidePort()
	second.Port, second.Addr = 2, linktest.GuideAddr[:19]+"\x3a"
	other := second
	other.HCA, other.Port, other.Addr = "mlx5_0", 1, linktest.GuideAddr[:19]+"\x3b"
	for value, want := range map[string][]int{
		"1": {0, 2}, "2": {1}, "mlx4_0": {0, 1}, "mlx4_0:2": {1}, "mlx5_0:1": {2}, "00:02:c9:03:00:00:10:3a": {1}, "0x0002c90300001039": {0}, "mlx5_1": nil,
	} {
		c := parseLine(t, "nodisk.ib.port="+value)
		var got []int
		for i, d := range []link.Device{linktest.GuidePort(), second, other} {
			if c.candidate(d, false) {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s selects %v, want %v", value, got, want)
		}
	}
}
