package netsetup

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/netsetup/link"
)

// Whatever walks over links comes to an end.
func TestLinksOfThemselves(t *testing.T) {
	c := Config{
		VLANs:   []link.VLAN{{Name: "a", Parent: link.PortMatch{Name: "b"}, ID: 1}, {Name: "b", Parent: link.PortMatch{Name: "a"}, ID: 2}},
		Bridges: []link.Bridge{{Name: "c", Ports: []link.PortMatch{{Name: "c"}, {Name: "b"}}}},
	}
	have := []link.Device{{Index: 2, Name: "a", Type: link.HwEthernet, MTU: 1500}, {Index: 3, Name: "b", Type: link.HwEthernet, MTU: 1500}}
	if diff := cmp.Diff([]string{"b", "a", "c"}, c.Over(have[0])); diff != "" {
		t.Error(diff)
	}
	if mtu := c.mtuAbove(have[0], map[string]int{"c": 9000}); mtu != 9000 || c.IPv6On(have[0]) {
		t.Errorf("MTU %d", mtu)
	}
	if steps, err := c.Raise(have[0], 9000, have, nil); len(steps) != 2 || err != nil {
		t.Errorf("%v, %v", steps, err)
	}
}
