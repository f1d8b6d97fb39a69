package modload

import (
	"errors"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A schedule is the answer to a list of requests: modules in load order, and which
// of them answer which request.
type schedule struct {
	mods    []Module
	answers []answer // one a request
}

// An answer names the modules one request led to. There are several when an
// alias matches several, none when what was asked for is built in.
type answer struct {
	name    string
	mods    []string
	byAlias bool
	err     error // *MissingError
}

// A denial reports whether a module must not be loaded; byAlias is true when an
// alias led to it and false when its own name or a dependency did.
type denial func(module string, byAlias bool) bool

// Resolve turns names of modules or aliases into the modules to load, with all
// they depend on, in load order. The order is modprobe's: softdeps named "pre"
// before a module, "post" after it. What is built in needs nothing and is
// left out. A missing softdep is not an error. All other missing modules are
// reported, joined, each as a [*MissingError]; the modules returned are then
// those that can be loaded nonetheless.
func (x *Index) Resolve(names ...string) ([]Module, error) {
	p := x.schedule(names, nil, "")
	errs := make([]error, 0, len(p.answers))
	for _, a := range p.answers {
		errs = append(errs, a.err)
	}
	return p.mods, errors.Join(errs...)
}

// schedule resolves. deny may be nil. cpu is the modalias of the processor, when
// known: of several modules that answer to one alias, those for another processor are left out.
func (x *Index) schedule(names []string, deny denial, cpu string) schedule {
	r := resolver{index: x, deny: deny, cpu: normal(cpu), state: make(map[int32]*progress)}
	answers := make([]answer, 0, len(names))
	for _, name := range names {
		a := answer{name: name}
		list, byAlias, ok := r.find(name)
		if !ok {
			a.err = x.missing(name, "")
		}
		a.byAlias = byAlias
		for _, i := range list {
			if r.denied(i, byAlias) {
				continue
			}
			if err := r.probe(i, true); err != nil {
				a.err = err
				continue
			}
			a.mods = append(a.mods, x.mods[i].name)
		}
		answers = append(answers, a)
	}
	return schedule{mods: r.modules(), answers: answers}
}

// find looks a name up as modprobe does: aliases of the configuration, modules,
// then aliases of modules, then what is built in. The latter is found, and nothing to load.
func (x *Index) find(name string) (mods []int32, byAlias, ok bool) {
	name = normal(name)
	targets, configured := x.configured(name)
	if !configured {
		if i, ok := x.byName[name]; ok {
			return []int32{i}, false, true
		}
		targets = x.aliases().lookup(name)
	}
	for _, m := range targets {
		if i, ok := x.byName[m]; ok {
			mods = append(mods, i)
		}
	}
	switch {
	case mods != nil:
		return mods, true, true
	case configured: // "off" leads nowhere, and that is not an error
		return nil, true, len(targets) == 0 || slices.ContainsFunc(targets, x.Builtin)
	}
	return nil, false, x.Builtin(name)
}

func (x *Index) missing(name, wanted string) *MissingError {
	var known []string
	x.Names(func(name string) bool { known = append(known, name); return true })
	near := cmdline.Nearest(normal(name), known, max(1, len(name)/4)+1)
	return &MissingError{Name: name, Wanted: wanted, Nearest: near, Release: x.release}
}

// deps are the modules of a line of modules.dep in load order.
func (x *Index) deps(i int32) ([]int32, error) {
	paths := strings.Fields(x.mods[i].deps)
	deps := make([]int32, 0, len(paths))
	for _, path := range slices.Backward(paths) {
		name := nameOf(path)
		d, ok := x.byName[name]
		switch {
		case ok && d != i:
			deps = append(deps, d)
		case !ok && !x.Builtin(name):
			return nil, x.missing(name, x.mods[i].name)
		}
	}
	return deps, nil
}

// A resolver walks the graph. The walk is libkmod's
// (__kmod_module_get_probe_list in libkmod-module.c), so that the order is the
// one modules are tested in: visited ends cycles of softdeps, and a module takes its place when it
// is met first.
type resolver struct {
	index *Index
	deny  denial
	cpu   string
	state map[int32]*progress
	order []int32
}

type progress struct {
	visited  bool
	placed   bool
	required bool
	post     []int32 // to be ordered after it
	pre      []int32
	deps     []int32
	err      error // of deps
	rank     int   // place in order
}

func (r *resolver) of(i int32) *progress {
	p := r.state[i]
	if p == nil {
		p = &progress{}
		p.deps, p.err = r.index.deps(i)
		r.state[i] = p
	}
	return p
}

// find is the index's, less what the processor cannot run: crc32c_intel
// without SSE 4.2 would cost a signature check only to be told ENODEV.
func (r *resolver) find(name string) (mods []int32, byAlias, ok bool) {
	mods, byAlias, ok = r.index.find(name)
	if r.cpu == "" || len(mods) < 2 {
		return mods, byAlias, ok
	}
	fit := make([]int32, 0, len(mods))
	for _, i := range mods {
		if r.index.aliases().suits(r.index.mods[i].name, r.cpu) {
			fit = append(fit, i)
		}
	}
	if len(fit) > 0 {
		mods = fit
	}
	return mods, byAlias, ok
}

func (r *resolver) denied(i int32, byAlias bool) bool {
	return r.deny != nil && r.deny(r.index.mods[i].name, byAlias)
}

func (r *resolver) probe(i int32, required bool) error {
	p := r.of(i)
	if p.err != nil {
		return p.err
	}
	if required {
		p.required = true
		for _, d := range p.deps {
			r.of(d).required = true
		}
	}
	if p.visited {
		return nil
	}
	p.visited = true
	for _, d := range p.deps {
		r.place(d)
	}
	r.place(i)
	return nil
}

// place puts the softdeps of a module and the module itself into the order.
func (r *resolver) place(i int32) {
	p := r.of(i)
	if p.placed {
		return
	}
	soft, ok := r.index.softdep(r.index.mods[i].name)
	if !ok {
		r.append(i, p)
		return
	}
	p.pre = r.soft(soft.pre)
	if p.placed { // by a cycle
		return
	}
	r.append(i, p)
	p.post = r.soft(soft.post)
}

func (r *resolver) append(i int32, p *progress) {
	p.placed, p.rank = true, len(r.order)
	r.order = append(r.order, i)
}

// soft probes the modules of a softdep and returns those that exist.
func (r *resolver) soft(names []string) []int32 {
	var met []int32
	for _, name := range names {
		list, byAlias, _ := r.find(name)
		for _, i := range list {
			if !r.denied(i, byAlias) && r.probe(i, false) == nil {
				met = append(met, i)
			}
		}
	}
	return met
}

// modules renders the order. Edges always point backwards in it, whatever the
// softdeps say: that is what makes it a graph without cycles.
func (r *resolver) modules() []Module {
	mods := make([]Module, len(r.order))
	flat := false
	for rank, i := range r.order {
		p, e := r.state[i], &r.index.mods[i]
		m := &mods[rank]
		m.Name, m.Path, m.Optional = e.name, r.index.file(e.path), !p.required
		m.Flat = int(i) >= r.index.indexed
		// The order given is all that is known of a flat module: it comes after
		// all before it, and what follows it comes one by one.
		first := rank
		switch {
		case flat:
			first = rank - 1
		case m.Flat:
			first, flat = 0, true
		}
		for _, before := range mods[first:rank] {
			m.After = append(m.After, before.Name)
		}
		for _, d := range p.deps {
			m.Deps = append(m.Deps, r.index.mods[d].name)
		}
		for _, pre := range p.pre {
			if r.state[pre].rank < rank {
				m.After = append(m.After, r.index.mods[pre].name)
			}
		}
	}
	for rank, i := range r.order {
		for _, post := range r.state[i].post {
			if at := r.state[post].rank; at > rank {
				mods[at].After = append(mods[at].After, mods[rank].Name)
			}
		}
	}
	return mods
}
