package bringup

import (
	"cmp"
	"slices"
	"time"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// served reports whether the network provides what the root needs: the boot could go on with what
// is up, a lease has the root path if one must name the root, and a server of the root can be
// reached if any is known.
func (r *runner) served() bool {
	have := r.have()
	needs := r.config.Needs
	path := needs.RootPath == nil ||
		slices.ContainsFunc(have, func(a netsetup.Accepted) bool { return needs.RootPath(a.Lease.RootPath) == nil })
	return path && len(r.lost()) == 0 && r.enough()
}

// limits returns how long an argument may be without carrier, and how long it may then take to
// get its address; 0 means as long as the context allows. What the command line says takes
// precedence over the limits that follow from what else is up.
func (r *runner) limits(j *job) (carrier, asking time.Duration) {
	c := r.config
	carrier = c.CarrierTimeout
	switch m := j.Method; {
	case m == lease.MethodLink6 || m == lease.MethodStatic && j.IPv6():
		asking = c.CheckTimeout
	case m == lease.MethodAuto6 || m == lease.MethodEither6:
		asking = c.RouterTimeout
	}
	asking = cmp.Or(asking, c.DHCPTimeout*time.Duration(max(1, c.DHCPRetry)))
	if !r.enough() {
		return carrier, asking
	}
	spare := spareDHCP
	if r.served() {
		spare = spareServed
	}
	return cmp.Or(carrier, spareCarrier), cmp.Or(asking, spare)
}

// overdue ends the wait for an argument whose time is up: if the boot can go on it does, and the
// argument comes beside it when it can; otherwise it has failed.
func (r *runner) overdue(j *job, now time.Time) (failed bool) {
	what := r.waitingFor(j, now)
	if !r.enough() {
		return true
	}
	j.spare = true
	r.log.Warn(what + "; the boot goes on without it")
	return false
}

// beside reports whether this is an argument of the command line that comes beside the boot.
func (j *job) beside() bool { return j.spare && j.of == nil }

// behind puts the default routes of an argument that comes beside the boot behind those that the
// boot already uses, whichever argument is the first.
func (j *job) behind(steps []link.Step) []link.Step {
	if !j.beside() {
		return steps
	}
	steps = slices.Clone(steps)
	for i, step := range steps {
		if route, ok := step.(link.Route); ok && route.Dst.Bits() == 0 {
			route.Metric = 2*link.SecondaryMetric + j.pos
			steps[i] = route
		}
	}
	return steps
}
