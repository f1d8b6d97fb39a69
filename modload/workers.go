package modload

import (
	"context"
	"sync"
)

// workers are the places at which modules are loaded side by side. While a
// coldplug goes on, loads by name leave it one of them: links train and
// firmware loads for seconds, so drivers come first, and all else meanwhile.
type workers struct {
	total int

	mu       sync.Mutex
	free     int
	coldplug int           // that go on
	changed  chan struct{} // closed when more may be taken
}

func newWorkers(n int) *workers {
	return &workers{total: n, free: n, changed: make(chan struct{})}
}

// take waits for a place. It returns false when ctx ends first.
func (w *workers) take(ctx context.Context, device bool) bool {
	for {
		w.mu.Lock()
		reserved := 0
		if w.coldplug > 0 && !device && w.total > 1 {
			reserved = 1
		}
		if w.free > reserved {
			w.free--
			w.mu.Unlock()
			return true
		}
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// give returns a place.
func (w *workers) give() { w.change(1, 0) }

// begin and end enclose a coldplug.
func (w *workers) begin() { w.change(0, 1) }
func (w *workers) end()   { w.change(0, -1) }

func (w *workers) change(free, coldplug int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free += free
	w.coldplug += coldplug
	close(w.changed)
	w.changed = make(chan struct{})
}
