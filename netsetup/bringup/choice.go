package bringup

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// promiseTime is how long Up waits for an interface that has been offered what the boot can use,
// when another serves already.
const promiseTime = time.Second

var errNotNeeded = errors.New("another interface has what the boot needs")

// owner is the job of the ip= argument that a spare belongs to.
func (j *job) owner() *job {
	if j.of != nil {
		return j.of
	}
	return j
}

// unfit says why a lease is of no use to the boot, "" if it is of use.
func (r *runner) unfit(n *attachment, l lease.Lease) string {
	owner := n.job.owner()
	if n.won || owner.have == nil && !owner.content.IsZero() && owner.need.RootPath == nil {
		return ""
	}
	why := r.config.Unfit(
		owner.need,
		owner.have == nil,
		r.have(),
		netsetup.Accepted{Dev: n.dev.Name, Pos: n.job.pos, Lease: n.job.Override(l)},
	)
	if why != "" && owner.open() && owner.need.RootPath == nil {
		r.doubt(n)
	}
	if why != "" && owner.open() && r.only(n) {
		why += owner.need.Remedy(l)
	}
	return why
}

// judge returns the check of a DHCP server's offer, made before the lease is requested.
func (r *runner) judge(n *attachment) func(lease.Lease) error {
	return func(l lease.Lease) error {
		if r.all(n.job) {
			return nil // wanted in any case
		}
		why := r.unfit(n, l)
		if why == "" {
			return nil
		}
		n.idle = !n.job.owner().open()
		return errors.New(why)
	}
}

// refuses looks at the outcome of a protocol, and removes a lease that is of no use from it. It
// reports whether the interface is no longer needed.
func (r *runner) refuses(n *attachment, o *lease.Outcome) bool {
	owner := n.job.owner()
	why := ""
	if o.Lease != nil && n.job.open() {
		why = r.unfit(n, *o.Lease)
	}
	switch {
	case r.all(owner) && why != "" && owner.open():
		owner.refused = append(owner.refused, n.dev.Name+": "+why)
		o.Note = phrase.Sentences(o.Note, why)
		n.job = r.spare(n, owner)
	case r.all(owner):
	case n.idle || why != "" && !owner.open():
		n.idle = false
		r.leave(n, true)
		return true
	case why != "":
		r.giveUp(n)
		pace := lease.NewPacing(n.dev.Lasting())
		n.refused, n.again = why, time.Now().Add(pace.Backoff(lease.MaxRequests))
		n.protocol = nil
		*o = lease.Outcome{Note: phrase.Sentences(o.Note, why), Steps: o.Steps}
	}
	return false
}

// accept keeps the lease of an interface, and decides about the others of its argument.
func (r *runner) accept(n *attachment, l lease.Lease) {
	owner := n.job.owner()
	n.won, n.refused = true, ""
	a := netsetup.Accepted{Dev: n.dev.Name, Pos: n.job.pos, Lease: l}
	if n.job.spare && r.all(owner) {
		n.job.have = append(n.job.have, a)
		return // it has an address of its own, and decides nothing
	}
	if owner.have == nil {
		owner.since = time.Now()
	}
	owner.have = append(owner.have, a)
	r.learn(n)
	r.drop(owner)
	r.reconsider(a)
	r.askAgain(owner)
}

// drop lets the other interfaces of an argument go: leases are given back, and what nodisk set up
// is set down. With rd.neednet they go on for addresses of their own, and so do those that may
// reach a host better. Sockets close; the winner's remain, to renew its lease.
func (r *runner) drop(owner *job) {
	for _, n := range r.sorted() {
		if n.job == nil || n.job.owner() != owner || n.won {
			continue
		}
		if n.job == owner && owner.lost != nil && owner.err == nil {
			continue // the boot uses it, whatever else another interface has got
		}
		goesOn := r.all(owner) || !r.complete(owner)
		switch {
		case owner.err != nil:
			r.leave(n, false)
		case !goesOn:
			r.leave(n, true)
		case n.job == owner:
			n.job = r.spare(n, owner)
		}
	}
}

// giveUp gives back a lease of the interface that is not used, with the address that it may have
// been given to be checked.
func (r *runner) giveUp(n *attachment) {
	r.release(n)
	for _, a := range slices.Clone(r.made.Addrs) {
		if a.Dev != n.dev.Name || a.Addr.Addr().Is6() != n.key.ipv6 {
			continue
		}
		if err := r.apply(link.AddrDel(a)); err != nil {
			r.log.Warn(fmt.Sprintf("%s: %v", link.AddrDel(a), err))
		}
	}
}

// leave lets an interface go.
func (r *runner) leave(n *attachment, down bool) {
	r.giveUp(n)
	n.protocol, n.again = nil, time.Time{}
	n.close()
	if n.job.spare && n.job.open() {
		n.job.err = errNotNeeded
	}
	if down {
		r.setDown(n)
	}
}

// leaveSpares ends the search for better routes.
func (r *runner) leaveSpares() {
	for _, n := range r.attachments {
		if n.job != nil && n.job.spare && n.job.open() && !r.all(n.job) {
			// What an argument of the command line is about stays up, as it does where it has
			// failed: it was asked for, and others may be using it without the kernel saying so.
			r.leave(n, !n.job.beside())
		}
	}
}

// promised reports whether an interface is about to get a lease that its argument, which has one
// already, can use as well; and until when to wait for it.
func (r *runner) promised(owner *job, now time.Time) (time.Time, bool) {
	if until, seeks := r.seeksWay(owner, now); seeks {
		return until, true
	}
	until := owner.since.Add(promiseTime)
	if owner.have == nil || r.all(owner) || !now.Before(until) {
		return until, false
	}
	for _, n := range r.attachments {
		if n.job == nil || n.job.owner() != owner || !n.job.open() {
			continue
		}
		if a, _, _ := n.Holds(); a.IsValid() {
			return until, true
		}
	}
	return until, false
}

// setDown takes down an interface that nodisk set up and nobody needs. The kernel waits some
// milliseconds for each, so it is done in the background.
func (r *runner) setDown(n *attachment) {
	if n.job == nil || n.job.owner().Named() || n.wasUp || n.below || !n.ready || r.all(n.job) {
		return
	}
	for _, o := range r.attachments {
		if o != n && o.key.index == n.key.index && o.job != nil && (o.wanted() || o.won || o.protocol != nil) {
			return // the other family needs it
		}
		if o.dev.Parent == n.key.index {
			return // somebody has made another interface of it
		}
	}
	n.ready = false
	r.before.Links = slices.DeleteFunc(
		slices.Clone(r.before.Links),
		func(name string) bool { return name == n.dev.Name },
	)
	step, done := link.Down{Dev: n.dev.Name}, make(chan struct{})
	n.down = done
	r.wg.Go(func() {
		defer close(done)
		if err := step.Apply(r.sys); err != nil {
			r.log.Warn(fmt.Sprintf("%s: %v", step, err))
		}
	})
}

func (n *attachment) close() {
	for _, w := range n.wires {
		_ = w.Close()
	}
	n.wires = nil
}

// all reports whether the argument is for every interface: rd.neednet.
func (r *runner) all(j *job) bool {
	owner := j.owner()
	return r.config.NeedNet && !owner.Named() && owner.Method != lease.MethodStatic
}

// spare is a job for one more interface of an argument that has what it needs.
func (r *runner) spare(n *attachment, of *job) *job {
	j := r.vacant(of)
	if j == nil {
		j = &job{pos: len(r.jobs)}
		r.jobs = append(r.jobs, j)
	}
	*j = job{Addressing: of.Addressing, pos: j.pos, spare: true, of: of, sought: time.Now()}
	j.Device = n.dev.Name
	return j
}

// vacant is the spare of an argument whose interface has gone without an address, or has taken
// the place of another; nil if there is none. An interface may come and go forever.
func (r *runner) vacant(of *job) *job {
	have := r.have()
	for _, j := range r.jobs[len(r.config.AddressingsOrDefault()):] {
		taken := j.of != of || j.state != nil || j.lost != nil ||
			slices.ContainsFunc(have, func(a netsetup.Accepted) bool { return a.Pos == j.pos })
		for _, n := range r.attachments {
			taken = taken || n.job == j
		}
		if !taken {
			return j
		}
	}
	return nil
}

// best is the index of the state that carries the root. The states are in the order of their
// arguments. It is the one of bootdev=; else the one whose lease has the root path or the server;
// else the one that reaches the first host best.
func (r *runner) best(states []netsetup.State) int {
	if i := slices.IndexFunc(states, func(s netsetup.State) bool { return s.Device == r.main }); i >= 0 {
		return i
	}
	best, rank := 0, -1
	for i, s := range states {
		var of int
		switch {
		case r.boots(s.Device):
			of = 4
		case len(s.Addrs) == 0:
			of = -1
		case r.config.Needs.RootPath != nil && s.Lease != nil && r.config.Needs.RootPath(s.Lease.RootPath) == nil,
			slices.Contains(r.namers, s.Device):
			of = 3
		default:
			of = r.reachOf(s.Device)
		}
		if of > rank {
			best, rank = i, of
		}
	}
	return best
}

// prefer makes the default route use the device whose lease named the root, where bootdev= does
// not say which: it changes places with the one of the first argument.
func (r *runner) prefer(dev string) {
	if r.config.Needs.RootPath == nil || r.config.BootDev != "" {
		return
	}
	var first, main *netsetup.Accepted
	for _, j := range r.jobs {
		for i, a := range j.have {
			switch {
			case a.Lease.IPv6() || !a.Lease.Gateway.IsValid():
			case a.Dev == dev:
				main = &j.have[i]
			case r.config.Rank(a.Pos, false, a.Dev) == 0:
				first = &j.have[i]
			}
		}
	}
	if first == nil || main == nil {
		return
	}
	r.reroute(*main, 0)
	r.reroute(*first, link.SecondaryMetric+r.config.Rank(main.Pos, false, main.Dev))
}

// reroute sets the default route of a lease with another metric; it replaces the route that has
// that metric.
func (r *runner) reroute(a netsetup.Accepted, metric int) {
	for _, s := range a.Lease.Steps(a.Dev) {
		route, ok := s.(link.Route)
		if !ok || route.Dst.Bits() != 0 {
			continue
		}
		route.Metric = metric
		if err := r.apply(route); err != nil {
			r.log.Warn(fmt.Sprintf("%s: %v", route, err))
		}
	}
}

// reachOf says how well the device reaches the first host of an argument that chose between
// several, as a number.
func (r *runner) reachOf(dev string) int {
	for _, j := range r.jobs {
		for _, a := range j.have {
			if a.Dev == dev && len(j.need.Hosts) > 0 {
				return int(r.config.Reach(j.need.Hosts[0], a.Lease, a.Pos, a.Dev))
			}
		}
	}
	return 0
}

// boots reports whether bootdev= is about the device of that name.
func (r *runner) boots(dev string) bool {
	return r.config.BootDev != "" && slices.ContainsFunc(r.jobs, func(j *job) bool {
		return j.state != nil && j.state.Device == dev && r.config.About(r.config.BootDev, j.pos, dev)
	})
}

// dismiss gives up the arguments for which nothing is left now that the device of BOOTIF= is
// there.
func (r *runner) dismiss() {
	for _, j := range r.jobs {
		if !j.open() || j.spare {
			continue
		}
		if why := r.config.Superfluous(j.Addressing, r.devices()); why != "" {
			j.err = errors.New(why)
			r.log.Warn(why)
		}
	}
}
