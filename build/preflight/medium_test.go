package preflight

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// told are the faults and warnings of a report about interfaces and ports, in one text.
func told(r Report) string {
	var list []string
	for _, f := range r.Faults {
		list = append(list, "fault: "+f)
	}
	for _, d := range r.Doubts {
		for _, key := range []string{"ip=", "bond=", "nodisk.ib.port=", "BOOTIF="} {
			if strings.HasPrefix(d, key) {
				list = append(list, "warning: "+d)
			}
		}
	}
	return strings.Join(list, "\n")
}

// The class of an adapter, and the types that the command line gives to its ports, say which
// interfaces it can have: a fault where nothing else is possible, a warning where it is.
func TestCheckMedium(t *testing.T) {
	const (
		mac, port  = "# network 52:54:00:12:34:56\n", "# network 80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:0a:0b:0c\n"
		cx6ib      = "41:00.0 0207: 15b3:101b\n"
		cx6eth     = "41:00.0 0200: 15b3:101b\n"
		cx3, cx3en = "01:00.0 0280: 15b3:1003\n", "01:00.0 0200: 15b3:1003\n"
		isEth      = "is an InfiniBand interface, and the node has no such adapter: pci 15b3:101b network adapter is of class 0200, which is Ethernet"
		isIB       = "is an Ethernet interface, and the node has no such adapter: pci 15b3:101b InfiniBand adapter is of class 0207, which is InfiniBand"
	)
	image := openImage(t, makeImage(t, "ib,mlx4,mlx5,eth,nfs", nil))
	for _, tt := range []struct{ node, line, want string }{
		{cx6eth, "ip=ib0:dhcp", "fault: ip=ib0:dhcp: ib0 " + isEth},
		{mac + cx6eth, "ip=ib0:dhcp", "fault: ip=ib0:dhcp: ib0 " + isEth},
		{cx6eth, "ip=ibp65s0:dhcp", "fault: ip=ibp65s0:dhcp: ibp65s0 " + isEth},
		{cx6eth, "ip=ib*:dhcp", "fault: ip=ib*:dhcp: ib* describes InfiniBand interfaces, and the node has no such adapter: pci 15b3:101b"},
		{cx6eth, "ip=00-02-c9-03-00-00-10-39:dhcp", "fault: ip=00-02-c9-03-00-00-10-39:dhcp: 00:02:c9:03:00:00:10:39 is the address of an InfiniBand port, and the node has no such adapter"},
		{cx6eth, "ip=ib0:dhcp ip=eth0:dhcp", "warning: ip=ib0:dhcp: ib0 " + isEth},
		{cx6eth, "ip=eth0:dhcp", ""},
		{cx6eth, "ip=enp65s0np0:dhcp", ""},
		{cx6eth + cx3, "ip=ib0:dhcp", ""},
		{port + cx6eth, "ip=ib0:dhcp", ""}, // of an adapter that is not in the list
		{port + cx6ib, "ip=eth0:dhcp", "fault: ip=eth0:dhcp: eth0 " + isIB},
		{port + cx6ib, "ip=enp65s0np0:dhcp", "fault: ip=enp65s0np0:dhcp: enp65s0np0 " + isIB},
		{port + cx6ib, "ip=en*:dhcp", "fault: ip=en*:dhcp: en* describes Ethernet interfaces, and the node has no such adapter"},
		{port + cx6ib, "ip=ib0:dhcp", ""},
		{port + cx6ib, "ip=dhcp", ""},
		{cx6ib, "ip=eth0:dhcp", "warning: ip=eth0:dhcp: eth0 " + isIB}, // it may have one on USB
		{port + mac + cx6ib, "ip=eth0:dhcp", ""},
		{port + cx6ib + "00:03.0 0200: 8086:10d3\n", "ip=eth0:dhcp", ""},
		{"41:00.0 *: 15b3:101b\n", "ip=ib0:dhcp ip=eth0:dhcp", ""},

		{cx3en, "ip=ib0:dhcp", "warning: ip=ib0:dhcp: ib0 is an InfiniBand interface, and the node has no such adapter: pci 15b3:1003 network adapter is of class 0200, which is Ethernet; nodisk.mlx4.port_type=ib would make it InfiniBand"},
		{cx3en, "ip=ib0:dhcp nodisk.mlx4.port_type=ib", ""},
		{cx3, "ip=ib0:dhcp", ""},
		{cx3, "ip=eth0:dhcp", ""},
		{port + cx3, "ip=ib0:dhcp nodisk.mlx4.port_type=eth", "fault: ip=ib0:dhcp: ib0 is an InfiniBand interface, and the node has no such adapter: nodisk.mlx4.port_type=eth makes Ethernet of pci 15b3:1003 network adapter"},
		{cx3, "ip=ib0:dhcp mlx4_core.port_type_array=2,2", "fault: ip=ib0:dhcp: ib0 is an InfiniBand interface, and the node has no such adapter: mlx4_core.port_type_array=2,2 makes Ethernet of"},
		{cx3, "ip=eth0:dhcp nodisk.mlx4.port_type=ib", "fault: ip=eth0:dhcp: eth0 is an Ethernet interface, and the node has no such adapter: nodisk.mlx4.port_type=ib makes InfiniBand of"},
		{mac + cx3, "ip=eth0:dhcp nodisk.mlx4.port_type=ib", "fault: ip=eth0:dhcp: eth0 is an Ethernet interface"},
		{cx3 + "00:03.0 0200: 8086:10d3\n", "ip=eth0:dhcp nodisk.mlx4.port_type=ib", ""},
		{cx3 + cx6ib, "ip=ib0:dhcp nodisk.mlx4.port_type=eth", ""},
		{cx3, "ip=ib0:dhcp nodisk.mlx4.port_type=ib,eth", ""},
		{cx3, "ip=eth0:dhcp nodisk.mlx4.port_type=auto", ""},
		{cx3, "ip=ib0:dhcp mlx4_core.port_type_array=2", ""}, // of a second port the firmware says it
	} {
		for _, i := range []*Image{image, nil} {
			r, err := Check(t.Context(), Input{Line: cmdline.Parse("root=nfs:10.0.0.1:/srv " + tt.line), Image: i, Inventory: inventoryOf(t, tt.node)})
			if err != nil {
				t.Fatal(err)
			}
			if got := told(r); tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s on\n%swith an image (%v): %s\nwant %s", tt.line, tt.node, i != nil, got, tt.want)
			}
		}
	}
}

// A device that no class tells of may be an Ethernet adapter: on USB, of a board. An image that has
// no driver for it makes no interface of it.
func TestCheckMediumUnknown(t *testing.T) {
	const (
		mac, port = "# network 52:54:00:12:34:56\n", "# network 80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:0a:0b:0c\n"
		cx3       = "01:00.0 0280: 15b3:1003\n"
		usb       = "usb:v0BDAp8153d3000dc00dsc00dp00icFFiscFFip00in00\n"
		board     = "of:NethernetT(null)Csnps,dwmac\n"
		firmware  = "acpi:APMC0D05:\n"
		classless = "41:00.0 *: 8086:10d3\n"
		others    = "acpi:PNP0A03:\nacpi:LNXPWRBN:\nplatform:pcspkr\nusb:v1D6Bp0002d0601dc09dsc00dp01ic09isc00ip00in00\n" +
			"usb:v046BpFF10d0100dc00dsc00dp00ic03isc01ip01in00\n00:1f.2 0106: 8086:2922\n"
		line  = "ip=eth0:dhcp nodisk.mlx4.port_type=ib"
		fault = "fault: ip=eth0:dhcp: eth0 is an Ethernet interface, and the node has no such adapter: nodisk.mlx4.port_type=ib makes InfiniBand of"
		doubt = "warning: ip=eth0:dhcp: eth0 is an Ethernet interface, and the node has no such adapter: nodisk.mlx4.port_type=ib makes InfiniBand of"
	)
	image := openImage(t, makeImage(t, "ib,mlx4,eth,nfs", nil))
	for _, tt := range []struct{ node, without, with string }{
		{port + mac + cx3 + usb, "", ""}, // the address may be its
		{port + mac + cx3 + board, "", ""},
		{port + mac + cx3 + classless, "", ""},
		{port + mac + cx3 + firmware, "", fault},
		{cx3 + usb, doubt, ""},
		{cx3 + board, doubt, ""},
		{port + cx3 + firmware, doubt, fault},
		{port + mac + cx3 + others, fault, fault},
	} {
		for _, i := range []*Image{image, nil} {
			r, err := Check(t.Context(), Input{Line: cmdline.Parse("root=nfs:10.0.0.1:/srv " + line), Image: i, Inventory: inventoryOf(t, tt.node)})
			if err != nil {
				t.Fatal(err)
			}
			want := tt.without
			if i != nil {
				want = tt.with
			}
			if got := told(r); want == "" && got != "" || !strings.HasPrefix(got, want) {
				t.Errorf("%swith an image (%v): %s\nwant %s", tt.node, i != nil, got, want)
			}
		}
	}
}

// What the node does not have goes before what the image lacks for it.
func TestCheckNoAdapterFirst(t *testing.T) {
	image := openImage(t, makeImage(t, "virt,nfs", nil))
	for line, want := range map[string]string{
		"ip=ib0:dhcp":    "ip=ib0:dhcp: ib0 is an InfiniBand interface, and the node has no such adapter",
		"ip=ibp1s0:dhcp": "ip=ibp1s0:dhcp: ibp1s0 is an InfiniBand interface, and the node has no such adapter; it needs ib_ipoib, which is not in the image",
	} {
		r, err := Check(t.Context(), Input{Line: cmdline.Parse(line + " root=nfs:10.0.0.1:/srv"), Image: image, Inventory: inventoryOf(t, virtual)})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Faults) != 1 || !strings.HasPrefix(r.Faults[0], want) {
			t.Errorf("%s: %q, want %q", line, r.Faults, want)
		}
	}
}
