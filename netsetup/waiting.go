package netsetup

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// waiting says in one line what is waited for: the state of each interface of
// each slot that is not done.
func (r *runner) waiting(now time.Time) string {
	var parts []string
	for _, s := range r.slots {
		if s.open() {
			parts = append(parts, r.waitingFor(s, now))
		}
	}
	if len(parts) == 0 && !r.lo {
		return "the kernel has not shown the interface lo"
	}
	return strings.Join(parts, "; ")
}

func (r *runner) waitingFor(s *slot, now time.Time) string {
	var parts, dark []string
	longest := time.Duration(0)
	for _, i := range slices.Sorted(maps.Keys(r.nics)) {
		n := r.nics[i]
		switch {
		case n.slot != s:
		case n.err != nil:
			parts = append(parts, fmt.Sprintf("%s: cannot be set up (tried %s): %v", n.dev.Name, times(n.tries), n.err))
		case !n.ready:
			parts = append(parts, fmt.Sprintf("%s: its driver %s has been opening it for %s", n.dev.Name, n.dev.Driver, seconds(now.Sub(n.first))))
		case !n.carrier:
			dark = append(dark, n.dev.Name)
			longest = max(longest, now.Sub(n.since))
		case n.exchange != nil:
			parts = append(parts, n.dev.Name+": "+n.exchange.waiting(now))
		}
	}
	// Sixteen ports without a cable are one fact.
	if len(dark) > 0 {
		parts = append(parts, fmt.Sprintf("%s: no carrier for %s: check the cable or the switch port", strings.Join(dark, ", "), seconds(longest)))
	}
	if len(parts) == 0 {
		return r.config.absent(s.Interface, r.devices())
	}
	return strings.Join(parts, "; ")
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
