package netsetup

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// A shortfall is the error of a step that was done as far as the kernel can. It
// is told, once for a step, and the boot goes on.
type shortfall struct {
	dev  string // the interface that the step was too much for
	step string // as ip(8) has it
	err  error  // the kernel's, nil if it has given none
	what string // what there is instead
}

// passing reports whether the kernel has refused for a reason that may be over soon: a
// device is being reset, say.
func passing(err error) bool {
	return errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EAGAIN)
}

// mostBusy is how often that is tried again, before what there is has to do: with some
// drivers a device that is up is always busy.
const mostBusy = 4

func (s *shortfall) Error() string { return s.of(s.dev) }

func (s *shortfall) Unwrap() error { return s.err }

// of is the sentence with another name in the place of the interface's.
func (s *shortfall) of(names string) string {
	text := func(t string) string {
		words := strings.Split(t, " ")
		for i := range words {
			if words[i] == s.dev {
				words[i] = names
			}
		}
		return strings.Join(words, " ")
	}
	if s.err == nil {
		return text(s.what)
	}
	return fmt.Sprintf("%s: %v: %s", text(s.step), s.err, text(s.what))
}

// sentence is what all have in common that say the same of several interfaces.
func (s *shortfall) sentence() string { return s.of("*") }

// tellShort says what steps could not do, each once for an interface. What is still
// being set up is waited for: a cluster's adapters are alike, and ports that refuse the
// same are one line.
func (r *runner) tellShort() {
	if len(r.held) == 0 || len(r.links) > 0 {
		return
	}
	for _, n := range r.nics {
		if n.setting {
			return
		}
	}
	r.tellHeld()
}

// tellHeld says it in one line, the interfaces in the order of their index.
func (r *runner) tellHeld() {
	have := r.devices()
	at := func(s *shortfall) int { return slices.IndexFunc(have, func(d Device) bool { return d.Name == s.dev }) }
	slices.SortStableFunc(r.held, func(a, b *shortfall) int { return at(a) - at(b) })
	said := map[string][]string{} // the interfaces, by sentence
	var order []*shortfall
	for _, s := range r.held {
		if key := s.dev + ": " + s.step; !r.short[key] {
			r.short[key], r.short[s.step] = true, true
			if said[s.sentence()] == nil {
				order = append(order, s)
			}
			said[s.sentence()] = append(said[s.sentence()], s.dev)
		}
	}
	r.held = nil
	var parts []string
	for _, s := range order {
		parts = append(parts, s.of(strings.Join(said[s.sentence()], ", ")))
	}
	if len(parts) > 0 {
		r.log.Warn(strings.Join(parts, "; "))
	}
}
