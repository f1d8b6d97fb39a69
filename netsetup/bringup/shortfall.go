package bringup

import (
	"slices"
	"strings"

	"github.com/nodisk/nodisk/netsetup/link"
)

// tellShort says what steps could not do, each once for an interface. What is still being set up
// is waited for: a cluster's adapters are alike, and ports that refuse the same are one line.
func (r *runner) tellShort() {
	if len(r.held) == 0 || len(r.links) > 0 {
		return
	}
	for _, n := range r.attachments {
		if n.setting {
			return
		}
	}
	r.tellHeld()
}

// tellHeld says it in one line, the interfaces in the order of their index.
func (r *runner) tellHeld() {
	have := r.devices()
	at := func(s *link.Shortfall) int {
		return slices.IndexFunc(have, func(d link.Device) bool { return d.Name == s.Dev })
	}
	slices.SortStableFunc(r.held, func(a, b *link.Shortfall) int { return at(a) - at(b) })
	said := map[string][]string{} // the interfaces, by sentence
	var order []*link.Shortfall
	for _, s := range r.held {
		if key := s.Dev + ": " + s.Step; !r.short[key] {
			r.short[key], r.short[s.Step] = true, true
			if said[s.Sentence()] == nil {
				order = append(order, s)
			}
			said[s.Sentence()] = append(said[s.Sentence()], s.Dev)
		}
	}
	r.held = nil
	var parts []string
	for _, s := range order {
		parts = append(parts, s.Of(strings.Join(said[s.Sentence()], ", ")))
	}
	if len(parts) > 0 {
		r.log.Warn(strings.Join(parts, "; "))
	}
}
