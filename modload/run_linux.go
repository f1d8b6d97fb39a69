package modload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A node is a module in one batch.
type node struct {
	mod     *Module
	params  string
	claim   claim   // weight: cost of the longest way from here to the end
	device  string  // that asked for it, empty: a name did
	deps    []*node // must have been loaded
	next    []*node // wait for this one
	waiting int     // predecessors that are not done
	begun   bool
	late    bool // the kernel takes its time
	ended   bool
	err     error
}

// A purpose says what a batch is for.
type purpose struct {
	requests []Request
	driver   bool              // before all that is loaded by name
	again    bool              // what failed is tried again
	devices  map[string]string // by module: the device that asked for it
}

// A batch is the modules of one request, or of one look at devices, on their
// way. A node waits for others of the same batch, a moduleLoad for the kernel alone:
// batches cannot wait for each other in a circle.
type batch struct {
	purpose
	nodes []node

	mu      sync.Mutex // guards what changes in nodes, and:
	active  int        // nodes that are worked on or wait for a place
	left    int        // nodes that have not ended
	settled chan struct{}
	done    chan struct{}
}

// start begins to load modules that are in load order, until ctx ends.
func (l *Loader) start(ctx context.Context, mods []Module, p purpose) *batch {
	b := &batch{purpose: p, settled: make(chan struct{}), done: make(chan struct{})}
	b.nodes = l.graph(mods, p)
	b.left = len(b.nodes)
	l.weigh(b.nodes, p.requests)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(ctx, l)
	return b
}

// advance begins with as many nodes as there are places, and tells those that
// wait for the batch. It is for the holder of the mutex.
func (b *batch) advance(ctx context.Context, l *Loader) {
	for b.active < l.places.total {
		n := b.ready(l.places.total == 1)
		if n == nil {
			break
		}
		n.begun = true
		b.active++
		go b.load(ctx, l, n)
	}
	if b.left == 0 {
		shut(b.done)
	}
	if b.active == 0 {
		shut(b.settled)
	}
}

// ready returns the heaviest of the nodes whose predecessors have ended, or
// the first in load order; nil if there is none.
func (b *batch) ready(first bool) (best *node) {
	for i := range b.nodes {
		n := &b.nodes[i]
		if n.begun || n.waiting > 0 || best != nil && n.claim.weight <= best.claim.weight {
			continue
		}
		if best = n; first {
			break
		}
	}
	return best
}

// load takes a node to its end.
func (b *batch) load(ctx context.Context, l *Loader, n *node) {
	err := l.visit(ctx, n, b.again, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		n.late = true
		b.active--
		b.advance(ctx, l)
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	n.err, n.ended = err, true
	if err != nil && n.mod.Optional && ctx.Err() == nil {
		l.warn(n.mod.Name, err)
	}
	b.left--
	if !n.late {
		b.active--
	}
	for _, d := range n.next {
		d.waiting--
	}
	b.advance(ctx, l)
}

// shut closes a channel once.
func shut(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// errors are those of the modules that have ended, nil for success.
func (b *batch) errors() map[string]error {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := make(map[string]error, len(b.nodes))
	for i := range b.nodes {
		if n := &b.nodes[i]; n.ended {
			got[n.mod.Name] = n.err
		}
	}
	return got
}

// expired is the error of a batch whose ctx has ended, nil before. It names
// what the kernel has not answered for, and what it was not asked for.
func (b *batch) expired(ctx context.Context, l *Loader) error {
	err := context.Cause(ctx)
	if err == nil {
		return nil
	}
	has := func(module string) bool {
		return slices.ContainsFunc(b.nodes, func(n node) bool { return n.mod.Name == module })
	}
	late := l.under(func(module string, f *moduleLoad) bool { return !f.ended() && has(module) })
	others, _ := l.Loading()
	return stillHas(err, late, b.due(late), slices.DeleteFunc(others, has))
}

// due are the modules whose turn had come, and which the kernel does not have: they wait for a place, or are being
// read and unpacked, or were when their context ended. What comes after others is not among them.
func (b *batch) due(late []Late) (names []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.nodes {
		n := &b.nodes[i]
		cut := !n.ended || errors.Is(n.err, context.Canceled) || errors.Is(n.err, context.DeadlineExceeded)
		before := slices.ContainsFunc(n.deps, func(d *node) bool { return !d.ended || d.err != nil })
		if cut && !before && !slices.ContainsFunc(late, func(l Late) bool { return l.Module == n.mod.Name }) {
			names = append(names, n.mod.Name)
		}
	}
	return names
}

// stillHas is an error that says which modules are not loaded: those that the kernel has, those that are due, and
// others that are on their way beside them.
func stillHas(err error, late []Late, due, others []string) error {
	var b strings.Builder
	if len(late) > 0 {
		words := make([]string, len(late))
		for i, l := range late {
			words[i] = l.String()
		}
		fmt.Fprintf(&b, "; the kernel still has %s: see its log", strings.Join(words, ", "))
	}
	if len(due) > 0 {
		fmt.Fprintf(&b, "; not loaded yet: %s", few(due))
		if len(others) > 0 {
			fmt.Fprintf(&b, ", beside %s", few(others))
		}
		b.WriteString(": the machine is slow, or has much to load: rd.driver.blacklist= keeps out what it " +
			"does not need")
	}
	return fmt.Errorf("load modules: %w%s", err, b.String())
}

// few names some modules, and the rest by number.
func few(names []string) string {
	const most = 6
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

// settle returns when all that is left of a batch waits for the kernel, or when
// nothing is. The rest goes on.
func (l *Loader) settle(ctx context.Context, b *batch, answers []answer) error {
	select {
	case <-b.settled:
	case <-ctx.Done():
		return b.expired(ctx, l)
	}
	select {
	case <-b.done:
	default:
		l.leave(b, answers, b.errors())
	}
	return nil
}

// leave lets a batch go on by itself and warns of what fails. Those of before
// have been told.
func (l *Loader) leave(b *batch, answers []answer, before map[string]error) {
	l.mu.Lock()
	l.left[b] = true
	l.mu.Unlock()
	go func() {
		<-b.done
		got := b.errors()
		for _, a := range answers {
			told := !slices.ContainsFunc(a.mods, func(m string) bool { _, ended := before[m]; return !ended })
			if err := l.judge(a, got); err != nil && !told && l.life.Err() == nil {
				l.warn(a.name, err)
			}
		}
		l.turned(func() { delete(l.left, b); l.state.count++ })
	}()
}

// Finish waits until nothing is left to do for the devices of this machine: the modules that want selects
// are loaded, those that wait for others too, their probes have ended, asynchronous ones too, and the
// devices that these have made have had the same. [Loader.Follow] may be at work beside it. The error is that
// of ctx, or of standstill, in which nothing came to its end (a machine that is only slow is waited for); it
// names the modules.
func (l *Loader) Finish(ctx context.Context, sysfs fs.FS, want Filter, standstill time.Duration) error {
	timer := time.NewTimer(standstill)
	defer timer.Stop()
	count := l.progress().count
	for {
		before := l.progress()
		if err := l.Coldplug(ctx, sysfs, want); err != nil && ctx.Err() == nil {
			return err
		}
		now := l.progress()
		if now.count != count {
			count = now.count
			timer.Reset(standstill)
		}
		switch {
		case ctx.Err() != nil:
		case now.count != before.count:
			continue // what came to its end during the look may have made devices
		case l.quiet(want):
			return nil
		}
		select {
		case <-now.turn:
		case <-timer.C:
			return l.unfinished(fmt.Errorf("nothing came to its end for %.3g s", standstill.Seconds()))
		case <-ctx.Done():
			return l.unfinished(context.Cause(ctx))
		}
	}
}

// unfinished is the error of a Finish that did not come to its end.
func (l *Loader) unfinished(err error) error {
	l.mu.Lock()
	left := slices.Collect(maps.Keys(l.left))
	l.mu.Unlock()
	late := l.Late()
	var due []string
	for _, b := range left {
		due = append(due, b.due(late)...)
	}
	slices.Sort(due)
	return stillHas(err, late, slices.Compact(due), nil)
}

// Steps are how far a Loader has come. The turn is closed when it comes further, or a look ends.
type steps struct {
	count int
	turn  <-chan struct{}
}

func (l *Loader) progress() steps {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// turned makes a change, and has who waits look again.
func (l *Loader) turned(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.turn)
	l.turn = make(chan struct{})
	l.state.turn = l.turn
}

// quiet reports whether nothing is left to do of what want selects.
func (l *Loader) quiet(want Filter) bool {
	l.mu.Lock()
	looking, left := l.looking, slices.Collect(maps.Keys(l.left))
	probing := false
	for name, f := range l.loads {
		probing = probing || f.device != "" && !f.began.IsZero() && !isClosed(f.returned) && l.wanted(name, want)
	}
	l.mu.Unlock()
	return looking == 0 && !probing && !slices.ContainsFunc(left, func(b *batch) bool { return b.waits(want) })
}

// wanted reports whether a filter selects a module of the index.
func (l *Loader) wanted(name string, want Filter) bool {
	i, ok := l.index.byName[name]
	return want == nil || !ok || want(Module{Name: name, Path: l.index.file(l.index.mods[i].path)})
}

// waits reports whether a module that want selects has not ended.
func (b *batch) waits(want Filter) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.nodes, func(n node) bool { return !n.ended && (want == nil || want(*n.mod)) })
}

// graph links the modules of a run by their edges, all of which point
// backwards.
func (l *Loader) graph(mods []Module, p purpose) []node {
	nodes := make([]node, len(mods))
	at := make(map[string]*node, len(mods))
	for i := range mods {
		n := &nodes[i]
		n.mod = &mods[i]
		n.params = l.params(n.mod.Name, p.requests)
		n.claim.driver, n.device = p.driver, p.devices[n.mod.Name]
		for _, name := range n.mod.Deps {
			if d := at[name]; d != nil {
				n.deps = append(n.deps, d)
				d.next = append(d.next, n)
				n.waiting++
			}
		}
		for _, name := range n.mod.After {
			if d := at[name]; d != nil {
				d.next = append(d.next, n)
				n.waiting++
			}
		}
		at[n.mod.Name] = n
	}
	return nodes
}

// What a module costs besides its size: checking a signature takes as long as
// 32 KiB of module, measured on Linux 6.1.
const fixedCost = 32 << 10

// attachFirst puts the modules of StageStorage before all others: hand-over and
// scan of the disk follow them, and go on beside a file system that loads. A
// large module is bad company besides: while the kernel patches its thousands
// of trace points it holds locks that others wait for, 0.1 s for ext4 (seen
// on Linux 6.1).
const attachFirst = 64 << 20

// weigh gives every node the cost of what must come after it, so that the
// longest way to the root is begun first, and everything else beside it.
func (l *Loader) weigh(nodes []node, requests []Request) {
	for i := range slices.Backward(nodes) {
		n := &nodes[i]
		for _, r := range requests {
			if r.Stage == StageStorage && normal(r.Name) == n.mod.Name {
				n.claim.weight = attachFirst
			}
		}
		for _, d := range n.next {
			n.claim.weight = max(n.claim.weight, d.claim.weight)
		}
		n.claim.weight += l.kernel.size(n.mod.Path) + fixedCost
	}
}

// visit loads a node whose predecessors have ended.
func (l *Loader) visit(ctx context.Context, n *node, again bool, late func()) error {
	for _, d := range n.deps {
		if d.err != nil {
			return chain(n, d)
		}
	}
	if e, ok := l.conf.Blacklist.Find(n.mod.Name, false); ok {
		return &LoadError{
			Module: n.mod.Name, Err: errors.New("forbidden by " + e.where()),
			Remedy: "take it off that list, or do without what needs it",
		}
	}
	return l.loadOnce(ctx, n, again, late)
}

// chain tells which way the failure of a dependency came to n. d is the first
// that failed in load order, so its error is the cause.
func chain(n, d *node) error {
	var cause *LoadError
	if !errors.As(d.err, &cause) {
		return fmt.Errorf("load module %q: %w", n.mod.Name, d.err)
	}
	e := *cause
	e.Chain = nil
	for m := n; m != nil; m = m.towards(d) {
		e.Chain = append(e.Chain, m.mod.Name)
	}
	e.Chain = append(e.Chain, cause.Module)
	return &e
}

// towards returns the dependency of n next to it on a way to d, nil when d
// itself is next.
func (n *node) towards(d *node) *node {
	for _, m := range slices.Backward(n.deps) {
		if slices.Contains(m.deps, d) {
			return m
		}
	}
	return nil
}
