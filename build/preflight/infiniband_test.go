package preflight

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/internal/cmdline"
)

// What names an InfiniBand interface needs ib_ipoib in the image, an inventory or none.
func TestCheckWithoutIPoIB(t *testing.T) {
	const lacks = "needs ib_ipoib, which is not in the image: add --profile ib, mlx5 for ConnectX-4 and later, or opa for Omni-Path"
	images := map[string]*Image{"nfs": nil, "nfs,ib": nil, "nfs,mlx5": nil}
	for profiles := range images {
		images[profiles] = openImage(t, makeImage(t, profiles+",virt,bond", nil))
	}
	for line, want := range map[string]string{
		"ip=ib0:dhcp":                       "ip=ib0:dhcp: ib0 " + lacks,
		"ip=ibp1s0:dhcp":                    "ip=ibp1s0:dhcp: ibp1s0 " + lacks,
		"ip=ibs3:dhcp":                      "ip=ibs3:dhcp: ibs3 " + lacks,
		"ip=ib*:dhcp":                       "ip=ib*:dhcp: ib* " + lacks,
		"ip=00-02-c9-03-00-00-10-39:dhcp":   "ip=00-02-c9-03-00-00-10-39:dhcp: 00:02:c9:03:00:00:10:39 " + lacks,
		"ip=0x2c90300001039:dhcp":           "ip=00-02-c9-03-00-00-10-39:dhcp: 00:02:c9:03:00:00:10:39 " + lacks,
		"ib.pkey=ib0.8001 ip=ib0.8001:dhcp": "ip=ib0.8001:dhcp: ib.pkey=ib0.8001 " + lacks,
		"bond=bond0:ib0,ib1:mode=active-backup ip=bond0:dhcp": "ip=bond0:dhcp: nothing that bond=bond0 is made of can be there: ib0 " + lacks,
		"bootdev=0x2c90300001039 ip=dhcp":                     "bootdev=00:02:c9:03:00:00:10:39 " + lacks,
		"bootdev=ib0 ip=dhcp":                                 "bootdev=ib0: ib0 " + lacks,
		"ifname=lan0:00:02:c9:03:00:00:10:39 ip=lan0:dhcp":    "ip=lan0:dhcp: 00:02:c9:03:00:00:10:39 " + lacks,
		"ip=eth0:dhcp":              "",
		"ip=52-54-00-12-34-56:dhcp": "",
		"ip=dhcp":                   "",
	} {
		for profiles, image := range images {
			r, err := Check(t.Context(), Input{Line: cmdline.Parse(line + " root=nfs:10.0.0.1:/srv"), Image: image})
			if err != nil {
				t.Fatal(err)
			}
			want := want
			if profiles != "nfs" {
				want = ""
			}
			if got := strings.Join(r.Faults, "\n"); got != want {
				t.Errorf("%s with %s: %q, want %q", line, profiles, got, want)
			}
		}
	}
}

// The sentence names what is missing: not ib_ipoib where that is there, and only the driver is not.
func TestCheckInfiniBandDriver(t *testing.T) {
	tree, err := modtree.Open(kernelDir(t), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	const both = "00:03.0 0200: 8086:10d3\n41:00.0 "
	for _, tt := range []struct{ profiles, node, line, want string }{
		{"nfs,ib", both + "0207: 15b3:101b\n", "ip=ib0:dhcp", "ib0 needs an InfiniBand adapter that works: pci 15b3:101b InfiniBand adapter: no driver in the image; the kernel has mlx5_core: add --profile mlx5"},
		{"nfs,ib,eth", both + "0207: 15b3:101b\n", "ip=ib0:dhcp", "ib0 needs an InfiniBand adapter that works: pci 15b3:101b InfiniBand adapter: mlx5_core makes no interface without mlx5_ib: add --profile mlx5"},
		{"nfs,ib,virt", both + "0280: 15b3:1003\n", "ip=ibp65s0:dhcp", ""},
		{"nfs,virt", both + "0280: 15b3:1003\n", "ip=ib0:dhcp", "ib0 needs ib_ipoib, which is not in the image: add --profile ib"},
		{"nfs,virt", both + "0208: 8086:24f0\n", "ip=0x2c90300001039:dhcp", "00:02:c9:03:00:00:10:39 needs ib_ipoib, which is not in the image: add --profile opa"},
	} {
		r, err := Check(t.Context(), Input{
			Line: cmdline.Parse(tt.line + " root=nfs:10.0.0.1:/srv"), Image: openImage(t, makeImage(t, tt.profiles, nil)), Inventory: inventoryOf(t, tt.node), Tree: tree,
		})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range r.Faults {
			if strings.HasPrefix(f, "ip=") {
				_, got, _ = strings.Cut(f, ": ")
			}
		}
		if got != tt.want {
			t.Errorf("%s of %s: %q, want %q", tt.line, tt.profiles, got, tt.want)
		}
	}
}

// More ports than the inventory has addresses of are not there, as with eth.
func TestCheckInfiniBandPorts(t *testing.T) {
	const port = "# network 80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:0a:0b:0"
	const mac, card = "# network 52:54:00:12:34:56\n", "01:00.0 0280: 15b3:1003\n"
	for _, tt := range []struct{ node, line, fault, doubt string }{
		{port + "c\n" + port + "d\n" + card, "ip=ib2:dhcp", "ip=ib2:dhcp: the node has 2 network interfaces, so there is no ib2", ""},
		{port + "c\n" + port + "d\n" + card, "ip=ib1:dhcp", "", ""},
		{port + "c\n" + mac + card, "ip=ib1:dhcp", "", "ip=ib1:dhcp: the node has 1 InfiniBand port, so there is no ib1"},
		{mac + card, "ip=ib1:dhcp", "", ""}, // listed without ib_ipoib
		// The second port had no interface, or has another type now.
		{port + "c\n" + card, "ip=ib1:dhcp", "", "ip=ib1:dhcp: the node has 1 network interface, so there is no ib1"},
		{port + "c\n" + card, "ip=ib1:dhcp nodisk.mlx4.port_type=ib", "", ""},
		{port + "c\n" + mac + card, "ip=ib1:dhcp nodisk.mlx4.port_type=ib", "", ""},
		{port + "c\n" + mac + card, "ip=ib2:dhcp nodisk.mlx4.port_type=ib", "ip=ib2:dhcp: the node has 2 network interfaces, so there is no ib2", ""},
		{port + "c\n" + card, "ip=eth1:dhcp nodisk.mlx4.port_type=eth", "", ""},
		{port + "c\n" + mac + card, "ip=00-02-c9-03-00-0a-0b-0d:dhcp nodisk.mlx4.port_type=ib", "", ""},
		{port + "c\n" + port + "d\n" + card, "ip=00-02-c9-0a-0b-0f:dhcp nodisk.mlx4.port_type=ib,eth", "", ""},
		{card, "ip=ib2:dhcp", "", ""},
	} {
		r, err := Check(t.Context(), Input{Line: cmdline.Parse(tt.line + " root=nfs:10.0.0.1:/srv"), Inventory: inventoryOf(t, tt.node)})
		if err != nil {
			t.Fatal(err)
		}
		if fault, doubt := strings.Join(r.Faults, "\n"), strings.Join(r.Doubts, "\n"); fault != tt.fault || doubt != tt.doubt {
			t.Errorf("%s: faults %q, warnings %q, want %q and %q", tt.line, fault, doubt, tt.fault, tt.doubt)
		}
	}
}

// A name by the place of an adapter says which slot it is: the inventory may have nothing
// there, or not know.
func TestCheckInfiniBandSlot(t *testing.T) {
	const listed, alias = "41:00.0 0207: 15b3:101b\n", "pci:v000015B3d0000101Bsv*sd*bc02sc07i*\n"
	const unknown = "the inventory does not say in which slot the adapters are: whether one gets this name is not known"
	for _, tt := range []struct{ node, name, doubt, note string }{
		{listed, "ibp65s0", "", ""},
		{listed, "ibp65s0f1", "", ""},
		{listed, "ibp66s0", "ip=ibp66s0:dhcp: ibp66s0 would be in slot 0000:42:00, where the inventory has nothing", ""},
		{"0001:41:00.0 0207: 15b3:101b\n", "ibP1p65s0", "", ""},
		{"Slot:\t41:00.0\nClass:\t0207\nVendor:\t15b3\nDevice:\t101b\n\n", "ibp66s0", "ip=ibp66s0:dhcp: ibp66s0 would be in slot 0000:42:00, where the inventory has nothing", ""},
		{listed, "ibs3", "", "ibs3: " + unknown},
		{alias, "ibp66s0", "", "ibp66s0: " + unknown},
		{listed + alias, "ibp66s0", "", "ibp66s0: " + unknown},
		{alias, "ib0", "", ""},
		{listed + "42:00.0 0200: 8086:1521\n", "enp67s0", "ip=enp67s0:dhcp: enp67s0 would be in slot 0000:43:00, where the inventory has nothing", ""},
	} {
		r, err := Check(t.Context(), Input{Line: cmdline.Parse("ip=" + tt.name + ":dhcp root=nfs:10.0.0.1:/srv"), Inventory: inventoryOf(t, tt.node)})
		if err != nil {
			t.Fatal(err)
		}
		note := ""
		for _, n := range r.Notes {
			if strings.Contains(n, "in which slot") {
				note = n
			}
		}
		if doubt := strings.Join(r.Doubts, "\n"); doubt != tt.doubt || note != tt.note || !r.Boots() {
			t.Errorf("%s of %q: warnings %q, notes %q, faults %q", tt.name, tt.node, r.Doubts, r.Notes, r.Faults)
		}
	}
}
