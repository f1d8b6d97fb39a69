package preflight

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// Patterns of names that no interface can have: a fault where nothing else is left.
func TestCheckPatterns(t *testing.T) {
	const kept, other, form = "they keep the kernel's names (eth0, ib0), as net.ifnames=0", "because another argument uses one", "they have the kernel's names (eth0, ib0) or those of udev"
	for _, tt := range []struct{ line, fault, doubt string }{
		{line: "ip=en*:dhcp"},
		{line: "ip=e*:dhcp net.ifnames=0"},
		{line: "ip=eth*:dhcp net.ifnames=0"},
		{line: "ip=ib*:dhcp net.ifnames=0"},
		{line: "ip=*:dhcp net.ifnames=0"},
		{line: "ip=ens3:dhcp net.ifnames=0"}, // a name that udev would give
		{line: "net.ifnames=0 ip=en*:dhcp", fault: "ip=en*:dhcp: no interface is called en*: " + kept},
		{line: "nodisk.ifnames=kernel ip=enp?s0:dhcp", fault: "no interface is called enp?s0: " + kept},
		{line: "net.ifnames=0 ip=en*:dhcp ip=eth*:dhcp", doubt: "no interface is called en*: " + kept},
		{line: "net.ifnames=0 ip=en*:dhcp ifname=en0:52-54-00-12-34-56"},
		{line: "net.ifnames=0 ip=en*:dhcp ifname=lan0:52-54-00-12-34-56", fault: "no interface is called en*: " + kept},
		{line: "net.ifnames=0 nodisk.ifnames=udev ip=en*:dhcp"},
		{line: "ip=en*:dhcp ip=eth0:dhcp", doubt: "no interface is called en*: they keep the kernel's names (eth0, ib0), " + other},
		{line: "ip=lan*:dhcp", doubt: "no interface is called lan*: " + form},
		{line: "ip=lan*:dhcp ifname=lan0:52-54-00-12-34-56"},
		{line: "net.ifnames=0 bootdev=en* ip=dhcp", fault: "bootdev=en*: no interface is called en*: " + kept},
		{
			line: "net.ifnames=0 bond=bond0:en*:mode=active-backup ip=bond0:dhcp", doubt: "bond=bond0: no interface is called en*: " + kept,
			fault: "ip=bond0:dhcp: nothing that bond=bond0 is made of can be there: no interface is called en*",
		},
		{line: "net.ifnames=0 bond=bond0:en*:mode=active-backup ip=eth0:dhcp", doubt: "bond=bond0: no interface is called en*: " + kept},
		{
			line: "net.ifnames=0 vlan=vlan5:en* ip=vlan5:dhcp", doubt: "vlan=vlan5: no interface is called en*: " + kept,
			fault: "ip=vlan5:dhcp: nothing that vlan=vlan5 is made of can be there: no interface is called en*",
		},
	} {
		r, err := Check(t.Context(), Input{Line: cmdline.Parse(tt.line + " root=dhcp")})
		if err != nil {
			t.Fatal(err)
		}
		faults, doubts := strings.Join(r.Faults, "\n"), strings.Join(r.Doubts, "\n")
		if (faults == "") != (tt.fault == "") || !strings.Contains(faults, tt.fault) || (doubts == "") != (tt.doubt == "") || !strings.Contains(doubts, tt.doubt) {
			t.Errorf("%s: faults %q, warnings %q", tt.line, faults, doubts)
		}
	}
}

// A description by a driver is compared with what the node has, else with the image.
func TestCheckDrivers(t *testing.T) {
	const image = "neither the image nor the kernel has such a driver"
	virt := openImage(t, makeImage(t, "virt,iscsi,ext4", nil))
	for _, tt := range []struct{ line, inventory, doubt string }{
		{"ip=driver=virtio*:dhcp", virtual, ""},
		{"ip=driver=virtio-net:dhcp", virtual, ""},
		{"ip=driver=virtio_net:dhcp", "00:03.0 0200: 1af4:1000\n", ""},
		{"ip=driver=mlx5*:dhcp", virtual, "ip=driver=mlx5*:dhcp: no adapter of the node has such a driver (they have virtio"},
		{"ip=driver=e1000*:dhcp", virtual, "no adapter of the node has such a driver"},
		{"bootdev=driver=mlx5* ip=dhcp", virtual, "bootdev=driver=mlx5*: no adapter"},
		{"bond=bond0:driver=mlx5*:mode=active-backup ip=eth0:dhcp", virtual, "bond=bond0: no adapter"},
		{"ip=driver=virtio*:dhcp", "", ""},
		{"ip=driver=mlx5*:dhcp", "", "ip=driver=mlx5*:dhcp: " + image},
	} {
		r, err := Check(t.Context(), Input{Line: cmdline.Parse(tt.line + " root=dhcp"), Image: virt, Inventory: inventoryOf(t, tt.inventory)})
		if err != nil {
			t.Fatal(err)
		}
		if doubts := strings.Join(r.Doubts, "\n"); (doubts == "") != (tt.doubt == "") || !strings.Contains(doubts, tt.doubt) {
			t.Errorf("%s on %.20q: faults %q, warnings %q", tt.line, tt.inventory, r.Faults, doubts)
		}
	}
}
