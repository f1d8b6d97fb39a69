package bringup

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
)

// name settles the name of an interface before anything else is done with it, and reports whether
// that is done and the arguments agree with what is there.
func (r *runner) name(n *attachment) bool {
	have := r.devices()
	i := slices.IndexFunc(have, func(d link.Device) bool { return d.Index == n.key.index })
	steps := r.config.Naming(have, i)
	for at, step := range steps {
		err := r.rename(step)
		if err == nil {
			continue
		}
		if at == 1 { // the other one keeps its name
			_ = r.rename(link.SetName{Dev: steps[0].Name, Name: steps[0].Dev})
		}
		if _, own := r.config.Ifname(n.dev); !own && step.Name == n.dev.Given && errors.Is(err, fs.ErrExist) {
			return false // whoever has the name will appear soon, and get its own
		}
		n.fail(fmt.Errorf("%s: %w", step, err), !r.config.Settled(n.dev), r.log)
		break
	}
	if !r.config.Settled(n.dev) {
		return false
	}
	n.named, n.unnamed = true, nil
	r.called = append(r.called, n.key.index)
	others := r.resolve()
	if err := r.config.Clash(r.seen()); err != nil {
		// Nothing is done with arguments that contradict each other: links could be made of
		// themselves.
		r.fatal, n.named = err, false
		r.called = r.called[:len(r.called)-1]
		r.resolve()
		return false
	}
	if len(others) > 0 {
		r.log.Info(n.dev.Name + ": is what the command line calls " + strings.Join(others, ", "))
	}
	if n.dev.Boot {
		r.dismiss()
	}
	return true
}

// giveName keeps the name that the kernel has given to an adapter, and returns it. If a program
// has renamed it, the kernel's name was noted before that, by an attempt of this boot, or never.
func (r *runner) giveName(d link.Device) string {
	if !d.Hardware() {
		return ""
	}
	name := r.before.Given[d.Index]
	if name == "" && d.Udev.Kept {
		return ""
	}
	if name == "" {
		name = netsetup.Given(d.Name, func(name string) bool {
			return slices.Contains(slices.Collect(maps.Values(r.given)), name) ||
				slices.ContainsFunc(
					r.devices(),
					func(o link.Device) bool { return o.Given == "" && o.Index != d.Index && o.Name == name },
				)
		})
	}
	r.given[d.Index] = name
	return name
}

// forget drops what is known of an interface that is gone: another one may get its index.
func (r *runner) forget(index int) {
	delete(r.given, index)
	r.before.Given = maps.Clone(r.before.Given)
	delete(r.before.Given, index)
	if i := slices.Index(r.called, index); i >= 0 {
		r.called = slices.Delete(r.called, i, i+1)
		r.resolve()
	}
}

// resolve settles which interfaces the arguments are about, by those known by now. It returns
// what they call the last one besides its name.
func (r *runner) resolve() (others []string) {
	have := r.devices()
	before := r.config
	config, places, others := r.written.Resolved(have, r.called)
	r.config = config
	for i, v := range config.VLANs {
		if m := before.VLANs[i].Parent; m.Glob() && !v.Parent.Glob() {
			r.log.Info(
				v.Name + ": is on " + v.Parent.Name + ", the first interface that matches " + m.String(),
			)
		}
	}
	arguments := config.AddressingsOrDefault()
	for i, at := range places {
		j := r.jobs[i]
		for k := range j.have {
			if j.have[k].Pos == j.pos {
				j.have[k].Pos = at
			}
		}
		j.pos, j.Addressing, j.need = at, arguments[at], config.Need(at)
		if j.of != nil {
			j.spare, j.of = false, nil
		}
		if k := slices.Index(places, at); k < i { // they are about the same interface, and say the same
			j.spare, j.of = true, r.jobs[k]
		}
	}
	r.boot = map[string]bool{}
	for _, n := range r.sorted() {
		if n.named && config.Booted(n.dev) {
			n.dev.Boot = true
			for _, name := range config.Over(n.dev) {
				r.boot[name] = true
			}
		}
	}
	return others
}

// seen are the names of the interfaces that the arguments know by now.
func (r *runner) seen() []string {
	var names []string
	for _, n := range r.attachments {
		if n.named && !n.key.ipv6 {
			names = append(names, n.dev.Name)
		}
	}
	return names
}

// rename renames an interface, even if the kernel still sends messages under its old name.
func (r *runner) rename(step link.SetName) error {
	if err := step.Apply(r.sys); err != nil {
		return err
	}
	for _, n := range r.attachments {
		if n.dev.Name == step.Dev {
			n.dev.Name, n.renamed = step.Name, true
		}
	}
	return nil
}

// fail notes a name that an interface did not get. If another interface has that name, it will
// appear soon, and then there is a solution.
func (n *attachment) fail(err error, must bool, log *slog.Logger) {
	switch {
	case !must:
		log.Debug(err.Error())
	case n.unnamed == nil && !errors.Is(err, fs.ErrExist):
		log.Warn(err.Error() + "; " + n.dev.Name + " is left alone")
	}
	n.unnamed = err
}
