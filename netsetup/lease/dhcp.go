package lease

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/link"
)

// The times of the exchange. RFC 2131 section 4.1 proposes 4 s before the first retransmission,
// doubled up to 64 s, each plus or minus 1 s, and section 4.4.1 a random wait before the first
// DISCOVER. nodisk is faster at both ends:
//
//   - The first DISCOVER leaves at once. Nodes that are switched on together
//     have drifted apart by seconds in firmware and loader.
//   - The first retransmission comes after about 1 s, because the port that has
//     just come up is the one that loses the first packet, and a whole boot
//     takes about a second.
//   - The interval stays at 8 s: a server that comes late, or a spanning tree
//     port that forwards after 30 s, is noticed soon, and 500 nodes still make
//     only some 60 packets a second.
//
// Each interval is spread by a quarter either way, by a generator seeded with the hardware
// address: nodes differ, and a node does the same each time.
const (
	FirstRetransmit = time.Second
	MaxRetransmit   = 8 * time.Second
	// maxRequests bounds the REQUESTs for one offer; section 4.4.3 has four.
	MaxRequests = 4
)

// A phase is where an exchange is, by the names of RFC 2131 figure 5.
type phase int

// A client's states (RFC 2131 section 4.4, figure 5).
const (
	phaseInit       phase = iota + 1 // waits for its time to (re)start
	phaseSelecting                   // DISCOVER sent
	phaseRequesting                  // REQUEST sent
	phaseBound
	phaseRenewing  // asks the server that gave the lease
	phaseRebinding // asks any server
)

// A Client is what a DHCP server is told about this node.
type Client struct {
	Addr link.HardwareAddr // of the interface
	// Identities are used in parallel, each in a transaction of its own; the first that is
	// offered an address is kept.
	Identities []Identity
	// Broadcast asks for answers by broadcast. RFC 4390 section 2.2 demands
	// it, because the server does not know an IPoIB address to send to.
	Broadcast bool
	// Rapid asks the server to answer the DISCOVER with the lease (RFC 4039). Not where several
	// DISCOVERs are sent, each of which would be given one.
	Rapid    bool
	Vendor   string // option 60
	User     string // option 77
	Hostname string // option 12
	// Server is that of ip=; with RARP no other is listened to.
	Server netip.Addr
	Expected
	// Judge says what is wrong with a lease for this boot; nil: nothing is.
	Judge func(Lease) error
	// Taken reports whether another interface of this node has the address, or is
	// the same client to the server; nil: none is.
	Taken func(Lease, Identity) bool
}

// An Exchange gets one lease by DHCP, and renews it.
type Exchange struct {
	Pacing
	client Client
	newXID func() uint32

	phase phase
	// xid is the transaction of the first identity; that of the next is higher by one, and so on.
	xid    uint32
	chosen int // the identity of the offer
	begun  time.Time
	// secs is the time since then that the last DISCOVER gave. A REQUEST gives the same (RFC 2131
	// section 3.1 step 3): a relay that decides by it thus sends both to the same servers.
	secs time.Duration
	// at is when Tick is to be called next.
	at   time.Time
	sent int // messages of the current phase, for back-off
	naks int

	offer *dhcpv4.DHCPv4
	// next is who sent the offer or the lease, on the link.
	next link.HardwareAddr
	// shunned is the server that offered an address and then did not confirm it: another server's
	// offer is better. spare is what it offers again, for when there is no other.
	shunned   netip.Addr
	spare     *dhcpv4.DHCPv4
	spareOf   int // identity
	spareFrom link.HardwareAddr
	// Of the lease: when to ask for more, and when it ends.
	renew, rebind, expire time.Time
	// For the person at the console.
	discovers, requests int
	server              netip.Addr
	refused             string
}

var (
	_ Protocol = (*Exchange)(nil)
	_ decliner = (*Exchange)(nil)
)

// NewExchange asks for an address as one client.
func NewExchange(c Client, newXID func() uint32) *Exchange {
	return &Exchange{Pacing: NewPacing(c.Addr), client: c, newXID: newXID}
}

// Channels is DHCP alone.
func (x *Exchange) Channels() []Channel { return []Channel{ChannelDHCP} }

// Start begins again, with a DISCOVER at once.
func (x *Exchange) Start(now time.Time) Outcome {
	x.begun = now
	x.discovers, x.requests, x.naks = 0, 0, 0
	x.refused = ""
	return x.discover(now)
}

// discover sends the first DISCOVER of a transaction.
func (x *Exchange) discover(now time.Time) Outcome {
	x.phase = phaseSelecting
	x.xid = x.newXID()
	x.offer, x.spare = nil, nil
	x.server = netip.Addr{}
	x.sent = 0
	return x.transmit(now)
}

// transmit sends the message of the phase and sets the time of the next.
func (x *Exchange) transmit(now time.Time) Outcome {
	x.at = now.Add(x.Backoff(x.sent))
	x.sent++
	switch x.phase {
	case phaseRequesting:
		x.requests++
		return broadcastOf(x.client.request(x.chosen, x.transaction(), x.secs, x.offer))
	case phaseRenewing, phaseRebinding:
		return x.ask(now)
	default:
		x.discovers++
		x.secs = now.Sub(x.begun)
		var o Outcome
		for i := range x.client.Identities {
			o = o.and(broadcastOf(x.client.discover(i, x.xid+uint32(i), x.secs)))
		}
		return o
	}
}

func broadcastOf(m *dhcpv4.DHCPv4) Outcome {
	return Outcome{Send: []Message{{Via: ChannelDHCP, What: m.MessageType().String(), Payload: m.ToBytes()}}}
}

// transaction is that of the chosen identity.
func (x *Exchange) transaction() uint32 { return x.xid + uint32(x.chosen) }

// Deadline is when the next message is due, or the lease ends.
func (x *Exchange) Deadline() time.Time { return x.at }

// Tick is called when the deadline has come.
func (x *Exchange) Tick(now time.Time) Outcome {
	switch {
	case x.phase == 0 || x.at.IsZero() || now.Before(x.at):
		return Outcome{}
	case x.phase == phaseInit:
		return x.discover(now)
	case x.phase >= phaseBound:
		return x.prolong(now)
	case x.phase == phaseSelecting && x.spare != nil && !x.spareTaken():
		return x.take(now, x.spareOf, x.spare, x.spareFrom)
	case x.phase == phaseRequesting && x.sent >= MaxRequests:
		x.shunned = x.server
		note := fmt.Sprintf(
			"%s offered an address and does not confirm it (%s sent), asking again",
			x.server,
			phrase.Count(x.sent, "REQUEST"),
		)
		o := x.discover(now)
		o.Note = note
		return o
	default:
		return x.transmit(now)
	}
}

// Hear sends the first DISCOVER again when the queue is certainly open, if it has not been
// answered: it may have been lost on our own side.
func (x *Exchange) Hear(now time.Time, e link.News) Outcome {
	if !e.Running || x.sent != 1 || x.phase != phaseSelecting {
		return Outcome{}
	}
	return x.transmit(now)
}

// Receive takes a DHCP message.
func (x *Exchange) Receive(now time.Time, p Packet) Outcome {
	which := x.chosen
	if x.phase == phaseSelecting {
		which = x.addressee(p.Payload)
	}
	if which >= len(x.client.Identities) {
		return Outcome{} // nobody has asked
	}
	m, err := parseReply(p.Payload, x.client.Identities[which], x.xid+uint32(which))
	switch {
	case m == nil && err == nil:
		return Outcome{} // for someone else
	case err != nil:
		return x.refuse("%v", err)
	}
	server := serverOf(m)
	asked := x.phase == phaseRequesting || x.phase == phaseRenewing || x.phase == phaseRebinding
	// A NAK or ACK names its server (RFC 2131 table 3); one of another server is not for this
	// request.
	if asked && x.phase != phaseRebinding && server.IsValid() && server != x.server {
		return Outcome{}
	}
	switch t := m.MessageType(); {
	case x.phase == phaseSelecting && t == dhcpv4.MessageTypeOffer:
		l, _, err := parseLease(m, x.client.Expected)
		if err != nil {
			return x.refuse("offer of %s refused: %v", sender(server, m), err)
		}
		if err := x.client.judged(l); err != nil {
			return x.refuse("%v", err)
		}
		// What another interface seems to have is asked for once that has not got it after all:
		// by then this would no longer be an answer.
		if server == x.shunned || x.client.elsewhere(l, which) {
			x.spare, x.spareOf, x.spareFrom = m, which, p.From
			if server != x.shunned {
				x.refused = fmt.Sprintf(
					"%s offers %s, but another interface of this node has that address, or is the same client",
					sender(server, m),
					l.Addr,
				)
			}
			return Outcome{}
		}
		return x.take(now, which, m, p.From)
	case asked && t == dhcpv4.MessageTypeNak:
		return x.nak(now, m)
	case asked && t == dhcpv4.MessageTypeAck,
		x.phase == phaseSelecting && t == dhcpv4.MessageTypeAck && x.client.Rapid &&
			m.Options.Has(dhcpv4.OptionRapidCommit):
		return x.acknowledged(now, which, m, p.From)
	case x.phase == phaseBound && t == dhcpv4.MessageTypeAck && m.Options.Has(dhcpv4.OptionRapidCommit):
		return x.spurn(server, m, p.From)
	}
	return Outcome{}
}

// take asks for the address of an offer.
func (x *Exchange) take(now time.Time, which int, offer *dhcpv4.DHCPv4, from link.HardwareAddr) Outcome {
	x.phase = phaseRequesting
	x.chosen, x.offer, x.next = which, offer, from
	x.server = serverOf(offer)
	x.sent = 0
	o := x.transmit(now)
	o.offer, _ = netip.AddrFromSlice(offer.YourIPAddr.To4())
	return o
}

// acknowledged takes the lease of an ACK.
func (x *Exchange) acknowledged(now time.Time, which int, m *dhcpv4.DHCPv4, from link.HardwareAddr) Outcome {
	l, notes, err := parseLease(m, x.client.Expected)
	held := x.phase == phaseRenewing || x.phase == phaseRebinding
	if err == nil && !held {
		err = x.client.judged(l)
	}
	switch {
	case err != nil && x.phase == phaseSelecting:
		o := x.refuse("lease of %s refused: %v", sender(l.Server, m), err)
		if l.Addr.IsValid() {
			o = o.and(x.spurn(l.Server, m, from))
		}
		return o
	case err != nil && held:
		return Outcome{} // asked again, as if it were lost
	case err != nil:
		x.shunned = x.server
		o := x.refuse("acknowledgement of %s refused: %v", sender(serverOf(m), m), err)
		x.wait(now)
		return o
	}
	x.phase = phaseBound
	x.chosen, x.offer, x.server, x.next = which, m, l.Server, from
	x.hold(now, l)
	if held {
		return Outcome{}
	}
	o := Outcome{Lease: &l, Note: phrase.Sentence(notes)}
	if who := x.client.Identities[x.chosen]; len(x.client.Identities) > 1 {
		o.Told = "the DHCP server knows client-id " + who.String()
	}
	return o
}

// addressee finds by the transaction which identity a message is for; the first if it is for
// none.
func (x *Exchange) addressee(raw []byte) int {
	if len(raw) < offsetXID+4 {
		return 0
	}
	if i := binary.BigEndian.Uint32(raw[offsetXID:]) - x.xid; i < uint32(len(x.client.Identities)) {
		return int(i)
	}
	return 0
}

// sender names who sent a message that may not say so itself.
func sender(server netip.Addr, m *dhcpv4.DHCPv4) string {
	if server.IsValid() {
		return server.String()
	}
	if a, _ := netip.AddrFromSlice(m.ServerIPAddr.To4()); a.IsValid() && !a.IsUnspecified() {
		return a.String()
	}
	return "an unnamed server"
}

func (x *Exchange) refuse(format string, args ...any) Outcome {
	x.refused = fmt.Sprintf(format, args...)
	return Outcome{Note: x.refused}
}

// nak restarts: at once the first time, after a wait when it happens again, so
// that a server which always refuses is not asked a thousand times a second.
func (x *Exchange) nak(now time.Time, m *dhcpv4.DHCPv4) Outcome {
	why := ""
	if s := optionText(m, dhcpv4.OptionMessage); s != "" && phrase.Printable(s) {
		why = ": " + phrase.Clip(s)
	}
	what := "refused its own offer"
	held := x.phase != phaseRequesting
	if held {
		what = "does not renew the lease"
	}
	x.shunned = x.server
	o := x.refuse("%s %s (NAK)%s", sender(x.server, m), what, why)
	o.Lost = held
	return x.again(now, o)
}

// again begins again after a refusal: at once the first time, later after a wait.
func (x *Exchange) again(now time.Time, o Outcome) Outcome {
	if x.naks > 0 {
		x.wait(now)
		return o
	}
	x.naks++
	return o.and(x.discover(now))
}

// wait leaves the transaction and starts a new one later.
func (x *Exchange) wait(now time.Time) {
	x.phase = phaseInit
	x.at = now.Add(x.Backoff(x.naks))
	x.naks++
}

// waitDecline is how long a client is to wait after a DECLINE (RFC 2131 section
// 3.1 step 5), so that a loop does little harm.
const waitDecline = 10 * time.Second

// decline refuses a lease whose address somebody uses (RFC 2131 section 4.4.4).
// The next DISCOVER leaves at once, as with a NAK: the server takes the address
// out of use, and a node must not wait 10 s for another node's mistake. If
// that happens again, it does wait.
func (x *Exchange) decline(now time.Time, a netip.Addr, holder link.HardwareAddr) Outcome {
	if x.offer == nil || x.phase < phaseRequesting {
		return Outcome{}
	}
	again := x.naks > 0
	hint := ""
	if again {
		hint = "; if something on this link answers for every address, write nodisk.arp-probe=0"
	}
	o := x.refuse("%s leased %s, which %s uses already: declined%s", x.server, a, holder, hint)
	o.Send = broadcastOf(x.client.decline(x.chosen, x.newXID(), x.offer)).Send
	o = x.again(now, o)
	if again {
		x.at = now.Add(waitDecline)
	}
	return o
}

// Waiting says what the exchange waits for.
func (x *Exchange) Waiting(now time.Time) string {
	after := phrase.Seconds(now.Sub(x.begun))
	switch {
	case x.phase == phaseRequesting:
		text := fmt.Sprintf(
			"%s offered %s but has not confirmed it after %s (%s sent)",
			x.server,
			x.offer.YourIPAddr,
			after,
			phrase.Count(x.requests, "REQUEST"),
		)
		if others := len(x.client.Identities) - 1; others > 0 {
			text += fmt.Sprintf(
				": it may still be looking for free addresses for %d other client-ids (dnsmasq pings each for 3 s "+
					"without no-ping): write nodisk.dhcp.clientid=%s",
				others,
				x.client.Identities[x.chosen].form,
			)
		}
		return text
	case x.refused != "":
		return fmt.Sprintf(
			"no DHCP lease after %s (%s sent, carrier up): %s",
			after,
			phrase.Count(x.discovers, "DISCOVER"),
			x.refused,
		)
	default:
		return fmt.Sprintf(
			"no DHCP answer after %s (%s sent, carrier up): check that a DHCP server serves this network, %s",
			after,
			phrase.Count(x.discovers, "DISCOVER"),
			x.client.check(),
		)
	}
}

// check says what else to look at when no server answers.
func (c Client) check() string {
	if !c.Broadcast {
		return "its pool, and the VLAN of the switch port"
	}
	var forms []string
	for _, d := range c.Identities {
		forms = append(forms, d.String())
	}
	return "takes clients without a hardware address (RFC 4390), and knows this one: asked as " + strings.Join(
		forms,
		", ",
	)
}

var (
	_ Holder = (*Exchange)(nil)
	_ Holder = (*ACD)(nil)
)

var (
	_ Listener = (*Exchange)(nil)
	_ Listener = (*Oneshot)(nil)
	_ Listener = (*IPv6)(nil)
	_ Listener = (*ACD)(nil)
)
