package modload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// A node is a module in one run.
type node struct {
	mod     *Module
	params  string
	deps    []*node // must have been loaded
	next    []*node // wait for this one
	waiting int     // predecessors that are not done
	weight  int64   // cost of the longest way from here to the end
	device  bool    // a device asked for it, not a name
	err     error
}

// run loads modules that are in load order and returns the error of each. A
// node waits for others of the same run, a flight for the kernel alone:
// concurrent runs cannot wait for each other in a circle.
func (l *Loader) run(ctx context.Context, mods []Module, requests []Request, device bool) map[string]error {
	nodes := l.graph(mods, requests)
	for i := range nodes {
		nodes[i].device = device
	}
	if device {
		l.places.begin()
		defer l.places.end()
	}
	// What failed is tried again for a name, not for each device of a kind.
	again := !device
	if workers := min(l.places.total, len(nodes)); workers > 1 {
		l.weigh(nodes, requests)
		l.share(ctx, nodes, workers, again)
	} else {
		for i := range nodes {
			l.visit(ctx, &nodes[i], again)
		}
	}
	got := make(map[string]error, len(nodes))
	for i := range nodes {
		n := &nodes[i]
		got[n.mod.Name] = n.err
		if n.err != nil && n.mod.Optional && ctx.Err() == nil {
			l.warn(n.mod.Name, n.err)
		}
	}
	return got
}

// graph links the modules of a run by their edges, all of which point
// backwards.
func (l *Loader) graph(mods []Module, requests []Request) []node {
	nodes := make([]node, len(mods))
	at := make(map[string]*node, len(mods))
	for i := range mods {
		n := &nodes[i]
		n.mod = &mods[i]
		n.params = l.params(n.mod.Name, requests)
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
				n.weight = attachFirst
			}
		}
		for _, d := range n.next {
			n.weight = max(n.weight, d.weight)
		}
		n.weight += l.kernel.size(n.mod.Path) + fixedCost
	}
}

// share lets workers take the heaviest of the nodes whose predecessors are done,
// until all are.
func (l *Loader) share(ctx context.Context, nodes []node, workers int, again bool) {
	var (
		mu    sync.Mutex
		moved = sync.NewCond(&mu)
		ready []*node
		left  = len(nodes)
		wg    sync.WaitGroup
	)
	for i := range nodes {
		if nodes[i].waiting == 0 {
			ready = append(ready, &nodes[i])
		}
	}
	for range workers {
		wg.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			for left > 0 {
				if len(ready) == 0 {
					moved.Wait()
					continue
				}
				var n *node
				n, ready = heaviest(ready)
				mu.Unlock()
				l.visit(ctx, n, again)
				mu.Lock()
				left--
				for _, d := range n.next {
					if d.waiting--; d.waiting == 0 {
						ready = append(ready, d)
					}
				}
				moved.Broadcast()
			}
		})
	}
	wg.Wait()
}

// heaviest takes the heaviest node off a list; of equals, the first.
func heaviest(list []*node) (best *node, rest []*node) {
	at := 0
	for i, n := range list {
		if n.weight > list[at].weight {
			at = i
		}
	}
	best = list[at]
	return best, slices.Delete(list, at, at+1)
}

// visit loads a node whose predecessors are done.
func (l *Loader) visit(ctx context.Context, n *node, again bool) {
	for _, d := range n.deps {
		if d.err != nil {
			n.err = chain(n, d)
			return
		}
	}
	if e, ok := l.conf.Blacklist.Find(n.mod.Name, false); ok {
		n.err = &LoadError{
			Module: n.mod.Name, Err: errors.New("forbidden by " + e.where()),
			Remedy: "take it off that list, or do without what needs it",
		}
		return
	}
	n.err = l.fly(ctx, n, again)
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
