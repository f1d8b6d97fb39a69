package modload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/init/uevent"
)

// patience is how long finit_module(2) may take before its module is taken to
// wait rather than to compute. The call checks the signature, links, runs init
// and, where the module is a driver, the probes of its devices: nothing tells
// from outside where it is. If a large module on a slow processor is taken to wait
// although it computes, two share a processor, which costs nothing.
//
// serialPatience is the same for [LoaderConfig.Serial], where the next module waits.
const (
	patience       = 50 * time.Millisecond
	serialPatience = 10 * time.Second
)

// A flight is one module on its way into the kernel.
type flight struct {
	once      sync.Once
	done      chan struct{}
	late      chan struct{} // closed when the kernel has taken longer than patience
	err       error
	began     time.Time // the kernel was asked; guarded by the Loader's mutex
	device    string    // that the module is for, empty: none or not known
	abandoned bool      // its context ended before the kernel was asked
}

func newFlight(device string) *flight {
	return &flight{done: make(chan struct{}), late: make(chan struct{}), device: device}
}

// end says what the kernel answered. The first answer counts.
func (f *flight) end(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.done)
	})
}

// ended tells whether the kernel has answered.
func (f *flight) ended() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// failed tells whether the kernel has refused.
func (f *flight) failed() bool { return f.ended() && f.err != nil }

// A Late module is one that the kernel still has in its init, or a driver's
// probe: nobody can call it back.
type Late struct {
	Module string
	Device string        // its first that is known, as in sysfs; empty: none
	For    time.Duration // since the kernel was asked
}

// String is "stall in its init, or its probe of 0000:00:05.0, 12 s".
func (l Late) String() string {
	where := "in its init"
	if l.Device != "" {
		where += ", or its probe of " + l.Device
	}
	return fmt.Sprintf("%s %s, %.3g s", l.Module, where, l.For.Seconds())
}

// Late lists the modules that the kernel has not answered for, by name.
func (l *Loader) Late() []Late { return l.under(nil) }

// under is Late for those modules that of selects; nil selects all.
func (l *Loader) under(of func(module string) bool) []Late {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []Late
	for name, f := range l.flights {
		if !f.ended() && !f.began.IsZero() && (of == nil || of(name)) {
			list = append(list, Late{Module: name, Device: f.device, For: time.Since(f.began)})
		}
	}
	slices.SortFunc(list, func(a, b Late) int { return strings.Compare(a.Module, b.Module) })
	return list
}

// fly loads a module unless somebody does or has done so. It calls late if that
// takes longer than patience. When ctx ends it returns, though the kernel may
// still be in the module's init.
func (l *Loader) fly(ctx context.Context, n *node, again bool, late func()) error {
	for {
		l.mu.Lock()
		f := l.flights[n.mod.Name]
		if f == nil || again && f.failed() {
			f = newFlight(n.device)
			l.flights[n.mod.Name] = f
			go l.depart(ctx, n, f)
		}
		l.mu.Unlock()
		again = false
		if !f.wait(ctx, late) {
			return fmt.Errorf("wait for module %q: %w", n.mod.Name, context.Cause(ctx))
		}
		if !f.abandoned || ctx.Err() != nil {
			return f.err
		}
	}
}

// wait returns false when ctx ends before the flight.
func (f *flight) wait(ctx context.Context, late func()) bool {
	select {
	case <-f.done:
		return true
	case <-f.late:
		late()
	case <-ctx.Done():
		return false
	}
	select {
	case <-f.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// depart takes a place for the work and gives the module to the kernel. What is
// live already needs neither. A module may be live long before finit_module(2)
// returns: since Linux 5.17 that waits for all asynchronous probes of whatever driver
// (async_synchronize_full in do_init_module of kernel/module/main.c), and one that
// hangs there is no concern of this module.
func (l *Loader) depart(ctx context.Context, n *node, f *flight) {
	if l.kernel.live(n.mod.Name) {
		f.end(nil)
		return
	}
	if l.places.take(ctx, n.claim) {
		give := sync.OnceFunc(func() { l.places.give(n.claim) })
		defer give()
		if ctx.Err() == nil {
			f.end(l.insert(ctx, n, func() (stop func()) {
				l.mu.Lock()
				f.began = time.Now()
				l.mu.Unlock()
				timer := time.AfterFunc(l.patience, func() {
					give()
					l.late(n.mod.Name, f)
				})
				return func() { timer.Stop() }
			}))
			return
		}
	}
	f.abandoned = true
	l.mu.Lock()
	delete(l.flights, n.mod.Name)
	l.mu.Unlock()
	f.end(fmt.Errorf("load module %q: %w", n.mod.Name, context.Cause(ctx)))
}

// late ends a flight when its module is live, which the kernel announces (kobject_uevent in
// do_init_module): from then on it has all that others need of it.
func (l *Loader) late(module string, f *flight) {
	events, eventsErr := l.kernel.events()
	if eventsErr == nil {
		defer func() { _ = events.Close() }()
	}
	if l.kernel.live(module) {
		f.end(nil)
		return
	}
	close(f.late)
	if eventsErr != nil {
		return // it ends when finit_module does
	}
	ctx, cancel := context.WithCancel(l.life)
	defer cancel()
	go func() {
		select {
		case <-f.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		e, err := events.Receive(ctx)
		lost := errors.Is(err, uevent.ErrOverrun)
		switch {
		case err != nil && !lost:
			return
		case !lost && (e.Subsystem != "module" || e.Action != "add" || e.DevPath != "/module/"+module):
		case l.kernel.live(module):
			f.end(nil)
			return
		}
	}
}

// Attempts and first pause when the kernel says that it is busy with this very
// module: somebody else loads or unloads it.
const (
	busyAttempts = 6
	busyPause    = 10 * time.Millisecond // doubles; 310 ms in all
)

// insert gives one module to the kernel. enter is called when the kernel is
// asked, and what it returns when the kernel has answered.
func (l *Loader) insert(ctx context.Context, n *node, enter func() (leave func())) error {
	name := n.mod.Name
	leave := func() {}
	defer func() { leave() }()
	load := insertion{path: n.mod.Path, params: n.params, enter: sync.OnceFunc(func() { leave = enter() })}
	pause := busyPause
	for attempt := 1; ; attempt++ {
		start := time.Now()
		logged, err := l.kernel.insert(load)
		took := time.Since(start)
		switch {
		case err == nil:
			l.mu.Lock()
			l.loaded = append(l.loaded, Loaded{Name: name, Took: took, Device: n.claim.driver})
			l.mu.Unlock()
			l.log.LogAttrs(ctx, slog.LevelDebug, "module loaded", slog.String("module", name), slog.Duration("took", took))
			return nil
		case errors.Is(err, unix.EEXIST):
			return nil
		case (errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EAGAIN)) && attempt < busyAttempts:
			if l.kernel.live(name) {
				return nil
			}
			if wait(ctx, pause) == nil {
				pause *= 2
				continue
			}
		}
		e := explain(name, err, logged, releases{tree: l.index.release, running: l.kernel.release()})
		if needs := l.unmet(n.mod, e); needs != "" {
			e.Remedy = fmt.Sprintf("%s lies in a folder without index, so nothing is loaded for it: name %s before it", n.mod.Path, needs)
		}
		return e
	}
}

// unmet names the modules that a flat one should have been named behind. It is
// empty when the kernel misses none of its symbols.
func (l *Loader) unmet(m *Module, e *LoadError) string {
	if !m.Flat || !strings.Contains(e.Kernel, "Unknown symbol") {
		return ""
	}
	var list []string
	for _, name := range l.kernel.needs(m.Path) {
		if !l.kernel.present(name) {
			list = append(list, name)
		}
	}
	return strings.Join(list, ", ")
}

// wait pauses, or returns early with the error of ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
