package netsetup

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// wayTime is how long Up waits for another interface when the one that it has leads
// to none of the servers that the root is on.
const wayTime = 10 * time.Second

// learn takes the servers that the first lease of a word names: from then on they are
// hosts like those of the command line, and the other interfaces are judged by them.
func (r *runner) learn(n *nic) {
	w, c := n.slot.word(), &r.config
	if c.Needs.ByLease == nil || len(w.have) != 1 || n.slot.state == nil {
		return
	}
	if c.BootDev != "" && !c.about(c.BootDev, n.slot.pos, n.dev.Name) {
		return // another one says it
	}
	known := len(c.Needs.Hosts)
	for _, h := range c.Needs.ByLease(*n.slot.state) {
		if !slices.ContainsFunc(c.Needs.Hosts, func(o Host) bool { return o.Addr == h.Addr && o.Name == h.Name }) {
			c.Needs.Hosts = append(slices.Clone(c.Needs.Hosts), h)
		}
	}
	if len(c.Needs.Hosts) == known {
		return
	}
	r.namers = append(r.namers, n.dev.Name)
	for _, s := range r.slots[:len(c.interfaces())] {
		s.need = c.need(s.pos)
	}
}

// askAgain has those that still look for a better way ask at once: what they were
// offered may be what is needed now.
func (r *runner) askAgain(w *slot) {
	if len(w.have) != 1 || r.config.Needs.ByLease == nil {
		return
	}
	for _, n := range r.nics {
		if n.slot == nil || n.slot.word() != w || n.won || !n.slot.open() || n.refused == "" && n.protocol == nil {
			continue
		}
		if a, _, _ := n.holds(); !a.IsValid() {
			n.refused, n.again = "", time.Now()
		}
	}
}

// lost are the servers of the root, if nothing leads to any of them.
func (r *runner) lost() []Host {
	have := r.have()
	if slices.ContainsFunc(r.config.Needs.Hosts, func(h Host) bool { return r.config.reached(h, have) > reachNone }) {
		return nil
	}
	return r.config.Needs.Hosts
}

// seeksWay reports whether the lease of a word, which named a server, leads to none of
// those that the root is on, and another interface may; and until when that is waited
// for.
func (r *runner) seeksWay(w *slot, now time.Time) (time.Time, bool) {
	until := w.since.Add(wayTime)
	if w.have == nil || !slices.Contains(r.namers, w.have[0].dev) || len(w.need.Hosts) == 0 || !now.Before(until) || len(r.lost()) == 0 {
		return until, false
	}
	for _, n := range r.nics {
		if n.slot != nil && n.slot.word() == w && !n.won && n.slot.open() {
			return until, true
		}
	}
	return until, false
}

// waysFor is what is waited for by words that have an address, and no way.
func (r *runner) waysFor(now time.Time) []string {
	var parts []string
	for _, w := range r.slots {
		if _, seeks := r.seeksWay(w, now); !seeks || w.spare {
			continue
		}
		for _, s := range r.slots {
			if s.word() == w && s.spare && s.open() {
				parts = append(parts, r.waitingFor(s, now))
			}
		}
	}
	return parts
}

// tellLost tells of servers that nothing leads to.
func (r *runner) tellLost() {
	var far []string
	for _, h := range r.lost() {
		if !h.Addr.IsValid() || h.Addr.IsLoopback() || h.Addr.IsLinkLocalUnicast() {
			return
		}
		far = append(far, h.String())
	}
	if len(far) > 0 {
		r.log.Warn("nothing leads to " + strings.Join(far, ", ") + ", which the root is on: " + setRoute)
	}
}

// setRoute is what to do about a server that a lease does not lead to.
const setRoute = "set option 3 (router) or 121 (routes) in the DHCP server, or write rd.route="

// remedy is what to do about the one lease that is of no use, behind the sentence that
// says why.
func (n Needs) remedy(l Lease) string {
	switch {
	case n.RootPath != nil && l.RootPath != "":
		return "" // what is wrong with it says it
	case n.RootPath != nil:
		// The caller knows the words of its command line.
		if e, ok := errors.AsType[*cmdline.ValueError](n.RootPath("")); ok && !l.six() {
			return ": " + e.Fix
		}
		return ": set it in the DHCP server, or name the root on the command line"
	case slices.ContainsFunc(n.Hosts, func(h Host) bool { return !h.Addr.IsValid() }):
		return ": set option 6 in the DHCP server, or write nameserver="
	case l.six():
		return ": check what the router announces, or write rd.route="
	default:
		return ": " + setRoute
	}
}
