package netsetup

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

func TestParseLinks(t *testing.T) {
	c := parseLine(t, "vlan=vlan0005:eth0 vlan=vlan6:eth0 vlan=eth0.0007:eth0 vlan=eth0.8:bond0 vlan=storage:52-54-00-12-34-57:4094 vlan=vlan.9:br0 bridge bridge=br1:en*,driver=r8169,vlan6")
	vlans := []link.VLAN{
		{Name: "vlan0005", Parent: link.PortMatch{Name: "eth0"}, ID: 5},
		{Name: "vlan6", Parent: link.PortMatch{Name: "eth0"}, ID: 6},
		{Name: "eth0.0007", Parent: link.PortMatch{Name: "eth0"}, ID: 7},
		{Name: "eth0.8", Parent: link.PortMatch{Name: "bond0"}, ID: 8},
		{Name: "storage", Parent: link.PortMatch{Addr: macB}, ID: 4094},
		{Name: "vlan.9", Parent: link.PortMatch{Name: "br0"}, ID: 9},
	}
	if diff := cmp.Diff(vlans, c.VLANs); diff != "" {
		t.Errorf("VLANs (-want +got):\n%s", diff)
	}
	bridges := []link.Bridge{{Name: "br0", Ports: []link.PortMatch{{Name: "eth0"}}}, {Name: "br1", Ports: []link.PortMatch{{Name: "en*"}, {Driver: "r8169"}, {Name: "vlan6"}}}}
	if diff := cmp.Diff(bridges, c.Bridges); diff != "" {
		t.Errorf("bridges (-want +got):\n%s", diff)
	}
}

func TestLinkErrors(t *testing.T) {
	checkErrors(t, map[string][]string{
		"team=t:eth0":                            {"team devices need a daemon that nodisk does not have; write bond="},
		"vlan":                                   {"is not name:parent or name:parent:id; write vlan=vlan5:eth0"},
		"vlan=storage:eth0":                      {"does not tell the id: storage ends in none; write vlan=vlan5:eth0 or vlan=eth0.5:eth0, where the name ends in the id, or vlan=name:eth0:5"},
		"vlan=5:eth0":                            {"does not tell the id"},
		"vlan=vlan:eth0":                         {"does not tell the id"},
		"vlan=eth0.:eth0":                        {"does not tell the id"},
		"vlan=vlan0:eth0":                        {"id 0 is not a number from 1 to 4094"},
		"vlan=eth0.4095:eth0":                    {"id 4095 is not a number from 1 to 4094"},
		"vlan=a:eth0:x":                          {"id x is not a number from 1 to 4094"},
		"vlan=vlan5:":                            {`"" is not one interface`},
		"vlan=a/5:eth0:5":                        {`"a/5" is not an interface name`},
		"vlan=vlan5:ib0":                         {"InfiniBand has no VLANs; write ib.pkey=ib0.8001 for a partition"},
		"vlan=vlan5:0x2c90300001039:5":           {"InfiniBand has no VLANs; write ib.pkey=ib0.8001 for a partition, or for one of this port ifname=fabric:00:02:c9:03:00:00:10:39 ib.pkey=fabric.8001"},
		"vlan=vlan5:ib*:5":                       {"InfiniBand has no VLANs; write ib.pkey=ib0.8001 for a partition"},
		"vlan=vlan5:ibp193s0f1d1:5":              {"InfiniBand has no VLANs; write ib.pkey=ib0.8001 for a partition"},
		"ib.pkey=ibp193s0f1d1.8001":              {"is a name of 17 characters, and that of an interface has at most 15; write the kernel's name of ibp193s0f1d1 (ib.pkey=ib0.8001), or give it a shorter one: ifname=fabric:GUID ib.pkey=fabric.8001"},
		"ib.pkey=ib0.8001,ib1.8001":              {"is more than one partition; write one ib.pkey= for each: ib.pkey=ib0.8001 ib.pkey=ib1.8001"},
		"vlan=vlan5:eth0 vlan=vlan5:eth1":        {"vlan=vlan5: is made a second time"},
		"vlan=vlan5:eth0 vlan=eth0.5:eth0":       {"vlan=vlan5: has the same parent and id as eth0.5"},
		"vlan=vlan5:vlan5":                       {"vlan=vlan5: is made of itself"},
		"vlan=vlan5:vlan6 vlan=vlan6:vlan5":      {"vlan=vlan5: is made of itself", "vlan=vlan6: is made of itself"},
		"vlan=vlan5:br0 bridge=br0:vlan5":        {"vlan=vlan5: is made of itself", "bridge=br0: is made of itself"},
		"bond=bond0:vlan5 vlan=vlan5:bond0":      {"bond=bond0: is made of itself"},
		"bond=bond0:ib0:mode=1 vlan=vlan5:bond0": {"vlan=vlan5: InfiniBand has no VLANs"},
		"bond=b:eth0 vlan=vlan5:eth0":            {"vlan=vlan5: eth0 is a port of b and has no VLANs of its own; write vlan=vlan5:b"},
		"vlan=vlan5:eth0 ip=eth0:dhcp:1500 ip=vlan5:dhcp:9000":                                 {"its ip= gives a larger MTU than that of eth0"},
		"bond=bond0:eth0:mode=1:1500 vlan=vlan5:bond0 ip=vlan5:dhcp:9000":                      {"its ip= gives a larger MTU than that of bond0"},
		"bond=bond0:eth0:mode=1:1500 vlan=vlan5:bond0 vlan=vlan5.6:vlan5 ip=vlan5.6:dhcp:9000": {"its ip= gives a larger MTU than that of bond0"},
		"bond=bond0:eth0:mode=1:1500 bridge=br0:bond0 ip=br0:dhcp:9000":                        {"its ip= gives a larger MTU than that of bond0"},
		"vlan=vlan5:br0 bridge=br0:eth0 ip=br0:none:1500 ip=vlan5:dhcp:9000":                   {"its ip= gives a larger MTU than that of br0"},
		"bridge=br0":                             {"is not name:ports; write bridge=br0:eth0"},
		"bridge=br0:eth0:stp":                    {"is not name:ports"},
		"bridge=br0:":                            {"names no port"},
		"bridge=br/0:eth0":                       {"is not an interface name"},
		"bridge=br0:ib0":                         {"ib0 cannot be a port: InfiniBand has no bridges"},
		"bridge=br0:bond0 bond=bond0:ib0:mode=1": {"bridge=br0: bond0 cannot be a port of it: InfiniBand has no bridges"},
		"bridge=br0:br1 bridge=br1:eth0":         {"br1 cannot be a port of it: it is a bridge itself; write the ports of br1 instead"},
		"bond=a:b bond=b:eth0":                   {"bond=a: b cannot be a port of it: it is a bond or a bridge itself"},
		"bond=a:eth0,eth0":                       {"bond=a: eth0 cannot be a port of it: it is one of a; write each port once"},
		"bond=a:eth0 bridge=b:eth0":              {"bridge=b: eth0 cannot be a port of it: it is one of a and b; write each port once"},
		"bond=a:eth0 bridge=a:eth1":              {"bridge=a: is made a second time"},
		"bond=a:ib0:mode=1 bond=b:ib0:mode=1 ip=ib0:dhcp": {
			"bond=b: ib0 cannot be a port of it: it is one of a and b", "ip=ib0:dhcp: ib0 is a port of a and takes no address; write ip=a:dhcp, or leave the port out of a",
		},
		"bridge ip=eth0:dhcp":                                {"eth0 is a port of br0 and takes no address; write ip=br0:dhcp"},
		"bond=b:52-54-00-12-34-56 ip=52-54-00-12-34-56:dhcp": {"52-54-00-12-34-56 is a port of b and takes no address"},
		"bond=b:eth0::9000 ip=b:dhcp:1500":                   {"bond=b: has another MTU than its ip="},
	})
}

// The example of docs/infiniband.md for a port whose name leaves no room for that of a partition.
func TestPartitionOfRenamed(t *testing.T) {
	c := parseLine(t, "ifname=fabric:00:02:c9:03:00:00:10:39 ib.pkey=fabric.8001 ip=fabric.8001:dhcp")
	if len(c.Children) != 1 || c.Children[0] != (link.Child{Name: "fabric.8001", Parent: "fabric", PKey: 0x8001}) || c.linkType(link.PortMatch{Name: "fabric"}) != link.HwInfiniBand {
		t.Errorf("%+v", c.Children)
	}
	if w := c.Warnings(); w != nil {
		t.Errorf("warnings %q", w)
	}
}

// Whose port a device is, and whether it still takes an address.
func TestMaster(t *testing.T) {
	child := linktest.GuidePort()
	child.Name, child.Parent = "ib0.8001", 5
	for _, tt := range []struct {
		line string
		d    link.Device
		want string
	}{
		{"bond=b:eth*", linktest.Ethernet(2, "eth0", macA), "b"},
		{"bond=b:eth* ip=eth0:dhcp", linktest.Ethernet(2, "eth0", macA), ""},
		{"bond=b:eth* ip=52-54-00-12-34-56:dhcp", linktest.Ethernet(2, "eth0", macA), ""},
		{"bond=b:eth* bootdev=eth0", linktest.Ethernet(2, "eth0", macA), ""},
		{"bond=b:eth* vlan=vlan5:eth0", linktest.Ethernet(2, "eth0", macA), ""},
		{"bond=b:eth* bridge=br0:eth0", linktest.Ethernet(2, "eth0", macA), "br0"},
		{"bond=b:* bridge=br0:driver=*", linktest.Ethernet(2, "eth0", macA), "b"},
		{"bond=b:en* bridge=br0:driver=*", linktest.Ethernet(2, "eth0", macA), "br0"},
		{"bond=b:* bond=c:52-54-00-12-34-56", linktest.Ethernet(2, "eth0", macA), "c"},
		{"bond=b:*", link.Device{Index: 9, Name: "b", Type: link.HwEthernet, Physical: true}, ""},
		{"bond=b:*", link.Device{Index: 9, Name: "veth0", Type: link.HwEthernet}, ""},
		{"bond=b:*:mode=1", linktest.GuidePort(), "b"},
		{"bond=b:*:mode=1 nodisk.ib.port=2", linktest.GuidePort(), ""},
		{"bridge=br0:*", linktest.GuidePort(), ""},
		{"bond=b:ib*:mode=1 ib.pkey=ib0.8001", linktest.GuidePort(), ""},
		{"bond=b:ib*:mode=1 ib.pkey=ib0.8001", child, ""},
		{"bond=b:ib0.8001:mode=1 ib.pkey=ib0.8001", child, "b"},
	} {
		c := parseLine(t, tt.line)
		got := c.MasterName(tt.d)
		if got != tt.want || c.port(tt.d) != (tt.want != "") {
			t.Errorf("%s, %s: port of %q, want %q", tt.line, tt.d.Name, got, tt.want)
		}
	}
}

// Whatever links the words ask for: they are refused with words, or their steps
// end.
func FuzzParseLinks(f *testing.F) {
	for _, s := range []string{
		"bond=bond0:eth*,driver=virtio_net:mode=1,primary=eth0:9000 vlan=vlan5:bond0 bridge=br0:vlan5 vlan=vlan9:br0 ip=vlan9:dhcp:9000",
		"bond bridge=br0:bond0", "bridge vlan=br0.0007:br0", "vlan=a:52-54-00-12-34-56:4094 bridge=b:a,*", "bond=b:c vlan=c:d:1 bridge=d:b",
		"bond=b:eth0:mode=4,ad_actor_system=02-00-00-00-00-01 bridge=c:b ip=eth0:dhcp", "bond=b:[2001:db8::1]:ns_ip6_target=[::1];[fe80::1]",
		"ib.pkey=ib0.8001 bond=b:ib0.8001,ib*:mode=1", "ifname=lan0:52:54:00:12:34:56 bond=bond0:lan?",
		"vlan=v:en*:5 vlan=w:enp0s3:6 bond=b:52-54-00-12-34-57,ens3:mode=1,primary=enp0s4 ip=ens4:dhcp bootdev=enp0s3", "BOOTIF=01-52-54-00-12-34-56 ip=BOOTIF:dhcp vlan=v:BOOTIF:5 bridge=r:v",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := ParseConfig(cmdline.Parse(line))
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		_, _ = c.Steps([]link.Device{{Index: 1, Name: "lo", Type: link.HwLoopback}, inSlot(linktest.Ethernet(2, "eth0", macA), "3"), inSlot(linktest.Ethernet(3, "eth1", macB), "4"), linktest.GuidePort()})
		for _, b := range c.Bonds {
			for _, m := range b.Ports {
				if again, err := link.ParsePortMatch(m.String()); err != nil || again != m {
					t.Errorf("%q: %+v is written as %s", line, m, m)
				}
			}
		}
	})
}

// BOOTIF= names a port, whose bond takes the address, whichever port's it has.
func TestBootIFOfPort(t *testing.T) {
	c := parseLine(t, "BOOTIF=01-52-54-00-12-34-56 bond=bond0:eth0,eth1")
	for _, tt := range []struct {
		d    link.Device
		want bool
	}{
		{linktest.Ethernet(2, "eth0", macA), false},
		{linktest.Ethernet(4, "eth2", "\x52\x54\x00\x12\x34\x58"), false},
		{link.Device{Index: 9, Name: "bond0", Type: link.HwEthernet, Addr: macA}, true},
		{link.Device{Index: 9, Name: "bond0", Type: link.HwEthernet, Addr: macB}, true},
	} {
		tt.d.Boot = slices.Contains(c.Over(linktest.Ethernet(2, "eth0", macA)), tt.d.Name)
		if _, got := c.Claim(tt.d, false); got != tt.want {
			t.Errorf("%s %s: %v", tt.d.Name, tt.d.Addr, got)
		}
	}
}

// The active port is said when it has a signal, and again when that returns.
func TestActiveSlave(t *testing.T) {
	c := parseLine(t, "bond=bond0:eth0,eth1:mode=1,active_slave=eth1")
	d := linktest.NoCarrier(linktest.Ethernet(3, "eth1", macA))
	d.Perm, d.Master, d.Up = macB, 9, true
	if steps := c.Below(d); len(steps) != 0 || !c.Again(d) {
		t.Errorf("without a signal: %v", steps)
	}
	d.Carrier = true
	if diff := cmp.Diff([]link.Step{link.BondSet{Bond: "bond0", Option: "active_slave", Port: "eth1"}}, c.Below(d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
