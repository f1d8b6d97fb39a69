package abi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/ko"
)

// An export is a symbol that a module provides.
type export struct {
	symbol *ko.Symbol
	owner  *File
}

// layout is the symbol whose CRC stands for struct module: every module with
// versions is compared by it, without importing it (check_modstruct_version).
const layout = "module_layout"

// index finds who exports what.
func (c *checker) index() {
	c.owners = make(map[string][]*export)
	c.shadowed = make(map[string]*File)
	c.taken = make(map[string]*File)
	c.unjudged = make(map[string]bool)
	for _, f := range c.files {
		if !f.Shadowed {
			c.taken[f.Name()] = f
		}
		for i := range f.Module.Exports {
			s := &f.Module.Exports[i]
			if f.Shadowed {
				c.shadowed[s.Name] = f
				continue
			}
			c.owners[s.Name] = append(c.owners[s.Name], &export{s, f})
		}
	}
	exports := c.kernel.Exports
	c.complete = exports != nil && !c.kernel.Partial
	if exports == nil {
		exports = derive(c.kernel.Release, c.files)
	}
	c.exports = make(map[string]ko.Symbol, len(exports))
	for _, s := range exports {
		c.exports[s.Name] = s
	}
}

// Derive returns those exports of a kernel that its own modules tell of by
// importing them. Whether they are for GPL modules only it cannot tell. The result is
// partial: it is what Kernel.Exports nil stands for. A part of a kernel's
// modules can be checked by what all tell.
func Derive(release string, modules []File) []ko.Symbol {
	var files []*File
	for i := range modules {
		if modules[i].Module != nil {
			files = append(files, &modules[i])
		}
	}
	return derive(release, files)
}

// derive takes of several CRCs the one with most votes: modules of another
// build are then told from the rest.
func derive(release string, files []*File) []ko.Symbol {
	owned := make(map[string]bool)
	for _, f := range files {
		for _, s := range f.Module.Exports {
			owned[s.Name] = true
		}
	}
	votes := make(map[string]map[uint32]int)
	for _, f := range files {
		if f.Shadowed || !f.Module.InTree() || f.Module.Release() != release {
			continue
		}
		for _, s := range f.Module.Imports {
			if !s.HasCRC || owned[s.Name] {
				continue
			}
			if votes[s.Name] == nil {
				votes[s.Name] = make(map[uint32]int)
			}
			votes[s.Name][s.CRC]++
		}
	}
	exports := make([]ko.Symbol, 0, len(votes))
	for name, crcs := range votes {
		s := ko.Symbol{Name: name, HasCRC: true}
		most := 0
		for crc, n := range crcs {
			if n > most || n == most && crc < s.CRC {
				s.CRC, most = crc, n
			}
		}
		exports = append(exports, s)
	}
	slices.SortFunc(exports, func(a, b ko.Symbol) int { return strings.Compare(a.Name, b.Name) })
	return exports
}

// duplicates finds symbols with two owners: the second that is loaded is
// refused (verify_exported_symbols).
func (c *checker) duplicates() {
	type pair struct{ first, second *File }
	found := make(map[pair][]string)
	for name, owners := range c.owners {
		if _, ok := c.exports[name]; ok && c.complete {
			for _, e := range owners {
				found[pair{nil, e.owner}] = append(found[pair{nil, e.owner}], name)
			}
			continue
		}
		for _, e := range owners[1:] {
			if e.owner != owners[0].owner {
				p := pair{owners[0].owner, e.owner}
				found[p] = append(found[p], name)
			}
		}
	}
	for p, names := range found {
		slices.Sort(names)
		if p.first == nil {
			c.find(Fault, DuplicateSymbol, p.second, fmt.Sprintf("it exports %s, which the kernel has built in",
				listed(names)), "leave it out: the kernel has this driver already")
			continue
		}
		c.find(Warning, DuplicateSymbol, p.second,
			fmt.Sprintf("it exports %s, as %s (%s) does: only one of them can be loaded", listed(names), p.first.Name(),
				p.first.Path),
			"leave one of them out")
	}
}

// A complaint is all that is wrong between a module and one provider.
type complaint struct {
	kind  Kind
	owner *File // nil: the kernel, or nobody
	names []string
	first string // about the first of names
}

// symbols checks the imports of a module.
func (c *checker) symbols(f *File) {
	m := f.Module
	proprietary := !freeLicence(m) || c.inherits(f)
	versions := m.Versions
	if m.Versions != ko.NoVersions && c.vermagic != "" && !hasWord(c.vermagic, "modversions") {
		versions = ko.NoVersions // the kernel has no use for them
	}
	var complaints []*complaint
	complain := func(kind Kind, owner *File, name, first string) {
		i := slices.IndexFunc(complaints, func(p *complaint) bool { return p.kind == kind && p.owner == owner })
		if i < 0 {
			i = len(complaints)
			complaints = append(complaints, &complaint{kind: kind, owner: owner, first: first})
		}
		complaints[i].names = append(complaints[i].names, name)
	}
	unversioned := false
	for _, s := range m.Imports {
		provided, owner, ok := c.provider(s)
		switch {
		case !ok && s.Weak:
		case !ok && s.Name == layout && !c.complete:
		case !ok && !c.complete && c.shadowed[s.Name] == nil:
			c.unjudged[s.Name] = true
		case !ok:
			complain(MissingSymbol, c.shadowed[s.Name], s.Name, s.Name)
		case s.HasCRC && provided.HasCRC && versions != ko.NoVersions && s.CRC != provided.CRC:
			complain(WrongSymbol, owner, s.Name, fmt.Sprintf("%s (it wants %#08x, %s has %#08x)",
				s.Name, s.CRC, ownerName(owner), provided.CRC))
		case provided.HasCRC && m.Versions == ko.NoVersions && hasWord(c.vermagic, "modversions"):
			unversioned = true
		case provided.GPL && proprietary && s.Name != layout:
			complain(GPLSymbol, owner, s.Name, s.Name)
		case provided.Namespace != "" && !importsNamespace(m, provided.Namespace):
			complain(WrongNamespace, owner, s.Name, fmt.Sprintf("%s of namespace %s", s.Name, provided.Namespace))
		}
	}
	for _, p := range complaints {
		if p.owner != nil {
			c.pending = append(c.pending, pending{f, p})
			continue
		}
		c.explain(f, p)
	}
	if unversioned {
		severity := Fault
		if c.kernel.Config.on("MODULE_FORCE_LOAD") {
			severity = Warning
		}
		c.find(severity, WrongSymbol, f, "it has no symbol versions (section __versions), and the kernel compares them",
			"rebuild it against the kernel's Module.symvers; do not strip this section")
	}
}

// provider finds who would resolve an import: the kernel, else a module that
// is loaded (find_symbol looks in that order). Of several modules one that fits
// is taken: which is loaded depends on the node.
func (c *checker) provider(s ko.Import) (ko.Symbol, *File, bool) {
	if provided, ok := c.exports[s.Name]; ok {
		return provided, nil, true
	}
	owners := c.owners[s.Name]
	if len(owners) == 0 {
		return ko.Symbol{}, nil, false
	}
	for _, e := range owners {
		if e.symbol.CRC == s.CRC {
			return *e.symbol, e.owner, true
		}
	}
	return *owners[0].symbol, owners[0].owner, true
}

// inherits reports whether a module uses symbols of a proprietary one, which
// makes it proprietary too (inherit_taint).
func (c *checker) inherits(f *File) bool {
	for _, s := range f.Module.Imports {
		if owners := c.owners[s.Name]; len(owners) == 1 && owners[0].owner != f &&
			!freeLicence(owners[0].owner.Module) {
			return true
		}
	}
	return false
}

// freeLicence reports whether symbols for GPL modules only are given to it
// (include/linux/license.h).
func freeLicence(m *ko.Module) bool {
	switch m.Field("license") {
	case "GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL":
		return true
	}
	return false
}

// importsNamespace reports whether a module may use the symbols of a namespace.
// "module:a,b*" names the modules that may without asking, since Linux 6.16.
func importsNamespace(m *ko.Module, namespace string) bool {
	if names, ok := strings.CutPrefix(namespace, "module:"); ok {
		for name := range strings.SplitSeq(names, ",") {
			name = strings.ReplaceAll(name, "-", "_")
			if prefix, glob := strings.CutSuffix(name, "*"); name == m.Name || glob && strings.HasPrefix(m.Name,
				prefix) {
				return true
			}
		}
	}
	return slices.Contains(m.Fields("import_ns"), namespace)
}

func ownerName(f *File) string {
	if f == nil {
		return "the kernel"
	}
	return f.Name()
}

// listed is the first of names and how many more there are.
func listed(names []string) string { return names[0] + others(len(names)-1) }

func others(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return " and 1 other"
	}
	return fmt.Sprintf(" and %d others", n)
}

// unjudgedNote tells that not all could be checked.
func (c *checker) unjudgedNote() {
	if len(c.unjudged) == 0 {
		return
	}
	names := make([]string, 0, len(c.unjudged))
	for name := range c.unjudged {
		names = append(names, name)
	}
	slices.Sort(names)
	c.find(Note, Facts, nil, fmt.Sprintf("no module of the kernel's own says whether the kernel exports %s: they are "+
		"taken on trust", listed(names)),
		"give the kernel's Module.symvers by --symvers to have them checked")
}
