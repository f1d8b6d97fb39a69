package modload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A LoaderConfig is what the administrator and the image decide. The zero
// value works.
type LoaderConfig struct {
	Root      string // where lib, sys and dev are; empty is "/"
	Modules   string // below Root, where lib is if not in Root itself
	Params    Params
	Blacklist Blacklist
	Serial    bool // one module at a time, in load order
	// Workers is how many modules are loaded side by side; 0 is one for each
	// processor.
	Workers int
	// Decompress unpacks a module that the kernel cannot unpack by itself;
	// path ends in .xz, .zst or .gz. Nil: such a module is an error.
	// Package modload/unpack has one.
	Decompress func(path string, r io.Reader) (io.Reader, error)
}

// A Loader gives modules to the kernel.
type Loader struct {
	index  *Index
	conf   LoaderConfig
	log    *slog.Logger
	kernel kernel
	places *workers

	mu      sync.Mutex
	flights map[string]*flight
	loaded  []Loaded
	said    map[string]bool // what is logged once

	scanning sync.Mutex
	scanner  scanner
}

// kernel is what a Loader needs of the machine.
type kernel interface {
	live(module string) bool    // loaded, its init is done
	present(module string) bool // loaded or built in
	insert(path, params string) (logged []string, err error)
	size(path string) int64     // of a module's file, 0 when unknown
	needs(path string) []string // modules that the file itself says it depends on
	release() string
	cpu() string // modalias of the processor, empty when unknown
}

// A flight is one module on its way into the kernel.
type flight struct {
	done      chan struct{}
	err       error
	asked     bool // the kernel was; guarded by the Loader's mutex
	abandoned bool // its context ended before the kernel was asked
}

// Loaded is a module that this Loader has loaded.
type Loaded struct {
	Name   string
	Took   time.Duration // inside finit_module
	Device bool          // for a device, not by name
}

// NewLoader returns a Loader for the running kernel. A nil log discards.
func NewLoader(x *Index, c LoaderConfig, log *slog.Logger) *Loader {
	return newLoader(x, c, newMachine(c), log)
}

func newLoader(x *Index, c LoaderConfig, k kernel, log *slog.Logger) *Loader {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	places := c.Workers
	if places < 1 {
		places = max(1, runtime.NumCPU())
	}
	if c.Serial {
		places = 1
	}
	return &Loader{
		index: x, conf: c, log: log, kernel: k,
		places:  newWorkers(places),
		flights: make(map[string]*flight),
		said:    make(map[string]bool),
	}
}

// Workers is how many modules are loaded side by side.
func (l *Loader) Workers() int { return l.places.total }

// Loaded lists what this Loader has loaded, in the order of completion.
func (l *Loader) Loaded() []Loaded {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.loaded)
}

// Load loads modules by name or alias with all they depend on. What is loaded
// or built in already is success. Of several modules that answer to one alias
// at least one must load. Modules that could not be loaded are reported
// together ([*MissingError], [*LoadError]) after everything else was tried. A
// module that failed before is tried again.
func (l *Loader) Load(ctx context.Context, names ...string) error {
	requests := make([]Request, len(names))
	for i, name := range names {
		requests[i].Name = name
	}
	return l.Request(ctx, requests...)
}

// Request is Load for the entries of a [Profile]. What is wrong with an
// optional one is a warning in the log.
func (l *Loader) Request(ctx context.Context, requests ...Request) error {
	names := make([]string, len(requests))
	for i, r := range requests {
		names[i] = r.Name
	}
	p := l.index.plan(names, l.denied, l.kernel.cpu())
	got := l.run(ctx, p.mods, requests, false)
	if err := l.ended(ctx); err != nil {
		return err
	}
	var errs []error
	for i, a := range p.answers {
		err := l.judge(a, got)
		switch {
		case err == nil:
		case requests[i].Optional, l.onTrust(requests[i], a):
			l.warn(a.name, err)
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// onTrust tells whether a module that is not there may be built in: without
// modules.builtin nobody can say, and a profile is no order.
func (l *Loader) onTrust(r Request, a answer) bool {
	_, missing := errors.AsType[*MissingError](a.err)
	return missing && r.Stage != 0 && l.index.indexed == 0
}

// ended is the error of a load whose ctx has ended, nil before.
func (l *Loader) ended(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	if names := l.under(); names != "" {
		return fmt.Errorf("load modules: %w; the kernel is still in the init of %s: see its log", err, names)
	}
	return fmt.Errorf("load modules: %w", err)
}

// judge says whether an answer satisfies its request.
func (l *Loader) judge(a answer, got map[string]error) error {
	if a.err != nil && l.kernel.present(normal(a.name)) {
		return nil
	}
	errs := []error{a.err}
	for _, m := range a.mods {
		err := got[m]
		if err == nil && a.byAlias {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// warn logs what is wrong with a module that the boot can do without, once.
func (l *Loader) warn(name string, err error) {
	if !l.once("warn " + name) {
		return
	}
	level := slog.LevelWarn
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		level = slog.LevelDebug // no such hardware: nothing anybody must do
	}
	l.log.LogAttrs(context.Background(), level, "optional module not loaded", slog.String("module", name), slog.Any("err", err))
}

func (l *Loader) once(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said[what] {
		return false
	}
	l.said[what] = true
	return true
}

// denied is the blacklist as a denial; it says so once a module.
func (l *Loader) denied(module string, byAlias bool) bool {
	e, ok := l.conf.Blacklist.Find(module, byAlias)
	if ok && l.once("black "+module) {
		l.log.LogAttrs(context.Background(), slog.LevelInfo, "module not loaded: it is blacklisted",
			slog.String("module", module), slog.String("by", e.Key))
	}
	return ok
}

// params puts the administrator's parameters behind the profile's: the kernel
// takes the last of a kind.
func (l *Loader) params(module string, requests []Request) string {
	params := l.conf.Params.For(module)
	for _, r := range requests {
		if r.Params == "" || normal(r.Name) != module {
			continue
		}
		if params == "" {
			return r.Params
		}
		return r.Params + " " + params
	}
	return params
}

// fly loads a module unless somebody does or has done so. When ctx ends it
// returns, though the kernel may still be in the module's init: nobody can call it back.
func (l *Loader) fly(ctx context.Context, n *node, again bool) error {
	for {
		l.mu.Lock()
		f := l.flights[n.mod.Name]
		if f == nil || again && f.failed() {
			f = &flight{done: make(chan struct{})}
			l.flights[n.mod.Name] = f
			go l.depart(ctx, n, f)
		}
		l.mu.Unlock()
		again = false
		select {
		case <-f.done:
		case <-ctx.Done():
			return fmt.Errorf("wait for module %q: %w", n.mod.Name, ctx.Err())
		}
		if !f.abandoned || ctx.Err() != nil {
			return f.err
		}
	}
}

// under names the modules the kernel has not answered for.
func (l *Loader) under() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for name, f := range l.flights {
		select {
		case <-f.done:
		default:
			if f.asked {
				names = append(names, name)
				for i := len(names) - 1; i > 0 && names[i] < names[i-1]; i-- {
					names[i-1], names[i] = names[i], names[i-1]
				}
			}
		}
	}
	return strings.Join(names, ", ")
}

// failed is for the holder of the mutex.
func (f *flight) failed() bool {
	select {
	case <-f.done:
		return f.err != nil
	default:
		return false
	}
}

func (l *Loader) depart(ctx context.Context, n *node, f *flight) {
	defer close(f.done)
	if l.places.take(ctx, n.device) {
		defer l.places.give()
	}
	if err := ctx.Err(); err != nil {
		f.err, f.abandoned = fmt.Errorf("load module %q: %w", n.mod.Name, err), true
		l.mu.Lock()
		delete(l.flights, n.mod.Name)
		l.mu.Unlock()
		return
	}
	l.mu.Lock()
	f.asked = true
	l.mu.Unlock()
	f.err = l.insert(ctx, n)
}

// Attempts and first pause when the kernel says that it is busy with this very
// module: somebody else loads or unloads it.
const (
	busyAttempts = 6
	busyPause    = 10 * time.Millisecond // doubles; 310 ms in all
)

// insert gives one module to the kernel.
func (l *Loader) insert(ctx context.Context, n *node) error {
	name := n.mod.Name
	if l.kernel.live(name) {
		return nil
	}
	pause := busyPause
	for attempt := 1; ; attempt++ {
		start := time.Now()
		logged, err := l.kernel.insert(n.mod.Path, n.params)
		took := time.Since(start)
		switch {
		case err == nil:
			l.mu.Lock()
			l.loaded = append(l.loaded, Loaded{Name: name, Took: took, Device: n.device})
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
		return ctx.Err()
	}
}
