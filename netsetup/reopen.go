package netsetup

import "time"

// reopen has an interface set up again that has gone with its address, when it is
// back: as long as the boot goes by it, it is wanted. Before the boot goes by anything
// another interface of the word will do.
func (r *runner) reopen(n *nic) {
	s, w := n.slot, n.slot.word()
	gone := s.state
	s.state = nil
	for _, of := range []*slot{w, s} { // with rd.neednet a spare has its own
		var kept []accepted
		for _, a := range of.have {
			if a.dev != n.dev.Name || a.lease.six() != n.key.six {
				kept = append(kept, a)
			}
		}
		of.have = kept
	}
	s.sought = time.Now()
	switch {
	case r.main != "":
		s.lost, s.was = gone, n.dev
	case s == w:
		r.succeed(n)
	}
}

// succeed has another interface take the place of one that has gone: one that has an
// address of the same word has it already, else all ask that were let go.
func (r *runner) succeed(gone *nic) {
	w := gone.slot
	var others []*nic
	for _, n := range r.sorted() {
		if n != gone && n.slot != nil && n.slot.word() == w {
			others = append(others, n)
		}
	}
	for _, n := range others {
		if n.slot != w && n.slot.state != nil && n.slot.state.Lease != nil {
			r.promote(n)
			return
		}
	}
	for _, n := range others {
		if n.slot != w && n.slot.open() {
			n.slot.err = errNotNeeded
		}
		n.slot = w
		if n.protocol == nil && n.refused == "" {
			r.rouse(n)
		}
	}
}

// promote makes the address of an interface that of its word.
func (r *runner) promote(n *nic) {
	s, w := n.slot, n.slot.word()
	w.state, w.since = s.state, time.Now()
	if w.have == nil {
		w.have = []accepted{{n.dev.Name, s.pos, *s.state.Lease}}
	}
	s.state, s.have, s.err = nil, nil, errNotNeeded
	n.slot = w
}

// rouse sets an interface up that has been let go: its sockets are closed, and it may
// have been set down.
func (r *runner) rouse(n *nic) {
	n.idle, n.since = false, time.Now()
	n.close()
	n.ready, n.tries, n.retry = false, 0, time.Time{}
	if n.setting {
		return // setUp goes on with it
	}
	// One that is being set down tells of its carrier when it is up again.
	n.carrier = n.down == nil && n.dev.Up && n.dev.Carrier && !r.anonymous(n)
	r.begin(n)
}

// returned is the slot of a word that an interface had which is back, nil if it had none
// or another interface has it.
func (r *runner) returned(w *slot, d Device) *slot {
	for _, s := range r.slots {
		if s.word() == w && s.lost != nil && s.open() && s.was.same(d) {
			return s
		}
	}
	return nil
}
