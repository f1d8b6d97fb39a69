package netsetup

import (
	"slices"
	"time"
)

// A lease without a way to the root's servers, as far as nodisk knows, is passed over
// while another interface may have one that is better. That is a belief: when none has
// come, one of them is taken all the same, and the boot tries.

// doubt notes that a lease was refused for want of a way.
func (r *runner) doubt(n *nic) {
	n.doubted = true
	if w := n.slot.word(); w.doubted.IsZero() {
		w.doubted = time.Now()
	}
}

// contents is when a word that has got nothing but leases without a way takes one of
// them: the others have as long for carrier and DHCP as those have that the boot can do
// without.
func (r *runner) contents(s *slot) (time.Time, bool) {
	if s.spare || !s.open() || s.doubted.IsZero() || !s.content.IsZero() || s.need.RootPath != nil {
		return time.Time{}, false
	}
	at, last := s.doubted.Add(spareCarrier), s.doubted.Add(spareDHCP)
	for _, n := range r.nics {
		limit := spareCarrier
		if n.protocol != nil && !n.doubted {
			limit = spareDHCP
		}
		if t := n.since.Add(limit); n.slot == s && t.After(at) {
			at = t
		}
	}
	if at.After(last) { // whatever a cable does
		at = last
	}
	return at, true
}

// content has the word take the next lease, whatever it reaches.
func (r *runner) content(s *slot, now time.Time) {
	r.log.Warn(r.waitingFor(s, now) + "; no better one has come: taken all the same")
	s.content = now
	for _, n := range r.sorted() {
		switch {
		case n.slot == nil || n.slot.word() != s || !s.open():
		case n.slot == s:
			r.retry(n)
		case n.slot.state != nil: // it has its address (rd.neednet)
			r.promote(n)
		}
	}
}

// retry asks anew for what has been refused.
func (r *runner) retry(n *nic) {
	if n.doubted {
		n.again, n.doubted, n.refused = time.Now(), false, ""
	}
}

// reconsider asks anew where other words were refused what they need no longer, now
// that there is this lease.
func (r *runner) reconsider(a accepted) {
	for _, n := range r.nics {
		if n.slot == nil || !n.slot.open() || n.slot.have != nil {
			continue
		}
		if slices.ContainsFunc(n.slot.need.Hosts, func(h Host) bool { return r.config.reach(h, a.lease, a.pos, a.dev) > reachNone }) {
			r.retry(n)
		}
	}
}

// have are the leases in use.
func (r *runner) have() []accepted {
	var all []accepted
	for _, s := range r.slots {
		all = append(all, s.have...)
	}
	return all
}

// complete reports whether the word has what it needs, and no other interface can have
// it any better.
func (r *runner) complete(w *slot) bool {
	return w.have != nil && r.config.complete(w.need, r.have())
}
