package preflight

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/modload"
)

// openIndex opens the image's index for the kernel that boots.
func (c *checker) openIndex() bool {
	var release string
	switch {
	case c.Kernel != nil:
		release = c.Kernel.Release
	case len(c.Image.releases) == 1:
		release = c.Image.releases[0]
	case len(c.Image.releases) > 1:
		c.fault(
			"the image holds modules of several kernels, %s: which one boots? give it by --kernel",
			strings.Join(c.Image.releases, ", "),
		)
		return false
	case c.Inventory != nil && c.Inventory.Release != "":
		release = c.Inventory.Release
	default:
		release = "unknown"
	}
	x, err := modload.OpenImage(c.Image.modules, release, true)
	if err != nil {
		c.fault("%s", plan.OtherKernels(release, c.Image.releases))
		return false
	}
	c.conf = modload.ReadConf(c.Image.files)
	for _, w := range c.conf.Warnings {
		c.doubt("%s", w)
	}
	c.index = x.With(c.conf)
	if c.aliases, err = inventory.OpenAliases(c.Image.modules, release); err == nil && c.Tree != nil {
		c.tree, err = modload.Open(c.Tree.FS, c.Tree.Release)
		if err == nil {
			c.inTree, err = inventory.OpenAliases(c.Tree.FS, c.Tree.Release)
		}
	}
	if err != nil {
		c.fault("%v", err)
		return false
	}
	return true
}

// rehearse loads modules in the order of the plan, as the stages of /init do.
func (c *checker) rehearse(ctx context.Context) error {
	m := c.decided.Modules
	cpu := ""
	var aliases []string
	if c.Inventory != nil {
		for _, d := range c.Inventory.Devices {
			if strings.HasPrefix(d.Modalias, "cpu:") {
				cpu = d.Modalias // no device of a bus: nothing loads for it
				continue
			}
			aliases = append(aliases, c.aliases.Of(d)...)
		}
	}
	l := modload.Rehearse(c.index, modload.LoaderConfig{
		Params: append(c.conf.Params, m.Params...), Blacklist: append(c.conf.Blacklist, m.Blacklist...),
	}, cpu, c.insert, slog.New(&complaints{checker: c}))
	loads, notes := c.decided.Loads(c.index)
	for _, note := range notes {
		c.note("%s", note)
	}
	for _, load := range loads {
		switch load.Way {
		case plan.LoadNetwork:
			c.serve(ctx, l, load.Phase, aliases, modload.Network)
		case plan.LoadDevices:
			c.serve(ctx, l, load.Phase, aliases, nil)
		default:
			c.request(ctx, l, load.Phase, load.Requests)
		}
	}
	c.Phases = slices.DeleteFunc(c.Phases, func(p Phase) bool { return len(p.Modules) == 0 })
	return ctx.Err()
}

// begin begins a phase; one of that name goes on.
func (c *checker) begin(phase string) {
	clear(c.reasons)
	if n := len(c.Phases); n == 0 || c.Phases[n-1].Name != phase {
		c.Phases = append(c.Phases, Phase{Name: phase})
	}
	c.phase = &c.Phases[len(c.Phases)-1]
}

// request loads by name.
func (c *checker) request(ctx context.Context, l *modload.Loader, phase string, requests []modload.Request) {
	if len(requests) == 0 {
		return
	}
	c.begin(phase)
	for _, r := range requests {
		mods, err := c.index.Resolve(r.Name)
		_, missing := errors.AsType[*modload.MissingError](err)
		for _, m := range mods {
			c.reason(m.Name, r.Name)
		}
		switch {
		case !missing || r.Optional:
		case c.index.Empty() && r.Stage != 0:
			// What /init takes to be built in, too: see Loader.Request.
			c.doubt("%s: the image has no modules: the kernel must have %s built in", phase, r.Name)
		default:
			c.fault("%s: %v%s", phase, err, c.offer(r.Name))
		}
	}
	if err := l.Request(ctx, requests...); err != nil && ctx.Err() == nil {
		for _, e := range flatten(err) {
			if _, missing := errors.AsType[*modload.MissingError](e); !missing {
				c.fault("%s: %v", phase, e)
			}
		}
	}
}

// flatten splits joined errors.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var list []error
	for _, e := range joined.Unwrap() {
		list = append(list, flatten(e)...)
	}
	return list
}

// serve loads for devices.
func (c *checker) serve(ctx context.Context, l *modload.Loader, phase string, aliases []string, want modload.Filter) {
	if c.Inventory == nil {
		return
	}
	c.begin(phase)
	var direct []string
	for _, d := range c.Inventory.Devices {
		for _, name := range c.aliases.Match(c.index, d) {
			if c.reasons[name] == "" {
				c.reasons[name] = d.String()
				direct = append(direct, name)
			}
		}
	}
	for _, name := range direct {
		mods, _ := c.index.Resolve(name) // what is missing shows when it loads
		for _, m := range mods {
			c.reason(m.Name, name)
		}
	}
	if err := l.Serve(ctx, aliases, want); err != nil && ctx.Err() == nil {
		c.doubt("%s: %v", phase, err)
	}
}

// reason remembers what a module is for: the first purpose there is.
func (c *checker) reason(module, what string) {
	if c.reasons[module] != "" {
		return
	}
	if module == strings.ReplaceAll(what, "-", "_") {
		what = "by name"
	}
	c.reasons[module] = what
}

// insert stands for the kernel: a module loads when its file is there, of the kernel, and,
// without an index, named after what it needs.
func (c *checker) insert(at, params string) error {
	name := moduleName(at)
	if info, err := fs.Stat(c.Image.modules, at); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("/%s is not in the image, though modules.dep names it", at)
	}
	if strings.HasSuffix(at, ".ko") {
		if err := c.refusal(name); err != nil {
			return err
		}
		m := c.Image.fact(at)
		if m != nil && !strings.HasPrefix(at, modulesDir+"/"+c.index.Release()+"/") {
			c.flat = append(c.flat, m)
			for _, need := range m.Depends() {
				if !c.loaded[strings.ReplaceAll(need, "-", "_")] && !c.index.Builtin(need) {
					return fmt.Errorf(
						"it lies in a directory without an index, so nothing is loaded for it: name %s before it",
						need,
					)
				}
			}
		}
		if m != nil {
			c.parameters(m, name, params)
		}
	}
	c.loaded[name] = true
	c.phase.Modules = append(c.phase.Modules, Loaded{Name: name, For: c.reasons[name]})
	return nil
}

// refusal is why the kernel would not take a module; nil if it would, or if that
// was not checked.
func (c *checker) refusal(module string) error {
	for _, r := range c.Checks {
		for _, f := range r.Findings {
			if f.Severity == abi.Fault && f.Module == module {
				return errors.New(strings.TrimSuffix(f.Text+"; "+f.Remedy, "; "))
			}
		}
	}
	return nil
}

// parameters warns about those that the module does not have: the kernel ignores them.
func (c *checker) parameters(m *ko.Module, name, params string) {
	var known []string
	for _, p := range m.Fields("parmtype") { // name:type
		word, _, _ := strings.Cut(p, ":")
		known = append(known, word)
	}
	for word := range strings.FieldsSeq(params) {
		word, _, _ = strings.Cut(word, "=")
		if !strings.ContainsAny(word, `"`) && !slices.Contains(known, strings.ReplaceAll(word, "-", "_")) &&
			!strings.HasPrefix(word, "dyndbg") &&
			strings.Contains(params, word+"=") {
			c.doubt("module %s has no parameter %s: the kernel ignores it", name, word)
		}
	}
}

func moduleName(at string) string {
	name, _, _ := strings.Cut(path.Base(at), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// complaints turns what the Loader logs into warnings.
type complaints struct {
	checker *checker
}

func (h *complaints) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}
func (h *complaints) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *complaints) WithGroup(string) slog.Handler      { return h }

// Handle turns a record into one sentence.
func (h *complaints) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "module":
			text += ": " + a.Value.String()
		case "by":
			text += fmt.Sprintf(" (%s)", a.Value)
		default:
			text += fmt.Sprintf(": %v", a.Value)
		}
		return true
	})
	if r.Level >= slog.LevelWarn {
		h.checker.doubt("%s", text)
	} else {
		h.checker.note("%s", text)
	}
	return nil
}
