package netsetup

import (
	"fmt"
	"net/netip"
	"time"
)

// A query is a protocol of one question and one answer, which nobody has to
// confirm, prolong or give back: BOOTP, RARP, or both side by side, of which
// the first answer counts. They are asked again in the times of DHCP. A static
// address is a query whose answer is known.
type query struct {
	pacing
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
	via  channel
	name string
	// asks is how the server knows this node.
	asks HardwareAddr
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
	_ protocol = (*query)(nil)
	_ decliner = (*query)(nil)
)

// newFixed is the protocol of a static address.
func newFixed(l Lease, a HardwareAddr) *query {
	return &query{pacing: newPacing(a), known: &l}
}

// newQuery asks by BOOTP, RARP or both, as the method says. InfiniBand has ARP
// (RFC 4391), but no RARP.
func newQuery(m Method, c client, d Device, xid uint32) *query {
	q := &query{pacing: newPacing(c.addr)}
	if m != MethodRARP {
		q.askers = append(q.askers, newBOOTP(c, d, xid))
	}
	switch {
	case m == MethodBOOTP:
	case d.Type == hwEthernet:
		q.askers = append(q.askers, newRARP(d, c))
	case m == MethodRARP:
		q.refused = "RARP is made for Ethernet, which this link is not: write ip=dhcp"
	}
	return q
}

func (q *query) channels() []channel {
	var all []channel
	for i := range q.askers {
		all = append(all, q.askers[i].via)
	}
	return all
}

func (q *query) start(now time.Time) outcome {
	q.begun, q.sent, q.tries = now, 0, 0
	return q.transmit(now)
}

// transmit asks by each protocol.
func (q *query) transmit(now time.Time) outcome {
	var o outcome
	if q.known != nil {
		q.at = time.Time{}
		o.lease = q.known
		return o
	}
	q.asked = true
	q.at = now.Add(q.backoff(q.sent))
	q.sent++
	if len(q.askers) == 0 {
		o.note = q.refused
	}
	for i := range q.askers {
		a := &q.askers[i]
		o.send = append(o.send, message{via: a.via, what: a.name + " request", payload: a.question(now.Sub(q.begun))})
	}
	return o
}

func (q *query) receive(_ time.Time, p packet) outcome {
	var o outcome
	for i := range q.askers {
		a := &q.askers[i]
		if p.via != a.via || !q.asked {
			continue
		}
		l, notes, err := a.answer(p.payload)
		switch {
		case err != nil:
			q.refused = a.name + " answer of " + p.from.String() + " refused: " + err.Error()
			o.note = q.refused
		case l != nil:
			q.asked, q.at = false, time.Time{}
			o.lease, o.note = l, sentence(notes)
		}
	}
	return o
}

// hear sends the first question again when the queue is surely open.
func (q *query) hear(now time.Time, e news) outcome {
	if !e.running || !q.asked || q.sent != 1 {
		return outcome{}
	}
	q.sent = 0
	return q.transmit(now)
}

func (q *query) tick(now time.Time) outcome {
	if q.at.IsZero() || now.Before(q.at) {
		return outcome{}
	}
	return q.transmit(now)
}

// decline tries again later. There is no message for it: the next answer is the
// same until somebody acts.
func (q *query) decline(now time.Time, a netip.Addr, holder HardwareAddr) outcome {
	whose := "the client address of ip= here"
	if q.known == nil {
		whose = "the server's entry for this node"
	}
	q.refused = a.String() + " is in use by " + holder.String() + ": check " + whose + ", and that machine; trying again until it is free"
	q.sent = 0
	q.at = now.Add(q.backoff(q.tries))
	q.tries++
	return outcome{note: q.refused}
}

func (q *query) deadline() time.Time { return q.at }

func (q *query) waiting(now time.Time) string {
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
		text = sentences(text, fmt.Sprintf("no %s answer after %s (carrier up): check that %s serves this network and knows %s", a.name, seconds(now.Sub(q.begun)), who, a.asks))
	}
	return text
}

func (q *query) release() []message { return nil }
