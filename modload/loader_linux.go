package modload

import (
	"context"
	"errors"
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
	// Workers is how many modules are worked on side by side; 0 is one for each
	// processor, 8 at most. Those that wait, in a probe, do not count.
	Workers int
	// AsyncProbe has the kernel return from finit_module(2) without waiting for
	// probes, of this module or of others: the parameter async_probe of any module
	// (kernel/module/main.c, since Linux 4.2). Names of interfaces and disks may come in another order.
	AsyncProbe bool
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
	places *places
	// patience of this loader, see there.
	patience time.Duration
	// life is that of what goes on when the caller did not wait for its end.
	life context.Context
	end  context.CancelFunc

	mu      sync.Mutex
	loads   map[string]*moduleLoad
	loaded  []Loaded
	left    map[*batch]bool // whose callers went on without them
	asked   map[string]bool // modules for devices that are in a batch
	looking int             // looks at devices, or events of one, that have not ended
	state   steps
	turn    chan struct{}   // of state
	said    map[string]bool // what is logged once

	scanning sync.Mutex
	scanner  scanner
}

// kernel is what a Loader needs of the machine.
type kernel interface {
	live(module string) bool    // loaded, its init is done
	present(module string) bool // loaded or built in
	insert(insertion) (logged []string, err error)
	size(path string) int64     // of a module's file, 0 when unknown
	needs(path string) []string // modules that the file itself says it depends on
	release() string
	cpu() string // modalias of the processor, empty when unknown
	// events are what the kernel says of devices and modules from now on. Who gets
	// them closes them.
	events() (listener, error)
}

type listener interface {
	Events
	Close() error
}

// An insertion is a module that is to become part of the kernel.
type insertion struct {
	path, params string
	enter        func() // called when the kernel is asked; not nil
}

// Loaded is a module that this Loader has loaded.
type Loaded struct {
	Name   string
	Took   time.Duration // inside finit_module
	Device bool          // for a device or as a driver of a profile
}

// NewLoader returns a Loader for the running kernel. A nil log discards.
func NewLoader(x *Index, c LoaderConfig, log *slog.Logger) *Loader {
	return newLoader(x, c, newMachine(c), log)
}

func newLoader(x *Index, c LoaderConfig, k kernel, log *slog.Logger) *Loader {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	workers, longest := c.Workers, patience
	if workers < 1 {
		workers = workersOf(runtime.NumCPU())
	}
	if c.Serial {
		workers, longest = 1, serialPatience
	}
	l := &Loader{
		index: x, conf: c, log: log, kernel: k,
		places: newPlaces(workers), patience: longest,
		loads: make(map[string]*moduleLoad),
		left:  make(map[*batch]bool),
		asked: make(map[string]bool),
		said:  make(map[string]bool),
		turn:  make(chan struct{}),
	}
	l.state.turn = l.turn
	l.life, l.end = context.WithCancel(context.Background())
	return l
}

// workersOf is how many modules are worked on side by side on so many processors.
func workersOf(cpus int) int { return min(max(1, cpus), maxPlaces) }

// Close ends what goes on in the background: modules that wait for late ones
// are no longer loaded. What the kernel has is its own affair; see [Loader.Late].
func (l *Loader) Close() { l.end() }

// Workers is how many modules are worked on side by side.
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
	b, answers := l.launch(ctx, requests, false)
	<-b.done
	if err := b.expired(ctx, l); err != nil {
		return err
	}
	return l.verdict(b, answers, requests)
}

// Drivers is Request for drivers: they come before all that is loaded by name,
// and nobody waits for their probes. It returns when all that is left to do waits
// for the kernel, which is in the init or in a probe of some; it goes on in
// the background until [Loader.Close], and what fails then is a warning in
// the log.
func (l *Loader) Drivers(ctx context.Context, requests ...Request) error {
	b, answers := l.launch(l.life, requests, true)
	if err := l.settle(ctx, b, answers); err != nil {
		return err
	}
	return l.verdict(b, answers, requests)
}

// launch begins with what requests ask for.
func (l *Loader) launch(ctx context.Context, requests []Request, drivers bool) (*batch, []answer) {
	names := make([]string, len(requests))
	for i, r := range requests {
		names[i] = r.Name
	}
	p := l.index.schedule(names, l.denied, l.kernel.cpu())
	return l.start(ctx, p.mods, purpose{requests: requests, driver: drivers, again: true}), p.answers
}

// verdict joins what is wrong with requests whose modules have had their answer.
func (l *Loader) verdict(b *batch, answers []answer, requests []Request) error {
	got := b.errors()
	var errs []error
	for i, a := range answers {
		err := l.judge(a, got)
		switch {
		case err == nil:
		case l.onTrust(requests[i], a) && l.index.Empty():
			// Whoever opened such an index has told that once.
		case requests[i].Optional, l.onTrust(requests[i], a):
			l.warn(a.name, err)
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// onTrust reports whether a module that is not there may be built in: without
// modules.builtin nobody can say, and a profile is not an order.
func (l *Loader) onTrust(r Request, a answer) bool {
	_, missing := errors.AsType[*MissingError](a.err)
	return missing && r.Stage != 0 && l.index.indexed == 0
}

// judge says whether an answer satisfies its request. A module that the kernel
// has not answered for may yet do so.
func (l *Loader) judge(a answer, got map[string]error) error {
	if a.err != nil && l.kernel.present(normal(a.name)) {
		return nil
	}
	errs := []error{a.err}
	for _, m := range a.mods {
		err, ended := got[m]
		if !ended || err == nil && a.byAlias {
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
	l.log.LogAttrs(context.Background(), level, "optional module not loaded", slog.String("module", name),
		slog.Any("err", err))
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

// params puts the administrator's parameters after the profile's: the kernel
// takes the last of a kind.
func (l *Loader) params(module string, requests []Request) string {
	params := l.conf.Params.For(module)
	if l.conf.AsyncProbe {
		params = strings.TrimSpace("async_probe " + params)
	}
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
