package netsetup

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// Forms of the kernel, of dracut, of initramfs-tools and of NetworkManager's
// generator, and what they mean here.
func TestParseGrammars(t *testing.T) {
	dev := func(n Addressing) []Addressing {
		n.Device = "eth0"
		return []Addressing{n}
	}
	static := Addressing{Method: lease.MethodStatic, Address: prefix("10.0.0.5/24")}
	for name, tt := range map[string]struct {
		line string
		want []Addressing
	}{
		// nfsroot.rst: "the client identifier can be used by following format".
		"client identifier":        {"ip=dhcp,1,525400123456", []Addressing{{Method: lease.MethodDHCP, ClientID: "hex:01353235343030313233343536"}}},
		"client identifier, field": {"ip=:::::eth0:dhcp,0,node7", dev(Addressing{Method: lease.MethodDHCP, ClientID: "hex:006e6f646537"})},
		// net/ipv4/ipconfig.c: with a client address there is nothing to ask for.
		"client and on":          {"ip=10.0.0.5:10.0.0.1:10.0.0.1:255.255.255.0:n7:eth0:on", dev(Addressing{Method: lease.MethodStatic, Address: prefix("10.0.0.5/24"), Server: addr("10.0.0.1"), Gateway: addr("10.0.0.1"), Hostname: "n7"})},
		"client and any":         {"ip=10.0.0.5:::24::eth0:any", dev(static)},
		"client and dhcp":        {"ip=10.0.0.5:::24::eth0:dhcp", dev(static)},
		"client and bootp":       {"ip=10.0.0.5:::24::eth0:bootp", dev(static)},
		"client and identifier":  {"ip=10.0.0.5:::24::eth0:dhcp,1,a", dev(static)},
		"client of IPv6, dhcp":   {"ip=[2001:db8::5]:::64::eth0:dhcp", dev(Addressing{Method: lease.MethodStatic, Address: prefix("2001:db8::5/64")})},
		"no client":              {"ip=0.0.0.0:10.0.0.9:0.0.0.0:0.0.0.0:n7:eth0:dhcp", dev(Addressing{Method: lease.MethodDHCP, Server: addr("10.0.0.9"), Hostname: "n7"})},
		"no client of IPv6":      {"ip=[::]:[::]:[::]:64:n7:eth0:auto6", dev(Addressing{Method: lease.MethodAuto6, Hostname: "n7"})},
		"peer":                   {"ip=10.0.0.5:10.0.0.6/32::255.255.255.255::eth0:none", dev(Addressing{Method: lease.MethodStatic, Address: prefix("10.0.0.5/32"), Server: addr("10.0.0.6"), Peer: prefix("10.0.0.6/32")})},
		"peer and dhcp":          {"ip=:10.0.0.6/32::::eth0:dhcp", dev(Addressing{Method: lease.MethodDHCP, Server: addr("10.0.0.6")})},
		"empty fields":           {"ip=192.168.253.2::192.168.253.1:255.255.255.0::eth0:::::", dev(Addressing{Method: lease.MethodStatic, Address: prefix("192.168.253.2/24"), Gateway: addr("192.168.253.1")})},
		"empty fields of dracut": {"ip=eth0:dhcp::::", dev(Addressing{Method: lease.MethodDHCP})},
		"empty fields, one dns":  {"ip=:::::eth0:dhcp:10.0.0.2::::", dev(Addressing{Method: lease.MethodDHCP, DNS: []netip.Addr{addr("10.0.0.2")}})},
		"link only":              {"ip=eth0:static", dev(Addressing{Method: lease.MethodNone})},
		// nm-initrd-generator(8).
		"both families":         {"ip=eth0:dhcp,dhcp6", []Addressing{{Device: "eth0", Method: lease.MethodDHCP}, {Device: "eth0", Method: lease.MethodDHCP6}}},
		"both, any device":      {"ip=dhcp,dhcp6", []Addressing{{Method: lease.MethodDHCP}, {Method: lease.MethodDHCP6}}},
		"both, the other way":   {"ip=eth0:auto6,dhcp:1400", []Addressing{{Device: "eth0", Method: lease.MethodAuto6, MTU: 1400}, {Device: "eth0", Method: lease.MethodDHCP, MTU: 1400}}},
		"both, servers":         {"ip=::10.0.0.1::n7:eth0:dhcp,dhcp6:10.0.0.2:[2001:db8::53]", []Addressing{{Device: "eth0", Method: lease.MethodDHCP, Gateway: addr("10.0.0.1"), Hostname: "n7", DNS: []netip.Addr{addr("10.0.0.2")}}, {Device: "eth0", Method: lease.MethodDHCP6, Hostname: "n7", DNS: []netip.Addr{addr("2001:db8::53")}}}},
		"static and both":       {"ip=10.0.0.5:::24::eth0:dhcp,dhcp6", []Addressing{{Device: "eth0", Method: lease.MethodStatic, Address: prefix("10.0.0.5/24")}, {Device: "eth0", Method: lease.MethodDHCP6}}},
		"a name and its domain": {"ip=::::" + longName + ":eth0:dhcp", dev(Addressing{Method: lease.MethodDHCP, Hostname: longName})},
		"a name with a dot":     {"ip=::::node7.example.org.:eth0:dhcp", dev(Addressing{Method: lease.MethodDHCP, Hostname: "node7.example.org"})},
		"nodisk.hostname=":      {"ip=eth0:dhcp nodisk.hostname=" + longName + ".", dev(Addressing{Method: lease.MethodDHCP, Hostname: longName})},
		"klibc's":               {"ip=:::::eth0:all", dev(Addressing{Method: lease.MethodDHCP})},
		"twice":                 {"ip=eth0:dhcp ip=eth0:dhcp", dev(Addressing{Method: lease.MethodDHCP})},
		"twice, no device":      {"ip=dhcp ip=dhcp", []Addressing{{Method: lease.MethodDHCP}}},
		"twice, other words":    {"ip=dhcp ip=:::::: ip=on", []Addressing{{Method: lease.MethodDHCP}}},
		// R15.
		"two addresses": {
			"ip=192.0.2.10::192.0.2.1:255.255.255.0::eth0:none:1.1.1.1:9.9.9.9 ip=192.0.2.11:::255.255.255.0::eth0:none::",
			dev(Addressing{Method: lease.MethodStatic, Address: prefix("192.0.2.10/24"), More: []netip.Prefix{prefix("192.0.2.11/24")}, Gateway: addr("192.0.2.1"), DNS: []netip.Addr{addr("1.1.1.1"), addr("9.9.9.9")}}),
		},
		"three, and IPv6": {
			"ip=10.0.0.5:::24::eth0:none:1.1.1.1:1.1.1.2 ip=[2001:db8::5]:::64::eth0:none ip=10.0.1.5::10.0.1.1:24::eth0:none:1.1.1.3 ip=[2001:db8::6]:::64::eth0:none ip=10.0.2.5:::24::eth0:none:1.1.1.4",
			[]Addressing{
				{Device: "eth0", Method: lease.MethodStatic, Address: prefix("10.0.0.5/24"), More: []netip.Prefix{prefix("10.0.1.5/24"), prefix("10.0.2.5/24")}, Gateway: addr("10.0.1.1"), DNS: []netip.Addr{addr("1.1.1.1"), addr("1.1.1.2"), addr("1.1.1.3"), addr("1.1.1.4")}},
				{Device: "eth0", Method: lease.MethodStatic, Address: prefix("2001:db8::5/64"), More: []netip.Prefix{prefix("2001:db8::6/64")}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := ParseConfig(cmdline.Parse(tt.line))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, c.Interfaces, byValue()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, n := range c.Interfaces {
				if again := parseLine(t, "ip="+n.String()).Interfaces; len(again) != 1 || cmp.Diff(n, again[0], byValue()) != "" {
					t.Errorf("ip=%s is read as %v", n, again)
				}
			}
		})
	}
}

// longName is one of a cloud: more than sethostname(2) takes, but for its first label.
const longName = "node7.compute.datacenter-frankfurt-1.internal.cloud.long-example-company.com"

// What is wrong with these is said in the words of the one who wrote them.
func TestParseGrammarErrors(t *testing.T) {
	checkErrors(t, map[string][]string{
		"ip=dhcp,1":                       {"dhcp,1, has no client identifier; write dhcp,TYPE,TEXT"},
		"ip=dhcp,256,a":                   {"has no client identifier"},
		"ip=dhcp,":                        {"dhcp, is not a method of IPv4 and one of IPv6; write dhcp,dhcp6"},
		"ip=eth0:dhcp,bootp":              {"is not a method of IPv4 and one of IPv6"},
		"ip=eth0:none,dhcp6":              {"is not a method of IPv4 and one of IPv6"},
		"ip=eth0:dhcp,dhpc6":              {`"dhpc6" is not a method`},
		"ip=en*:none":                     {"none gives no address to no certain device; write its name or its address with dashes"},
		"ip=en*:dhcp::52:54:00:12:34:57":  {"gives a hardware address to no certain device"},
		"ip=en*:dhcp ip=en*:dhcp:1400":    {"configures en* a second time"},
		"ip=en*:ibft":                     {"ibft is about the device that the firmware's table names; write ip=ibft"},
		"ip=driver=:dhcp":                 {`"driver=" names no device; write its name, 1 to 15 characters without slash, colon or space, its address with dashes, or driver= and the name of its driver`},
		"bootdev=a/b":                     {`"a/b" names no device`},
		"rd.route=10.9.0.0/16:10.0.0.1:":  {`"" names no device`},
		"ip=:::::eth%d:dhcp":              {`"eth%d" is a pattern of the kernel's; write * for the number`},
		"ip=52:54:00:12:34:56:dhcp":       {"has an address with colons, which separate fields here; write it with dashes: ip=52-54-00-12-34-56:dhcp"},
		"ip=52:54:00:12:34:56:dhcp:9000":  {"write it with dashes: ip=52-54-00-12-34-56:dhcp:9000"},
		"ip=10.0.0.5:10.0.0.6/33::::eth0": {"mask 33 is not a netmask"},
		"ip=eth0:dhcp:1400:::::::x":       {"the hardware address is not six bytes"},
		"ip=10.0.0.5::10.0.0.1:24::eth0:none ip=10.0.0.6::10.0.0.2:24::eth0:none": {"configures eth0 a second time; write one ip= for each device, one for IPv4 and one for IPv6, or static addresses with one gateway"},
		"ip=10.0.0.5:::24::eth0:none ip=eth0:dhcp":                                {"configures eth0 a second time"},
		"ip=10.0.0.5:::24 ip=10.0.0.6:::24":                                       {"is the second ip= without a device"},
		"nodisk.hostname=" + strings.Repeat("a", 64) + ".org":                     {"at most 63 between two dots"},
		"nodisk.hostname=" + strings.Repeat("a.", 127):                            {"253 in all"},
	})
}

// MAAS and initramfs-tools write BOOTIF where a device is expected: it means the one
// of BOOTIF=, or the link that is made of it.
func TestParseBootIFDevice(t *testing.T) {
	const boot = " BOOTIF=01-52-54-00-12-34-57"
	devices := []link.Device{
		{Index: 2, Name: "eth0", Type: link.HwEthernet, Addr: macA, Physical: true, MTU: 1500},
		{Index: 3, Name: "eth1", Type: link.HwEthernet, Addr: macB, Physical: true, MTU: 1500},
	}
	for line, want := range map[string]string{
		"ip=::::flying-marmot:BOOTIF" + boot:                  "[::::flying-marmot::dhcp]",
		"ip=BOOTIF:dhcp" + boot:                               "[dhcp]",
		boot + " ip=10.0.0.5::10.0.0.1:24::BOOTIF:none":       "[10.0.0.5::10.0.0.1:24:::static]",
		"ip=BOOTIF:dhcp bootdev=BOOTIF" + boot:                "[dhcp]",
		"ip=br0:dhcp bridge=br0:BOOTIF" + boot:                "[br0:dhcp] on 52-54-00-12-34-57",
		"ip=bond0:dhcp bond=bond0:BOOTIF,eth0:mode=1" + boot:  "[bond0:dhcp] on 52-54-00-12-34-57",
		"ip=vlan5:dhcp vlan=vlan5:BOOTIF" + boot:              "[vlan5:dhcp] on 52-54-00-12-34-57",
		"ip=BOOTIF:dhcp ip=eth0:dhcp" + boot + " rd.bootif=1": "[dhcp eth0:dhcp]",
	} {
		c := parseLine(t, line)
		got := "[" + wordsOf(c.Interfaces) + "]"
		for _, m := range append(append([]link.PortMatch{}, bridgePorts(c)...), bondPorts(c)...) {
			if m.Addr != "" {
				got += " on " + m.String()
			}
		}
		for _, v := range c.VLANs {
			got += " on " + v.Parent.String()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
		if i, ok := c.Claim(devices[1], false); strings.HasPrefix(want, "[dhcp") && (!ok || i != 0) {
			t.Errorf("%s: eth1 is the device of word %d, %v", line, i, ok)
		}
	}
	checkErrors(t, map[string][]string{
		"ip=BOOTIF:dhcp":                                {"names the interface of BOOTIF=, which is not there or not used; add IPAPPEND 2"},
		"bridge=br0:BOOTIF ip=br0:dhcp":                 {"bridge=br0:BOOTIF: names the interface of BOOTIF=, which is not there or not used; add IPAPPEND 2"},
		"vlan=v5:BOOTIF ip=v5:dhcp":                     {"vlan=v5:BOOTIF: names the interface of BOOTIF=, which is not there or not used"},
		"bond=bond0:eth0,BOOTIF:mode=1":                 {"names the interface of BOOTIF=, which is not there or not used"},
		"ip=dhcp rd.route=10.9.0.0/16:10.77.0.7:BOOTIF": {"names the interface of BOOTIF=, which is not there or not used"},
		"ip=BOOTIF:dhcp rd.bootif=0" + boot:             {"which is not there or not used"},
		"ip=BOOTIF:off" + boot:                          {"none gives neither client address nor the name of a device"},
	})
}

func wordsOf(words []Addressing) string {
	var list []string
	for _, n := range words {
		list = append(list, n.String())
	}
	return strings.Join(list, " ")
}

func bridgePorts(c Config) (ports []link.PortMatch) {
	for _, b := range c.Bridges {
		ports = append(ports, b.Ports...)
	}
	return ports
}

func bondPorts(c Config) (ports []link.PortMatch) {
	for _, b := range c.Bonds {
		ports = append(ports, b.Ports...)
	}
	return ports
}

// The very same words twice, as when a template and its include both have them, are
// no error.
func TestParseTwice(t *testing.T) {
	for _, line := range []string{
		"ip=eth0:dhcp", "ip=dhcp", "ip=10.0.0.5:::24::eth0:none", "bond=bond0:eth0,eth1:mode=1 ip=bond0:dhcp", "vlan=vlan5:eth0 ip=vlan5:dhcp",
		"bridge=br0:eth0 ip=br0:dhcp", "ib.pkey=ib0.8001 ip=ib0.8001:dhcp", "ifname=lan0:52:54:00:12:34:56 ip=lan0:dhcp",
	} {
		once, twice := parseLine(t, line), parseLine(t, line+" "+line)
		once.Renames, twice.Renames = nil, nil
		if diff := cmp.Diff(once, twice, byValue()); diff != "" {
			t.Errorf("%s (-once +twice):\n%s", line, diff)
		}
	}
}

// Names that begin as InfiniBand's do.
func TestInfiniBandName(t *testing.T) {
	for name, want := range map[string]bool{
		"ib0": true, "ib12": true, "ib0.8001": true, "ib*": true, "ib?": true, "ibp1s0": true, "ibs3f1": true, "ibo1": true, "ibP2p1s0": true,
		"ibp65s0f0": true, "ibp*": true, "ibx0002c9030000": true, "ibx*": true,
		"ibmc": false, "ibnet0": false, "ibft0": false, "ib": false, "ibs": false, "ibp": false, "ibpool0": false, "ibx": false, "ibxy": false,
		"eth0": false, "bib0": false, "": false,
	} {
		if got := (link.PortMatch{Name: name}).InfiniBand(); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	for _, line := range []string{
		"ifname=ibmc:52:54:00:12:34:56 vlan=vlan5:ibmc ip=vlan5:dhcp", "bond=bond0:ibnet0,eth1:mode=802.3ad ip=bond0:dhcp", "bridge=br0:ibmc ip=br0:dhcp",
	} {
		parseLine(t, line)
	}
}

// What several addresses and a peer make of an interface.
func TestStepsOfWords(t *testing.T) {
	have := []link.Device{{Index: 2, Name: "eth0", Type: link.HwEthernet, Addr: macA, Physical: true, MTU: 1500, Up: true, Carrier: true}}
	for line, want := range map[string][]string{
		"ip=192.0.2.10::192.0.3.1:24::eth0:none ip=192.0.3.11:::24::eth0:none": {
			"ip addr add 192.0.2.10/24 brd + dev eth0", "ip addr add 192.0.3.11/24 brd + dev eth0", "ip route replace default via 192.0.3.1 dev eth0",
		},
		"ip=10.0.0.5:10.0.0.6/32::255.255.255.255::eth0:none": {"ip addr add 10.0.0.5/32 dev eth0", "ip route replace 10.0.0.6/32 dev eth0"},
		"ip=10.0.0.5:10.0.0.6/32::24::eth0:none":              {"ip addr add 10.0.0.5/24 brd + dev eth0"},
	} {
		steps, err := parseLine(t, line).Steps(have)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range steps {
			if text := s.String(); strings.Contains(text, " addr ") || strings.Contains(text, " route ") {
				got = append(got, text)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}

// Options at the kernel's default where they have no effect, and those of newer
// kernels (network.md 22).
func TestBondDefaults(t *testing.T) {
	for options, want := range map[string]string{
		"mode=1,arp_interval=0":                                              "mode active-backup miimon 100",
		"mode=4,arp_interval=0,miimon=50":                                    "mode 802.3ad miimon 50",
		"mode=1,updelay=0,downdelay=0,arp_interval=5,arp_ip_target=10.0.0.1": "mode active-backup arp_interval 5 arp_ip_target 10.0.0.1",
		"mode=1,arp_validate=none,primary_reselect=0":                        "mode active-backup miimon 100",
		"mode=1,lacp_rate=slow,xmit_hash_policy=0,packets_per_slave=1":       "mode active-backup miimon 100",
		"mode=1,primary=":             "mode active-backup miimon 100",
		"mode=4,broadcast_neighbor=1": "mode 802.3ad miimon 100 broadcast_neighbor on",
		"mode=4,ad_select=3":          "mode 802.3ad miimon 100 ad_select actor_port_prio",
		"mode=1,updelay=0":            "mode active-backup miimon 100 updelay 0",
	} {
		got, _ := strings.CutPrefix(link.BondAdd(parseLine(t, "bond=b:eth0:"+options).Bonds[0]).String(), "ip link add b type bond ")
		if got != want {
			t.Errorf("%s: %s, want %s", options, got, want)
		}
	}
}
