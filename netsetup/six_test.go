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
	return replyTo(b.t, b.last.payload, kind, change...)
}

func replyTo(t *testing.T, payload []byte, kind dhcpv6.MessageType, change ...func(m *dhcpv6.Message)) []byte {
	t.Helper()
	asked, err := dhcpv6.MessageFromBytes(payload)
	if err != nil {
		t.Error(err)
		return nil
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
func with(iaid uint32, addr netip.Addr, t1, t2, preferred, valid int) func(m *dhcpv6.Message) {
	return func(m *dhcpv6.Message) {
		s := func(n int) time.Duration { return time.Duration(n) * time.Second }
		ia := &dhcpv6.OptIANA{T1: s(t1), T2: s(t2)}
		ia.IaId = [4]byte{byte(iaid >> 24), byte(iaid >> 16), byte(iaid >> 8), byte(iaid)}
		if addr.IsValid() {
			ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: addr.AsSlice(), PreferredLifetime: s(preferred), ValidLifetime: s(valid)})
		}
		m.AddOption(ia)
	}
}

func (b *bench6) granted() func(m *dhcpv6.Message) {
	return with(b.x.client.iaid, leaseAddr6.Addr(), 100, 160, 200, 300)
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
