package build

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// linkTree is the tree of the symbolic links among files: it says where a path leads to.
func linkTree(files []file) (*unpacked, error) {
	t := newTree("the added tree")
	var links []file
	for _, f := range files {
		if f.mode&typeMask == typeLink {
			links = append(links, f)
		}
	}
	// A link may lie behind another one: of several additions the one with fewer words first.
	slices.SortStableFunc(links, func(a, b file) int {
		return cmp.Compare(strings.Count(a.name, "/"), strings.Count(b.name, "/"))
	})
	for _, f := range links {
		at, _, err := t.lookup(f.name, false)
		if err != nil {
			return nil, fmt.Errorf("add /%s: %w", f.name, err)
		}
		dir := t.root
		words := strings.Split(at, "/")
		for _, word := range words[:len(words)-1] {
			next := dir.entries[word]
			if next == nil {
				next = &inode{mode: typeDir | 0o755, names: 1, entries: map[string]*inode{}}
				dir.entries[word] = next
			}
			dir = next
		}
		dir.entries[words[len(words)-1]] = &inode{mode: f.mode, target: string(f.data), names: 1}
	}
	return t, nil
}

// placedIn is a file where the links of a tree lead it.
func placedIn(t *unpacked, f file) (file, error) {
	at, _, err := t.lookup(f.name, f.mode&typeMask == typeDir)
	f.name = at
	return f, err
}

// join puts what was added to nodisk's own files. Those follow the links of what was added: with
// /lib -> usr/lib the modules lie in usr/lib/modules. Of nodisk's own, what boots the node is not
// replaced unasked.
func (b *builder) join(own, added []file) ([]file, error) {
	var err error
	if b.links, err = linkTree(added); err != nil {
		return nil, err
	}
	var placed []file
	byName := make(map[string]file, len(added))
	for _, f := range added {
		if f, err = placedIn(b.links, f); err != nil {
			return nil, fmt.Errorf("add /%s: %w", f.name, err)
		}
		placed = append(placed, f)
		byName[f.name] = f
	}
	aside := b.base == nil && b.holdsModules(placed)
	if aside {
		b.report.Notes = append(b.report.Notes, fmt.Sprintf(
			"/%s/%s of the added tree stays whole; nodisk's modules are in /%s/%s, where /init looks first",
			modulesDir, b.report.Release, OwnDir, modulesDir))
	}
	var (
		list     []file
		errs     []error
		replaced tally
	)
	for _, f := range own {
		if aside && (f.part == PartModules || f.part == PartIndexes) {
			f.name = OwnDir + "/" + f.name
		}
		if f, err = placedIn(b.links, f); err != nil {
			return nil, fmt.Errorf("put in /%s: %w", f.name, err)
		}
		theirs, twice := byName[f.name]
		switch {
		case !twice || f.mode&typeMask == typeDir:
			list = append(list, f)
		case f.part == PartTree && (theirs.mode&typeMask != f.mode&typeMask || theirs.major != f.major ||
			theirs.minor != f.minor):
			b.report.Warnings = append(b.report.Warnings, fmt.Sprintf(
				"/%s of the added tree is not the device %d,%d that the kernel opens: nodisk's own is in the image",
				f.name, f.major, f.minor))
			list = append(list, f)
			placed = slices.DeleteFunc(placed, func(g file) bool { return g.name == f.name })
		case b.boots(f):
			errs = append(errs, ownRefused(f))
		default:
			if f.part != PartTree {
				replaced.add("/" + f.name)
			}
		}
	}
	if replaced.count > 0 {
		b.report.Notes = append(b.report.Notes, fmt.Sprintf("%s of nodisk's replaced by those of the added tree: %s",
			plural(replaced.count, "file"), replaced.names()))
	}
	if !aside && b.base == nil {
		if i := slices.IndexFunc(placed, func(f file) bool {
			return strings.HasPrefix(f.name, OwnDir+"/"+modulesDir+"/")
		}); i >= 0 {
			errs = append(errs, fmt.Errorf("add /%s: /init would take its modules from there: leave it out "+
				"with --exclude %s",
				placed[i].name, OwnDir))
		}
	}
	if len(errs) > tallyNames {
		errs = append(errs[:tallyNames:tallyNames], fmt.Errorf("and %d more like these", len(errs)-tallyNames))
	}
	return append(list, placed...), errors.Join(errs...)
}

// holdsModules reports whether what was added has the modules of the image's kernel with their
// index: a root with its kernel's package.
func (b *builder) holdsModules(added []file) bool {
	dir, _, err := b.links.lookup(modulesDir+"/"+b.report.Release, true)
	if err != nil {
		return false
	}
	has := func(found func(below string) bool) bool {
		return slices.ContainsFunc(added, func(f file) bool {
			below, ok := strings.CutPrefix(f.name, dir+"/")
			return ok && found(below)
		})
	}
	return has(func(below string) bool { return below == "modules.dep" }) &&
		has(func(below string) bool { return strings.Contains(path.Base(below), ".ko") })
}

// boots reports whether a node may not come up with another file of that name.
func (b *builder) boots(f file) bool {
	switch f.part {
	case PartInit:
		return b.base == nil || !b.base.keepsInit()
	case PartModules, PartIndexes:
		return b.base == nil
	default:
		return f.name == b.configName()
	}
}

// configName is where the config lies, links followed.
func (b *builder) configName() string {
	at, _, err := b.links.lookup(configPath, false)
	if err != nil {
		return configPath
	}
	return at
}

// ownRefused says how to do what the administrator may have meant.
func ownRefused(f file) error {
	how := "kernel modules go in by --modules, --module and --module-dir"
	switch f.part {
	case PartInit:
		how = "it boots the node, and then starts /sbin/init of the tree; --init FILE takes another program"
	case PartConfig:
		how = "--config FILE says what is in it"
	default:
	}
	return fmt.Errorf("add /%s: that file is nodisk's own, and is not replaced: %s; --exclude %s leaves the "+
		"added one out",
		f.name, how, f.name)
}
