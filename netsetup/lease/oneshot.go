package lease

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A Oneshot is a protocol of one question and one answer, which nobody has to confirm, renew or
// give back: BOOTP, RARP, or both in parallel, where the first answer counts. They are asked
// again at the intervals of DHCP. A static address is a question whose answer is known.
type Oneshot struct {
	Pacing
	askers    []asker
	known     *Lease
	begun, at time.Time
	asked     bool // waits for an answer
	sent      int
	tries     int // of addresses that were in use
	refused   string
}

// An asker knows the packets of a protocol.
type asker struct {
	via  Channel
	name string
	// asks is how the server knows this node.
	asks link.HardwareAddr
	// server is the only one that is listened to, if it is valid.
	server netip.Addr
	// question is the packet; since is the time since the first.
	question func(since time.Duration) []byte
	// answer reads the reply, nil for a packet that is for somebody else. The
	// error says what is wrong with one that is for us, notes tell what is
	// wrong with parts of it.
	answer func(payload []byte) (l *Lease, notes []string, err error)
}

var (
	_ Protocol = (*Oneshot)(nil)
	_ decliner = (*Oneshot)(nil)
)

// NewFixed is the protocol of a static address.
func NewFixed(l Lease, a link.HardwareAddr) *Oneshot {
	return &Oneshot{Pacing: NewPacing(a), known: &l}
}

// NewOneshot asks by BOOTP, RARP or both, as the method says. InfiniBand has ARP (RFC 4391), but
// not RARP.
func NewOneshot(m Method, c Client, d link.Device, xid uint32) *Oneshot {
	q := &Oneshot{Pacing: NewPacing(c.Addr)}
	if m != MethodRARP {
		q.askers = append(q.askers, newBOOTP(c, d, xid))
	}
	switch {
	case m == MethodBOOTP:
	case d.Type == link.HwEthernet:
		q.askers = append(q.askers, newRARP(d, c))
	case m == MethodRARP:
		q.refused = "RARP is made for Ethernet, which this link is not: write ip=dhcp"
	}
	return q
}

// Channels is the one of what is asked, none for a static address.
func (q *Oneshot) Channels() []Channel {
	var all []Channel
	for i := range q.askers {
		all = append(all, q.askers[i].via)
	}
	return all
}

// Start asks, or has the address already.
func (q *Oneshot) Start(now time.Time) Outcome {
	q.begun, q.sent, q.tries = now, 0, 0
	return q.transmit(now)
}

// transmit asks by each protocol.
func (q *Oneshot) transmit(now time.Time) Outcome {
	var o Outcome
	if q.known != nil {
		q.at = time.Time{}
		o.Lease = q.known
		return o
	}
	q.asked = true
	q.at = now.Add(q.Backoff(q.sent))
	q.sent++
	if len(q.askers) == 0 {
		o.Note = q.refused
	}
	for i := range q.askers {
		a := &q.askers[i]
		o.Send = append(o.Send, Message{Via: a.via, What: a.name + " request", Payload: a.question(now.Sub(q.begun))})
	}
	return o
}

// Receive takes the first answer that fits.
func (q *Oneshot) Receive(_ time.Time, p Packet) Outcome {
	var o Outcome
	for i := range q.askers {
		a := &q.askers[i]
		if p.Via != a.via || !q.asked {
			continue
		}
		l, notes, err := a.answer(p.Payload)
		switch {
		case err != nil:
			q.refused = a.name + " answer of " + p.From.String() + " refused: " + err.Error()
			o.Note = q.refused
		case l != nil:
			q.asked, q.at = false, time.Time{}
			o.Lease, o.Note = l, phrase.Sentence(notes)
		}
	}
	return o
}

// Hear sends the first question again when the queue is certainly open.
func (q *Oneshot) Hear(now time.Time, e link.News) Outcome {
	if !e.Running || !q.asked || q.sent != 1 {
		return Outcome{}
	}
	q.sent = 0
	return q.transmit(now)
}

// Tick asks again.
func (q *Oneshot) Tick(now time.Time) Outcome {
	if q.at.IsZero() || now.Before(q.at) {
		return Outcome{}
	}
	return q.transmit(now)
}

// decline tries again later. There is no message for it: the next answer is the
// same until somebody acts.
func (q *Oneshot) decline(now time.Time, a netip.Addr, holder link.HardwareAddr) Outcome {
	whose := "the client address of ip= here"
	if q.known == nil {
		whose = "the server's entry for this node"
	}
	q.refused = a.String() + " is in use by " + holder.String() + ": check " + whose + ", and that machine; trying " +
		"again until it is free"
	q.sent = 0
	q.at = now.Add(q.Backoff(q.tries))
	q.tries++
	return Outcome{Note: q.refused}
}

// Deadline is when to ask again.
func (q *Oneshot) Deadline() time.Time { return q.at }

// Waiting says what is waited for.
func (q *Oneshot) Waiting(now time.Time) string {
	if q.refused != "" {
		return q.refused
	}
	text := ""
	for i := range q.askers {
		a := &q.askers[i]
		who := "a " + a.name + " server"
		if a.server.IsValid() {
			who = "the " + a.name + " server " + a.server.String() + " of ip="
		}
		text = phrase.Sentences(
			text,
			fmt.Sprintf(
				"no %s answer after %s (carrier up): check that %s serves this network and knows %s",
				a.name,
				phrase.Seconds(now.Sub(q.begun)),
				who,
				a.asks,
			),
		)
	}
	return text
}

// Release does nothing: no server holds anything for this node.
func (q *Oneshot) Release() []Message { return nil }
