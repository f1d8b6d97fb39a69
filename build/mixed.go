package build

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/modload"
)

// An offer is what is in an image though nothing requires it: a profile takes it because the kernel has it.
//
// A vendor's package of drivers (MLNX_OFED, DOCA) takes the place of some of the kernel's modules,
// and those that it does not bring, for adapters of others, no longer fit: they are left out, if
// they are merely offered.
type offer struct {
	index    *modload.Index
	profiles []modload.Profile
	required map[string]bool // modules, by name
}

// offers finds out what of an image is merely offered. The arguments are those of closure.
func offers(x *modload.Index, profiles []modload.Profile, added []string, table []modtree.Extra) (offer, error) {
	o := offer{index: x, profiles: profiles, required: make(map[string]bool)}
	required := make([]modload.Profile, 0, len(profiles))
	for _, p := range profiles {
		required = append(required, p.Required())
	}
	mods, err := closure(x, required, added, table)
	for _, m := range mods {
		o.required[m.Name] = true
	}
	return o, err
}

// A mixture are modules that are left out of an image.
type mixture struct {
	modules map[string]bool // by name
	others  []string        // paths of the modules that they do not go with, each once
}

// mixed adds to a mixture what does not go with the rest of an image by findings about it, and all that depends on
// that. It reports whether there is anything new.
func (o offer) mixed(m *mixture, findings []abi.Finding, modules []abi.File) bool {
	before := len(m.modules)
	leave := func(name string) {
		if m.modules == nil {
			m.modules = make(map[string]bool)
		}
		m.modules[name] = true
	}
	for _, f := range findings {
		if f.Mixes == "" || o.required == nil || o.required[f.Module] {
			continue
		}
		leave(f.Module)
		if !slices.Contains(m.others, f.Mixes) {
			m.others = append(m.others, f.Mixes)
		}
	}
	for again := true; again; {
		again = false
		for i := range modules {
			f := &modules[i]
			if f.Module == nil || f.Shadowed || !treePath(f.Path) || m.modules[f.Name()] || o.required[f.Name()] {
				continue
			}
			if slices.ContainsFunc(
				f.Module.Depends(),
				func(name string) bool { return m.modules[ko.ModuleName(name)] },
			) {
				leave(f.Name())
				again = true
			}
		}
	}
	// A profile without any driver serves nobody: what is wrong with them is an error then.
	for _, p := range o.profiles {
		have, _ := o.index.Absent(p.OneOf)
		gone := func(name string) bool { return m.modules[ko.ModuleName(name)] }
		if have != nil && !slices.ContainsFunc(have, func(name string) bool { return !gone(name) }) {
			mods, _ := o.index.Resolve(have...) // what is missing, closure has said
			for _, one := range mods {
				o.required[one.Name] = true
				delete(m.modules, one.Name)
			}
		}
	}
	return len(m.modules) > before
}

// drop takes the modules of a mixture away from others.
func (m mixture) drop(modules []abi.File) []abi.File {
	return slices.DeleteFunc(modules, func(f abi.File) bool { return m.modules[f.Name()] })
}

// note says in one line what is left out, and what can be done. Nothing left out: empty.
func (m mixture) note() string {
	if len(m.modules) == 0 {
		return ""
	}
	names := make([]string, 0, len(m.modules))
	for name := range m.modules {
		names = append(names, name)
	}
	slices.Sort(names)
	others := make([]string, 0, len(m.others))
	for _, at := range m.others {
		name, _, _ := strings.Cut(path.Base(at), ".ko")
		others = append(others, name)
	}
	slices.Sort(others)
	return fmt.Sprintf("left out: %s: the kernel's own, which do not go with the %s of %s that modprobe takes; "+
		"a node that needs one of them has to do without that package", strings.Join(names, ", "),
		strings.Join(others, ", "), path.Dir(m.others[0]))
}

// without are the profiles of an offer without a mixture.
func (o offer) without(m mixture) []modload.Profile {
	reduced := make([]modload.Profile, 0, len(o.profiles))
	for _, p := range o.profiles {
		reduced = append(reduced, o.index.Without(p, func(name string) bool { return m.modules[name] }))
	}
	return reduced
}
