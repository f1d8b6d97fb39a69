package bringup

import (
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/netsetup"
)

// wayTime is how long Up waits for another interface when the one that it has leads to none of
// the servers that the root is on.
const wayTime = 10 * time.Second

// learn takes the servers that the first lease of an argument names: from then on they are hosts
// like those of the command line, and the other interfaces are judged by them.
func (r *runner) learn(n *attachment) {
	owner, c := n.job.owner(), &r.config
	if c.Needs.ByLease == nil || len(owner.have) != 1 || n.job.state == nil {
		return
	}
	if c.BootDev != "" && !c.About(c.BootDev, n.job.pos, n.dev.Name) {
		return // another interface decides
	}
	known := len(c.Needs.Hosts)
	for _, h := range c.Needs.ByLease(*n.job.state) {
		if !slices.ContainsFunc(
			c.Needs.Hosts,
			func(o netsetup.Host) bool { return o.Addr == h.Addr && o.Name == h.Name },
		) {
			c.Needs.Hosts = append(slices.Clone(c.Needs.Hosts), h)
		}
	}
	if len(c.Needs.Hosts) == known {
		return
	}
	r.namers = append(r.namers, n.dev.Name)
	for _, j := range r.jobs[:len(c.AddressingsOrDefault())] {
		j.need = c.Need(j.pos)
	}
}

// askAgain has those that are still looking for a better route ask at once: what they were
// offered before may be what is needed now.
func (r *runner) askAgain(owner *job) {
	if len(owner.have) != 1 || r.config.Needs.ByLease == nil {
		return
	}
	for _, n := range r.attachments {
		if n.job == nil || n.job.owner() != owner || n.won || !n.job.open() || n.refused == "" && n.protocol == nil {
			continue
		}
		if a, _, _ := n.Holds(); !a.IsValid() {
			n.refused, n.again = "", time.Now()
		}
	}
}

// lost are the servers of the root, if nothing leads to any of them.
func (r *runner) lost() []netsetup.Host {
	have := r.have()
	if slices.ContainsFunc(
		r.config.Needs.Hosts,
		func(h netsetup.Host) bool { return r.config.Reached(h, have) > netsetup.ReachNone },
	) {
		return nil
	}
	return r.config.Needs.Hosts
}

// seeksWay reports whether the lease of an argument, which named a server, leads to none of those
// that the root is on, and another interface may lead there; and until when to wait for it.
func (r *runner) seeksWay(owner *job, now time.Time) (time.Time, bool) {
	until := owner.since.Add(wayTime)
	if owner.have == nil || !slices.Contains(r.namers, owner.have[0].Dev) || len(owner.need.Hosts) == 0 ||
		!now.Before(until) || len(r.lost()) == 0 {
		return until, false
	}
	for _, n := range r.attachments {
		if n.job != nil && n.job.owner() == owner && !n.won && n.job.open() {
			return until, true
		}
	}
	return until, false
}

// waysFor is what arguments wait for that have an address, but no route.
func (r *runner) waysFor(now time.Time) []string {
	var parts []string
	for _, owner := range r.jobs {
		if _, seeks := r.seeksWay(owner, now); !seeks || owner.spare {
			continue
		}
		for _, j := range r.jobs {
			if j.owner() == owner && j.spare && j.open() {
				parts = append(parts, r.waitingFor(j, now))
			}
		}
	}
	return parts
}

// tellLost reports servers that nothing leads to.
func (r *runner) tellLost() {
	var far []string
	for _, h := range r.lost() {
		if !h.Addr.IsValid() || h.Addr.IsLoopback() || h.Addr.IsLinkLocalUnicast() {
			return
		}
		far = append(far, h.String())
	}
	if len(far) > 0 {
		r.log.Warn("nothing leads to " + strings.Join(far, ", ") + ", which the root is on: " + netsetup.SetRoute)
	}
}
