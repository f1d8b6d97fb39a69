package netsetup

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
)

func TestParseLinks(t *testing.T) {
	c := parseLine(t, "vlan=vlan0005:eth0 vlan=vlan6:eth0 vlan=eth0.0007:eth0 vlan=eth0.8:bond0 vlan=storage:52-54-00-12-34-57:4094 vlan=vlan.9:br0 bridge bridge=br1:en*,driver=r8169,vlan6")
	vlans := []VLAN{
		{"vlan0005", PortMatch{Name: "eth0"}, 5},
		{"vlan6", PortMatch{Name: "eth0"}, 6},
		{"eth0.0007", PortMatch{Name: "eth0"}, 7},
		{"eth0.8", PortMatch{Name: "bond0"}, 8},
		{"storage", PortMatch{Addr: macB}, 4094},
		{"vlan.9", PortMatch{Name: "br0"}, 9},
	}
	if diff := cmp.Diff(vlans, c.VLANs); diff != "" {
		t.Errorf("VLANs (-want +got):\n%s", diff)
	}
	bridges := []Bridge{{"br0", []PortMatch{{Name: "eth0"}}}, {"br1", []PortMatch{{Name: "en*"}, {Driver: "r8169"}, {Name: "vlan6"}}}}
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
	if len(c.Children) != 1 || c.Children[0] != (Child{Name: "fabric.8001", Parent: "fabric", PKey: 0x8001}) || c.linkType(PortMatch{Name: "fabric"}) != hwInfiniBand {
		t.Errorf("%+v", c.Children)
	}
	if w := c.Warnings(); w != nil {
		t.Errorf("warnings %q", w)
	}
}

func TestPortMatch(t *testing.T) {
	eth0 := ethernet(2, "eth0", macA)
	virtual := Device{Index: 7, Name: "eth0.5", Type: hwEthernet, Addr: macA}
	enslaved := ethernet(3, "eth1", macA)
	enslaved.Perm, enslaved.Master = macB, 9
	for _, tt := range []struct {
		match string
		d     Device
		want  bool
	}{
		{"eth0", eth0, true},
		{"eth1", eth0, false},
		{"eth0.5", virtual, true},
		{"eth*", eth0, true},
		{"e*0", eth0, true},
		{"*", eth0, true},
		{"eth?", eth0, true},
		{"eth??", eth0, false},
		{"*1", eth0, false},
		{"*0*", virtual, false},
		{"driver=virtio_net", eth0, true},
		{"driver=virt*", eth0, true},
		{"driver=*", virtual, false},
		{"driver=e1000", eth0, false},
		{"52-54-00-12-34-56", eth0, true},
		{"52-54-00-12-34-56", virtual, false},
		// A port has the address of the bond.
		{"52-54-00-12-34-56", enslaved, false},
		{"52-54-00-12-34-57", enslaved, true},
		{"00-02-c9-03-00-00-10-39", guidePort(), true},
		{"ib*", guidePort(), true},
		{"*", Device{Index: 1, Name: "lo", Type: hwLoopback, Physical: true}, false},
	} {
		m, err := parsePortMatch(tt.match)
		if err != nil || m.selects(tt.d) != tt.want {
			t.Errorf("%s, %s: not %v (%v)", tt.match, tt.d.Name, tt.want, err)
		}
		if again, _ := parsePortMatch(m.String()); again != m {
			t.Errorf("%s is written as %s", tt.match, m)
		}
	}
}

// Whose port a device is, and whether it still takes an address.
func TestMaster(t *testing.T) {
	child := guidePort()
	child.Name, child.Parent = "ib0.8001", 5
	for _, tt := range []struct {
		line string
		d    Device
		want string
	}{
		{"bond=b:eth*", ethernet(2, "eth0", macA), "b"},
		{"bond=b:eth* ip=eth0:dhcp", ethernet(2, "eth0", macA), ""},
		{"bond=b:eth* ip=52-54-00-12-34-56:dhcp", ethernet(2, "eth0", macA), ""},
		{"bond=b:eth* bootdev=eth0", ethernet(2, "eth0", macA), ""},
		{"bond=b:eth* vlan=vlan5:eth0", ethernet(2, "eth0", macA), ""},
		{"bond=b:eth* bridge=br0:eth0", ethernet(2, "eth0", macA), "br0"},
		{"bond=b:* bridge=br0:driver=*", ethernet(2, "eth0", macA), "b"},
		{"bond=b:en* bridge=br0:driver=*", ethernet(2, "eth0", macA), "br0"},
		{"bond=b:* bond=c:52-54-00-12-34-56", ethernet(2, "eth0", macA), "c"},
		{"bond=b:*", Device{Index: 9, Name: "b", Type: hwEthernet, Physical: true}, ""},
		{"bond=b:*", Device{Index: 9, Name: "veth0", Type: hwEthernet}, ""},
		{"bond=b:*:mode=1", guidePort(), "b"},
		{"bond=b:*:mode=1 nodisk.ib.port=2", guidePort(), ""},
		{"bridge=br0:*", guidePort(), ""},
		{"bond=b:ib*:mode=1 ib.pkey=ib0.8001", guidePort(), ""},
		{"bond=b:ib*:mode=1 ib.pkey=ib0.8001", child, ""},
		{"bond=b:ib0.8001:mode=1 ib.pkey=ib0.8001", child, "b"},
	} {
		c := parseLine(t, tt.line)
		got := c.masterName(tt.d)
		if got != tt.want || c.port(tt.d) != (tt.want != "") {
			t.Errorf("%s, %s: port of %q, want %q", tt.line, tt.d.Name, got, tt.want)
		}
	}
}

// The chain is made event by event: a bridge over a VLAN over a bond, whose
// second port comes late.
func TestUpChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel(t, ethernet(2, "eth0", macA))
		k.servers["br0"] = goodServer(t)
		links := map[string]Device{
			"link add bond0 type bond mode active-backup miimon 100":                         {Index: 10, Name: "bond0", Type: hwEthernet, MTU: 1500},
			"link add link bond0 name vlan5 type vlan id 5":                                  {Index: 11, Name: "vlan5", Type: hwEthernet, Parent: 10, MTU: 1500},
			"link add br0 address 52:54:00:12:34:56 type bridge stp_state 0 forward_delay 0": {Index: 12, Name: "br0", Type: hwEthernet, Addr: macA, MTU: 1500},
		}
		k.made = func() {
			k.mu.Lock()
			d := links[k.commands[len(k.commands)-1]]
			k.mu.Unlock()
			if _, ok := k.devices[d.Name]; d.Name != "" && !ok {
				k.appear(d)
			}
		}
		r := try(t, "bond=bond0:eth*:mode=1 vlan=vlan5:bond0 bridge=br0:vlan5 ip=br0:dhcp", time.Minute, k, func() {
			<-time.After(12 * time.Second)
			// The kernel's part: the bond takes the address of its port.
			k.change("bond0", func(d *Device) { d.Addr, d.Carrier = macA, true })
			k.change("vlan5", func(d *Device) { d.Addr, d.Carrier = macA, true })
			<-time.After(time.Second)
			k.appear(ethernet(3, "eth1", macB))
			k.change("br0", func(d *Device) { d.Carrier = true })
		})
		if r.err != nil || r.state.Device != "br0" {
			t.Fatalf("%v, %s", r.err, r.state)
		}
		want := []string{
			"link set lo up", "link add bond0 type bond mode active-backup miimon 100", "link set eth0 master bond0",
			"link set bond0 up", "link add link bond0 name vlan5 type vlan id 5", "link set vlan5 up",
			"link add br0 address 52:54:00:12:34:56 type bridge stp_state 0 forward_delay 0", "link set vlan5 master br0", "link set br0 up",
			"link set eth1 master bond0", "br0: DISCOVER",
		}
		for _, w := range want {
			if !slices.Contains(r.commands, w) {
				t.Errorf("%q is not done", w)
			}
		}
		if i, j := slices.Index(r.commands, "link set vlan5 up"), slices.Index(r.commands, "link set vlan5 master br0"); i > j {
			t.Errorf("%q", r.commands)
		}
		log := "10s br0: is not made yet: vlan5: none of its ports has carrier: bond0: none of its ports has carrier: eth0 is ready"
		if !slices.Contains(r.log, log) {
			t.Errorf("%q is not in %q", log, r.log)
		}
	})
}

// An adapter that has the name of a bond is not taken for it: the word waits, and
// says why.
func TestUpLinkNameTaken(t *testing.T) {
	for line, step := range map[string]string{
		"bond=eth0:eth1:mode=1 ip=eth0:dhcp": "ip link add eth0 type bond mode active-backup miimon 100",
		"bridge=eth0:eth1 ip=eth0:dhcp":      "ip link add eth0 address 52:54:00:12:34:57 type bridge stp_state 0 forward_delay 0",
		"vlan=eth0:eth1:5 ip=eth0:dhcp":      "ip link add link eth1 name eth0 type vlan id 5",
	} {
		synctest.Test(t, func(t *testing.T) {
			k := newFakeKernel(t, ethernet(2, "eth0", macA), ethernet(3, "eth1", macB))
			k.servers["eth0"] = goodServer(t)
			k.made = func() {}
			k.refuse = map[string]error{step: errors.New("eth0 exists already and is an adapter: choose another name for the link")}
			r := try(t, line, 14*time.Second, k, nil)
			last := ""
			if len(r.log) > 0 {
				last = r.log[len(r.log)-1]
			}
			if r.err == nil || slices.Contains(r.commands, "eth0: DISCOVER") || slices.Contains(r.commands, "link set eth0 up") ||
				!strings.Contains(last, "eth0: is not made yet: ") || !strings.Contains(last, "eth0 exists already and is an adapter: choose another name") {
				t.Errorf("%s: %v\n%q\n%q", line, r.err, r.commands, r.log)
			}
		})
	}
}

// A bond with min_links has no carrier with fewer ports.
func TestWaitingMinLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel(t, ethernet(2, "eth0", macA), noCarrier(ethernet(3, "eth1", macB)))
		k.made = func() { k.appear(Device{Index: 10, Name: "bond0", Type: hwEthernet, MTU: 1500}) }
		r := try(t, "bond=bond0:eth0,eth1:mode=4,min_links=2 ip=bond0:dhcp", 15*time.Second, k, nil)
		const want = "10s bond0: 1 port with carrier, and min_links is 2: eth0 is ready; eth1: its link has no carrier"
		if !slices.Contains(r.log, want) {
			t.Errorf("%q", r.log)
		}
	})
}

// A link that is gone with what it was made of is made again.
func TestUpParentReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel(t, noCarrier(ethernet(2, "eth0", macA)))
		k.servers["vlan5"] = goodServer(t)
		rules := underRules(k)
		r := try(t, "vlan=vlan5:eth0", time.Minute, k, func() {
			<-time.After(5 * time.Second)
			rules.unregister("eth0")
			<-time.After(time.Second)
			k.appear(ethernet(4, "eth0", macA))
		})
		if r.err != nil || r.state.Device != "vlan5" || r.took != 6*time.Second+probeWait {
			t.Fatalf("%v, %s after %v, %q", r.err, r.state, r.took, r.commands)
		}
		if d, ok := rules.device("vlan5"); !ok || d.Parent != 4 {
			t.Errorf("%+v, %q", d, r.commands)
		}
	})
}

// What waits: a name that no interface has, an address, a driver.
func TestUpPortsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel(t)
		k.made = func() { k.appear(Device{Index: 10, Name: "bond0", Type: hwEthernet, MTU: 1500}) }
		r := try(t, "bond=bond0:eth5,driver=mlx5*,52-54-00-12-34-57 ip=bond0:dhcp", 15*time.Second, k, nil)
		want := "10s bond0: none of its ports has carrier: eth5: no such interface (present: bond0): check its name and that its driver is in the image; " +
			"no interface is as driver=mlx5* says: check its name and that its driver is in the image; no interface has the address 52:54:00:12:34:57 (present: bond0)"
		if r.err == nil || !slices.Contains(r.log, want) {
			t.Errorf("%v, %q", r.err, r.log)
		}
	})
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
		_, _ = c.Steps([]Device{{Index: 1, Name: "lo", Type: hwLoopback}, inSlot(ethernet(2, "eth0", macA), "3"), inSlot(ethernet(3, "eth1", macB), "4"), guidePort()})
		for _, b := range c.Bonds {
			for _, m := range b.Ports {
				if again, err := parsePortMatch(m.String()); err != nil || again != m {
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
		d    Device
		want bool
	}{
		{ethernet(2, "eth0", macA), false},
		{ethernet(4, "eth2", "\x52\x54\x00\x12\x34\x58"), false},
		{Device{Index: 9, Name: "bond0", Type: hwEthernet, Addr: macA}, true},
		{Device{Index: 9, Name: "bond0", Type: hwEthernet, Addr: macB}, true},
	} {
		tt.d.Boot = slices.Contains(c.over(ethernet(2, "eth0", macA)), tt.d.Name)
		if _, got := c.claim(tt.d, false); got != tt.want {
			t.Errorf("%s %s: %v", tt.d.Name, tt.d.Addr, got)
		}
	}
}

// A bridge, and a VLAN on a bond, are what BOOTIF= means whichever port it names
// and whatever address they have.
func TestRunBootIFBelow(t *testing.T) {
	const name1 = "BOOTIF=01-52-54-00-12-34-57 "
	for line, want := range map[string]string{
		"ip=dhcp bridge=br0:eth0,eth1":                                          "br0",
		"ip=dhcp bond=bond0:eth0,eth1:mode=1":                                   "bond0",
		"ip=dhcp bond=bond0:eth0,eth1:mode=1 vlan=vlan5:bond0":                  "vlan5",
		"ip=dhcp bond=bond0:eth0,eth1:mode=1 vlan=vlan5:bond0 bridge=br0:vlan5": "br0",
		"ip=dhcp bridge=br0:eth0":                                               "eth1",
		"ip=dhcp vlan=vlan5:eth0 vlan=vlan6:eth1":                               "vlan6",
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newFakeKernel(t, ethernet(2, "eth0", macA))
				index := 10
				k.made = func() {
					words := strings.Fields(k.commands[len(k.commands)-1])
					d := Device{Index: index, Type: hwEthernet, Addr: macA, MTU: 1500, Carrier: true}
					switch words[2] {
					case "link":
						d.Name = words[5]
					default:
						d.Name = words[2]
					}
					if _, ok := k.devices[d.Name]; !ok {
						index++
						k.appear(d)
					}
				}
				for _, d := range []string{"br0", "bond0", "vlan5", "vlan6", "eth0", "eth1"} {
					k.servers[d] = goodServer(t)
				}
				// The port that the firmware used is the later one.
				r := try(t, name1+line, 15*time.Second, k, func() {
					<-time.After(time.Second)
					k.appear(ethernet(3, "eth1", macB))
				})
				if r.err != nil || r.state.Device != want {
					t.Errorf("%s: %v, %v; want %s", line, r.state, r.err, want)
				}
			})
		})
	}
}

// The active port is said when it has a signal, and again when that returns.
func TestActiveSlave(t *testing.T) {
	c := parseLine(t, "bond=bond0:eth0,eth1:mode=1,active_slave=eth1")
	d := noCarrier(ethernet(3, "eth1", macA))
	d.Perm, d.Master, d.Up = macB, 9, true
	if steps := c.below(d); len(steps) != 0 || !c.again(d) {
		t.Errorf("without a signal: %v", steps)
	}
	d.Carrier = true
	if diff := cmp.Diff([]Step{BondSet{Bond: "bond0", Option: "active_slave", Port: "eth1"}}, c.below(d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The port that appears first joins first, whatever the others do meanwhile: the
// bridge has its address.
func TestUpTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel(t, ethernet(2, "eth0", macA), ethernet(3, "eth1", macB))
		k.opening["eth0"] = 2 * time.Second
		k.servers["br0"] = goodServer(t)
		once := false
		k.made = func() {
			if !once {
				once = true
				k.appear(Device{Index: 9, Name: "br0", Type: hwEthernet, Addr: macA, MTU: 1500, Carrier: true})
			}
		}
		r := try(t, "bridge=br0:eth*", time.Minute, k, nil)
		if i := slices.Index(r.commands, "link add br0 address 52:54:00:12:34:56 type bridge stp_state 0 forward_delay 0"); r.err != nil || i < 0 ||
			slices.Contains(r.commands[:i], "link set eth1 up") {
			t.Errorf("%v, %q", r.err, r.commands)
		}
	})
}
