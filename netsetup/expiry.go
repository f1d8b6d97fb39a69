package netsetup

import (
	"errors"
	"slices"
	"time"
)

// wake is when tick has something to do next.
func (r *runner) wake() time.Time {
	at := r.nextLog
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	for _, n := range r.nics {
		if n.wanted() && !n.setting && !n.ready {
			sooner(n.retry)
		}
		sooner(n.again)
		if n.protocol != nil {
			sooner(n.protocol.deadline())
			if r.config.DHCPTimeout > 0 && n.slot.open() {
				sooner(n.asked.Add(r.config.DHCPTimeout))
			}
		}
	}
	for _, s := range r.slots {
		if t, ok := r.expiry(s); ok && s.open() && !s.spare {
			sooner(t)
		}
		if t, promised := r.promised(s, time.Now()); promised && !s.spare {
			sooner(t)
		}
	}
	return at
}

// tick does what the time has come for.
func (r *runner) tick(now time.Time) {
	for _, n := range r.nics {
		r.look(n, now)
	}
	for _, s := range r.slots {
		if t, ok := r.expiry(s); ok && s.open() && !s.spare && !now.Before(t) && !r.settle(s, now) {
			s.err = errors.New(r.waitingFor(s, now))
			r.log.Warn(s.err.Error() + "; given up")
			r.drop(s)
		}
	}
	for _, n := range r.nics {
		switch {
		case n.wanted() && !n.setting && !n.ready && !n.retry.IsZero() && !now.Before(n.retry):
			r.begin(n)
		case !n.again.IsZero() && !now.Before(n.again):
			n.again = time.Time{}
			r.start(n)
		case n.protocol == nil:
		case n.slot.open() && r.config.DHCPTimeout > 0 && !now.Before(n.asked.Add(r.config.DHCPTimeout)):
			n.asked = now
			r.do(n, n.protocol.start(now)) // the next attempt
		default:
			r.do(n, n.protocol.tick(now))
		}
	}
	if !now.Before(r.nextLog) {
		r.nextLog = now.Add(logEvery)
		if text := r.waiting(now); text != "" {
			r.log.Warn(text)
			r.told = true
		}
	}
}

// limits returns how long a slot may be without carrier and how long DHCP may
// take, 0 for as long as the context allows.
func (r *runner) limits() (carrier, dhcp time.Duration) {
	carrier, dhcp = r.config.CarrierTimeout, r.config.DHCPTimeout*time.Duration(max(1, r.config.DHCPRetry))
	if r.enough() {
		if carrier == 0 {
			carrier = spareCarrier
		}
		if dhcp == 0 {
			dhcp = spareDHCP
		}
	}
	return carrier, dhcp
}

// enough tells whether the boot could go on with what is up.
func (r *runner) enough() bool {
	needed := r.slots
	if p := r.config.primary(); r.config.BootDev != "" && p < len(r.slots) {
		needed = r.slots[p : p+1]
	}
	return slices.ContainsFunc(needed, func(s *slot) bool { return s.state != nil && len(s.state.Addrs) > 0 })
}

// expiry is when a slot is given up: when the last of its interfaces is.
func (r *runner) expiry(s *slot) (time.Time, bool) {
	carrier, dhcp := r.limits()
	var at time.Time
	dark, asking := 0, 0
	for _, n := range r.nics {
		if n.slot != s {
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
		return r.started.Add(carrier), carrier > 0
	case asking > 0:
		// A port without a cable does not prolong the time of the others.
		return at, true
	default:
		return at, carrier > 0
	}
}
