package bringup

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// An owedMTU is the MTU of a lease that the kernel has refused to give a device.
type owedMTU struct {
	mtu   int
	tries int
	at    time.Time // when to try again; zero where only another state of the kernel helps
	seen  string    // the state when it was refused: see mtuState
	told  bool
	why   string // what is reported, or would be in the end
}

// raise gives a device the MTU of a lease, and reports whether it has it now. It is not set where
// nothing changes: some drivers reset the link for it. What the kernel refuses is asked for again
// when the cause was busy, is another device, or has another MTU.
func (r *runner) raise(d link.Device, mtu int) bool {
	delete(r.owed, d.Name)
	steps, err := r.config.Raise(d, mtu, r.devices(), r.leased)
	if err != nil {
		r.log.Warn(d.Name + ": " + err.Error())
		return false
	}
	return r.grant(d, &owedMTU{mtu: mtu}, steps, time.Now())
}

// grant carries out the steps of raise.
func (r *runner) grant(d link.Device, o *owedMTU, steps []link.Step, now time.Time) bool {
	for _, s := range steps {
		err := r.apply(s)
		if err == nil {
			continue
		}
		o.seen, o.at = r.mtuState(d), time.Time{}
		r.owed[d.Name] = o
		o.tries++
		again := link.Passing(err) && o.tries <= link.MostBusy
		if short, ok := errors.AsType[*link.Shortfall](err); ok {
			err = short.Err
		}
		o.why = fmt.Sprintf("%s: %v: the MTU of %s stays %d", s, err, d.Name, d.MTU)
		if again {
			o.at = now.Add(lease.RetryAfter(o.tries))
			r.log.Debug(fmt.Sprintf("%s: %v", s, err))
			return false
		}
		if !o.told {
			r.short[s.String()] = true
			r.log.Warn(o.why)
		}
		o.told = true
		return false
	}
	delete(r.owed, d.Name)
	r.leased[d.Name] = o.mtu
	return true
}

// repay gives devices the MTUs that were refused to them, where another try may help.
func (r *runner) repay(now time.Time) {
	maps.DeleteFunc(r.owed, func(name string, _ *owedMTU) bool { return !r.named(name) })
	for _, d := range r.devices() {
		o := r.owed[d.Name]
		switch {
		case o == nil, !o.at.IsZero() && now.Before(o.at):
			continue
		case o.at.IsZero() && o.seen == r.mtuState(d):
			continue
		case o.at.IsZero():
			o.tries = 0
		}
		d.MTU = r.mtu(d)
		steps, err := r.config.Raise(d, o.mtu, r.devices(), r.leased)
		if err != nil {
			delete(r.owed, d.Name) // what carries its packets has an MTU of its own by now
			r.log.Warn(d.Name + ": " + err.Error())
			continue
		}
		if !r.grant(d, o, steps, now) {
			continue
		}
		if o.told {
			r.log.Info(fmt.Sprintf("%s: the MTU is %d now", d.Name, r.mtu(d)))
		}
		r.tellMTU(d, o.mtu)
	}
}

// tellOwed reports MTUs that were to be set again later: the network is closed, and nobody will.
// If it has not come up, the next attempt will.
func (r *runner) tellOwed() {
	if r.main == "" {
		return
	}
	shown := r.devices()
	for _, d := range shown {
		if o := r.owed[d.Name]; o != nil && !o.told {
			o.told = true
			r.log.Warn(o.why)
		}
		fit := r.config.Fit(d, shown, r.leased[d.Name]) // see follow
		if fit == 0 || d.MTU <= fit {
			continue
		}
		if have := r.mtu(d); have > fit {
			r.log.Warn(fmt.Sprintf("%s: the MTU stays %d, and what carries its packets has %d: larger ones are lost",
				d.Name, have, fit))
		}
	}
}

// mtuState is what the refusal of an MTU may depend on: which devices carry the packets of the
// device, and with which MTU.
func (r *runner) mtuState(d link.Device) string {
	have := r.devices()
	var b strings.Builder
	seen := map[int]bool{}
	var add func(d link.Device)
	add = func(d link.Device) {
		if seen[d.Index] {
			return
		}
		seen[d.Index] = true
		fmt.Fprintln(&b, d.Index, d.Type, d.Master, d.Parent, r.mtu(d))
		for _, o := range r.config.Carriers(d, have) {
			add(o)
		}
		for _, o := range have {
			if d.Index != 0 && o.Master == d.Index {
				add(o)
			}
		}
	}
	add(d)
	return b.String()
}
