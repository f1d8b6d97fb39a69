package bringup

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/link"
)

// steps set an interface up: first those for itself, none if above is set; then those for the
// links that are made of it.
func (r *runner) steps(n *attachment, above bool) (own, below []link.Step) {
	dev := n.dev
	if !above && n.job != nil {
		own = r.config.LinkSteps(n.job.Addressing, dev)
		if a := n.job.NewAddr; a != "" {
			dev.Addr = a
		}
	}
	if n.key.ipv6 {
		return own, nil
	}
	c := r.config
	c.Bonds = slices.DeleteFunc(
		slices.Clone(c.Bonds),
		func(b link.Bond) bool { return dev.Type == link.HwLoopback && r.bonded[b.Name] },
	)
	return own, c.BelowWith(dev, r.leased)
}

// faults are what has gone wrong with links that are made of one interface.
type faults []error

func (f faults) Error() string {
	var parts []string
	for _, err := range f {
		parts = append(parts, err.Error())
	}
	return strings.Join(parts, "; ")
}

// err is nil if nothing has.
func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// never reports whether trying again is pointless: there is nothing to be done, or all that has
// gone wrong are contradictions.
func never(err error) bool {
	if all, ok := errors.AsType[faults](err); ok {
		return !slices.ContainsFunc(all, func(e error) bool { return !never(e) })
	}
	return err == nil || errors.Is(err, link.ErrContradiction)
}

// tried is the error with the number of tries, unless there will be no other.
func tried(err error, often int) string {
	if never(err) {
		return err.Error()
	}
	return fmt.Sprintf("%v (tried %s)", err, phrase.Times(often))
}

// unable says that the interface cannot be set up.
func (n *attachment) unable() string {
	often := " (tried " + phrase.Times(n.tries) + ")"
	if never(n.err) {
		often = ""
	}
	return fmt.Sprintf("%s: cannot be set up%s: %v", n.dev.Name, often, n.err)
}

// contradicted reports whether the last try met a contradiction in what the interface itself is
// to have, and the kernel has since reported nothing that resolves it.
func (r *runner) contradicted(n *attachment) bool {
	if !errors.Is(n.err, link.ErrContradiction) {
		return false
	}
	own, _ := r.steps(n, false)
	return slices.ContainsFunc(own, func(s link.Step) bool {
		_, ok := s.(link.Contradiction)
		return ok
	})
}

// tellNever reports the links that an interface can never have. It has its address, and the other
// links, all the same.
func (r *runner) tellNever(n *attachment, of []error) {
	for _, err := range of {
		if err != nil && never(err) {
			r.tellUnable(fmt.Sprintf("set up %s: %v", n.dev.Name, err))
		}
	}
}

// tellUnable says once that an interface, or what is made of it, cannot be set up.
func (r *runner) tellUnable(sentence string) {
	if !r.short[sentence] {
		r.short[sentence] = true
		r.log.Warn(sentence)
	}
}
