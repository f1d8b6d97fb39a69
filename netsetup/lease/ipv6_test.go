package lease

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

const testUUID = "4c4c4544-0042-3510-8044-b4c04f4a3732"

// A bench6 runs an IPv6 without a kernel and writes down what it does.
type bench6 struct {
	t     *testing.T
	x     *IPv6
	start time.Time
	now   time.Time
	lines []string
	last  Message
	lease *Lease
	block string
}

func newBench6(t *testing.T, method Method) *bench6 {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := &bench6{t: t, start: now, now: now}
	d := link.Device{Index: 2, Name: "eth0", Type: link.HwEthernet, Addr: macA}
	xid := uint32(0xff000000)
	b.x = &IPv6{
		Pacing: NewPacing(d.Addr), Method: method, View: &link.IPv6State{Dev: "eth0"},
		NewXID:   func() uint32 { xid++; return xid },
		Obstacle: func(bool) string { return b.block },
		Client:   Client6{DUID: NewDUID(testUUID, d), IAID: IAIDOf(d)},
		Static:   &Lease{Addr: netip.MustParsePrefix("2001:db8:1::5/64"), Gateway: netip.MustParseAddr("2001:db8:1::1")},
	}
	return b
}

// take writes an outcome down.
func (b *bench6) take(o Outcome) {
	at := fmt.Sprintf("%.1f ", b.now.Sub(b.start).Seconds())
	for _, m := range o.Send {
		b.last = m
		b.lines = append(b.lines, at+m.What)
	}
	for _, s := range o.Steps {
		b.lines = append(b.lines, at+s.String())
	}
	if o.Note != "" {
		b.lines = append(b.lines, at+"note: "+o.Note)
	}
	if o.Lost {
		b.lines = append(b.lines, at+"lost")
	}
	if o.Lease != nil {
		b.lease = o.Lease
		b.lines = append(b.lines, at+fmt.Sprint("lease ", o.Lease.Kept))
	}
}

func (b *bench6) begin() { b.take(b.x.Start(b.now)) }

// hear has the kernel tell something.
func (b *bench6) hear(e link.News) {
	b.x.View.Take(&e)
	b.take(b.x.Hear(b.now, e))
}

// wait lets time pass.
func (b *bench6) wait(d time.Duration) {
	b.t.Helper()
	end := b.now.Add(d)
	for range 1000 {
		at := b.x.Deadline()
		if at.IsZero() || at.After(end) {
			b.now = end
			return
		}
		if at.After(b.now) {
			b.now = at
		}
		b.take(b.x.Tick(b.now))
	}
	b.t.Fatalf("tick is asked for again and again:\n%s", strings.Join(b.lines, "\n"))
}

// answer sends what a server says to the last message.
func (b *bench6) answer(kind dhcpv6.MessageType, change ...func(m *dhcpv6.Message)) {
	b.t.Helper()
	b.take(b.x.Receive(b.now, Packet{Via: ChannelDHCP6, Src: server6, Payload: b.reply(kind, change...)}))
}

func (b *bench6) reply(kind dhcpv6.MessageType, change ...func(m *dhcpv6.Message)) []byte {
	b.t.Helper()
	return leasetest.Answer6(b.t, b.last.Payload, kind, change...)
}

func (b *bench6) granted() func(m *dhcpv6.Message) {
	return leasetest.With(b.x.Client.IAID, leaseAddr6.Addr(), 100, 160, 200, 300)
}

func names(m *dhcpv6.Message) { m.AddOption(dhcpv6.OptDNS(nameserver6.AsSlice())) }

// linkLocal is the news that the interface can send.
func (b *bench6) linkLocal() { b.hear(link.News{Addr: linkAddr6, Permanent: true}) }

func (b *bench6) want(lines ...string) {
	b.t.Helper()
	if diff := cmp.Diff(lines, b.lines); diff != "" {
		b.t.Errorf("(-want +got):\n%s", diff)
	}
	b.lines = nil
}
