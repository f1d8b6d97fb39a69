package preflight

import (
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// What an inventory tells of the devices of ip=: all of them cannot be there, which is a
// fault, or something speaks against one.
func TestAbsentInterfaces(t *testing.T) {
	const node = "# network 52:54:00:12:34:56\n# network 52:54:00:12:34:57\n01:00.0 0200: 8086:1521\n01:00.1 0200: 8086:1521\n"
	for line, want := range map[string]string{
		"ip=52-54-00-12-34-99:dhcp":                                   "fault: ip=52-54-00-12-34-99:dhcp: 52:54:00:12:34:99 is not one of the node's addresses (52:54:00:12:34:56, 52:54:00:12:34:57)",
		"ip=52-54-00-12-34-99:dhcp ip=52-54-00-12-34-57:dhcp":         "warning: ip=52-54-00-12-34-99:dhcp: 52:54:00:12:34:99 is not one of the node's addresses",
		"ip=52-54-00-12-34-57:dhcp":                                   "",
		"ip=lan0:dhcp ifname=lan0:52:54:00:12:34:99":                  "fault: ip=lan0:dhcp: 52:54:00:12:34:99 is not one of the node's addresses",
		"ip=lan0:dhcp ifname=lan0:52:54:00:12:34:57":                  "",
		"ip=enx525400123499:dhcp":                                     "warning: ip=enx525400123499:dhcp: 52:54:00:12:34:99 is not one of the node's addresses",
		"ip=dhcp nodisk.ib.port=00-02-c9-03-00-00-10-40":              "warning: nodisk.ib.port= 00:02:c9:03:00:00:10:40 is not one of the node's addresses",
		"ip=dhcp rd.route=10.1.0.0/16:10.0.0.9:52-54-00-12-34-99":     "warning: rd.route=10.1.0.0/16 52:54:00:12:34:99 is not one of the node's addresses",
		"ip=dhcp rd.route=10.1.0.0/16:10.0.0.9:52-54-00-12-34-57":     "",
		"ip=enx525400123457:dhcp":                                     "",
		"ip=ibp1s0:dhcp":                                              "warning: ip=ibp1s0:dhcp: ibp1s0 is an InfiniBand interface, and the node has no such adapter",
		"ip=usb0:dhcp":                                                "warning: ip=usb0:dhcp: usb0 is an interface on USB, and the node has no such adapter",
		"ip=eth2:dhcp":                                                "fault: ip=eth2:dhcp: the node has 2 network interfaces, so there is no eth2",
		"vlan=bond0.5:bond0 ip=bond0.5:dhcp":                          "fault: ip=bond0.5:dhcp: nothing that vlan=bond0.5 is made of can be there: no interface is called bond0",
		"bridge=br0:lan0 ip=br0:dhcp":                                 "", // a driver may give the name
		"bridge=br0:vlan7 ip=br0:dhcp":                                "fault: ip=br0:dhcp: nothing that bridge=br0 is made of can be there: no interface is called vlan7",
		"bond=bond0:eth2,eth3:mode=1 ip=bond0:dhcp":                   "fault: ip=bond0:dhcp: nothing that bond=bond0 is made of can be there: the node has 2 network interfaces, so there is no eth2",
		"bond=bond0:eth2,eth1:mode=1 ip=bond0:dhcp":                   "",
		"bond=bond0:52-54-00-12-34-99 vlan=vlan5:bond0 ip=vlan5:dhcp": "fault: ip=vlan5:dhcp: nothing that vlan=vlan5 is made of can be there: nothing that bond=bond0 is made of can be there: 52:54:00:12:34:99 is not one",
		"bond=bond0:eth2 ip=eth0:dhcp":                                "",
	} {
		r, err := Check(t.Context(), Input{Line: cmdline.Parse("root=nfs:10.0.0.1:/srv " + line), Inventory: inventoryOf(t, node)})
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, f := range r.Faults {
			told = append(told, "fault: "+f)
		}
		for _, d := range r.Doubts {
			word, _, _ := strings.Cut(d, "=")
			if slices.Contains([]string{"ip", "nodisk.ib.port", "rd.route"}, word) {
				told = append(told, "warning: "+d)
			}
		}
		if got := strings.Join(told, "\n"); want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s\nwant %s", line, got, want)
		}
	}
}
