package netsetup

import (
	"errors"
	"slices"
)

// errContradiction is that of a [Contradiction]: no further try helps as long as the
// device is what it is.
var errContradiction = errors.New("leave it out")

// steps set an interface up: first those for itself, none with above; then those for the
// links that are made of it.
func (r *runner) steps(n *nic, above bool) (own, below []Step) {
	dev := n.dev
	if !above && n.slot != nil {
		own = r.config.linkSteps(n.slot.Interface, dev)
		if a := n.slot.NewAddr; a != "" {
			dev.Addr = a
		}
	}
	if n.key.six {
		return own, nil
	}
	c := r.config
	c.Bonds = slices.DeleteFunc(slices.Clone(c.Bonds), func(b Bond) bool { return dev.Type == hwLoopback && r.bonded[b.Name] })
	return own, c.belowWith(dev, r.leased)
}

// contradicted reports whether the last try has met a contradiction, and the kernel has
// told of nothing since by which there is none.
func (r *runner) contradicted(n *nic) bool {
	if !errors.Is(n.err, errContradiction) {
		return false
	}
	own, below := r.steps(n, false)
	return slices.ContainsFunc(slices.Concat(own, below), func(s Step) bool {
		_, ok := s.(Contradiction)
		return ok
	})
}

// tellUnable says once that an interface, or what is made of it, cannot be set up.
func (r *runner) tellUnable(sentence string) {
	if !r.short[sentence] {
		r.short[sentence] = true
		r.log.Warn(sentence)
	}
}
