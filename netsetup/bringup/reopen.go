package bringup

import (
	"fmt"
	"time"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/lease/arp"
	"github.com/nodisk/nodisk/netsetup/link"
)

// reopen sets an interface that has gone with its address up again when it is back: as long as
// the boot uses it, it is wanted. Before that, another interface of the argument will do.
func (r *runner) reopen(n *attachment) {
	j, owner := n.job, n.job.owner()
	gone := j.state
	j.state = nil
	for _, of := range []*job{owner, j} { // with rd.neednet a spare has its own
		var kept []netsetup.Accepted
		for _, a := range of.have {
			if a.Dev != n.dev.Name || a.Lease.IPv6() != n.key.ipv6 {
				kept = append(kept, a)
			}
		}
		of.have = kept
	}
	j.sought = time.Now()
	switch {
	case r.main != "":
		j.lost, j.was = gone, n.dev
	case j == owner:
		r.succeed(n)
	}
}

// succeed has another interface take the place of one that has gone: one that already has an
// address for the same argument, or else all those ask that were let go.
func (r *runner) succeed(gone *attachment) {
	owner := gone.job
	var others []*attachment
	for _, n := range r.sorted() {
		if n != gone && n.job != nil && n.job.owner() == owner {
			others = append(others, n)
		}
	}
	for _, n := range others {
		if n.job != owner && n.job.state != nil && n.job.state.Lease != nil {
			r.promote(n)
			return
		}
	}
	for _, n := range others {
		if n.job != owner && n.job.open() {
			n.job.err = errNotNeeded
		}
		n.job = owner
		if n.protocol == nil && n.refused == "" {
			r.rouse(n)
		}
	}
}

// promote makes the address of an interface that of its argument.
func (r *runner) promote(n *attachment) {
	j, owner := n.job, n.job.owner()
	owner.state, owner.since = j.state, time.Now()
	if owner.have == nil {
		owner.have = []netsetup.Accepted{{Dev: n.dev.Name, Pos: j.pos, Lease: *j.state.Lease}}
	}
	j.state, j.have, j.err = nil, nil, errNotNeeded
	n.job = owner
}

// rouse sets an interface up that has been let go: its sockets are closed, and it may have been
// set down.
func (r *runner) rouse(n *attachment) {
	n.idle, n.since = false, time.Now()
	n.close()
	n.ready, n.tries, n.retry = false, 0, time.Time{}
	if n.setting {
		return // setUp continues
	}
	// One that is being set down reports its carrier when it is up again.
	n.carrier = n.down == nil && n.dev.Up && n.dev.Carrier && !r.anonymous(n)
	r.begin(n)
}

// returned is the job of an argument whose interface is back; nil if that had none or another
// interface has it.
func (r *runner) returned(owner *job, d link.Device) *job {
	for _, j := range r.jobs {
		if j.owner() == owner && j.lost != nil && j.open() && j.was.Same(d) {
			return j
		}
	}
	return nil
}

// keeps reports whether the interface has its address and looks after it: a lease is renewed, and
// others that use the address are noticed.
func (n *attachment) keeps() bool { return n.job != nil && n.job.state != nil && n.protocol != nil }

// rewire opens the sockets of an interface again that has its address: messages to its previous
// broadcast address no longer reach anybody. It gets another one when the subnet manager has
// changed the P_Key at index 0 of a port (update_parent_pkey of
// drivers/infiniband/ulp/ipoib/ipoib_ib.c), or when a bond without ports has got one of another
// type. The old ones serve until the new ones are there: a server is asked for more time by its
// address.
func (r *runner) rewire(n *attachment) {
	n.stale = true
	if n.rewiring {
		return // rewired sees that it is of no use
	}
	n.rewiring = true
	dev, channels := n.dev, n.protocol.Channels()
	r.wg.Go(func() {
		s := setup{key: n.key, broadcast: dev.Broadcast, rewired: true, wires: map[lease.Channel]wire{}}
		s.open(r.sys, dev, channels)
		select {
		case r.setups <- s:
		case <-r.ctx.Done():
			s.close()
		}
	})
}

// rewired takes the result of rewire.
func (r *runner) rewired(n *attachment, s setup) {
	n.rewiring = false
	switch {
	case !n.keeps():
		s.close()
	case s.broadcast != n.dev.Broadcast:
		s.close()
		r.rewire(n)
	case s.err != nil:
		r.tellUnable(fmt.Sprintf("keep the address of %s: %v; trying again", n.dev.Name, s.err))
		n.again = time.Now().Add(lease.MaxRetransmit) // start does it
	default:
		n.stale = false
		n.close()
		r.wire(n, s)
	}
}

// move updates the device in the packets of ARP: a bond of InfiniBand has the address of the port
// that is in use, and one whose port has gone may be of another type with the next.
func (n *attachment) move() {
	p, ok := n.protocol.(*lease.ACD)
	if !ok {
		return
	}
	d := n.dev
	if a := n.job.NewAddr; a != "" {
		d.Addr = a
	}
	if len(d.Addr) == arp.AddrLen(d.Type) {
		p.Dev = d
	}
}
