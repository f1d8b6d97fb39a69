package bringup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// do does one step of a try that follows so many others. What it could not do in full is noted,
// but that a device is busy only once it has been so for long.
func (s *setup) do(sys link.Linker, step link.Step, tries int) error {
	err := step.Apply(sys)
	short, ok := errors.AsType[*link.Shortfall](err)
	switch {
	case err == nil:
		return nil
	case ok && (!link.Passing(err) || tries > link.MostBusy):
		s.short = append(s.short, short)
		return nil
	case ok:
		err = short.Err // its step may be for another device
	}
	return fmt.Errorf("%s: %w", step, err)
}

// make does the steps for links that are made of the interface: one that fails stops neither
// another, nor the address of the interface.
func (s *setup) make(until context.Context, sys link.Linker, below []link.Step, tries int) {
	var unmade []string // bonds
	for _, step := range below {
		mtu, ok := step.(link.SetMTU)
		if until.Err() != nil {
			return
		}
		if ok && slices.Contains(unmade, mtu.Dev) {
			continue
		}
		err := s.do(sys, step, tries)
		if err != nil {
			s.faults = append(s.faults, err)
		}
		switch step := step.(type) {
		case link.Contradiction, link.ChildAdd, link.VLANAdd: // what follows is for another link
		case link.BondAdd:
			if err != nil {
				unmade = append(unmade, step.Name)
				continue
			}
			s.bonds = append(s.bonds, step.Name)
		default:
			if err != nil {
				s.bonds = slices.DeleteFunc(s.bonds, func(name string) bool { return name == mtu.Dev })
				return
			}
		}
	}
}

// open opens the sockets, and reports whether that is done.
func (s *setup) open(sys system, d link.Device, channels []lease.Channel) bool {
	for _, via := range channels {
		w, err := sys.open(d, via)
		if err != nil {
			s.close()
			s.wires, s.err = nil, err
			return false
		}
		s.wires[via] = w
	}
	return true
}

func (s setup) close() {
	for _, w := range s.wires {
		_ = w.Close()
	}
}

// setUp takes the result of begin.
func (r *runner) setUp(s setup) {
	r.held = append(r.held, s.short...)
	n := r.attachments[s.key]
	if n != nil && !s.rewired {
		n.linking = false
		r.tellNever(n, s.faults)
	}
	switch {
	case n == nil:
		s.close()
		return
	case s.rewired:
		r.rewired(n, s)
		return
	case s.above:
		n.setting = false
		r.madeAbove(n, s.faults.err(), false)
		return
	}
	n.setting = false
	again := !never(s.faults.err())
	if n.job == nil && again {
		s.err = s.faults.err() // it is there for nothing else
	}
	if !n.wanted() {
		s.close()
		n.ready = s.err == nil
		if !again { // otherwise what is to be made of it needs it
			r.setDown(n)
		}
		if n.ready {
			r.madeAbove(n, s.faults.err(), true)
		}
		return
	}
	if s.broadcast != n.dev.Broadcast || s.bare && n.job != nil || n.redo {
		// A bond has become an InfiniBand interface meanwhile, or is to have an address; or a
		// link that is made of it has gone.
		n.redo = false
		s.close()
		r.begin(n)
		return
	}
	if n.dev.Type == link.HwLoopback {
		for _, name := range s.bonds {
			r.bonded[name] = true
		}
	}
	n.err = s.err
	if errors.Is(s.err, link.ErrContradiction) {
		r.tellUnable(fmt.Sprintf("set up %s: %v", n.dev.Name, s.err))
		if !r.contradicted(n) { // the kernel has reported another state meanwhile
			r.begin(n)
		}
		return
	}
	if s.err != nil {
		n.retry = time.Now().Add(lease.RetryAfter(n.tries))
		if n.tries == 1 {
			r.log.Warn(fmt.Sprintf("set up %s: %v; trying again", n.dev.Name, s.err))
		}
		return
	}
	n.ready = true
	r.madeAbove(n, s.faults.err(), true)
	other := r.attachments[attachmentKey{index: s.key.index, ipv6: true}]
	if other != nil && other != n && other.wanted() && !other.setting && !other.ready {
		r.begin(other)
	}
	if n.job == nil {
		if r.more(n) {
			r.begin(n)
		}
		return
	}
	r.wire(n, s)
	if n.job.Method == lease.MethodNone {
		r.finish(n, n.job.Lease()) // its names and servers
		return
	}
	r.start(n)
}
