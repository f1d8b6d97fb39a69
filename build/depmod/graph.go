package depmod

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A symbolTable says who exports a symbol; the kernel is nil.
type symbolTable map[string]*module

// link finds out who uses whom. Of several modules that export one symbol the
// last counts, as in kmod.
func link(mods []*module, conf Config) (symbolTable, []string) {
	var warnings []string
	n := len(conf.Kernel)
	for _, m := range mods {
		n += len(m.exports)
	}
	symbols := make(symbolTable, n)
	for _, s := range conf.Kernel {
		symbols[s.Name] = nil
	}
	for _, m := range mods {
		for _, name := range m.exports {
			if owner, twice := symbols[name]; twice && owner != m {
				who := "the kernel"
				if owner != nil {
					who = owner.Path
				}
				warnings = append(warnings, fmt.Sprintf("symbol %s: %s and %s both export it: the kernel refuses the "+
					"one that is loaded second", name, who, m.Path))
			}
			symbols[name] = m
		}
	}
	for serial, m := range mods {
		var unknown []string
		for _, i := range m.imports {
			owner, ok := symbols[strings.TrimPrefix(i.Name, ".")]
			if !ok && !i.Weak && len(conf.Kernel) > 0 && !loaderSymbol(i.Name) {
				unknown = append(unknown, i.Name)
			}
			if owner == nil || owner.mark == serial+1 {
				continue
			}
			owner.mark = serial + 1
			m.deps = append(m.deps, owner)
			owner.users++
		}
		if len(unknown) > 0 {
			warnings = append(warnings, unknownSymbols(m, unknown))
		}
	}
	return symbols, warnings
}

// loaderSymbol names what the kernel makes up when it loads a module
// (depmod_add_fake_syms in kmod's tools/depmod.c).
func loaderSymbol(name string) bool {
	return name == "__this_module" || name == "_GLOBAL_OFFSET_TABLE_" || name == ".TOC."
}

func unknownSymbols(m *module, unknown []string) string {
	const some = 5
	text := strings.Join(unknown[:min(len(unknown), some)], ", ")
	if more := len(unknown) - some; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("module %s: neither the kernel nor a module exports %s: %s cannot be loaded; it was built for "+
		"another kernel, or a package is missing", m.Name, text, m.Path)
}

// sortUsersFirst numbers the modules so that each comes before those it uses.
// Which of the possible orders it is matters to the lines of modules.dep: it is
// that of depmod_calculate_dependencies in kmod's tools/depmod.c. What is in a
// cycle cannot be ordered; it comes last, and a warning names it.
func sortUsersFirst(mods []*module) []string {
	left := make(map[*module]int, len(mods))
	var free []*module
	for _, m := range mods {
		m.sorted = -1
		if left[m] = m.users; m.users == 0 {
			free = append(free, m)
		}
	}
	n := 0
	for len(free) > 0 {
		m := free[len(free)-1]
		free = free[:len(free)-1]
		m.sorted = n
		n++
		for _, d := range m.deps {
			if left[d]--; left[d] == 0 {
				free = append(free, d)
			}
		}
	}
	if n == len(mods) {
		return nil
	}
	var warnings []string
	for _, m := range mods {
		if m.sorted >= 0 || m.cyclic {
			continue
		}
		if cycle := findCycle(m); cycle != nil {
			warnings = append(warnings, fmt.Sprintf("dependency cycle %s: none of these modules can be loaded",
				cycleText(cycle)))
		}
	}
	for _, m := range mods {
		if m.sorted < 0 {
			m.sorted = n
			n++
		}
	}
	return warnings
}

// findCycle returns the modules of a shortest way from m back to itself, and
// marks them; nil when there is none.
func findCycle(m *module) []*module {
	before := map[*module]*module{}
	for queue := []*module{m}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for _, d := range at.deps {
			if d == m {
				var cycle []*module
				for ; at != nil; at = before[at] {
					at.cyclic = true
					cycle = append(cycle, at)
				}
				slices.Reverse(cycle)
				return cycle
			}
			if _, seen := before[d]; !seen && d.sorted < 0 {
				before[d] = at
				queue = append(queue, d)
			}
		}
	}
	return nil
}

func cycleText(cycle []*module) string {
	var text strings.Builder
	for _, m := range cycle {
		text.WriteString(m.Name + " -> ")
	}
	return text.String() + cycle[0].Name
}

// closure is all that m uses, directly or not, users first. serial is another
// one on each call.
func (m *module) closure(serial int) []*module {
	m.mark = serial
	list := slices.Clone(m.deps)
	for _, d := range list {
		d.mark = serial
	}
	for i := 0; i < len(list); i++ {
		for _, d := range list[i].deps {
			if d.mark != serial {
				d.mark = serial
				list = append(list, d)
			}
		}
	}
	list = slices.DeleteFunc(list, func(d *module) bool { return d == m })
	slices.SortFunc(list, func(a, b *module) int { return cmp.Compare(a.sorted, b.sorted) })
	return list
}

// text is modules.symbols.
func (t symbolTable) text() []byte {
	var b bytes.Buffer
	b.WriteString("# Aliases for symbols, used by symbol_request().\n")
	for _, name := range hashed(slices.Collect(maps.Keys(t)), symbolBuckets) {
		if owner := t[name]; owner != nil {
			b.WriteString("alias symbol:" + name + " " + owner.Name + "\n")
		}
	}
	return b.Bytes()
}
