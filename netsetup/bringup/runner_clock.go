package bringup

import (
	"errors"
	"slices"
	"time"

	"github.com/nodisk/nodisk/netsetup/lease"
)

// wake is when tick has something to do next.
func (r *runner) wake() time.Time {
	at := r.nextLog
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	sooner(r.fitAt)
	for _, o := range r.owed {
		sooner(o.at)
	}
	for _, n := range r.attachments {
		if n.wanted() && !n.setting && !n.ready {
			sooner(n.retry)
		}
		sooner(n.again)
		sooner(n.redoAt)
		if n.protocol != nil {
			sooner(n.protocol.Deadline())
			if r.config.DHCPTimeout > 0 && n.job.open() {
				sooner(n.asked.Add(r.config.DHCPTimeout))
			}
		}
	}
	for _, j := range r.jobs {
		if t, ok := r.expiry(j); ok && j.open() && !j.spare {
			sooner(t)
		}
		if t, ok := r.contents(j); ok {
			sooner(t)
		}
		if t, promised := r.promised(j, time.Now()); promised && !j.spare {
			sooner(t)
		}
	}
	return at
}

// tick does what is due.
func (r *runner) tick(now time.Time) {
	for _, j := range r.jobs {
		if t, ok := r.contents(j); ok && !now.Before(t) {
			r.content(j, now)
		}
		if t, ok := r.expiry(j); ok && j.open() && !j.spare && !now.Before(t) && !r.settle(j, now) {
			if r.overdue(j, now) {
				j.err = errors.New(r.waitingFor(j, now))
				r.log.Warn(j.err.Error() + "; given up")
				r.drop(j)
			}
		}
	}
	r.repay(now)
	if !r.fitAt.IsZero() && !now.Before(r.fitAt) {
		r.follow()
	}
	for _, n := range r.sorted() { // a bond is made with lo, before its ports
		if !n.redoAt.IsZero() && !now.Before(n.redoAt) {
			r.again(n)
		}
	}
	for _, n := range r.attachments {
		switch {
		case n.wanted() && !n.setting && !n.ready && !n.retry.IsZero() && !now.Before(n.retry):
			r.begin(n)
		case !n.again.IsZero() && !now.Before(n.again):
			n.again = time.Time{}
			r.start(n)
		case n.protocol == nil:
		case n.job.open() && r.config.DHCPTimeout > 0 && !now.Before(n.asked.Add(r.config.DHCPTimeout)):
			n.asked = now
			r.do(n, n.protocol.Start(now)) // the next attempt
		default:
			r.do(n, n.protocol.Tick(now))
		}
	}
	if !now.Before(r.nextLog) {
		r.nextLog = now.Add(lease.LogEvery)
		r.tellHeld() // however long a driver takes
		if text := r.waiting(now); text != "" {
			r.log.Warn(text)
			r.told = r.loading(now) == "" // otherwise it does not yet say what can be done
		}
	}
}

// enough reports whether the boot could go on with what is up.
func (r *runner) enough() bool {
	return slices.ContainsFunc(
		r.jobs,
		func(j *job) bool { return r.needed(j) && j.state != nil && len(j.state.Addrs) > 0 },
	)
}

// expiry is when Up no longer waits for a job: when the time of the last of its interfaces is
// over.
func (r *runner) expiry(j *job) (time.Time, bool) {
	if j.lost != nil {
		return time.Time{}, false // the boot uses it
	}
	carrier, dhcp := r.limits(j)
	at := j.content // what is taken then has as long as a cable
	if !at.IsZero() {
		at = at.Add(spareCarrier)
	}
	dark, asking := 0, 0
	for _, n := range r.attachments {
		if n.job != j {
			continue
		}
		limit := carrier
		if n.protocol != nil || n.refused != "" {
			asking++
			if limit = dhcp; limit == 0 {
				return time.Time{}, false
			}
		} else {
			dark++
		}
		if t := n.since.Add(limit); t.After(at) {
			at = t
		}
	}
	switch {
	case dark+asking == 0:
		return j.sought.Add(carrier), carrier > 0
	case asking > 0:
		// A port without a cable does not extend the time of the others.
		return at, true
	default:
		return at, carrier > 0
	}
}
