package netsetup

import (
	"fmt"
	"time"
)

// A listener is a protocol that knows whether anybody has answered it.
type listener interface {
	// unanswered reports that it asks, and has heard nothing of use to it yet.
	unanswered() bool
}

var (
	_ listener = (*exchange)(nil)
	_ listener = (*query)(nil)
	_ listener = (*six)(nil)
	_ listener = (*probed)(nil)
)

func (x *exchange) unanswered() bool { return x.phase == phaseSelecting && x.refused == "" }
func (q *query) unanswered() bool    { return q.refused == "" }

func (x *six) unanswered() bool {
	asks := x.phase == phase6Begin || x.phase == phase6Soliciting
	return asks && x.refused == "" && !x.view.router && len(x.view.ready(true)) > 0
}

func (p *probed) unanswered() bool {
	l, ok := p.inner.(listener)
	return ok && p.lease == nil && l.unanswered()
}

// member returns the P_Key of the table by which the port is in the partition. IPoIB
// takes that of a full member if both are there (ib_find_cached_pkey of
// drivers/infiniband/core/cache.c).
func (p portState) member(pkey uint16) (key uint16, ok bool) {
	for _, k := range p.PKeys {
		if k&^fullMember == pkey&^fullMember {
			key, ok = max(key, k), true // the membership bit is the highest
		}
	}
	return key, ok
}

// asks is what the protocol of an interface waits for. Where nobody has answered, and
// the port is a limited member of the partition, that is told: two limited members do
// not hear each other (InfiniBand Architecture Specification volume 1, section 10.9),
// though both join the broadcast group and get carrier. opensm makes ports limited
// members unless its partitions.conf says full.
func (r *runner) asks(n *nic, now time.Time) string {
	text := n.dev.Name + ": " + n.protocol.waiting(now)
	if !r.unanswered(n) {
		return text
	}
	if limited := r.limited(n); limited != "" {
		text += "; " + limited
	}
	d, _ := r.memberPort(n)
	return text + r.silence(d, now)
}

// unanswered reports that nobody has answered the protocol of an interface.
func (r *runner) unanswered(n *nic) bool {
	l, ok := n.protocol.(listener)
	return ok && l.unanswered()
}

// memberPort returns the device that knows the port by which an interface hears others,
// and what that is called.
func (r *runner) memberPort(n *nic) (d Device, who string) {
	d, who = r.portOf(n), "the port"
	if r.config.bond(n.dev.Name) {
		for _, o := range r.sorted() {
			// A bond of InfiniBand has the address of the port that is in use.
			if o.dev.Master == n.dev.Index && o.dev.Addr == n.dev.Addr {
				d, who = r.portOf(o), "its port "+o.dev.Name
			}
		}
	}
	return d, who
}

// limited says that the port of an interface is only a limited member of its
// partition, empty if it is not or that is not known.
func (r *runner) limited(n *nic) string {
	d, who := r.memberPort(n)
	if n.dev.Type != hwInfiniBand || d.Port == 0 {
		return ""
	}
	key, ok := r.port(d).state.member(n.dev.PKey())
	if !ok || key&fullMember != 0 {
		return ""
	}
	return fmt.Sprintf("%s is only a limited member (%#04x): it hears full members only", who, key)
}
