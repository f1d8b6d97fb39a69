package lease

import (
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

func TestAuto6(t *testing.T) {
	tentative := link.News{Addr: autoAddr6, Tentative: true}
	made := link.News{Addr: autoAddr6}
	dns := link.News{DNS: []netip.Addr{nameserver6}}
	static := "ip addr add 2001:db8:1::5/64 dev eth0"
	for _, c := range []struct {
		name   string
		method Method
		run    func(b *bench6)
		want   []string
		dns    int
	}{
		{"name servers by the router", MethodAuto6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(link.News{Gateway: router6})
			b.hear(tentative)
			b.hear(dns)
			b.wait(time.Second)
			b.hear(made)
		}, []string{"1.0 lease [2001:db8:1:0:5054:ff:fe12:3456/64]"}, 1},
		{"known before", MethodAuto6, func(b *bench6) {
			for _, e := range []link.News{{Addr: linkAddr6}, made, dns} {
				b.x.View.Take(&e)
			}
			b.begin()
		}, []string{"0.0 lease [2001:db8:1:0:5054:ff:fe12:3456/64]"}, 1},
		{"none", MethodAuto6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(made)
			b.wait(time.Second)
		}, []string{"0.1 lease [2001:db8:1:0:5054:ff:fe12:3456/64]"}, 0},
		{"by DHCPv6", MethodAuto6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(made)
			b.hear(link.News{Router: true, Other: true})
			b.answer(dhcpv6.MessageTypeReply, names)
			b.wait(time.Hour)
		}, []string{"0.0 INFORMATION-REQUEST", "0.0 lease [2001:db8:1:0:5054:ff:fe12:3456/64]"}, 1},
		{"by no DHCPv6", MethodAuto6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(link.News{Router: true, Managed: true})
			b.hear(made)
			b.wait(time.Hour)
		}, []string{
			"0.0 INFORMATION-REQUEST", "1.2 INFORMATION-REQUEST",
			"3.0 note: the router advertisement points to DHCPv6 for name servers, and no server has answered within 3 s",
			"3.0 lease [2001:db8:1:0:5054:ff:fe12:3456/64]",
		}, 0},
		{"not of a router", MethodAuto6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(link.News{Addr: leaseAddr6, Permanent: true})
			b.hear(link.News{Addr: autoAddr6, Duplicate: true})
			b.wait(time.Minute)
		}, nil, 0},
		{"gone", MethodAuto6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(dns)
			b.hear(made)
			b.wait(time.Hour)
			b.hear(link.News{Addr: autoAddr6, Gone: true})
			b.hear(link.News{Running: true})
		}, []string{
			"0.1 lease [2001:db8:1:0:5054:ff:fe12:3456/64]",
			"3600.0 note: its addresses are gone: the router advertisements that they were made of have ended", "3600.0 lost",
		}, 1},
		{"either: managed", MethodEither6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(link.News{Gateway: router6})
			b.hear(link.News{Router: true, Managed: true})
			b.hear(made)
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.answer(dhcpv6.MessageTypeReply, b.granted(), names)
			b.hear(link.News{Addr: leaseAddr6, Permanent: true})
			b.wait(50 * time.Second)
		}, []string{"0.0 SOLICIT", "0.0 REQUEST", "0.0 ip addr add 2001:db8:1::777/128 dev eth0", "0.0 lease [2001:db8:1::777/128]"}, 1},
		{"either: a prefix", MethodEither6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(link.News{Router: true})
			b.hear(tentative)
			b.wait(5 * time.Second)
			b.hear(dns)
			b.wait(time.Second)
			b.hear(made)
		}, []string{"6.0 lease [2001:db8:1:0:5054:ff:fe12:3456/64]"}, 1},
		{"either: no router", MethodEither6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.wait(4 * time.Second)
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.hear(dns)
			b.hear(made)
			b.hear(link.News{Search: []string{"example.org"}})
		}, []string{"4.0 SOLICIT", "4.0 REQUEST", "4.0 RELEASE", "4.0 lease [2001:db8:1:0:5054:ff:fe12:3456/64]"}, 1},
		{"either: a router without a prefix", MethodEither6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(link.News{Router: true})
			b.wait(4 * time.Second)
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.answer(dhcpv6.MessageTypeReply, b.granted(), names)
			b.hear(link.News{Addr: leaseAddr6, Permanent: true})
			b.wait(50 * time.Second)
		}, []string{
			"4.0 SOLICIT", "4.0 REQUEST", "4.0 ip addr add 2001:db8:1::777/128 dev eth0",
			"4.0 note: neither the router advertisement nor DHCPv6 gives a route: taking 2001:db8:1::/64 for the link, and no gateway", "4.0 lease [2001:db8:1::777/128]",
		}, 1},
		{"either: the router's address is another node's", MethodEither6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(link.News{Router: true})
			b.hear(tentative)
			b.hear(link.News{Addr: autoAddr6, Duplicate: true})
			b.wait(4 * time.Second)
		}, []string{"4.0 SOLICIT"}, 0},
		{"either: managed by nobody", MethodEither6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(link.News{Router: true, Managed: true})
			b.hear(dns)
			b.hear(made)
			b.answer(dhcpv6.MessageTypeAdvertise, leasetest.Status(iana.StatusNoAddrsAvail, ""))
			b.wait(11 * time.Second)
		}, []string{
			"0.0 SOLICIT", "0.0 note: the answer of fe80::2 is refused: it has no address for this node (NoAddrsAvail): check its pool, and whether it serves this network",
			"1.2 SOLICIT", "3.1 SOLICIT", "7.9 SOLICIT",
			"10.0 note: the router advertisement points to DHCPv6, and there is no lease after 10 s: taking its prefix",
			"10.0 lease [2001:db8:1:0:5054:ff:fe12:3456/64]",
		}, 1},
		{"link-local", MethodLink6, func(b *bench6) {
			b.begin()
			b.hear(link.News{Addr: linkAddr6, Tentative: true})
			b.wait(time.Second)
			b.linkLocal()
			b.wait(time.Hour)
		}, []string{"1.0 lease [fe80::5054:ff:fe12:3456/64]"}, 0},
		{"static", MethodStatic, func(b *bench6) {
			b.begin()
			b.hear(link.News{Addr: b.x.Static.Addr, Tentative: true, Permanent: true})
			b.wait(time.Second)
			b.hear(link.News{Addr: b.x.Static.Addr, Permanent: true})
			b.wait(time.Hour)
		}, []string{"0.0 " + static, "1.0 lease [2001:db8:1::5/64]"}, 0},
		{"static: there already", MethodStatic, func(b *bench6) {
			b.x.View.Take(&link.News{Addr: b.x.Static.Addr, Permanent: true})
			b.begin()
		}, []string{"0.0 lease [2001:db8:1::5/64]"}, 0},
		{"static: duplicate", MethodStatic, func(b *bench6) {
			b.begin()
			for range 2 {
				b.hear(link.News{Addr: b.x.Static.Addr, Permanent: true, Duplicate: true})
				b.hear(link.News{Addr: b.x.Static.Addr, Gone: true})
				b.wait(2 * time.Second)
			}
			b.wait(time.Second)
			b.hear(link.News{Addr: b.x.Static.Addr, Permanent: true})
		}, []string{
			"0.0 " + static, "0.0 ip addr del 2001:db8:1::5/64 dev eth0",
			"0.0 note: 2001:db8:1::5 is in use by another node of this network (duplicate address detection)",
			"1.2 " + static, "2.0 ip addr del 2001:db8:1::5/64 dev eth0",
			"2.0 note: 2001:db8:1::5 is in use by another node of this network (duplicate address detection)",
			"3.9 " + static, "5.0 lease [2001:db8:1::5/64]",
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench6(t, c.method)
			c.run(b)
			b.want(c.want...)
			if b.lease != nil && len(b.lease.DNS) != c.dns {
				t.Errorf("DNS %v", b.lease.DNS)
			}
		})
	}
}

// What the console says while something is missing.
func TestWaiting6(t *testing.T) {
	for _, c := range []struct {
		method Method
		run    func(b *bench6)
		want   string
	}{
		{MethodAuto6, func(*bench6) {}, "the kernel has given it no link-local address of IPv6 after 9 s"},
		{
			MethodAuto6, func(b *bench6) { b.hear(link.News{Addr: linkAddr6, Tentative: true}) },
			"its link-local address fe80::5054:ff:fe12:3456 is still being checked after 9 s (duplicate address detection)",
		},
		{
			MethodDHCP6, func(b *bench6) { b.hear(link.News{Addr: linkAddr6, Duplicate: true}) },
			"another node has its link-local address fe80::5054:ff:fe12:3456 (duplicate address detection): look for one with the same hardware address, or a loop in the network",
		},
		{
			MethodAuto6, func(b *bench6) { b.linkLocal() },
			"no router advertisement after 9 s (carrier up): check that a router sends them to this network, and the VLAN of the switch port",
		},
		{
			MethodAuto6, func(b *bench6) { b.linkLocal(); b.hear(link.News{Gateway: router6}) },
			"the router advertisement has no prefix of 64 bits with flag A (autoconfiguration): check what the router announces",
		},
		{
			MethodAuto6, func(b *bench6) { b.linkLocal(); b.hear(link.News{Router: true, Managed: true}) },
			"the router advertisement has no prefix of 64 bits with flag A (autoconfiguration): its flag M points to DHCPv6, write ip=dhcp6",
		},
		{
			MethodAuto6, func(b *bench6) { b.linkLocal(); b.hear(link.News{Addr: autoAddr6, Tentative: true}) },
			"2001:db8:1:0:5054:ff:fe12:3456 is still being checked after 9 s (duplicate address detection)",
		},
		{
			MethodAuto6, func(b *bench6) { b.linkLocal(); b.hear(link.News{Addr: autoAddr6, Duplicate: true}) },
			"another node has the address 2001:db8:1:0:5054:ff:fe12:3456 that was made of the router advertisement (duplicate address detection): look for one with the same hardware address",
		},
		{
			MethodDHCP6, func(b *bench6) { b.linkLocal() },
			"no DHCPv6 answer after 9 s (1 SOLICIT sent, carrier up): check that a DHCPv6 server serves this network, its pool, and the VLAN of the switch port; no router advertisement was seen either",
		},
		{
			MethodDHCP6, func(b *bench6) { b.linkLocal(); b.hear(link.News{Gateway: router6}) },
			"no DHCPv6 answer after 9 s (1 SOLICIT sent, carrier up): check that a DHCPv6 server serves this network, its pool, and the VLAN of the switch port; a router advertisement was seen, without flag M: is it ip=auto6 that is meant?",
		},
		{
			MethodDHCP6, func(b *bench6) { b.linkLocal(); b.answer(dhcpv6.MessageTypeAdvertise) },
			"no DHCPv6 lease after 9 s (1 SOLICIT sent, carrier up): the answer of fe80::2 is refused: it has no address for this node",
		},
		{
			MethodDHCP6, func(b *bench6) { b.linkLocal(); b.answer(dhcpv6.MessageTypeAdvertise, b.granted()) },
			"fe80::2 offered 2001:db8:1::777 but has not confirmed it after 9 s (1 REQUEST sent)",
		},
		{
			MethodEither6, func(b *bench6) { b.linkLocal(); b.hear(link.News{Gateway: router6}) },
			"the router advertisement has no prefix of 64 bits with flag A (autoconfiguration): check what the router announces; " +
				"no DHCPv6 answer after 9 s (1 SOLICIT sent, carrier up): check that a DHCPv6 server serves this network, its pool, and the VLAN of the switch port",
		},
		{MethodStatic, func(*bench6) {}, "2001:db8:1::5 is still being checked after 9 s (duplicate address detection)"},
		{
			MethodStatic, func(b *bench6) { b.hear(link.News{Addr: b.x.Static.Addr, Duplicate: true}) },
			"2001:db8:1::5 is in use by another node of this network (duplicate address detection) (tried once): change one of the two",
		},
		{MethodLink6, func(b *bench6) { b.block = "IPv6 is switched off on eth0" }, "IPv6 is switched off on eth0"},
	} {
		b := newBench6(t, c.method)
		b.begin()
		b.now = b.start.Add(8 * time.Second)
		c.run(b)
		if got := b.x.Waiting(b.start.Add(9 * time.Second)); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.method, got, c.want)
		}
	}
}
