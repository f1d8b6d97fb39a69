package lease

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

func TestDHCP6(t *testing.T) {
	checked := link.News{Addr: leaseAddr6, Permanent: true}
	tentative := link.News{Addr: leaseAddr6, Permanent: true, Tentative: true}
	add := "ip addr add 2001:db8:1::777/128 dev eth0"
	for _, c := range []struct {
		name string
		run  func(b *bench6)
		want []string
	}{
		{"four messages", func(b *bench6) {
			b.begin()
			b.wait(time.Second)
			b.linkLocal()
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.answer(dhcpv6.MessageTypeReply, b.granted(), names)
			b.hear(tentative)
			b.hear(link.News{Gateway: router6})
			b.wait(time.Second)
			b.hear(checked)
		}, []string{"1.0 SOLICIT", "1.0 REQUEST", "1.0 " + add, "2.0 lease [2001:db8:1::777/128]"}},
		{"rapid commit", func(b *bench6) {
			b.x.Client.Rapid = true
			b.begin()
			b.linkLocal()
			b.answer(dhcpv6.MessageTypeReply, b.granted()) // without the option
			b.answer(dhcpv6.MessageTypeReply, b.granted(), func(m *dhcpv6.Message) {
				m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
			})
			b.hear(checked)
			b.wait(4 * time.Second)
			b.hear(link.News{Router: true, Managed: true})
		}, []string{
			"0.0 SOLICIT", "0.0 " + add,
			"4.0 note: neither the router advertisement nor DHCPv6 gives a route: taking 2001:db8:1::/64 for the link, and no gateway",
			"4.0 lease [2001:db8:1::777/128]",
		}},
		{"a router that says what is on the link", func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(link.News{Router: true, Managed: true})
			b.hear(link.News{Route: netip.MustParsePrefix("2001:db8:1::/64")})
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.answer(dhcpv6.MessageTypeReply, b.granted())
			b.hear(checked)
			b.hear(link.News{Route: leaseAddr6})
		}, []string{"0.0 SOLICIT", "0.0 REQUEST", "0.0 " + add, "0.0 lease [2001:db8:1::777/128]"}},
		{"of no use", func(b *bench6) {
			b.x.Judge = func(l Lease) error {
				if l.Kept[0] == leaseAddr6 {
					return errors.New(l.Summary() + " is of no use")
				}
				return nil
			}
			b.begin()
			b.linkLocal()
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.wait(time.Second)
			b.answer(dhcpv6.MessageTypeAdvertise, leasetest.With(b.x.Client.IAID, netip.MustParseAddr("2001:db8:1::9"), 0, 0, 9, 9))
		}, []string{"0.0 SOLICIT", "0.0 note: 2001:db8:1::777/128 by DHCPv6 from fe80::2 is of no use", "1.0 REQUEST"}},
		{"no router", func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.answer(dhcpv6.MessageTypeReply, b.granted())
			b.hear(checked)
			b.wait(6 * time.Second)
		}, []string{
			"0.0 SOLICIT", "0.0 REQUEST", "0.0 " + add,
			"5.0 note: no router advertisement within 5 s, and DHCPv6 gives no route: taking 2001:db8:1::/64 for the link, and no gateway",
			"5.0 lease [2001:db8:1::777/128]",
		}},
		{"no server", func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.wait(20 * time.Second)
		}, []string{"0.0 SOLICIT", "1.2 SOLICIT", "3.1 SOLICIT", "7.9 SOLICIT", "17.2 SOLICIT"}},
		{"server wants silence", func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.answer(dhcpv6.MessageTypeAdvertise, leasetest.With(b.x.Client.IAID, netip.Addr{}, 0, 0, 0, 0), leasetest.Status(iana.StatusNoAddrsAvail, "none left"), func(m *dhcpv6.Message) {
				m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionSolMaxRT, OptionData: []byte{0, 0, 0, 60}})
			})
			b.wait(130 * time.Second)
		}, []string{
			"0.0 SOLICIT",
			"0.0 note: the answer of fe80::2 is refused: it has no address for this node (NoAddrsAvail): check its pool, and whether it serves this network: none left",
			"1.2 SOLICIT", "3.1 SOLICIT", "7.9 SOLICIT", "17.2 SOLICIT", "30.7 SOLICIT", "64.0 SOLICIT", "123.9 SOLICIT",
		}},
		{"a better server", func(b *bench6) {
			b.begin()
			b.linkLocal()
			better := b.reply(dhcpv6.MessageTypeAdvertise, leasetest.With(b.x.Client.IAID, netip.MustParseAddr("2001:db8:1::9"), 0, 0, 9, 9), func(m *dhcpv6.Message) {
				m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionPreference, OptionData: []byte{7}})
			})
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.take(b.x.Receive(b.now, Packet{Src: router6, Payload: better}))
			b.take(b.x.Receive(b.now, Packet{Src: router6, Payload: better})) // not better than itself
			b.answer(dhcpv6.MessageTypeReply, leasetest.With(b.x.Client.IAID, netip.MustParseAddr("2001:db8:1::9"), 0, 0, 9, 9))
		}, []string{"0.0 SOLICIT", "0.0 REQUEST", "0.0 REQUEST", "0.0 ip addr add 2001:db8:1::9/128 dev eth0"}},
		{"no confirmation", func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.wait(15 * time.Second)
		}, []string{
			"0.0 SOLICIT", "0.0 REQUEST", "1.0 REQUEST", "3.3 REQUEST", "8.0 REQUEST",
			"14.8 SOLICIT", "14.8 note: fe80::2 offered 2001:db8:1::777 and does not confirm it (4 REQUESTs sent), asking again",
		}},
		{"refused and refused again", func(b *bench6) {
			b.begin()
			b.linkLocal()
			for range 2 {
				b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
				b.answer(dhcpv6.MessageTypeReply, leasetest.Status(iana.StatusNotOnLink, "\x1b[2J"))
				b.wait(10 * time.Millisecond)
			}
			b.wait(3 * time.Second)
		}, []string{
			"0.0 SOLICIT", "0.0 REQUEST", "0.0 note: the answer of fe80::2 is refused: the address is not one of this network (NotOnLink)", "0.0 SOLICIT",
			"0.0 REQUEST", "0.0 note: the answer of fe80::2 is refused: the address is not one of this network (NotOnLink)", "1.7 SOLICIT", "2.7 SOLICIT",
		}},
		{"duplicate", func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(link.News{Gateway: router6})
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.answer(dhcpv6.MessageTypeReply, b.granted())
			b.wait(time.Second)
			b.hear(link.News{Addr: leaseAddr6, Permanent: true, Duplicate: true})
			b.hear(link.News{Addr: leaseAddr6, Gone: true})
			b.wait(time.Millisecond)
			b.answer(dhcpv6.MessageTypeAdvertise, leasetest.With(b.x.Client.IAID, netip.MustParseAddr("2001:db8:1::9"), 0, 0, 9, 9))
		}, []string{
			"0.0 SOLICIT", "0.0 REQUEST", "0.0 " + add, "1.0 DECLINE", "1.0 ip addr del 2001:db8:1::777/128 dev eth0",
			"1.0 note: 2001:db8:1::777 is in use by another node of this network (duplicate address detection): declined, fe80::2 leased it",
			"1.0 SOLICIT", "1.0 REQUEST",
		}},
		{"the kernel is silent", func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.answer(dhcpv6.MessageTypeReply, b.granted())
			b.wait(10500 * time.Millisecond)
		}, []string{
			"0.0 SOLICIT", "0.0 REQUEST", "0.0 " + add, "10.0 ip addr del 2001:db8:1::777/128 dev eth0",
			"10.0 note: the kernel has not taken 2001:db8:1::777/128 within 10 s", "10.0 SOLICIT",
		}},
		{"prolonged", func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(link.News{Gateway: router6})
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.answer(dhcpv6.MessageTypeReply, b.granted())
			b.hear(checked)
			b.wait(101 * time.Second)
			b.answer(dhcpv6.MessageTypeReply, b.granted())
			b.wait(180 * time.Second)
			b.answer(dhcpv6.MessageTypeReply, b.granted())
			b.wait(301 * time.Second)
		}, []string{
			"0.0 SOLICIT", "0.0 REQUEST", "0.0 " + add, "0.0 lease [2001:db8:1::777/128]",
			"100.0 RENEW",
			"201.0 RENEW", "231.0 RENEW", "246.0 RENEW", "253.5 RENEW", "258.5 RENEW", "261.0 REBIND",
			"381.0 RENEW", "411.0 RENEW", "426.0 RENEW", "433.5 RENEW", "438.5 RENEW", "441.0 REBIND", "511.0 REBIND", "546.0 REBIND",
			"563.5 REBIND", "572.2 REBIND", "577.2 REBIND",
			"581.0 SOLICIT", "581.0 note: the lease of 2001:db8:1::777 has ended: fe80::2 has not renewed it", "581.0 lost",
		}},
		{"not prolonged", func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(link.News{Gateway: router6})
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.answer(dhcpv6.MessageTypeReply, b.granted())
			b.hear(checked)
			b.wait(101 * time.Second)
			b.answer(dhcpv6.MessageTypeReply, leasetest.Status(iana.StatusNoBinding, ""))
			b.wait(100 * time.Millisecond)
		}, []string{
			"0.0 SOLICIT", "0.0 REQUEST", "0.0 " + add, "0.0 lease [2001:db8:1::777/128]",
			"100.0 RENEW", "101.0 note: the answer of fe80::2 is refused: it does not know the lease (NoBinding)", "101.0 lost", "101.0 SOLICIT",
		}},
		{"rubbish", func(b *bench6) {
			b.begin()
			b.linkLocal()
			good := b.reply(dhcpv6.MessageTypeAdvertise, b.granted())
			for _, bad := range [][]byte{nil, good[:3], good[:len(good)-1], append([]byte{12}, good[1:]...), append([]byte{2, 9, 9, 9}, good[4:]...)} {
				b.take(b.x.Receive(b.now, Packet{Src: server6, Payload: bad}))
			}
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted(), func(m *dhcpv6.Message) { m.Options.Del(dhcpv6.OptionClientID) })
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted(), func(m *dhcpv6.Message) { m.Options.Del(dhcpv6.OptionServerID) })
			b.answer(dhcpv6.MessageTypeAdvertise)
		}, []string{
			"0.0 SOLICIT", "0.0 note: the answer of fe80::2 cannot be read: its option 3 is cut off",
			"0.0 note: the answer of fe80::2 has no server identifier",
			"0.0 note: the answer of fe80::2 is refused: it has no address for this node",
		}},
		{"switched off", func(b *bench6) {
			b.block = "IPv6 is switched off on eth0"
			b.begin()
		}, []string{"0.0 note: IPv6 is switched off on eth0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench6(t, MethodDHCP6)
			c.run(b)
			b.want(c.want...)
		})
	}
}

func TestLease6(t *testing.T) {
	b := newBench6(t, MethodDHCP6)
	b.begin()
	b.hear(link.News{Gateway: router6})
	b.hear(link.News{DNS: []netip.Addr{router6}})
	b.linkLocal()
	if m := b.x.Release(); m != nil {
		t.Errorf("gives back %v", m)
	}
	b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
	b.answer(dhcpv6.MessageTypeReply, b.granted(), names, func(m *dhcpv6.Message) {
		m.AddOption(dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: []string{"example.org", "a.example.org"}}))
		m.AddOption(dhcpv6.OptBootFileURL("nfs:[2001:db8:1::1]:/srv/root"))
		m.AddOption(ntpOption())
		m.AddOption(&dhcpv6.OptFQDN{DomainName: &rfc1035label.Labels{Labels: []string{"node7.example.org"}}})
	})
	b.hear(link.News{Addr: leaseAddr6, Permanent: true})
	want := &Lease{
		Protocol: "DHCPv6", Kept: []netip.Prefix{leaseAddr6}, Router: router6, Server: server6, Duration: 300 * time.Second,
		DNS: []netip.Addr{nameserver6, router6.WithZone("eth0")}, Search: []string{"example.org", "a.example.org"},
		NTP: []netip.Addr{netip.MustParseAddr("2001:db8::7")}, Hostname: "node7.example.org", RootPath: "nfs:[2001:db8:1::1]:/srv/root",
	}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, b.lease, same, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m := b.x.Release()
	if len(m) != 1 || m[0].What != "RELEASE" {
		t.Fatalf("gives back %v", m)
	}
	r, err := dhcpv6.MessageFromBytes(m[0].Payload)
	if err != nil || r.Options.ServerID() == nil || r.Options.OneIANA().Options.OneAddress().IPv6Addr.String() != "2001:db8:1::777" {
		t.Errorf("%v, %v", r, err)
	}
}
