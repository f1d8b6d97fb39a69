package netsetup

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

func TestParseConfig(t *testing.T) {
	dhcp := []Addressing{{Method: lease.MethodDHCP}}
	static := Addressing{Method: lease.MethodStatic, Address: prefix("10.0.0.5/24")}
	with := func(n Addressing, f func(*Addressing)) []Addressing {
		f(&n)
		return []Addressing{n}
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
		"single":         {"ip=single-dhcp", Config{Interfaces: []Addressing{{Method: lease.MethodSingle}}}},
		"off":            {"ip=off", Config{Off: true}},
		"none":           {"ip=none", Config{Off: true}},
		"kernel off":     {"ip=::::::off", Config{Off: true}},
		"device":         {"ip=eth1:dhcp", Config{Interfaces: []Addressing{{Device: "eth1", Method: lease.MethodDHCP}}}},
		"device off":     {"ip=eth1:off", Config{Interfaces: []Addressing{{Device: "eth1", Method: lease.MethodNone}}}},
		"device by MAC":  {"ip=52-54-00-12-34-56:dhcp", Config{Interfaces: []Addressing{{Match: macA, Method: lease.MethodDHCP}}}},
		"device tail":    {"ip=eth1:dhcp:9000:52:54:00:12:34:57", Config{Interfaces: []Addressing{{Device: "eth1", Method: lease.MethodDHCP, MTU: 9000, NewAddr: macB}}}},
		"device MAC":     {"ip=eth1:dhcp::52:54:00:12:34:57", Config{Interfaces: []Addressing{{Device: "eth1", Method: lease.MethodDHCP, NewAddr: macB}}}},
		"kernel device":  {"ip=:::::eth0:dhcp", Config{Interfaces: []Addressing{{Device: "eth0", Method: lease.MethodDHCP}}}},
		"kernel dns":     {"ip=:::::eth0:on:10.0.0.2::10.0.0.4", Config{Interfaces: []Addressing{{Device: "eth0", Method: lease.MethodDHCP, DNS: []netip.Addr{addr("10.0.0.2")}, NTP: []netip.Addr{addr("10.0.0.4")}}}}},
		"dhcp overrides": {"ip=:10.0.0.9:10.0.0.1:20:n7::dhcp", Config{Interfaces: []Addressing{{Method: lease.MethodDHCP, Server: addr("10.0.0.9"), Gateway: addr("10.0.0.1"), Bits: 20, Hostname: "n7"}}}},
		"two devices": {
			"ip=eth0:dhcp ip=10.1.0.5:::24::eth1:none",
			Config{Interfaces: []Addressing{{Device: "eth0", Method: lease.MethodDHCP}, {Device: "eth1", Method: lease.MethodStatic, Address: prefix("10.1.0.5/24")}}},
		},
		"static": {
			"ip=10.0.0.5:10.0.0.9:10.0.0.1:255.255.255.0:node7:eth0:none:10.0.0.2:10.0.0.3:10.0.0.4",
			Config{Interfaces: with(static, func(n *Addressing) {
				n.Device, n.Hostname, n.Server, n.Gateway = "eth0", "node7", addr("10.0.0.9"), addr("10.0.0.1")
				n.DNS, n.NTP = []netip.Addr{addr("10.0.0.2"), addr("10.0.0.3")}, []netip.Addr{addr("10.0.0.4")}
			})},
		},
		"static, dracut's tail": {
			"ip=10.0.0.5:::24::eth0:static:1400:52:54:00:12:34:57",
			Config{Interfaces: with(static, func(n *Addressing) { n.Device, n.MTU, n.NewAddr = "eth0", 1400, macB })},
		},
		"static without device": {"ip=10.0.0.5/24::10.0.0.1", Config{Interfaces: with(static, func(n *Addressing) { n.Gateway = addr("10.0.0.1") })}},
		"mask of the class":     {"ip=10.0.0.5", Config{Interfaces: []Addressing{{Method: lease.MethodStatic, Address: prefix("10.0.0.5/8")}}}},
		"pxelinux": {
			"BOOTIF=01-52-54-00-12-34-56 ip=10.0.0.5:10.0.0.9:0.0.0.0:255.255.255.0",
			Config{BootIF: macA, Interfaces: with(static, func(n *Addressing) { n.Server = addr("10.0.0.9") })},
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
				Routes: []link.Route{
					{Dst: prefix("10.1.0.0/16"), Via: addr("10.0.0.1"), Dev: "eth0"},
					{Dst: prefix("0.0.0.0/0"), Via: addr("10.0.0.2")},
					{Dst: prefix("10.2.0.1/32"), Dev: "eth0"},
				},
			},
		},
		"BOOTIF GUID":       {"BOOTIF=20-00-02-c9-03-00-00-10-39", Config{BootIF: linktest.GuideAddr[12:], Interfaces: dhcp}},
		"BOOTIF whole":      {"BOOTIF=20-80-00-00-48-fe-80-00-00-00-00-00-00-00-02-c9-03-00-00-10-39", Config{BootIF: linktest.GuideAddr[12:], Interfaces: dhcp}},
		"BOOTIF short":      {"BOOTIF=20-00-02-c9-00-10-39", Config{BootIF: "\x00\x02\xc9\x00\x10\x39", Interfaces: dhcp}},
		"BOOTIF number":     {"BOOTIF=0x0002c90300001039", Config{BootIF: linktest.GuideAddr[12:], Interfaces: dhcp}},
		"BOOTIF GID":        {"BOOTIF=20-fe80:0000:0000:0000:0002:c903:0000:1039", Config{BootIF: linktest.GuideAddr[12:], Interfaces: dhcp}},
		"BOOTIF of hlen 0":  {"BOOTIF=20", Config{Interfaces: dhcp}},
		"BOOTIF GID, short": {"BOOTIF=20-fe80::2:c903:0:1039", Config{BootIF: linktest.GuideAddr[12:], Interfaces: dhcp}},
		"BOOTIF off":        {"BOOTIF=rubbish rd.bootif=0", Config{Interfaces: dhcp}},
		"BOOTIF GUID, bare": {"BOOTIF=00-02-c9-03-00-00-10-39", Config{BootIF: linktest.GuideAddr[12:], Interfaces: dhcp}},
		"InfiniBand": {
			"ib.pkey=ib0.8001 ib.pkey=ib0.0002 nodisk.ib.mode=connected nodisk.ib.port=mlx4_0:2 nodisk.dhcp.clientid=guid ip=00-02-c9-03-00-00-10-39:dhcp:4092",
			Config{
				Interfaces: []Addressing{{Method: lease.MethodDHCP, Match: linktest.GuideAddr[12:], MTU: 4092}}, IBMode: link.Connected, IBPort: link.PortSelector{HCA: "mlx4_0", Number: 2},
				Children: []link.Child{{Name: "ib0.8001", Parent: "ib0", PKey: 0x8001}, {Name: "ib0.0002", Parent: "ib0", PKey: 0x8002}}, ClientID: "guid",
			},
		},
		"bootp":        {"ip=bootp", Config{Interfaces: []Addressing{{Method: lease.MethodBOOTP}}}},
		"rarp":         {"ip=rarp", Config{Interfaces: []Addressing{{Method: lease.MethodRARP}}}},
		"both":         {"ip=both", Config{Interfaces: []Addressing{{Method: lease.MethodBoth}}}},
		"auto6":        {"ip=auto6", Config{Interfaces: []Addressing{{Method: lease.MethodAuto6}}}},
		"dhcp6":        {"ip=dhcp6", Config{Interfaces: []Addressing{{Method: lease.MethodDHCP6}}}},
		"either6":      {"ip=either6", Config{Interfaces: []Addressing{{Method: lease.MethodEither6}}}},
		"link6":        {"ip=link6", Config{Interfaces: []Addressing{{Method: lease.MethodLink6}}}},
		"ibft":         {"ip=ibft", Config{Interfaces: []Addressing{{Method: lease.MethodIBFT}}}},
		"device ibft":  {"ip=eth0:ibft:9000", Config{Interfaces: []Addressing{{Device: "eth0", Method: lease.MethodIBFT, MTU: 9000}}}},
		"device bootp": {"ip=eth0:bootp", Config{Interfaces: []Addressing{{Device: "eth0", Method: lease.MethodBOOTP}}}},
		"device auto6": {"ip=eth0:auto6:1280", Config{Interfaces: []Addressing{{Device: "eth0", Method: lease.MethodAuto6, MTU: 1280}}}},
		"kernel rarp":  {"ip=:10.0.0.9:10.0.0.1:24:n7:eth0:rarp:10.0.0.2", Config{Interfaces: []Addressing{{Device: "eth0", Method: lease.MethodRARP, Server: addr("10.0.0.9"), Gateway: addr("10.0.0.1"), Bits: 24, Hostname: "n7", DNS: []netip.Addr{addr("10.0.0.2")}}}}},
		"kernel any":   {"ip=::::n7:eth0:any", Config{Interfaces: []Addressing{{Device: "eth0", Method: lease.MethodDHCP, Hostname: "n7"}}}},
		"kernel both":  {"ip=::::::both", Config{Interfaces: []Addressing{{Method: lease.MethodBoth}}}},
		"kernel dhcp6": {"ip=:[2001:db8::9]:::n7:eth0:dhcp6:[2001:db8::53]", Config{Interfaces: []Addressing{{Device: "eth0", Method: lease.MethodDHCP6, Server: addr("2001:db8::9"), Hostname: "n7", DNS: []netip.Addr{addr("2001:db8::53")}}}}},
		"kernel ibft":  {"ip=:::::eth0:ibft", Config{Interfaces: []Addressing{{Device: "eth0", Method: lease.MethodIBFT}}}},
		"kernel, no word": {"ip=10.0.0.5:10.0.0.9:10.0.0.1:255.255.255.0:node7:eth0:", Config{Interfaces: with(static, func(n *Addressing) {
			n.Device, n.Hostname, n.Server, n.Gateway = "eth0", "node7", addr("10.0.0.9"), addr("10.0.0.1")
		})}},
		"kernel, two dns": {"ip=10.0.0.5:::24::eth0:off:10.0.0.2:10.0.0.3", Config{Interfaces: with(static, func(n *Addressing) { n.Device, n.DNS = "eth0", []netip.Addr{addr("10.0.0.2"), addr("10.0.0.3")} })}},
		"kernel, ntp":     {"ip=10.0.0.5:::24::eth0:off:::10.0.0.4", Config{Interfaces: with(static, func(n *Addressing) { n.Device, n.NTP = "eth0", []netip.Addr{addr("10.0.0.4")} })}},
		"no DNS at all":   {"ip=10.0.0.5:::24::eth0:off:0.0.0.0:0.0.0.0:0.0.0.0", Config{Interfaces: with(static, func(n *Addressing) { n.Device = "eth0" })}},
		"mask 0.0.0.0":    {"ip=10.0.0.5:::0.0.0.0", Config{Interfaces: []Addressing{{Method: lease.MethodStatic, Address: prefix("10.0.0.5/8")}}}},
		"mask twice":      {"ip=10.0.0.5/24:::255.255.255.0", Config{Interfaces: with(static, func(*Addressing) {})}},
		"mask of one":     {"ip=10.0.0.5/32::10.0.0.1", Config{Interfaces: []Addressing{{Method: lease.MethodStatic, Address: prefix("10.0.0.5/32"), Gateway: addr("10.0.0.1")}}}},
		"static 6": {
			"ip=[2001:db8::5]:[2001:db8::9]:[2001:db8::1]:56:host:eth0:none:[2001:db8::53]::[2001:db8::123]",
			Config{Interfaces: []Addressing{{
				Device: "eth0", Method: lease.MethodStatic, Address: prefix("2001:db8::5/56"), Server: addr("2001:db8::9"), Gateway: addr("2001:db8::1"),
				Hostname: "host", DNS: []netip.Addr{addr("2001:db8::53")}, NTP: []netip.Addr{addr("2001:db8::123")},
			}}},
		},
		"static 6, prefix inside":  {"ip=[2001:db8::5/56]", Config{Interfaces: []Addressing{{Method: lease.MethodStatic, Address: prefix("2001:db8::5/56")}}}},
		"static 6, prefix outside": {"ip=[2001:db8::5]/56::[fe80::1]::::none", Config{Interfaces: []Addressing{{Method: lease.MethodStatic, Address: prefix("2001:db8::5/56"), Gateway: addr("fe80::1")}}}},
		"static 6, no prefix":      {"ip=[2001:db8::5]", Config{Interfaces: []Addressing{{Method: lease.MethodStatic, Address: prefix("2001:db8::5/64")}}}},
		"static 6, both":           {"ip=[2001:db8::5/64]:::64", Config{Interfaces: []Addressing{{Method: lease.MethodStatic, Address: prefix("2001:db8::5/64")}}}},
		"static 6, no gateway":     {"ip=[2001:db8::5]:[::]:[::]:128", Config{Interfaces: []Addressing{{Method: lease.MethodStatic, Address: prefix("2001:db8::5/128")}}}},
		"static 6, dracut's tail":  {"ip=[2001:db8::5]:::64::eth0:none:1400:52:54:00:12:34:57", Config{Interfaces: []Addressing{{Device: "eth0", Method: lease.MethodStatic, Address: prefix("2001:db8::5/64"), MTU: 1400, NewAddr: macB}}}},
		"two families": {
			"ip=eth0:dhcp ip=eth0:auto6 ip=eth1:dhcp6 ip=10.0.0.5:::24::eth1:none",
			Config{Interfaces: []Addressing{
				{Device: "eth0", Method: lease.MethodDHCP},
				{Device: "eth0", Method: lease.MethodAuto6},
				{Device: "eth1", Method: lease.MethodDHCP6},
				{Device: "eth1", Method: lease.MethodStatic, Address: prefix("10.0.0.5/24")},
			}},
		},
		"two families, any device": {"ip=dhcp ip=either6", Config{Interfaces: []Addressing{{Method: lease.MethodDHCP}, {Method: lease.MethodEither6}}}},
		"ibft and IPv6":            {"ip=ibft ip=auto6", Config{Interfaces: []Addressing{{Method: lease.MethodIBFT}, {Method: lease.MethodAuto6}}}},
		"nameservers of both":      {"ip=auto6 nameserver=2001:db8::53 nameserver=[2001:db8::54] nameserver=10.0.0.1", Config{Interfaces: []Addressing{{Method: lease.MethodAuto6}}, Nameservers: []netip.Addr{addr("2001:db8::53"), addr("2001:db8::54"), addr("10.0.0.1")}}},
		"routes of IPv6": {
			"ip=auto6 rd.route=[2001:db8:1::]/48:[fe80::1]:eth0 rd.route=[2001:db8:3::/48]:[2001:db8:2::10] rd.route=default:[2001:db8::1] rd.route=[2001:db8::7]::eth0",
			Config{Interfaces: []Addressing{{Method: lease.MethodAuto6}}, Routes: []link.Route{
				{Dst: prefix("2001:db8:1::/48"), Via: addr("fe80::1"), Dev: "eth0"},
				{Dst: prefix("2001:db8:3::/48"), Via: addr("2001:db8:2::10")},
				{Dst: prefix("::/0"), Via: addr("2001:db8::1")},
				{Dst: prefix("2001:db8::7/128"), Dev: "eth0"},
			}},
		},
		"user class":    {"nodisk.dhcp.user-class=cluster", Config{Interfaces: dhcp, UserClass: "cluster"}},
		"host name":     {"nodisk.hostname=n7 ip=eth0:dhcp ip=::::n7:eth1:dhcp", Config{Hostname: "n7", Interfaces: []Addressing{{Device: "eth0", Method: lease.MethodDHCP, Hostname: "n7"}, {Device: "eth1", Method: lease.MethodDHCP, Hostname: "n7"}}}},
		"reverse name":  {"nodisk.hostname=reverse", Config{Interfaces: dhcp, ReverseName: true}},
		"name by DHCP":  {"nodisk.hostname=n7 nodisk.hostname=dhcp", Config{Interfaces: dhcp}},
		"renamed twice": {"ifname=lan0:52:54:00:12:34:56 ifname=lan0:52:54:00:12:34:56", Config{Interfaces: dhcp, Renames: []Rename{{Name: "lan0", Addr: macA}, {Name: "lan0", Addr: macA}}}},
		"retry alone":   {"rd.net.dhcp.retry=3", Config{Interfaces: dhcp, DHCPRetry: 3, DHCPTimeout: time.Minute}},
		"client id of an interface, bytes": {
			"ip=eno1:dhcp ip=eno2:dhcp rd.net.dhcp.client-id=eno1:01-52-54-00-45-87-42",
			Config{Interfaces: []Addressing{{Device: "eno1", Method: lease.MethodDHCP, ClientID: "hex:01525400458742"}, {Device: "eno2", Method: lease.MethodDHCP}}},
		},
		"client id of an interface, colons, by address": {
			"ip=lan0:dhcp ip=lan0:dhcp6 ifname=lan0:52:54:00:12:34:56 rd.net.dhcp.client-id=52-54-00-12-34-56:01:52:54",
			Config{Interfaces: []Addressing{{Device: "lan0", Method: lease.MethodDHCP, ClientID: "hex:015254"}, {Device: "lan0", Method: lease.MethodDHCP6}}, Renames: []Rename{{Name: "lan0", Addr: macA}}},
		},
		"client id of an interface, text": {"ip=eth0:dhcp rd.net.dhcp.client-id=eth0:@n7", Config{Interfaces: []Addressing{{Device: "eth0", Method: lease.MethodDHCP, ClientID: "hex:006e37"}}}},
		"name servers of NetworkManager":  {"rd.net.dns=2001:db8::53 rd.net.dns=dns+udp://10.0.0.53", Config{Interfaces: dhcp, Nameservers: []netip.Addr{addr("2001:db8::53"), addr("10.0.0.53")}}},
		"naming policies": {
			"net.ifname_policy=mac,52:54:00:12:34:56 net.ifname-policy=keep,path",
			Config{Interfaces: dhcp, NamePolicies: []NamePolicy{{"mac,52:54:00:12:34:56", []string{"mac"}, macA}, {"keep,path", []string{"keep", "path"}, ""}}},
		},
		"client id": {"nodisk.dhcp.clientid=hex:01:AB:cd", Config{Interfaces: dhcp, ClientID: "hex:01abcd"}},
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
		"rd.net.dhcp.client-id=eno1:01-52-54":                            {"eno1 is the device of no ip= that asks by DHCP; add ip=eno1:dhcp, or write nodisk.dhcp.clientid=hex:015254 for every interface"},
		"ip=10.0.0.5::::n:eno1:none rd.net.dhcp.client-id=eno1:01-52-54": {"eno1 is the device of no ip= that asks by DHCP"},
		"ip=eno1:dhcp rd.net.dhcp.client-id=eno1:mac":                    {"is not a client identifier of 2 to 254 bytes; write INTERFACE:01-52-54-00-12-34-56"},
		"ip=eno1:dhcp rd.net.dhcp.client-id=:01-52-54":                   {"names no interface before the colon"},
		"rd.net.dns=dns+tls://192.0.2.1#example.org":                     {"asks for name service by dns+tls, which nodisk does not speak; write nameserver="},
		"vlan=vlan5:BOOTIF ip=vlan5:dhcp":                                {"vlan=vlan5:BOOTIF: names the interface of BOOTIF=, which is not there or not used; add IPAPPEND 2"},
		"bond=bond0:BOOTIF,eth1 ip=bond0:dhcp":                           {"bond=bond0:BOOTIF,eth1: names the interface of BOOTIF=, which is not there"},
		"bridge=br0:BOOTIF ip=br0:dhcp":                                  {"bridge=br0:BOOTIF: names the interface of BOOTIF=, which is not there"},
		"nameserver=10.0.0.1,10.0.0.2":                                   {`"10.0.0.1,10.0.0.2" is more than one address; write nameserver= for each of them`},
		"ip=10.0.0.5:::24::eth0:none:10.0.0.1,10.0.0.2":                  {`dns0 "10.0.0.1,10.0.0.2" is more than one address; write one in a field (dns0:dns1), further ones as nameserver=`},
		"ip=10.0.0.5:10.0.0.5::24::eth0:none":                            {"names 10.0.0.5 as client and as server"},
		"ip=eth0":                                                        {`ip=eth0: "eth0" is not a method; write dhcp, device:dhcp, or client:`},
		"ip=10.0.0.5::10.0.0.1:0.0.0.255":                                {"netmask 0.0.0.255 is not a netmask; write it as 255.255.255.0 or 24"},
		"ip=10.0.0.256:::24":                                             {`client "10.0.0.256" is not an address; write it as 10.0.0.1`},
		"ip=10.0.0.0:::24::eth0":                                         {"client address 10.0.0.0/24 is not that of a host"},
		"ip=10.0.0.5:::24::eth0:dhcp6":                                   {"asks for dhcp6 and gives a client address"},
		"ip=static":                                                      {"static needs a client address"},
		"ip=[2001:db8::5":                                                {"has a bracket that is not closed"},
		"ip=eth0:dhcp:9000:52:54":                                        {"the hardware address is not six bytes"},
		"ip=eth0:dhcp:9000:ff:ff:ff:ff:ff:ff":                            {"multicast"},
		"ip=eth0:dhcp:60":                                                {`"60" is not a number from 68 to 65535`},
		"ip=:::::eth0:dhcp:1.1.1.1:1.1.1.2:1.1.1.3:4":                    {"has more than three addresses after the method"},
		"ip=:::::this-name-is-too-long:dhcp":                             {"is not an interface name"},
		"ip=::::under/score:eth0:dhcp":                                   {"is not a host name"},
		"ip=dhcp ip=10.0.0.5:::24":                                       {"is the second ip= without a device"},
		"ip=eth0:dhcp ip=eth0:off":                                       {"ip=eth0:none: configures eth0 a second time"},
		"ip=off ip=eth0:dhcp":                                            {"ip=off: contradicts the other ip="},
		"ip=:::24:::off":                                                 {"none gives neither client address nor the name of a device"},
		"ip=:::::::1500:52:54:00:12:34:56":                               {"gives a hardware address to no certain device"},
		"ib.pkey=ib0":                                                    {"is not parent.pkey; write the parent, a dot and the P_Key in hexadecimal: ib.pkey=ib0.8001"},
		"ib.pkey=ib0.8000":                                               {"P_Key 8000 is not valid: partition 0"},
		"vlan=vlan5:eth0 vlan=vlan5:eth1":                                {"vlan=vlan5: is made a second time"},
		"nodisk.ib.mode=fast":                                            {"is not a mode of IPoIB; write datagram or connected"},
		"nodisk.ib.port=mlx4_0:x":                                        {`"x" is not a number from 1 to 254`},
		"BOOTIF=20-00-02-c9":                                             {"is neither an Ethernet address nor an InfiniBand identity; write 01-aa"},
		"BOOTIF=01-00-02-c9-03-00-00-10-39":                              {"is not six bytes"},
		"BOOTIF=02-52-54-00-12-34-56":                                    {"has no hardware type 01 or 20"},
		"BOOTIF=01-52-54-00-12-34":                                       {"01:52:54:00:12:34 is not the address of an interface but of a group"},
		"nameserver=dns1":                                                {`"dns1" is not an address`},
		"rd.route=10.0.0.0/33:10.0.0.1":                                  {"mask 33 is not a netmask"},
		"rd.route=10.0.0.0/8":                                            {"is not net/mask:gateway[:device]"},
		"rd.route=10.0.0.0/8:":                                           {"names neither gateway nor device"},
		"rd.neednet=perhaps rd.peerdns=2":                                {"rd.neednet=perhaps: is not a switch", "rd.peerdns=2: is not a switch"},
		"rd.net.timeout.carrier=soon":                                    {`"soon" is not a number`},
		"rd.net.timeout.dhcp=0":                                          {"is not a number from 1"},
		"ifname=lan0:1:2":                                                {"the address is neither an Ethernet address nor an InfiniBand identity"},
		"nodisk.dhcp.clientid=GUID":                                      {"is not a client identifier; write auto, flexboot, guid, infiniband, mac, rfc4361, hwaddr, none or hex:"},
		"nodisk.dhcp.clientid=hex:0":                                     {"is not a client identifier"},
		"ip=eth0:link-local":                                             {`"link-local" is not a method; write link6 for the link-local address of IPv6`},
		"ip=bogus":                                                       {`"bogus" is not a method; write dhcp, device:dhcp`},
		"ip=[2001:db8::5]::10.0.0.1:64::eth0:none":                       {"10.0.0.1 is an address of IPv4, but static is of IPv6 here; write one ip= for each family"},
		"ip=10.0.0.5::[2001:db8::1]:24":                                  {"2001:db8::1 is an address of IPv6, but static is of IPv4 here"},
		"ip=::[2001:db8::1]::::dhcp":                                     {"2001:db8::1 is an address of IPv6, but dhcp is of IPv4 here"},
		"ip=::[2001:db8::1]":                                             {"2001:db8::1 is an address of IPv6, but dhcp is of IPv4 here"},
		"ip=:10.0.0.9::::eth0:auto6":                                     {"10.0.0.9 is an address of IPv4, but auto6 is of IPv6 here"},
		"ip=[2001:db8::5]:::64::eth0:none:10.0.0.2":                      {"10.0.0.2 is an address of IPv4"},
		"ip=10.0.0.5:::24::eth0:auto6":                                   {"asks for auto6 and gives a client address; leave the client address out"},
		"ip=[2001:db8::5]:::64::eth0:either6":                            {"asks for either6 and gives a client address"},
		"ip=[2001:db8::5]:::64::eth0:bootp":                              {"asks for bootp and gives a client address"},
		"ip=10.0.0.5:::24::eth0:ibft":                                    {"asks for ibft and gives a client address"},
		"ip=2001:db8::5":                                                 {"is an IPv6 address without brackets; write [2001:db8::5]"},
		"ip=2001:db8::5/64":                                              {"is an IPv6 address without brackets; write [2001:db8::5]"},
		"ip=fe80::1":                                                     {"is an IPv6 address without brackets"},
		"ip=[fe80::5%eth0]:::64::eth0:none":                              {`client "[fe80::5%eth0]" has a zone; write it without %eth0; the device has a field of its own`},
		"ip=[::ffff:10.0.0.5]:::24":                                      {"is an IPv4 address in the form of IPv6; write 10.0.0.5"},
		"ip=[2001:db8::5]:::129":                                         {"netmask 129 is not a netmask; write it as 255.255.255.0 or 24, of IPv6 as 1 to 128"},
		"ip=[2001:db8::5]:::0":                                           {"netmask 0 is not a netmask"},
		"ip=10.0.0.5:::0":                                                {"netmask 0 is not a netmask"},
		"ip=[2001:db8::5]:::255.255.255.0":                               {"netmask 255.255.255.0 is not a netmask"},
		"ip=10.0.0.5:::64":                                               {"netmask 64 is not a netmask"},
		"ip=10.0.0.5/24:::16":                                            {"netmask 16 differs from the /24 of the client address; write one of them"},
		"ip=[2001:db8::5/300]":                                           {"mask 300 is not a netmask"},
		"ip=[::1]:::64":                                                  {"client address ::1/64 is not that of a host"},
		"ip=[ff02::1]:::64":                                              {"client address ff02::1/64 is not that of a host"},
		"ip=10.0.0.5::224.0.0.1:24":                                      {"gateway 224.0.0.1 is not the address of a host"},
		"ip=[2001:db8::5]::[ff02::2]":                                    {"gateway ff02::2 is not the address of a host"},
		"ip=10.0.0.5::10.0.0.1/24:24":                                    {`gateway "10.0.0.1/24" has a mask; write 10.0.0.1 alone`},
		"ip=:[fe80::9]:::::dhcp6":                                        {"server fe80::9 is not an address that programs can reach"},
		"nameserver=fe80::53":                                            {"fe80::53 is not an address that programs can reach: link-local, multicast or none; write another address of that server"},
		"nameserver=0.0.0.0":                                             {"0.0.0.0 is not an address that programs can reach"},
		"nameserver=fe80::53%eth0":                                       {`"fe80::53%eth0" has a zone`},
		"nameserver=[2001:db8::53":                                       {"is not an address"},
		"nameserver=10.0.0.1/24":                                         {"has a mask"},
		"ip=:::64::eth0:auto6":                                           {"netmask 64 is not a netmask"},
		"ip=:::24::eth0:auto6":                                           {"auto6 has no use for a netmask; leave it out"},
		"ip=:::24::eth0:ibft":                                            {"ibft has no use for a netmask"},
		"ip=:::24::eth0:none":                                            {"none has no use for a netmask"},
		"ip=::10.0.0.1:::eth0:none":                                      {"none has no use for a gateway"},
		"ip=::[fe80::1]:::eth0:link6":                                    {"link6 has no use for a gateway"},
		"ip=eth0:auto6:1000":                                             {"MTU 1000 is too small for IPv6; write at least 1280"},
		"ip=eth0:dhcp:1000 ip=eth0:auto6":                                {"ip=eth0:auto6: shares the device with MTU 1000 of the other ip=: too small for IPv6; write at least 1280"},
		"ip=eth0:dhcp:1500 ip=eth0:auto6:1400":                           {"ip=eth0:auto6:1400: gives another MTU than the other ip= of that device"},
		"ip=eth0:dhcp::52:54:00:12:34:56 ip=eth0:auto6::52:54:00:12:34:57": {"gives another hardware address than the other ip="},
		"ip=dhcp ip=bootp":            {"ip=bootp: is the second ip= without a device"},
		"ip=auto6 ip=[2001:db8::5]":   {"is the second ip= without a device"},
		"ip=ibft ip=dhcp":             {"ip=dhcp: is the second ip= without a device"},
		"ip=eth0:auto6 ip=eth0:dhcp6": {"ip=eth0:dhcp6: configures eth0 a second time; write one ip= for each device, one for IPv4 and one for IPv6, or static addresses with one gateway"},
		"ip=eth0:none ip=eth0:auto6":  {"ip=eth0:auto6: configures eth0 a second time"},
		"ip=lan0:dhcp ip=52-54-00-12-34-56:dhcp:1400 ifname=lan0:52:54:00:12:34:56":       {"ip=52-54-00-12-34-56:dhcp:1400: configures lan0 a second time"},
		"ip=dhcp BOOTIF=01-52-54-00-12-34-56 ip=10.0.0.5:10.0.0.9:10.0.0.1:255.255.255.0": {"is the second ip= without a device; name the device in one of them, or leave one out (pxelinux adds one for IPAPPEND 1 and 3)"},
		"ifname=lan0:52:54:00:12:34:56 ifname=lan0:52:54:00:12:34:57":                     {"gives the name lan0 to a second device"},
		"ifname=lan0:52:54:00:12:34:56 ifname=lan1:52:54:00:12:34:56":                     {"gives that device a second name besides lan0"},
		"ifname=bond0:52:54:00:12:34:56 bond=bond0:eth0,eth1:mode=1":                      {"bond0 is a link that nodisk makes"},
		"bootdev=eth2 ip=eth0:dhcp":                                                       {"bootdev=eth2: is the device of no ip="},
		"rd.route=10.1.0.0/16:10.0.0.1:eth2 ip=eth0:dhcp":                                 {"rd.route=10.1.0.0/16: eth2 is the device of no ip=; add ip=eth2:dhcp"},
		"rd.route=10.1.0.0/16::eth0 ip=eth0:none":                                         {"is a route of IPv4, but no ip= gives that interface an address of IPv4; add an ip= for it: ip=dhcp"},
		"rd.route=[2001:db8:1::]/48:[2001:db8::1]":                                        {"is a route of IPv6, but no ip= gives that interface an address of IPv6; add an ip= for it: ip=auto6"},
		"rd.route=10.1.0.0/16:10.0.0.1 ip=off":                                            {"is of no use with ip=off"},
		"rd.route=[2001:db8:1::]/48:[fe80::1] ip=auto6":                                   {"gateway fe80::1 is link-local, and every link has one of those; name the device behind it: [2001:db8:1::]/48:[fe80::1]:eth0"},
		"rd.route=[2001:db8:1::]/48:10.0.0.1":                                             {"has a gateway of another family than the net"},
		"rd.route=10.0.0.0/64:10.0.0.1":                                                   {"mask 64 is not a netmask"},
		"rd.route=10.0.0.0/8:0.0.0.0":                                                     {"gateway 0.0.0.0 is not the address of a host"},
		"nodisk.dhcp.user-class=":                                                         {"is not 1 to 254 bytes; write the text of DHCP option 77"},
		"nodisk.hostname=":                                                                {"is neither dhcp nor reverse nor a host name"},
		"nodisk.hostname=under/score":                                                     {"is neither dhcp nor reverse nor a host name"},
		"nodisk.hostname=a ip=::::b:eth0:dhcp":                                            {"nodisk.hostname=a: contradicts the host name of ip=::::b:eth0:dhcp"},
		"ip=10.0.0.5:::24:a:eth0:none ip=::::b:eth1:dhcp":                                 {"ip=::::b:eth1:dhcp: gives the node another name than ip=10.0.0.5:::24:a:eth0:static"},
		"nodisk.hostname=a ip=off":                                                        {"is of no use with ip=off"},
		"ip=x:y BOOTIF=z nameserver=q rd.net.dhcp.retry=":                                 {"ip=x:y", "BOOTIF=z", "nameserver=q", "rd.net.dhcp.retry="},
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
		"ip=[2001:db8::5]:[2001:db8::9]:[2001:db8::1]:56:host:eth0:none:[2001:db8::53]::[2001:db8::123] rd.route=[2001:db8:1::]/48:[fe80::1]:eth0", "ip=[2001:db8::5/64]",
		"ip=[2001:db8::5]/128::[fe80::1]", "ip=eth0:auto6:1400 ip=eth0:dhcp", "ip=:::::eth0:dhcp6:[2001:db8::53]", "ip=either6", "ip=link6 ip=bootp", "ip=both", "ip=eth0:rarp",
		"ip=eth0:ibft:9000", "ip=ibft", "nameserver=2001:db8::53 nodisk.hostname=n7 nodisk.dhcp.user-class=a", "nodisk.hostname=reverse", "ip=[::ffff:1.2.3.4] ip=[fe80::1%a]", "ip=[2001:db8::5]]:[", "ip=10.0.0.5/24:::16",
		"ip=10.0.0.5:10.0.0.9/32::24::eth0:dhcp:1.1.1.1:1.1.1.2:1.1.1.3 ip=10.0.0.6:::24::eth0:none:1.1.1.4 ip=eth1:dhcp,dhcp6 ip=eth2:dhcp,1,abc BOOTIF=01-52-54-00-12-34-56 ip=BOOTIF:either6",
		"BOOTIF=20-00-02-c9-03-00-00-10-39 ib.pkey=ib0.8001 bond=bond0:ib0,ib1:mode=active-backup:9000 nodisk.ib.port=mlx4_0:1 nodisk.ib.mode=connected",
		"ip=00-02-c9-03-00-00-10-39:dhcp ifname=ib7:fe80:0000:0000:0000:0002:c903:0000:1039", "ip=:::24::eth0:dhcp::10.0.0.3", "ip=52-54-00-12-34-56:off",
		"ip=en*:dhcp ip=10.0.0.5:::24::driver=mlx5*:none ip=10.0.0.6:::24::driver=mlx5*:none bootdev=en* rd.route=10.1.0.0/16:10.0.0.1:en*", "ip=52-54-00-12-34-56:dhcp ip=eth0:dhcp bootdev=52-54-00-12-34-56",
		"nameserver=1.1.1.1 rd.net.timeout.dhcp=3",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := ParseConfig(cmdline.Parse(line))
		if err != nil {
			return
		}
		for _, n := range c.Interfaces {
			var words cmdline.Args
			for word := range strings.SplitSeq(n.String(), " ip=") {
				words = append(words, cmdline.Arg{Key: "ip", Value: word, HasValue: true})
			}
			again, err := ParseConfig(words)
			if err != nil {
				t.Fatalf("%q is written as ip=%s: %v", line, n, err)
			}
			if diff := cmp.Diff([]Addressing{n}, again.Interfaces, byValue()); diff != "" {
				t.Errorf("%q is written as ip=%s (-first +second):\n%s", line, n, diff)
			}
		}
		if _, err := c.Steps([]link.Device{{Index: 2, Name: "eth0", Type: link.HwEthernet, Addr: macA, Physical: true, MTU: 1500}, linktest.GuidePort()}); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}
