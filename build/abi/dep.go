package abi

import (
	"fmt"
	"slices"
	"strings"
)

// CheckDep compares modules.dep with the files there are: every module and every
// dependency that it names must be there. has tells by the path as modules.dep
// spells it.
func CheckDep(dep string, has func(path string) bool) []Finding {
	var found []Finding
	for line := range strings.Lines(dep) {
		module, needs, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		if !has(module) {
			found = append(found, Finding{
				Severity: Fault, Kind: Missing, Module: nameOf(module), Path: module,
				Text: "modules.dep lists it, but the file is not there", Remedy: "install its package again, or run " +
					"depmod; build the image again",
			})
			continue
		}
		var missing []string
		for need := range strings.FieldsSeq(needs) {
			if !has(need) {
				missing = append(missing, need)
			}
		}
		if missing != nil {
			found = append(found, Finding{
				Severity: Fault, Kind: Missing, Module: nameOf(module), Path: module,
				Text:   fmt.Sprintf("it needs %s, which is not there", listed(missing)),
				Remedy: "install its package again, or run depmod; build the image again",
			})
		}
	}
	return found
}

// CheckUses compares the dependencies of modules.dep with the symbols that modules
// import: a module whose symbols are wanted must be loaded before.
func CheckUses(dep string, modules []File) []Finding {
	needs := make(map[string][]string) // by name
	for line := range strings.Lines(dep) {
		if module, list, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			var names []string
			for need := range strings.FieldsSeq(list) {
				names = append(names, nameOf(need))
			}
			needs[nameOf(module)] = names
		}
	}
	owners := make(map[string]string)
	several := make(map[string]bool)
	for i := range modules {
		if f := &modules[i]; f.Module != nil && !f.Shadowed {
			for _, s := range f.Module.Exports {
				several[s.Name] = owners[s.Name] != ""
				owners[s.Name] = f.Name()
			}
		}
	}
	var found []Finding
	for i := range modules {
		f := &modules[i]
		have, listed := needs[f.Name()]
		if f.Module == nil || f.Shadowed || !listed {
			continue
		}
		var absent []string
		for _, s := range f.Module.Imports {
			owner := owners[s.Name]
			if owner == "" || s.Weak || several[s.Name] || owner == f.Name() || slices.Contains(have, owner) ||
				slices.Contains(absent, owner) {
				continue
			}
			absent = append(absent, owner)
		}
		if absent != nil {
			slices.Sort(absent)
			found = append(found, Finding{
				Severity: Fault, Kind: Stale, Module: f.Name(), Path: f.Path,
				Text: fmt.Sprintf("it uses symbols of %s, which modules.dep does not say",
					strings.Join(absent, ", ")),
				Remedy: "run depmod",
			})
		}
	}
	return found
}
