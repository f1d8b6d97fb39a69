package modload

import (
	"context"
	"slices"
	"sync"
)

// maxPlaces bounds how many modules are worked on at once, whatever the number
// of processors. What a boot loads is a graph of some 20 to 40 modules and 5 to 6
// levels, so more than a handful are rarely ready at one time; each may be of
// several MB unpacked (mlx5_core: 2.5), and all of them patch the kernel's text
// under one lock.
const maxPlaces = 8

// places are for the processors' work: reading a module, unpacking it, having its
// signature checked and its symbols resolved. A load that waits instead, in a
// probe or for firmware, gives its place up: see [Loader.run].
//
// Drivers come first: links train and firmware loads for seconds, and all else
// can be done meanwhile. So while devices are looked at, loads by name leave one of
// several places to the next driver, unless a driver works at one already.
type places struct {
	total int

	mu    sync.Mutex
	free  int
	held  int // by drivers
	looks int // at devices, that have not settled
	queue []*waiter
}

// A claim says who comes first of those that wait for a place: drivers, and of
// equals the heaviest, then who came first.
type claim struct {
	driver bool
	weight int64 // see weigh
}

type waiter struct {
	claim
	placed chan struct{} // closed when it has its place
}

func newPlaces(n int) *places {
	return &places{total: n, free: n}
}

// take waits for a place. It returns false when ctx ends first.
func (p *places) take(ctx context.Context, c claim) bool {
	w := &waiter{claim: c, placed: make(chan struct{})}
	p.mu.Lock()
	p.queue = append(p.queue, w)
	p.assign()
	p.mu.Unlock()
	select {
	case <-w.placed:
		return true
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.queue, w)
	if i < 0 {
		return true // it came at the same moment
	}
	p.queue = slices.Delete(p.queue, i, i+1)
	return false
}

// give returns the place of a claim.
func (p *places) give(c claim) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	if c.driver {
		p.held--
	}
	p.assign()
}

// begin and end enclose a look at devices.
func (p *places) begin() { p.look(1) }
func (p *places) end()   { p.look(-1) }

func (p *places) look(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks += n
	p.assign()
}

// looking reports whether devices are being looked at.
func (p *places) looking() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.looks > 0
}

// assign gives free places to those that wait. It is for the holder of the mutex.
func (p *places) assign() {
	for p.free > 0 {
		reserved := p.looks > 0 && p.held == 0 && p.total > 1 && p.free == 1
		best := -1
		for i, w := range p.queue {
			if w.driver || !reserved {
				if best < 0 || w.before(p.queue[best].claim) {
					best = i
				}
			}
		}
		if best < 0 {
			return
		}
		w := p.queue[best]
		p.queue = slices.Delete(p.queue, best, best+1)
		p.free--
		if w.driver {
			p.held++
		}
		close(w.placed)
	}
}

func (c claim) before(d claim) bool {
	if c.driver != d.driver {
		return c.driver
	}
	return c.weight > d.weight
}
