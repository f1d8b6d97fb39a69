package preflight

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// An image built for the inventory of an InfiniBand node boots it, whatever the profiles:
// of every adapter.
func TestCheckBuiltForAdapter(t *testing.T) {
	devices := map[string][]string{ // by driver, as lspci -n lists them
		"mlx4_core": {"0280: 15b3:1003", "0207: 15b3:1003", "0c06: 15b3:634a"},
		"mlx5_core": {"0207: 15b3:101b"},
		"ib_mthca":  {"0c06: 15b3:6278"},
		"ib_qib":    {"0207: 1077:7322", "0c06: 1077:7322"},
		"hfi1":      {"0208: 8086:24f0"},
	}
	for _, a := range modload.Adapters() {
		if devices[a.Driver] == nil {
			t.Errorf("no device of %s is tried", a.Driver)
		}
		for _, d := range devices[a.Driver] {
			node := inventoryOf(t, "41:00.0 "+d+"\n")
			image := openImage(t, makeImage(t, "nfs", func(s *build.Spec) { s.Inventories = []inventory.List{*node} }))
			for _, line := range []string{"ip=ib0:dhcp", "ip=ibp65s0:dhcp", "ip=dhcp"} {
				r, err := Check(t.Context(), Input{Line: cmdline.Parse(line + " root=nfs:10.0.0.1:/srv"), Image: image, Inventory: node})
				if err != nil {
					t.Fatal(err)
				}
				if !r.Boots() {
					t.Errorf("%s, %s, %s: %q", a.Driver, d, line, r.Faults)
				}
			}
		}
	}
}

// The image of an adapter whose driver nobody knows as one of InfiniBand loads ib_ipoib after it.
func TestCheckBuiltForUnknownAdapter(t *testing.T) {
	node := inventoryOf(t, "41:00.0 0207: 8086:1572\n")
	image := openImage(t, makeImage(t, "nfs", func(s *build.Spec) { s.Inventories = []inventory.List{*node} }))
	r, err := Check(t.Context(), Input{Line: cmdline.Parse("ip=ib0:dhcp root=nfs:10.0.0.1:/srv"), Image: image, Inventory: node})
	if err != nil {
		t.Fatal(err)
	}
	loads := ""
	for _, p := range r.Phases {
		for _, m := range p.Modules {
			loads += m.Name + " "
		}
	}
	if driver, ipoib := strings.Index(loads, "i40e "), strings.Index(loads, "ib_ipoib "); !r.Boots() || driver < 0 || ipoib < driver {
		t.Errorf("%q, loads %s", r.Faults, loads)
	}
}
