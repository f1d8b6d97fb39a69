package preflight

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A selector that selects no port is told: a fault where InfiniBand is the only network, and the
// inventory is sure.
func TestCheckSelector(t *testing.T) {
	const (
		mac, port = "# network 52:54:00:12:34:56\n", "# network 80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:0a:0b:0c\n"
		port2     = "# network 80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:0a:0b:0d\n"
		cx6, cx3  = "41:00.0 0207: 15b3:101b\n", "01:00.0 0280: 15b3:1003\n"
		e1000     = "00:03.0 0200: 8086:10d3\n"
		cx3en     = "02:00.0 0200: 15b3:1003\n"
		tooFew    = "nodisk.ib.port=2: the node has 1 InfiniBand port, so no adapter has a port 2"
	)
	image := openImage(t, makeImage(t, "ib,mlx4,mlx5,eth,nfs", nil))
	for _, tt := range []struct{ node, line, want string }{
		{port + cx6, "nodisk.ib.port=1", ""},
		{port + cx6, "nodisk.ib.port=mlx5_0:1", ""},
		{port + cx6, "nodisk.ib.port=00-02-c9-03-00-0a-0b-0c", ""},
		{port + cx6, "nodisk.ib.port=2", "fault: nodisk.ib.port=2: the node has 1 InfiniBand port, so no adapter has a port 2"},
		{port + cx6, "nodisk.ib.port=mlx5_0:2", "fault: nodisk.ib.port=mlx5_0:2: the node has 1 InfiniBand port, so no adapter has a port 2"},
		{port + cx6, "nodisk.ib.port=mlx5_3", "fault: nodisk.ib.port=mlx5_3: the node has 1 InfiniBand port, so no adapter is called mlx5_3"},
		{port + cx6, "nodisk.ib.port=mlx4_0", "fault: nodisk.ib.port=mlx4_0: no adapter of the node is called so (their drivers are mlx5_core)"},
		{port + cx6, "nodisk.ib.port=00-02-c9-03-00-0a-0b-0e", "fault: nodisk.ib.port= 00:02:c9:03:00:0a:0b:0e is not one of the node's addresses"},
		{port + cx6, "nodisk.ib.port=2 ip=ib0:dhcp", "warning: nodisk.ib.port=2: the node has 1 InfiniBand port"},
		{port + mac + cx6 + e1000, "nodisk.ib.port=2", "warning: nodisk.ib.port=2: the node has 1 InfiniBand port"},
		{port + mac + cx6 + e1000, "nodisk.ib.port=mlx5_3", "warning: nodisk.ib.port=mlx5_3: the node has 1 InfiniBand port"},
		{port + mac + cx6 + e1000, "nodisk.ib.port=mlx4_0", "warning: nodisk.ib.port=mlx4_0: no adapter of the node is called so"},
		{cx6, "nodisk.ib.port=mlx4_0", "warning: nodisk.ib.port=mlx4_0: no adapter of the node is called so"},
		{cx6, "nodisk.ib.port=2", "warning: nodisk.ib.port=2: adapters from ConnectX-4 on have one port each: write the adapter (mlx5_1) or the port GUID"},
		{cx6, "nodisk.ib.port=mlx5_1", ""}, // a list has each modalias once
		{port + port2 + cx6, "nodisk.ib.port=mlx5_1", ""},
		{port + port2 + cx6, "nodisk.ib.port=mlx5_2", "fault: nodisk.ib.port=mlx5_2: the node has 2 InfiniBand ports, so no adapter is called mlx5_2"},
		{port + port2 + cx3, "nodisk.ib.port=2", ""},
		{port + mac + cx6 + "42:00.0 0200: 15b3:101b\n", "nodisk.ib.port=mlx5_1", ""}, // the other may be Ethernet's
		{cx3, "nodisk.ib.port=mlx4_0:2", ""},

		// The second port of mlx4_core was Ethernet when the inventory was made, or had no interface.
		{port + cx3, "nodisk.ib.port=2", "warning: " + tooFew},
		{port + cx3, "nodisk.ib.port=2 nodisk.mlx4.port_type=ib", ""},
		{port + mac + cx3, "nodisk.ib.port=2 nodisk.mlx4.port_type=ib", ""},
		{port + mac + cx3, "nodisk.ib.port=2 nodisk.mlx4.port_type=eth,ib", ""},
		{port + mac + cx3, "nodisk.ib.port=2 nodisk.mlx4.port_type=auto", ""},
		{port + mac + cx3, "nodisk.ib.port=2 mlx4_core.port_type_array=1", ""},
		{port + mac + cx3, "nodisk.ib.port=00-02-c9-03-00-0a-0b-0d nodisk.mlx4.port_type=ib", ""},
		{port + mac + cx3 + cx3en, "nodisk.ib.port=mlx4_1 nodisk.mlx4.port_type=ib", ""},
		{port + cx3, "nodisk.ib.port=3 nodisk.mlx4.port_type=ib", "fault: nodisk.ib.port=3: the node has 1 InfiniBand port, so no adapter has a port 3"},
		{port + port2 + cx3, "nodisk.ib.port=00-02-c9-03-00-0a-0b-0e nodisk.mlx4.port_type=ib", "fault: nodisk.ib.port= 00:02:c9:03:00:0a:0b:0e is not one of the node's addresses"},
		{port + mac + cx6 + cx3, "nodisk.ib.port=3 nodisk.mlx4.port_type=eth", "warning: nodisk.ib.port=3: "},
		{mac + e1000, "nodisk.ib.port=mlx5_0", "warning: nodisk.ib.port=mlx5_0 selects an InfiniBand port, and the node has no such adapter"},
		{e1000, "nodisk.ib.port=1", "warning: nodisk.ib.port=1 selects an InfiniBand port, and the node has no such adapter"},
		{e1000, "nodisk.ib.port=00-02-c9-03-00-0a-0b-0e", "warning: nodisk.ib.port= 00:02:c9:03:00:0a:0b:0e is the address of an InfiniBand port, and the node has no such adapter"},
	} {
		for _, i := range []*Image{image, nil} {
			line := tt.line
			if !strings.Contains(line, " ip=") {
				line += " ip=dhcp"
			}
			r, err := Check(t.Context(), Input{Line: cmdline.Parse("root=nfs:10.0.0.1:/srv " + line), Image: i, Inventory: inventoryOf(t, tt.node)})
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			if i != nil { // the image's drivers are told together
				want, _, _ = strings.Cut(want, " (their")
			}
			if got := told(r); want == "" && got != "" || !strings.HasPrefix(got, want) {
				t.Errorf("%s on\n%swith an image (%v): %s\nwant %s", line, tt.node, i != nil, got, want)
			}
		}
	}
}
