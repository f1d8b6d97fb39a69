package pxe

import (
	"strings"
	"testing"
)

// What a command line says of a node's identity is what the servers are told.
func TestKnown(t *testing.T) {
	const head = "defaults: {image: node.img, interface: ib0, cmdline: root=dhcp}\n" +
		"subnets: [{cidr: 10.0.0.0/24}]\nnodes:\n"
	const node = "- {name: a, guid: 00:02:c9:03:00:00:10:39, ip: 10.0.0.7"
	const kea = `"client-id": "20:00:02:c9:03:00:00:10:39"`
	for name, tt := range map[string]struct {
		nodes, err, kea, warning string
	}{
		"taken over": {node + ", append: nodisk.dhcp.clientid=guid}", "", kea,
			"interface ib0 is InfiniBand, where ISC dhcpd and Kea hear nobody"},
		"both alike": {node + ", client-id: guid, append: nodisk.dhcp.clientid=guid}", "", kea, ""},
		"contradicted": {node + ", client-id: mac, append: nodisk.dhcp.clientid=guid}",
			"node a: client-id mac contradicts nodisk.dhcp.clientid=guid of its command line", "", ""},
		"20 bytes": {node + ", cmdline: nodisk.dhcp.clientid=hwaddr}", "node a: nodisk.dhcp.clientid=hwaddr of " +
			"its command line has all 20 bytes", "", ""},
		"other port": {node + ", append: BOOTIF=20-00-02-c9-03-00-00-10-40}",
			"node a: BOOTIF=20-00-02-c9-03-00-00-10-40 of its command line is another port than guid " +
				"00:02:c9:03:00:00:10:39", "", ""},
		"same port":    {node + ", append: BOOTIF=20-00-02-c9-03-00-00-10-39}", "", "Kea hears nobody on ib0", ""},
		"its own word": {node + ", append: 'BOOTIF=20-{guid}'}", "", "Kea hears nobody on ib0", ""},
		"same 6 bytes": {
			node + "}\n- {name: b, guid: 00:02:c9:04:00:00:10:39, ip: 10.0.0.8}",
			"node b: guid 00:02:c9:04:00:00:10:39 has the same 6 bytes (00:02:c9:00:10:39, without bytes 4 and 5) as " +
				"guid 00:02:c9:03:00:00:10:39 of node a", "", "",
		},
		"seven bytes": {strings.Replace(node, "00:02:c9:03:00:00:10:39", "20:00:02:c9:03:00:00:10", 1) + "}", "", "",
			"if this is the hardware type and 7 bytes, write all eight"},
	} {
		t.Run(name, func(t *testing.T) {
			nodes, err := Parse(strings.NewReader(head+tt.nodes), "nodes.yaml")
			var tree Tree
			if err == nil {
				tree, err = Render(nodes, Options{Folder: "/srv/tftp"})
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("%v; want %q", err, tt.err)
			}
			if told := strings.Join(tree.Warnings, "\n"); !strings.Contains(told, tt.warning) {
				t.Errorf("warnings %q; want %q", told, tt.warning)
			}
			for _, f := range tree.Files {
				if f.Path == keaConf && !strings.Contains(string(f.Data), tt.kea) {
					t.Errorf("want %s in:\n%s", tt.kea, f.Data)
				}
			}
		})
	}
}
