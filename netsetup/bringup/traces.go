package bringup

import (
	"fmt"
	"slices"

	"github.com/nodisk/nodisk/internal/sets"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
)

// traces are what this attempt and those before it have left.
func (r *runner) traces() netsetup.Traces {
	made := r.made
	made.Given = r.given
	for _, n := range r.sorted() {
		if n.job != nil && !n.wasUp && (n.ready || n.setting) {
			made.Links = sets.Union(made.Links, []string{n.dev.Name})
		}
	}
	return r.before.With(made)
}

// apply makes a change and keeps its trace.
func (r *runner) apply(s link.Step) error {
	err := s.Apply(r.sys)
	if err == nil {
		r.made.Note(s)
		if route, ok := s.(link.Route); ok {
			r.before.Routes = slices.DeleteFunc(r.before.Routes, route.Replaces)
		}
	}
	return err
}

// undo takes away what earlier attempts have left, of one device and family of addresses, or with
// "" everywhere.
func (r *runner) undo(dev string, ipv6 bool, wanted []link.Step) {
	for _, s := range r.before.Undo(dev, ipv6, wanted) {
		err := s.Apply(r.sys)
		r.log.Info(fmt.Sprintf("of an earlier attempt: %s", s))
		if err != nil {
			r.log.Warn(fmt.Sprintf("%s: %v", s, err))
		}
	}
}
