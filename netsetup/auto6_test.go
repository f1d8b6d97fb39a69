package netsetup

import (
	"encoding/binary"
	"io/fs"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

func TestAuto6(t *testing.T) {
	tentative := news{addr: autoAddr6, tentative: true}
	made := news{addr: autoAddr6}
	dns := news{dns: []netip.Addr{nameserver6}}
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
			b.hear(news{gateway: router6})
			b.hear(tentative)
			b.hear(dns)
			b.wait(time.Second)
			b.hear(made)
		}, []string{"1.0 lease [2001:db8:1:0:5054:ff:fe12:3456/64]"}, 1},
		{"known before", MethodAuto6, func(b *bench6) {
			for _, e := range []news{{addr: linkAddr6}, made, dns} {
				b.x.view.take(&e)
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
			b.hear(news{router: true, other: true})
			b.answer(dhcpv6.MessageTypeReply, names)
			b.wait(time.Hour)
		}, []string{"0.0 INFORMATION-REQUEST", "0.0 lease [2001:db8:1:0:5054:ff:fe12:3456/64]"}, 1},
		{"by no DHCPv6", MethodAuto6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(news{router: true, managed: true})
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
			b.hear(news{addr: leaseAddr6, permanent: true})
			b.hear(news{addr: autoAddr6, duplicate: true})
			b.wait(time.Minute)
		}, nil, 0},
		{"gone", MethodAuto6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(dns)
			b.hear(made)
			b.wait(time.Hour)
			b.hear(news{addr: autoAddr6, gone: true})
			b.hear(news{running: true})
		}, []string{
			"0.1 lease [2001:db8:1:0:5054:ff:fe12:3456/64]",
			"3600.0 note: its addresses are gone: the router advertisements that they were made of have ended", "3600.0 lost",
		}, 1},
		{"either: managed", MethodEither6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(news{gateway: router6})
			b.hear(news{router: true, managed: true})
			b.hear(made)
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.answer(dhcpv6.MessageTypeReply, b.granted(), names)
			b.hear(news{addr: leaseAddr6, permanent: true})
			b.wait(50 * time.Second)
		}, []string{"0.0 SOLICIT", "0.0 REQUEST", "0.0 ip addr add 2001:db8:1::777/128 dev eth0", "0.0 lease [2001:db8:1::777/128]"}, 1},
		{"either: a prefix", MethodEither6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(news{router: true})
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
			b.hear(news{search: []string{"example.org"}})
		}, []string{"4.0 SOLICIT", "4.0 REQUEST", "4.0 RELEASE", "4.0 lease [2001:db8:1:0:5054:ff:fe12:3456/64]"}, 1},
		{"either: a router without a prefix", MethodEither6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(news{router: true})
			b.wait(4 * time.Second)
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.answer(dhcpv6.MessageTypeReply, b.granted(), names)
			b.hear(news{addr: leaseAddr6, permanent: true})
			b.wait(50 * time.Second)
		}, []string{
			"4.0 SOLICIT", "4.0 REQUEST", "4.0 ip addr add 2001:db8:1::777/128 dev eth0",
			"4.0 note: neither the router advertisement nor DHCPv6 gives a route: taking 2001:db8:1::/64 for the link, and no gateway", "4.0 lease [2001:db8:1::777/128]",
		}, 1},
		{"either: the router's address is another node's", MethodEither6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(news{router: true})
			b.hear(tentative)
			b.hear(news{addr: autoAddr6, duplicate: true})
			b.wait(4 * time.Second)
		}, []string{"4.0 SOLICIT"}, 0},
		{"either: managed by nobody", MethodEither6, func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(news{router: true, managed: true})
			b.hear(dns)
			b.hear(made)
			b.answer(dhcpv6.MessageTypeAdvertise, status(iana.StatusNoAddrsAvail, ""))
			b.wait(11 * time.Second)
		}, []string{
			"0.0 SOLICIT", "0.0 note: the answer of fe80::2 is refused: it has no address for this node (NoAddrsAvail): check its pool, and whether it serves this network",
			"1.2 SOLICIT", "3.1 SOLICIT", "7.9 SOLICIT",
			"10.0 note: the router advertisement points to DHCPv6, and there is no lease after 10 s: taking its prefix",
			"10.0 lease [2001:db8:1:0:5054:ff:fe12:3456/64]",
		}, 1},
		{"link-local", MethodLink6, func(b *bench6) {
			b.begin()
			b.hear(news{addr: linkAddr6, tentative: true})
			b.wait(time.Second)
			b.linkLocal()
			b.wait(time.Hour)
		}, []string{"1.0 lease [fe80::5054:ff:fe12:3456/64]"}, 0},
		{"static", MethodStatic, func(b *bench6) {
			b.begin()
			b.hear(news{addr: b.x.static.Addr, tentative: true, permanent: true})
			b.wait(time.Second)
			b.hear(news{addr: b.x.static.Addr, permanent: true})
			b.wait(time.Hour)
		}, []string{"0.0 " + static, "1.0 lease [2001:db8:1::5/64]"}, 0},
		{"static: there already", MethodStatic, func(b *bench6) {
			b.x.view.take(&news{addr: b.x.static.Addr, permanent: true})
			b.begin()
		}, []string{"0.0 lease [2001:db8:1::5/64]"}, 0},
		{"static: duplicate", MethodStatic, func(b *bench6) {
			b.begin()
			for range 2 {
				b.hear(news{addr: b.x.static.Addr, permanent: true, duplicate: true})
				b.hear(news{addr: b.x.static.Addr, gone: true})
				b.wait(2 * time.Second)
			}
			b.wait(time.Second)
			b.hear(news{addr: b.x.static.Addr, permanent: true})
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
			MethodAuto6, func(b *bench6) { b.hear(news{addr: linkAddr6, tentative: true}) },
			"its link-local address fe80::5054:ff:fe12:3456 is still being checked after 9 s (duplicate address detection)",
		},
		{
			MethodDHCP6, func(b *bench6) { b.hear(news{addr: linkAddr6, duplicate: true}) },
			"another node has its link-local address fe80::5054:ff:fe12:3456 (duplicate address detection): look for one with the same hardware address, or a loop in the network",
		},
		{
			MethodAuto6, func(b *bench6) { b.linkLocal() },
			"no router advertisement after 9 s (carrier up): check that a router sends them to this network, and the VLAN of the switch port",
		},
		{
			MethodAuto6, func(b *bench6) { b.linkLocal(); b.hear(news{gateway: router6}) },
			"the router advertisement has no prefix of 64 bits with flag A (autoconfiguration): check what the router announces",
		},
		{
			MethodAuto6, func(b *bench6) { b.linkLocal(); b.hear(news{router: true, managed: true}) },
			"the router advertisement has no prefix of 64 bits with flag A (autoconfiguration): its flag M points to DHCPv6, write ip=dhcp6",
		},
		{
			MethodAuto6, func(b *bench6) { b.linkLocal(); b.hear(news{addr: autoAddr6, tentative: true}) },
			"2001:db8:1:0:5054:ff:fe12:3456 is still being checked after 9 s (duplicate address detection)",
		},
		{
			MethodAuto6, func(b *bench6) { b.linkLocal(); b.hear(news{addr: autoAddr6, duplicate: true}) },
			"another node has the address 2001:db8:1:0:5054:ff:fe12:3456 that was made of the router advertisement (duplicate address detection): look for one with the same hardware address",
		},
		{
			MethodDHCP6, func(b *bench6) { b.linkLocal() },
			"no DHCPv6 answer after 9 s (1 SOLICIT sent, carrier up): check that a DHCPv6 server serves this network, its pool, and the VLAN of the switch port; no router advertisement was seen either",
		},
		{
			MethodDHCP6, func(b *bench6) { b.linkLocal(); b.hear(news{gateway: router6}) },
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
			MethodEither6, func(b *bench6) { b.linkLocal(); b.hear(news{gateway: router6}) },
			"the router advertisement has no prefix of 64 bits with flag A (autoconfiguration): check what the router announces; " +
				"no DHCPv6 answer after 9 s (1 SOLICIT sent, carrier up): check that a DHCPv6 server serves this network, its pool, and the VLAN of the switch port",
		},
		{MethodStatic, func(*bench6) {}, "2001:db8:1::5 is still being checked after 9 s (duplicate address detection)"},
		{
			MethodStatic, func(b *bench6) { b.hear(news{addr: b.x.static.Addr, duplicate: true}) },
			"2001:db8:1::5 is in use by another node of this network (duplicate address detection) (tried once): change one of both",
		},
		{MethodLink6, func(b *bench6) { b.block = "IPv6 is switched off on eth0" }, "IPv6 is switched off on eth0"},
	} {
		b := newBench6(t, c.method)
		b.begin()
		b.now = b.start.Add(8 * time.Second)
		c.run(b)
		if got := b.x.waiting(b.start.Add(9 * time.Second)); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.method, got, c.want)
		}
	}
}

// Both families on one interface are one to the rest of the node; what the
// kernel tells before there is anything that listens is kept.
func TestRunBothFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel(t, ethernet(2, "eth0", macA))
		k.servers["eth0"] = goodServer(t)
		for _, e := range []news{
			{addr: linkAddr6, permanent: true},
			{addr: autoAddr6},
			{gateway: router6},
			{dns: []netip.Addr{nameserver6, router6}},
			{search: []string{"six.example.org"}},
		} {
			k.events <- linkEvent{Device: Device{Index: 2}, news: &e}
		}
		r := try(t, "ip=eth0:dhcp ip=eth0:auto6", time.Minute, k, nil)
		if r.err != nil {
			t.Fatal(r.err)
		}
		if len(r.state.Addrs) != 2 || r.state.Addrs[1] != autoAddr6 || !r.state.Addrs[0].Addr().Is4() {
			t.Errorf("addresses %v", r.state.Addrs)
		}
		text := r.state.ResolvConf()
		for _, want := range []string{"six.example.org", "nameserver 2001:db8:1::53\nnameserver fe80::1%eth0\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("resolv.conf without %q:\n%s", want, text)
			}
		}
		for _, c := range r.commands {
			if strings.Contains(c, "2001:db8") || strings.Contains(c, "fe80") {
				t.Errorf("%s: that is the kernel's", c)
			}
		}
	})
}

func TestRunStatic6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel(t, ethernet(2, "eth0", macA))
		addr := netip.MustParsePrefix("2001:db8:1::5/64")
		r := try(t, "ip=[2001:db8:1::5]::[2001:db8:1::1]:64::eth0:none", time.Minute, k, func() {
			synctest.Wait()
			k.events <- linkEvent{Device: Device{Index: 2}, news: &news{addr: addr, permanent: true, tentative: true}}
			<-time.After(time.Second)
			k.events <- linkEvent{Device: Device{Index: 2}, news: &news{addr: addr, permanent: true}}
		})
		if r.err != nil || r.took.Round(time.Second) != time.Second {
			t.Fatal(r.err, r.took)
		}
		want := []string{"link set lo up", "link set eth0 up", "addr add 2001:db8:1::5/64 dev eth0", "route replace default via 2001:db8:1::1 dev eth0 metric 100"}
		if diff := cmp.Diff(want, r.commands); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Two ask, without rapid commit; the second gives its lease back and goes down.
func TestRunDHCP6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := ethernet(2, "eth0", macA), ethernet(3, "eth1", macB)
		k := newFakeKernel(t, one, two)
		k.server6 = func(m message) []byte {
			kind := dhcpv6.MessageTypeReply
			switch m.what {
			case "SOLICIT":
				kind = dhcpv6.MessageTypeAdvertise
			case "REQUEST":
			default:
				return nil
			}
			asked, err := dhcpv6.MessageFromBytes(m.payload)
			if err != nil {
				t.Error(err)
				return nil
			}
			iaid := binary.BigEndian.Uint32(asked.Options.OneIANA().IaId[:])
			addr := leaseAddr6.Addr()
			if iaid == iaidOf(two) {
				addr = addr.Next()
			}
			return replyTo(t, m.payload, kind, with(iaid, addr, 0, 0, 100, 100))
		}
		r := try(t, "ip=dhcp6", time.Minute, k, func() {
			for i, a := range []netip.Prefix{linkAddr6, netip.MustParsePrefix("fe80::9/64")} {
				k.events <- linkEvent{Device: Device{Index: 2 + i}, news: &news{addr: a, permanent: true}}
				k.events <- linkEvent{Device: Device{Index: 2 + i}, news: &news{gateway: router6}}
			}
			<-time.After(time.Second)
			k.events <- linkEvent{Device: Device{Index: 2}, news: &news{addr: leaseAddr6, permanent: true}}
		})
		if r.err != nil || r.state.Device != "eth0" || r.state.Gateway != router6 {
			t.Fatal(r.state, r.err)
		}
		got := map[string]int{}
		for _, c := range r.commands {
			got[c]++
		}
		want := map[string]int{
			"link set lo up": 1, "link set eth0 up": 1, "link set eth1 up": 1, "eth0: SOLICIT": 1, "eth1: SOLICIT": 1, "eth0: REQUEST": 1, "eth1: REQUEST": 1,
			"addr add 2001:db8:1::777/128 dev eth0": 1, "addr add 2001:db8:1::778/128 dev eth1": 1, "eth1: RELEASE": 1,
			"addr del 2001:db8:1::778/128 dev eth1": 1, "link set eth1 down": 1,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// What a router said of an interface before this program came is asked for again; what it has
// said since the interface was shown has been heard.
func TestRunSolicits(t *testing.T) {
	for name, tt := range map[string]struct {
		up   bool // when it is shown
		want int
	}{
		"up before":       {true, 1},
		"up by ourselves": {false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := ethernet(2, "eth0", macA)
				d.Up = tt.up
				k := newFakeKernel(t, d)
				// The second attempt finds it up.
				const raise = "ip link set eth0 up"
				k.fail[raise] = fs.ErrExist
				try(t, "ip=eth0:auto6", 5*time.Second, k, func() {
					<-time.After(10 * time.Millisecond)
					k.change("eth0", func(d *Device) { d.Up = true })
				})
				if got := len(k.soliciting); got != tt.want {
					t.Errorf("asked for %d times, want %d: %q", got, tt.want, k.commands)
				}
			})
		})
	}
}
