package bringup

import (
	"slices"
	"time"

	"github.com/nodisk/nodisk/netsetup"
)

// A lease without a route to the root's servers, as far as nodisk knows, is passed over while
// another interface may have a better one. This is a guess: when none has come, one of them is
// taken all the same, and the boot tries.

// doubt notes that a lease was refused for want of a route.
func (r *runner) doubt(n *attachment) {
	n.doubted = true
	if owner := n.job.owner(); owner.doubted.IsZero() {
		owner.doubted = time.Now()
	}
}

// contents returns when an argument that has got only leases without a route takes one of them:
// its other interfaces have as long for carrier and DHCP as any that the boot can do without.
func (r *runner) contents(j *job) (time.Time, bool) {
	if j.spare || !j.open() || j.doubted.IsZero() || !j.content.IsZero() || j.need.RootPath != nil {
		return time.Time{}, false
	}
	at, last := j.doubted.Add(spareCarrier), j.doubted.Add(spareDHCP)
	for _, n := range r.attachments {
		limit := spareCarrier
		if n.protocol != nil && !n.doubted {
			limit = spareDHCP
		}
		if t := n.since.Add(limit); n.job == j && t.After(at) {
			at = t
		}
	}
	if at.After(last) { // whatever a cable does
		at = last
	}
	return at, true
}

// content makes the argument take the next lease, whatever it reaches.
func (r *runner) content(j *job, now time.Time) {
	r.log.Warn(r.waitingFor(j, now) + "; no better one has come: taken all the same")
	j.content = now
	for _, n := range r.sorted() {
		switch {
		case n.job == nil || n.job.owner() != j || !j.open():
		case n.job == j:
			r.retry(n)
		case n.job.state != nil: // it has its address (rd.neednet)
			r.promote(n)
		}
	}
}

// retry asks again for what has been refused.
func (r *runner) retry(n *attachment) {
	if n.doubted {
		n.again, n.doubted, n.refused = time.Now(), false, ""
	}
}

// reconsider asks again where other arguments were refused what is no longer required of them,
// now that there is this lease.
func (r *runner) reconsider(a netsetup.Accepted) {
	for _, n := range r.attachments {
		if n.job == nil || !n.job.open() || n.job.have != nil {
			continue
		}
		if slices.ContainsFunc(
			n.job.need.Hosts,
			func(h netsetup.Host) bool { return r.config.Reach(h, a.Lease, a.Pos, a.Dev) > netsetup.ReachNone },
		) {
			r.retry(n)
		}
	}
}

// have are the leases in use.
func (r *runner) have() []netsetup.Accepted {
	var all []netsetup.Accepted
	for _, j := range r.jobs {
		all = append(all, j.have...)
	}
	return all
}

// complete reports whether the argument has what it needs, and no other interface can have it any
// better.
func (r *runner) complete(owner *job) bool {
	return owner.have != nil && r.config.Complete(owner.need, r.have())
}
