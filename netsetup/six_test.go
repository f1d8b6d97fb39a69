package netsetup

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

const testUUID = "4c4c4544-0042-3510-8044-b4c04f4a3732"

var (
	linkAddr6   = netip.MustParsePrefix("fe80::5054:ff:fe12:3456/64")
	autoAddr6   = netip.MustParsePrefix("2001:db8:1:0:5054:ff:fe12:3456/64")
	leaseAddr6  = netip.MustParsePrefix("2001:db8:1::777/128")
	router6     = netip.MustParseAddr("fe80::1")
	server6     = netip.MustParseAddr("fe80::2")
	nameserver6 = netip.MustParseAddr("2001:db8:1::53")
)

// A bench6 runs a six without a kernel and writes down what it does.
type bench6 struct {
	t     *testing.T
	x     *six
	start time.Time
	now   time.Time
	lines []string
	last  message
	lease *Lease
	block string
}

func newBench6(t *testing.T, method Method) *bench6 {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := &bench6{t: t, start: now, now: now}
	d := Device{Index: 2, Name: "eth0", Type: hwEthernet, Addr: macA}
	xid := uint32(0xff000000)
	b.x = &six{
		pacing: newPacing(d.Addr), method: method, view: &view6{dev: "eth0"},
		newXID:   func() uint32 { xid++; return xid },
		obstacle: func(bool) string { return b.block },
		client:   client6{duid: newDUID(testUUID, d), iaid: iaidOf(d)},
		static:   &Lease{Addr: netip.MustParsePrefix("2001:db8:1::5/64"), Gateway: netip.MustParseAddr("2001:db8:1::1")},
	}
	return b
}

// take writes an outcome down.
func (b *bench6) take(o outcome) {
	at := fmt.Sprintf("%.1f ", b.now.Sub(b.start).Seconds())
	for _, m := range o.send {
		b.last = m
		b.lines = append(b.lines, at+m.what)
	}
	for _, s := range o.steps {
		b.lines = append(b.lines, at+s.String())
	}
	if o.note != "" {
		b.lines = append(b.lines, at+"note: "+o.note)
	}
	if o.lost {
		b.lines = append(b.lines, at+"lost")
	}
	if o.lease != nil {
		b.lease = o.lease
		b.lines = append(b.lines, at+fmt.Sprint("lease ", o.lease.Kept))
	}
}

func (b *bench6) begin() { b.take(b.x.start(b.now)) }

// hear has the kernel tell something.
func (b *bench6) hear(e news) {
	b.x.view.take(&e)
	b.take(b.x.hear(b.now, e))
}

// wait lets time pass.
func (b *bench6) wait(d time.Duration) {
	b.t.Helper()
	end := b.now.Add(d)
	for range 1000 {
		at := b.x.deadline()
		if at.IsZero() || at.After(end) {
			b.now = end
			return
		}
		if at.After(b.now) {
			b.now = at
		}
		b.take(b.x.tick(b.now))
	}
	b.t.Fatalf("tick is asked for again and again:\n%s", strings.Join(b.lines, "\n"))
}

// answer sends what a server says to the last message.
func (b *bench6) answer(kind dhcpv6.MessageType, change ...func(m *dhcpv6.Message)) {
	b.t.Helper()
	b.take(b.x.receive(b.now, packet{via: channelDHCP6, src: server6, payload: b.reply(kind, change...)}))
}

func (b *bench6) reply(kind dhcpv6.MessageType, change ...func(m *dhcpv6.Message)) []byte {
	b.t.Helper()
	asked, err := dhcpv6.MessageFromBytes(b.last.payload)
	if err != nil {
		b.t.Fatal(err)
	}
	m := &dhcpv6.Message{MessageType: kind, TransactionID: asked.TransactionID}
	m.AddOption(dhcpv6.OptClientID(asked.Options.ClientID()))
	m.AddOption(dhcpv6.OptServerID(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: net.HardwareAddr(macB)}))
	for _, f := range change {
		f(m)
	}
	return m.ToBytes()
}

// with gives an address with T1, T2 and its lifetimes in seconds.
func with(x *six, addr netip.Addr, t1, t2, preferred, valid int) func(m *dhcpv6.Message) {
	return func(m *dhcpv6.Message) {
		s := func(n int) time.Duration { return time.Duration(n) * time.Second }
		ia := &dhcpv6.OptIANA{T1: s(t1), T2: s(t2)}
		ia.IaId = [4]byte{byte(x.client.iaid >> 24), byte(x.client.iaid >> 16), byte(x.client.iaid >> 8), byte(x.client.iaid)}
		if addr.IsValid() {
			ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: addr.AsSlice(), PreferredLifetime: s(preferred), ValidLifetime: s(valid)})
		}
		m.AddOption(ia)
	}
}

func (b *bench6) granted() func(m *dhcpv6.Message) {
	return with(b.x, leaseAddr6.Addr(), 100, 160, 200, 300)
}

func status(code iana.StatusCode, text string) func(m *dhcpv6.Message) {
	return func(m *dhcpv6.Message) {
		m.AddOption(&dhcpv6.OptStatusCode{StatusCode: code, StatusMessage: text})
	}
}

func names(m *dhcpv6.Message) { m.AddOption(dhcpv6.OptDNS(nameserver6.AsSlice())) }

// linkLocal is the news that the interface can send.
func (b *bench6) linkLocal() { b.hear(news{addr: linkAddr6, permanent: true}) }

func (b *bench6) want(lines ...string) {
	b.t.Helper()
	if diff := cmp.Diff(lines, b.lines); diff != "" {
		b.t.Errorf("(-want +got):\n%s", diff)
	}
	b.lines = nil
}

// The bytes of the messages, by the eyes of another implementation.
func TestMessage6(t *testing.T) {
	b := newBench6(t, MethodDHCP6)
	b.x.client.rapid, b.x.client.vendor, b.x.client.user, b.x.client.hostname = true, "PXEClient", "nodisk", "node7.example.org"
	b.begin()
	b.wait(1500 * time.Millisecond)
	b.linkLocal()
	m, err := dhcpv6.MessageFromBytes(b.last.payload)
	if err != nil {
		t.Fatal(err)
	}
	if m.MessageType != dhcpv6.MessageTypeSolicit || m.TransactionID != [3]byte{0, 0, 1} {
		t.Errorf("%s", m.Summary())
	}
	duid := m.Options.ClientID().ToBytes()
	if HardwareAddr(duid).String() != "00:04:4c:4c:45:44:00:42:35:10:80:44:b4:c0:4f:4a:37:32" {
		t.Errorf("DUID %s", HardwareAddr(duid))
	}
	ia := m.Options.OneIANA()
	if ia == nil || ia.IaId != [4]byte{byte(b.x.client.iaid >> 24), byte(b.x.client.iaid >> 16), byte(b.x.client.iaid >> 8), byte(b.x.client.iaid)} || len(ia.Options.Addresses()) != 0 {
		t.Errorf("IA_NA %v", ia)
	}
	if got := m.Options.ElapsedTime(); got != 1500*time.Millisecond {
		t.Errorf("elapsed time %s", got)
	}
	if m.GetOneOption(dhcpv6.OptionRapidCommit) == nil {
		t.Error("no rapid commit")
	}
	if got := fmt.Sprint(m.Options.RequestedOptions()); got != fmt.Sprint(dhcpv6.OptionCodes{23, 24, 31, 39, 56, 59, 82}) {
		t.Errorf("asks for %s", got)
	}
	if got := m.Options.UserClasses(); len(got) != 1 || string(got[0]) != "nodisk" {
		t.Errorf("user class %q", got)
	}
	if got := m.Options.VendorClass(343); len(got) != 1 || string(got[0]) != "PXEClient" {
		t.Errorf("vendor class %q", got)
	}
	if got := m.Options.FQDN(); got == nil || got.Flags != 1 || got.DomainName.Labels[0] != "node7.example.org" {
		t.Errorf("FQDN %v", got)
	}
	b.x.client.hostname = "node7"
	b.wait(time.Minute)
	m, err = dhcpv6.MessageFromBytes(b.last.payload)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.GetOneOption(dhcpv6.OptionFQDN).ToBytes(); string(got) != "\x01\x05node7" {
		t.Errorf("part of a name: %q", got)
	}
}

func TestDUID(t *testing.T) {
	ethernet := Device{Type: hwEthernet, Addr: macA}
	for uuid, want := range map[string]string{
		testUUID + "\n": "00:04:4c:4c:45:44:00:42:35:10:80:44:b4:c0:4f:4a:37:32",
		"":              "00:03:00:01:" + macA.String(),
		"00000000-0000-0000-0000-000000000000": "00:03:00:01:" + macA.String(),
		"FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF": "00:03:00:01:" + macA.String(),
		"4c4c4544": "00:03:00:01:" + macA.String(),
	} {
		if got := HardwareAddr(newDUID(uuid, ethernet)).String(); got != want {
			t.Errorf("%q: %s", uuid, got)
		}
	}
	ib := Device{Type: hwInfiniBand, Addr: HardwareAddr("\x80\x00\x04\x04\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x10\x39")}
	if got := HardwareAddr(newDUID("", ib)).String(); got != "00:03:00:20:00:02:c9:03:00:00:10:39" {
		t.Errorf("InfiniBand: %s", got)
	}
	// CRC-32 of "123456789" is cbf43926; begun with zero and not inverted it
	// is 2dfd2d88.
	if got := iaidOf(Device{Type: hwEthernet, Addr: "123456789"}); got != 0x2dfd2d88 {
		t.Errorf("IAID %08x", got)
	}
	if got, want := iaidOf(ib), iaidOf(Device{Type: hwEthernet, Addr: "\x00\x02\xc9\x00\x10\x39"}); got != want {
		t.Errorf("IAID of InfiniBand %08x, of its six bytes %08x", got, want)
	}
}

func TestDHCP6(t *testing.T) {
	checked := news{addr: leaseAddr6, permanent: true}
	tentative := news{addr: leaseAddr6, permanent: true, tentative: true}
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
			b.hear(news{gateway: router6})
			b.wait(time.Second)
			b.hear(checked)
		}, []string{"1.0 SOLICIT", "1.0 REQUEST", "1.0 " + add, "2.0 lease [2001:db8:1::777/128]"}},
		{"rapid commit", func(b *bench6) {
			b.x.client.rapid = true
			b.begin()
			b.linkLocal()
			b.answer(dhcpv6.MessageTypeReply, b.granted()) // without the option
			b.answer(dhcpv6.MessageTypeReply, b.granted(), func(m *dhcpv6.Message) {
				m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
			})
			b.hear(checked)
			b.wait(4 * time.Second)
			b.hear(news{router: true, managed: true})
		}, []string{"0.0 SOLICIT", "0.0 " + add, "4.0 lease [2001:db8:1::777/128]"}},
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
			b.answer(dhcpv6.MessageTypeAdvertise, with(b.x, netip.Addr{}, 0, 0, 0, 0), status(iana.StatusNoAddrsAvail, "none left"), func(m *dhcpv6.Message) {
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
			better := b.reply(dhcpv6.MessageTypeAdvertise, with(b.x, netip.MustParseAddr("2001:db8:1::9"), 0, 0, 9, 9), func(m *dhcpv6.Message) {
				m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionPreference, OptionData: []byte{7}})
			})
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.take(b.x.receive(b.now, packet{src: router6, payload: better}))
			b.take(b.x.receive(b.now, packet{src: router6, payload: better})) // not better than itself
			b.answer(dhcpv6.MessageTypeReply, with(b.x, netip.MustParseAddr("2001:db8:1::9"), 0, 0, 9, 9))
		}, []string{"0.0 SOLICIT", "0.0 REQUEST", "0.0 REQUEST", "0.0 ip addr add 2001:db8:1::9/128 dev eth0"}},
		{"no confirmation", func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.wait(15 * time.Second)
		}, []string{
			"0.0 SOLICIT", "0.0 REQUEST", "1.0 REQUEST", "3.3 REQUEST", "8.0 REQUEST",
			"14.8 SOLICIT", "14.8 note: fe80::2 offered 2001:db8:1::777 and does not confirm it (4 REQUESTs sent), asking anew",
		}},
		{"refused and refused again", func(b *bench6) {
			b.begin()
			b.linkLocal()
			for range 2 {
				b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
				b.answer(dhcpv6.MessageTypeReply, status(iana.StatusNotOnLink, "\x1b[2J"))
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
			b.hear(news{gateway: router6})
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.answer(dhcpv6.MessageTypeReply, b.granted())
			b.wait(time.Second)
			b.hear(news{addr: leaseAddr6, permanent: true, duplicate: true})
			b.hear(news{addr: leaseAddr6, gone: true})
			b.wait(time.Millisecond)
			b.answer(dhcpv6.MessageTypeAdvertise, with(b.x, netip.MustParseAddr("2001:db8:1::9"), 0, 0, 9, 9))
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
			b.hear(news{gateway: router6})
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
			"581.0 SOLICIT", "581.0 note: the lease of 2001:db8:1::777 has ended: fe80::2 has not prolonged it", "581.0 lost",
		}},
		{"not prolonged", func(b *bench6) {
			b.begin()
			b.linkLocal()
			b.hear(news{gateway: router6})
			b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
			b.answer(dhcpv6.MessageTypeReply, b.granted())
			b.hear(checked)
			b.wait(101 * time.Second)
			b.answer(dhcpv6.MessageTypeReply, status(iana.StatusNoBinding, ""))
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
				b.take(b.x.receive(b.now, packet{src: server6, payload: bad}))
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
	b.hear(news{gateway: router6})
	b.hear(news{dns: []netip.Addr{router6}})
	b.linkLocal()
	if m := b.x.release(); m != nil {
		t.Errorf("gives back %v", m)
	}
	b.answer(dhcpv6.MessageTypeAdvertise, b.granted())
	b.answer(dhcpv6.MessageTypeReply, b.granted(), names, func(m *dhcpv6.Message) {
		m.AddOption(dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: []string{"example.org", "a.example.org"}}))
		m.AddOption(dhcpv6.OptBootFileURL("nfs:[2001:db8:1::1]:/srv/root"))
		m.AddOption(ntpOption())
		m.AddOption(&dhcpv6.OptFQDN{DomainName: &rfc1035label.Labels{Labels: []string{"node7.example.org"}}})
	})
	b.hear(news{addr: leaseAddr6, permanent: true})
	want := &Lease{
		Protocol: "DHCPv6", Kept: []netip.Prefix{leaseAddr6}, Router: router6, Server: server6, Duration: 300 * time.Second,
		DNS: []netip.Addr{nameserver6, router6.WithZone("eth0")}, Search: []string{"example.org", "a.example.org"},
		NTP: []netip.Addr{netip.MustParseAddr("2001:db8::7")}, Hostname: "node7.example.org", RootPath: "nfs:[2001:db8:1::1]:/srv/root",
	}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, b.lease, same, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m := b.x.release()
	if len(m) != 1 || m[0].what != "RELEASE" {
		t.Fatalf("gives back %v", m)
	}
	r, err := dhcpv6.MessageFromBytes(m[0].payload)
	if err != nil || r.Options.ServerID() == nil || r.Options.OneIANA().Options.OneAddress().IPv6Addr.String() != "2001:db8:1::777" {
		t.Errorf("%v, %v", r, err)
	}
}

// FuzzAnswer6 feeds a client in every phase.
func FuzzAnswer6(f *testing.F) {
	t := &testing.T{}
	b := newBench6(t, MethodDHCP6)
	b.begin()
	b.linkLocal()
	f.Add(b.reply(dhcpv6.MessageTypeAdvertise, b.granted(), names, status(iana.StatusNoAddrsAvail, "no")))
	f.Add(b.reply(dhcpv6.MessageTypeReply, b.granted(), func(m *dhcpv6.Message) {
		m.AddOption(dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: []string{"example.org"}}))
		m.AddOption(ntpOption())
		m.AddOption(&dhcpv6.OptFQDN{DomainName: &rfc1035label.Labels{Labels: []string{"node7"}}})
	}))
	f.Add([]byte{2, 0, 0, 1, 0, 3, 0, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		a := parseAnswer6(p, iaidOf(Device{Type: hwEthernet, Addr: macA}))
		if a.addr.IsValid() && (!host6(a.addr) || a.valid == 0 || a.preferred > a.valid) {
			t.Errorf("%+v", a)
		}
		for _, s := range append(a.search, a.fqdn) {
			if s != "" && !validName(s) {
				t.Errorf("name %q", s)
			}
		}
		for phase := phase6Begin; phase <= phase6Rebinding; phase++ {
			for _, method := range []Method{MethodDHCP6, MethodAuto6, MethodEither6} {
				b := newBench6(t, method)
				b.begin()
				b.linkLocal()
				b.x.phase = phase
				if len(p) >= 4 {
					b.x.xid = uint32(p[1])<<16 | uint32(p[2])<<8 | uint32(p[3])
					b.x.solicited = b.x.xid
				}
				if a.client != nil {
					b.x.client.duid = a.client
				}
				b.x.client.rapid = true
				b.take(b.x.receive(b.now, packet{src: server6, payload: p}))
				b.wait(time.Second)
			}
		}
	})
}

// ntpOption is option 56 with one server's address.
func ntpOption() dhcpv6.Option {
	return &dhcpv6.OptionGeneric{
		OptionCode: dhcpv6.OptionNTPServer,
		OptionData: append([]byte{0, 1, 0, 16}, netip.MustParseAddr("2001:db8::7").AsSlice()...),
	}
}
