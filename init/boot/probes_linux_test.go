package boot

import (
	"testing"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// The switch waits for the drivers where it would come between two ports of a card.
func TestNeedsProbes(t *testing.T) {
	const root = " netroot=iscsi:10.0.0.1::::iqn.2026-01.test:a root=LABEL=root"
	for line, want := range map[string][2]bool{ // of all drivers, of any
		"ip=dhcp":                              {},
		"ip=dhcp rd.neednet=1":                 {false, true},
		"ip=bond0:dhcp bond=bond0:eth0,eth1":   {false, true},
		"ip=br0:dhcp bridge=br0:eth0,eth1":     {false, true},
		"ip=dhcp rd.driver.post=mlx5_core":     {true, true},
		"ip=dhcp nodisk.mlx4.port_type=auto":   {true, true},
		"ip=eth0.5:dhcp vlan=eth0.5:eth0":      {},
		"ip=10.0.0.2::10.0.0.1:24:n:eth0:none": {},
	} {
		p, err := plan.New(cmdline.Parse(line+root), nil)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		loads, _ := p.Loads(modload.NoModules(""))
		if all, needed := (&worker{plan: p, loads: loads}).needsProbes(); [2]bool{all, needed} != want {
			t.Errorf("%s: %v and %v, want %v", line, all, needed, want)
		}
	}
}
