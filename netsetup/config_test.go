package netsetup

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nodisk/nodisk/init/cmdline"
)

func byValue() cmp.Option {
	return cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})
}

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

const (
	macA = HardwareAddr("\x52\x54\x00\x12\x34\x56")
	macB = HardwareAddr("\x52\x54\x00\x12\x34\x57")
)

func TestParseConfig(t *testing.T) {
	dhcp := []Interface{{Method: MethodDHCP}}
	static := Interface{Method: MethodStatic, Address: prefix("10.0.0.5/24")}
	with := func(n Interface, f func(*Interface)) []Interface {
		f(&n)
		return []Interface{n}
	}
	for name, tt := range map[string]struct {
		line string
		want Config
	}{
		"nothing":        {"root=/dev/sda quiet", Config{Interfaces: dhcp}},
		"empty":          {"ip=", Config{Interfaces: dhcp}},
		"empty fields":   {"ip=:::::", Config{Interfaces: dhcp}},
		"dhcp":           {"ip=dhcp", Config{Interfaces: dhcp}},
		"on":             {"ip=on", Config{Interfaces: dhcp}},
		"any":            {"ip=any", Config{Interfaces: dhcp}},
		"single":         {"ip=single-dhcp", Config{Interfaces: dhcp}},
		"off":            {"ip=off", Config{Off: true}},
		"none":           {"ip=none", Config{Off: true}},
		"kernel off":     {"ip=::::::off", Config{Off: true}},
		"device":         {"ip=eth1:dhcp", Config{Interfaces: []Interface{{Device: "eth1", Method: MethodDHCP}}}},
		"device off":     {"ip=eth1:off", Config{Interfaces: []Interface{{Device: "eth1", Method: MethodNone}}}},
		"device by MAC":  {"ip=52-54-00-12-34-56:dhcp", Config{Interfaces: []Interface{{Match: macA, Method: MethodDHCP}}}},
		"device tail":    {"ip=eth1:dhcp:9000:52:54:00:12:34:57", Config{Interfaces: []Interface{{Device: "eth1", Method: MethodDHCP, MTU: 9000, NewAddr: macB}}}},
		"device MAC":     {"ip=eth1:dhcp::52:54:00:12:34:57", Config{Interfaces: []Interface{{Device: "eth1", Method: MethodDHCP, NewAddr: macB}}}},
		"kernel device":  {"ip=:::::eth0:dhcp", Config{Interfaces: []Interface{{Device: "eth0", Method: MethodDHCP}}}},
		"kernel dns":     {"ip=:::::eth0:on:10.0.0.2::10.0.0.4", Config{Interfaces: []Interface{{Device: "eth0", Method: MethodDHCP, DNS: []netip.Addr{addr("10.0.0.2")}, NTP: []netip.Addr{addr("10.0.0.4")}}}}},
		"dhcp overrides": {"ip=:10.0.0.9:10.0.0.1:20:n7::dhcp", Config{Interfaces: []Interface{{Method: MethodDHCP, Server: addr("10.0.0.9"), Gateway: addr("10.0.0.1"), Bits: 20, Hostname: "n7"}}}},
		"two devices": {
			"ip=eth0:dhcp ip=10.1.0.5:::24::eth1:none",
			Config{Interfaces: []Interface{{Device: "eth0", Method: MethodDHCP}, {Device: "eth1", Method: MethodStatic, Address: prefix("10.1.0.5/24")}}},
		},
		"static": {
			"ip=10.0.0.5:10.0.0.9:10.0.0.1:255.255.255.0:node7:eth0:none:10.0.0.2:10.0.0.3:10.0.0.4",
			Config{Interfaces: with(static, func(n *Interface) {
				n.Device, n.Hostname, n.Server, n.Gateway = "eth0", "node7", addr("10.0.0.9"), addr("10.0.0.1")
				n.DNS, n.NTP = []netip.Addr{addr("10.0.0.2"), addr("10.0.0.3")}, []netip.Addr{addr("10.0.0.4")}
			})},
		},
		"static, dracut's tail": {
			"ip=10.0.0.5:::24::eth0:static:1400:52:54:00:12:34:57",
			Config{Interfaces: with(static, func(n *Interface) { n.Device, n.MTU, n.NewAddr = "eth0", 1400, macB })},
		},
		"static without device": {"ip=10.0.0.5/24::10.0.0.1", Config{Interfaces: with(static, func(n *Interface) { n.Gateway = addr("10.0.0.1") })}},
		"mask of the class":     {"ip=10.0.0.5", Config{Interfaces: []Interface{{Method: MethodStatic, Address: prefix("10.0.0.5/8")}}}},
		"pxelinux": {
			"BOOTIF=01-52-54-00-12-34-56 ip=10.0.0.5:10.0.0.9:0.0.0.0:255.255.255.0",
			Config{BootIF: macA, Interfaces: with(static, func(n *Interface) { n.Server = addr("10.0.0.9") })},
		},
		"BOOTIF with colons": {"BOOTIF=01:52:54:00:12:34:56", Config{BootIF: macA, Interfaces: dhcp}},
		"BOOTIF of GRUB":     {"BOOTIF=01-52:54:00:12:34:56", Config{BootIF: macA, Interfaces: dhcp}},
		"BOOTIF upper case":  {"BOOTIF=01-52-54-00-12-34-56", Config{BootIF: macA, Interfaces: dhcp}},
		"BOOTIF bare":        {"BOOTIF=52-54-00-12-34-56", Config{BootIF: macA, Interfaces: dhcp}},
		"BOOTIF ignored":     {"BOOTIF=01-52-54-00-12-34-56 rd.bootif=0", Config{Interfaces: dhcp}},
		"the rest": {
			"nameserver=9.9.9.9 nameserver=[8.8.8.8] rd.neednet bootdev=eth1 rd.peerdns=0 rd.net.timeout.carrier=20 " +
				"rd.net.timeout.dhcp=30 rd.net.dhcp.retry=5 rd.net.dhcp.vendor-class=nodisk ifname=lan0:52:54:00:12:34:56 " +
				"rd.route=10.1.0.0/255.255.0.0:10.0.0.1:eth0 rd.route=default:10.0.0.2 rd.route=10.2.0.1::eth0 nodisk.dhcp.clientid=none",
			Config{
				Interfaces: dhcp, Nameservers: []netip.Addr{addr("9.9.9.9"), addr("8.8.8.8")}, NeedNet: true, BootDev: "eth1", IgnorePeerDNS: true,
				CarrierTimeout: 20 * time.Second, DHCPTimeout: 30 * time.Second, DHCPRetry: 5, VendorClass: "nodisk",
				Renames: []Rename{{Name: "lan0", Addr: macA}}, ClientID: "none",
				Routes: []Route{
					{Dst: prefix("10.1.0.0/16"), Via: addr("10.0.0.1"), Dev: "eth0"},
					{Dst: prefix("0.0.0.0/0"), Via: addr("10.0.0.2")},
					{Dst: prefix("10.2.0.1/32"), Dev: "eth0"},
				},
			},
		},
		"BOOTIF GUID":       {"BOOTIF=20-00-02-c9-03-00-00-10-39", Config{BootIF: guideAddr[12:], Interfaces: dhcp}},
		"BOOTIF whole":      {"BOOTIF=20-80-00-00-48-fe-80-00-00-00-00-00-00-00-02-c9-03-00-00-10-39", Config{BootIF: guideAddr[12:], Interfaces: dhcp}},
		"BOOTIF short":      {"BOOTIF=20-00-02-c9-00-10-39", Config{BootIF: "\x00\x02\xc9\x00\x10\x39", Interfaces: dhcp}},
		"BOOTIF number":     {"BOOTIF=0x0002c90300001039", Config{BootIF: guideAddr[12:], Interfaces: dhcp}},
		"BOOTIF GID":        {"BOOTIF=20-fe80:0000:0000:0000:0002:c903:0000:1039", Config{BootIF: guideAddr[12:], Interfaces: dhcp}},
		"BOOTIF of hlen 0":  {"BOOTIF=20", Config{Interfaces: dhcp}},
		"BOOTIF off":        {"BOOTIF=rubbish rd.bootif=0", Config{Interfaces: dhcp}},
		"BOOTIF GUID, bare": {"BOOTIF=00-02-c9-03-00-00-10-39", Config{BootIF: guideAddr[12:], Interfaces: dhcp}},
		"InfiniBand": {
			"ib.pkey=ib0.8001 ib.pkey=ib0.0002 nodisk.ib.mode=connected nodisk.ib.port=mlx4_0:2 nodisk.dhcp.clientid=guid ip=00-02-c9-03-00-00-10-39:dhcp:4092",
			Config{
				Interfaces: []Interface{{Method: MethodDHCP, Match: guideAddr[12:], MTU: 4092}}, IBMode: connected, IBPort: PortSelector{HCA: "mlx4_0", Number: 2},
				Children: []Child{{Name: "ib0.8001", Parent: "ib0", PKey: 0x8001}, {Name: "ib0.0002", Parent: "ib0", PKey: 0x8002}}, ClientID: "guid",
			},
		},
		"bond": {
			"bond=bond0:ib0,ib1:mode=active-backup,updelay=200;downdelay=10;fail_over_mac=active:2044 bond=b:eth0:mode=1,miimon=50",
			Config{Interfaces: dhcp, Bonds: []Bond{
				{Name: "bond0", Ports: []string{"ib0", "ib1"}, MIIMon: 100, UpDelay: 200, DownDelay: 10, MTU: 2044}, {Name: "b", Ports: []string{"eth0"}, MIIMon: 50},
			}},
		},
		"retry alone": {"rd.net.dhcp.retry=3", Config{Interfaces: dhcp, DHCPRetry: 3, DHCPTimeout: time.Minute}},
		"client id":   {"nodisk.dhcp.clientid=hex:01:AB:cd", Config{Interfaces: dhcp, ClientID: "hex:01abcd"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseConfig(cmdline.Parse(tt.line))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, byValue()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseConfigErrors(t *testing.T) {
	for line, want := range map[string][]string{
		"ip=eth0":                                         {`ip=eth0: "eth0" is not a method; write dhcp, device:dhcp, or client:`},
		"ip=10.0.0.5::10.0.0.1:0.0.0.255":                 {"netmask 0.0.0.255 is not a netmask; write it as 255.255.255.0 or 24"},
		"ip=10.0.0.256:::24":                              {`client "10.0.0.256" is not an address; write it as 10.0.0.1`},
		"ip=10.0.0.0:::24::eth0":                          {"client address 10.0.0.0/24 is not that of a host"},
		"ip=10.0.0.5:::24::eth0:dhcp":                     {"asks for dhcp and gives a client address"},
		"ip=eth0:static":                                  {"static needs a client address"},
		"ip=eth0:auto6":                                   {"auto6 is not built yet"},
		"ip=bootp":                                        {"bootp is not built yet; write dhcp"},
		"ip=ibft":                                         {"ibft is not built yet"},
		"ip=[2001:db8::5]::[fe80::1]:64":                  {"client IPv6 is not built yet", "gateway IPv6 is not built yet"},
		"ip=[2001:db8::5":                                 {"has a bracket that is not closed"},
		"ip=eth0:dhcp:9000:52:54":                         {"the hardware address is not six bytes"},
		"ip=eth0:dhcp:9000:ff:ff:ff:ff:ff:ff":             {"multicast"},
		"ip=eth0:dhcp:60":                                 {`"60" is not a number from 68 to 65535`},
		"ip=:::::eth0:dhcp:1.1.1.1:1.1.1.2:1.1.1.3:4":     {"has more than three addresses behind the method"},
		"ip=:::::this-name-is-too-long:dhcp":              {"is not an interface name"},
		"ip=::::under/score:eth0:dhcp":                    {"is not a host name"},
		"ip=dhcp ip=10.0.0.5:::24":                        {"is the second ip= without a device"},
		"ip=eth0:dhcp ip=eth0:off":                        {"ip=eth0:none: configures eth0 a second time"},
		"ip=off ip=eth0:dhcp":                             {"ip=off: contradicts the other ip="},
		"ip=:::24:::off":                                  {"off gives neither client address nor device"},
		"ip=:::::::1500:52:54:00:12:34:56":                {"gives a hardware address to no certain device"},
		"bond=bond0:ib0,ib1":                              {"mode balance-rr is not built yet, and impossible on InfiniBand; write mode=active-backup"},
		"bond=bond0:ib0:mode=1,primary=ib0":               {`option "primary=ib0" is not built yet`},
		"bond=bond0":                                      {"is not name:ports:options[:mtu]"},
		"bond=a:ib0:mode=1 bond=b:ib0:mode=1 ip=ib0:dhcp": {"bond=b: ib0 cannot be a port of it: it is one of a and b", "ip=ib0:dhcp: ib0 is a port of a bond and takes no address"},
		"vlan=v:eth0 bridge=b:eth0":                       {"vlan= is not built yet", "bridge= is not built yet"},
		"ib.pkey=ib0":                                     {"is not parent.pkey; write the parent, a dot and the P_Key in hexadecimal: ib.pkey=ib0.8001"},
		"ib.pkey=ib0.8000":                                {"P_Key 8000 is not valid: partition 0"},
		"ib.pkey=ib0.8001 ib.pkey=ib0.8001":               {"ib.pkey=ib0.8001: is made a second time"},
		"nodisk.ib.mode=fast":                             {"is not a mode of IPoIB; write datagram or connected"},
		"nodisk.ib.port=mlx4_0:x":                         {`"x" is not a number from 1 to 254`},
		"BOOTIF=20-00-02-c9":                              {"is neither an Ethernet address nor an InfiniBand identity; write 01-aa"},
		"BOOTIF=01-00-02-c9-03-00-00-10-39":               {"is not six bytes"},
		"BOOTIF=02-52-54-00-12-34-56":                     {"has no hardware type 01 or 20"},
		"BOOTIF=01-52-54-00-12-34":                        {"01:52:54:00:12:34 is not the address of an interface but of a group"},
		"nameserver=dns1":                                 {`"dns1" is not an address`},
		"rd.route=10.0.0.0/33:10.0.0.1":                   {"mask 33 is not a netmask"},
		"rd.route=10.0.0.0/8":                             {"is not net/mask:gateway[:device]"},
		"rd.route=10.0.0.0/8:":                            {"names neither gateway nor device"},
		"rd.neednet=perhaps rd.peerdns=2":                 {"rd.neednet=perhaps: is not a switch", "rd.peerdns=2: is not a switch"},
		"rd.net.timeout.carrier=soon":                     {`"soon" is not a number`},
		"rd.net.timeout.dhcp=0":                           {"is not a number from 1"},
		"ifname=lan0:1:2":                                 {"the address is neither an Ethernet address nor an InfiniBand identity"},
		"nodisk.dhcp.clientid=GUID":                       {"is not a client identifier; write auto, flexboot, guid, hwaddr, mac, rfc4361, none or hex:"},
		"nodisk.dhcp.clientid=hex:0":                      {"is not a client identifier"},
		"ip=x:y BOOTIF=z nameserver=q rd.net.dhcp.retry=": {"ip=x:y", "BOOTIF=z", "nameserver=q", "rd.net.dhcp.retry="},
	} {
		t.Run(line, func(t *testing.T) {
			c, err := ParseConfig(cmdline.Parse(line))
			if err == nil {
				t.Fatalf("no error, but %+v", c)
			}
			for _, w := range want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in:\n%v", w, err)
				}
			}
			joined, ok := errors.AsType[interface {
				error
				Unwrap() []error
			}](err)
			if !ok {
				t.Fatalf("errors are not joined: %T", err)
			}
			for _, e := range joined.Unwrap() {
				if ve, ok := errors.AsType[*cmdline.ValueError](e); !ok || ve.Fix == "" || ve.Key == "" {
					t.Errorf("no ValueError with key and fix: %v", e)
				}
			}
		})
	}
}

// A word that is written back means the same.
func FuzzParseConfig(f *testing.F) {
	for _, s := range []string{
		"ip=dhcp", "ip=10.0.0.5:10.0.0.9:10.0.0.1:255.255.255.0:node7:eth0:none:10.0.0.2:10.0.0.3:10.0.0.4", "ip=eth1:dhcp:9000:52:54:00:12:34:57",
		"BOOTIF=01-52-54-00-12-34-56", "rd.route=10.1.0.0/16:10.0.0.1:eth0", "ifname=a:52:54:00:12:34:56", "ip=[::1]:[", "nodisk.dhcp.clientid=hex:0102",
		"BOOTIF=20-00-02-c9-03-00-00-10-39 ib.pkey=ib0.8001 bond=bond0:ib0,ib1:mode=active-backup:9000 nodisk.ib.port=mlx4_0:1 nodisk.ib.mode=connected",
		"ip=00-02-c9-03-00-00-10-39:dhcp ifname=ib7:fe80:0000:0000:0000:0002:c903:0000:1039", "ip=:::24::eth0:dhcp::10.0.0.3", "ip=52-54-00-12-34-56:off", "nameserver=1.1.1.1 rd.net.timeout.dhcp=3",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := ParseConfig(cmdline.Parse(line))
		if err != nil {
			return
		}
		for _, n := range c.Interfaces {
			again, err := ParseConfig(cmdline.Args{{Key: "ip", Value: n.String(), HasValue: true}})
			if err != nil {
				t.Fatalf("%q is written as ip=%s: %v", line, n, err)
			}
			if diff := cmp.Diff([]Interface{n}, again.Interfaces, byValue()); diff != "" {
				t.Errorf("%q is written as ip=%s (-first +second):\n%s", line, n, diff)
			}
		}
		if _, err := c.Steps([]Device{{Index: 2, Name: "eth0", Type: hwEthernet, Addr: macA, Physical: true, MTU: 1500}, guidePort()}); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}

func parseLine(t *testing.T, line string) Config {
	t.Helper()
	c, err := ParseConfig(cmdline.Parse(line))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
