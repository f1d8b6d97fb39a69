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

	"github.com/nodisk/nodisk/internal/uevent"
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

// A moduleLoad is one module on its way into the kernel. It is done when others may rely on
// the module, and has returned when the kernel is done with the call, which may be long after.
type moduleLoad struct {
	once     sync.Once
	done     chan struct{}
	returned chan struct{}
	listed   sync.Once     // is in the list of what was loaded
	late     chan struct{} // closed when the kernel has taken longer than patience
	err      error
	began    time.Time // the kernel was asked; guarded by the Loader's mutex
	device   string    // that the module is for, empty: none or not known
	canceled bool      // its context ended before the kernel was asked
}

func newModuleLoad(device string) *moduleLoad {
	return &moduleLoad{done: make(chan struct{}), returned: make(chan struct{}), late: make(chan struct{}),
		device: device}
}

// end says what the kernel answered. The first answer counts.
func (f *moduleLoad) end(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.done)
	})
}

// ended reports whether others may rely on the module, or never can.
func (f *moduleLoad) ended() bool { return isClosed(f.done) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// failed reports whether the kernel has refused.
func (f *moduleLoad) failed() bool { return f.ended() && f.err != nil }

// A Late module is one that the kernel still has in its init, or a driver's
// probe: nobody can call it back.
type Late struct {
	Module string
	Device string        // its first that is known, as in sysfs; empty: none
	For    time.Duration // since the kernel was asked
	Live   bool          // others may rely on it: what lasts is a probe, of whatever driver
}

// String is "stall in its init, or its probe of 0000:00:05.0, 12 s".
func (l Late) String() string {
	var where string
	switch {
	case l.Live && l.Device != "":
		where = "waiting for probes, perhaps its own of " + l.Device
	case l.Live:
		where = "waiting for probes"
	case l.Device != "":
		where = "in its init, or its probe of " + l.Device
	default:
		where = "in its init"
	}
	return fmt.Sprintf("%s %s, %.3g s", l.Module, where, l.For.Seconds())
}

// Late lists the modules that the kernel has not answered for, by name. Of those that
// are live only the drivers of devices count: since Linux 5.17 finit_module(2) waits for
// the asynchronous probes of all drivers, and any other module only waits with them.
func (l *Loader) Late() []Late {
	return l.under(func(_ string, f *moduleLoad) bool { return !f.ended() || f.device != "" })
}

// Loading lists the modules that are on their way, by name: nobody can rely on them yet, or they are drivers whose
// probes last. More may come while looking, which reports whether the machine's devices are being looked at.
func (l *Loader) Loading() (names []string, looking bool) {
	l.mu.Lock()
	for name, f := range l.loads {
		if !isClosed(f.returned) && !f.failed() && (!f.ended() || f.device != "") {
			names = append(names, name)
		}
	}
	l.mu.Unlock()
	slices.Sort(names)
	return names, l.places.looking()
}

// under lists those modules that of selects of what the kernel has not answered for.
func (l *Loader) under(of func(module string, f *moduleLoad) bool) []Late {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []Late
	for name, f := range l.loads {
		if !isClosed(f.returned) && !f.began.IsZero() && !f.failed() && of(name, f) {
			list = append(list, Late{Module: name, Device: f.device, For: time.Since(f.began), Live: f.ended()})
		}
	}
	slices.SortFunc(list, func(a, b Late) int { return strings.Compare(a.Module, b.Module) })
	return list
}

// loadOnce loads a module unless somebody does or has done so. It calls late if that
// takes longer than patience. When ctx ends it returns, though the kernel may
// still be in the module's init.
func (l *Loader) loadOnce(ctx context.Context, n *node, again bool, late func()) error {
	for {
		l.mu.Lock()
		f := l.loads[n.mod.Name]
		if f == nil || again && f.failed() {
			f = newModuleLoad(n.device)
			l.loads[n.mod.Name] = f
			go l.run(ctx, n, f)
		}
		l.mu.Unlock()
		again = false
		if !f.wait(ctx, late) {
			return fmt.Errorf("wait for module %q: %w", n.mod.Name, context.Cause(ctx))
		}
		if !f.canceled || ctx.Err() != nil {
			return f.err
		}
	}
}

// wait returns false when ctx ends before the load.
func (f *moduleLoad) wait(ctx context.Context, late func()) bool {
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

// run takes a place for the work and gives the module to the kernel. What is
// live already needs neither. A module may be live long before finit_module(2)
// returns: since Linux 5.17 that waits for all asynchronous probes of whatever driver
// (async_synchronize_full in do_init_module of kernel/module/main.c), and one that
// hangs there is not this module's concern.
func (l *Loader) run(ctx context.Context, n *node, f *moduleLoad) {
	defer l.turned(func() { close(f.returned); l.state.count++ })
	if l.kernel.live(n.mod.Name) {
		f.end(nil)
		return
	}
	if l.places.take(ctx, n.claim) {
		give := sync.OnceFunc(func() { l.places.give(n.claim) })
		defer give()
		if ctx.Err() == nil {
			added, err := l.insert(ctx, n, func() (stop func()) {
				l.mu.Lock()
				f.began = time.Now()
				l.mu.Unlock()
				timer := time.AfterFunc(l.patience, func() {
					give()
					l.late(n, f)
				})
				return func() { timer.Stop() }
			})
			if added {
				l.list(n, f)
			}
			f.end(err)
			return
		}
	}
	f.canceled = true
	l.mu.Lock()
	delete(l.loads, n.mod.Name)
	l.mu.Unlock()
	f.end(fmt.Errorf("load module %q: %w", n.mod.Name, context.Cause(ctx)))
}

// list puts a module on the list of what was loaded, once.
func (l *Loader) list(n *node, f *moduleLoad) {
	f.listed.Do(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		took := time.Since(f.began)
		l.loaded = append(l.loaded, Loaded{Name: n.mod.Name, Took: took, Device: n.claim.driver})
		l.log.Debug("module loaded", slog.String("module", n.mod.Name), slog.Duration("took", took))
	})
}

// late ends a load when its module is live, which the kernel announces (kobject_uevent in
// do_init_module): from then on it has all that others need of it.
func (l *Loader) late(n *node, f *moduleLoad) {
	module := n.mod.Name
	live := func() bool {
		if !l.kernel.live(module) {
			return false
		}
		l.list(n, f)
		f.end(nil)
		return true
	}
	events, eventsErr := l.kernel.events()
	if eventsErr == nil {
		defer func() { _ = events.Close() }()
	}
	if live() {
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
		case live():
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

// insert gives one module to the kernel, and reports whether it was not there before.
// enter is called when the kernel is asked, and what it returns when the kernel has answered.
func (l *Loader) insert(ctx context.Context, n *node, enter func() (leave func())) (added bool, err error) {
	name := n.mod.Name
	leave := func() {}
	defer func() { leave() }()
	load := insertion{path: n.mod.Path, params: n.params, enter: sync.OnceFunc(func() { leave = enter() })}
	pause := busyPause
	for attempt := 1; ; attempt++ {
		logged, err := l.kernel.insert(load)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EEXIST):
			return false, nil
		case (errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EAGAIN)) && attempt < busyAttempts:
			if l.kernel.live(name) {
				return false, nil
			}
			if wait(ctx, pause) == nil {
				pause *= 2
				continue
			}
		}
		e := explain(name, err, logged, releases{tree: l.index.release, running: l.kernel.release()})
		if needs := l.unmet(n.mod, e); needs != "" {
			e.Remedy = fmt.Sprintf("%s lies in a directory without an index, so nothing is loaded for it: "+
				"name %s before it", n.mod.Path, needs)
		}
		return false, e
	}
}

// unmet names the modules that a flat one should have been named after. It is
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
