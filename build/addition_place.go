package build

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/internal/quantity"
)

// linkTree is the tree of the symbolic links among files: it says where a path leads to.
func linkTree(files []initramfs.Entry) (*initramfs.Tree, error) {
	t := initramfs.NewTree("the added tree")
	var links []initramfs.Entry
	for _, f := range files {
		if f.Mode&initramfs.TypeMask == initramfs.TypeLink {
			links = append(links, f)
		}
	}
	// A link may lie behind another one: of several additions the one with fewer words first.
	slices.SortStableFunc(links, func(a, b initramfs.Entry) int {
		return cmp.Compare(strings.Count(a.Name, "/"), strings.Count(b.Name, "/"))
	})
	for _, f := range links {
		at, _, err := t.Lookup(f.Name, false)
		if err != nil {
			return nil, fmt.Errorf("add /%s: %w", f.Name, err)
		}
		dir := t.Root
		words := strings.Split(at, "/")
		for _, word := range words[:len(words)-1] {
			next := dir.Entries[word]
			if next == nil {
				next = &initramfs.Inode{
					Mode:    initramfs.TypeDir | 0o755,
					Names:   1,
					Entries: map[string]*initramfs.Inode{},
				}
				dir.Entries[word] = next
			}
			dir = next
		}
		dir.Entries[words[len(words)-1]] = &initramfs.Inode{Mode: f.Mode, Target: string(f.Data), Names: 1}
	}
	return t, nil
}

// placedIn is a file where the links of a tree lead it.
func placedIn(t *initramfs.Tree, f initramfs.Entry) (initramfs.Entry, error) {
	at, _, err := t.Lookup(f.Name, f.Mode&initramfs.TypeMask == initramfs.TypeDir)
	f.Name = at
	return f, err
}

// join puts what was added to nodisk's own files. Those follow the links of what was added: with
// /lib -> usr/lib the modules lie in usr/lib/modules. Of nodisk's own, what boots the node is not
// replaced unasked.
func (b *builder) join(own, added []initramfs.Entry) ([]initramfs.Entry, error) {
	var err error
	if b.links, err = linkTree(added); err != nil {
		return nil, err
	}
	var placed []initramfs.Entry
	byName := make(map[string]initramfs.Entry, len(added))
	for _, f := range added {
		if f, err = placedIn(b.links, f); err != nil {
			return nil, fmt.Errorf("add /%s: %w", f.Name, err)
		}
		placed = append(placed, f)
		byName[f.Name] = f
	}
	aside := b.base == nil && b.holdsModules(placed)
	if aside {
		b.report.Notes = append(b.report.Notes, fmt.Sprintf(
			"/%s/%s of the added tree stays whole; nodisk's modules are in /%s/%s, where /init looks first",
			initramfs.ModulesDir, b.report.Release, initramfs.OwnDir, initramfs.ModulesDir))
	}
	var (
		list     []initramfs.Entry
		errs     []error
		replaced tally
	)
	for _, f := range own {
		if aside && (f.Part == initramfs.PartModules || f.Part == initramfs.PartIndexes) {
			f.Name = initramfs.OwnDir + "/" + f.Name
		}
		if f, err = placedIn(b.links, f); err != nil {
			return nil, fmt.Errorf("put in /%s: %w", f.Name, err)
		}
		theirs, twice := byName[f.Name]
		switch {
		case !twice || f.Mode&initramfs.TypeMask == initramfs.TypeDir:
			list = append(list, f)
		case f.Part == initramfs.PartTree && (theirs.Mode&initramfs.TypeMask != f.Mode&initramfs.TypeMask || theirs.Major != f.Major ||
			theirs.Minor != f.Minor):
			b.report.Warnings = append(b.report.Warnings, fmt.Sprintf(
				"/%s of the added tree is not the device %d,%d that the kernel opens: nodisk's own is in the image",
				f.Name, f.Major, f.Minor))
			list = append(list, f)
			placed = slices.DeleteFunc(placed, func(g initramfs.Entry) bool { return g.Name == f.Name })
		case b.boots(f):
			errs = append(errs, ownRefused(f))
		default:
			if f.Part != initramfs.PartTree {
				replaced.add("/" + f.Name)
			}
		}
	}
	if replaced.count > 0 {
		b.report.Notes = append(b.report.Notes, fmt.Sprintf("%s of nodisk's replaced by those of the added tree: %s",
			quantity.Plural(replaced.count, "file"), replaced.names()))
	}
	if !aside && b.base == nil {
		if i := slices.IndexFunc(placed, func(f initramfs.Entry) bool {
			return strings.HasPrefix(f.Name, initramfs.OwnDir+"/"+initramfs.ModulesDir+"/")
		}); i >= 0 {
			errs = append(errs, fmt.Errorf("add /%s: /init would take its modules from there: leave it out "+
				"with --exclude %s",
				placed[i].Name, initramfs.OwnDir))
		}
	}
	if len(errs) > tallyNames {
		errs = append(errs[:tallyNames:tallyNames], fmt.Errorf("and %d more like these", len(errs)-tallyNames))
	}
	return append(list, placed...), errors.Join(errs...)
}

// holdsModules reports whether what was added has the modules of the image's kernel with their
// index: a root with its kernel's package.
func (b *builder) holdsModules(added []initramfs.Entry) bool {
	dir, _, err := b.links.Lookup(initramfs.ModulesDir+"/"+b.report.Release, true)
	if err != nil {
		return false
	}
	has := func(found func(below string) bool) bool {
		return slices.ContainsFunc(added, func(f initramfs.Entry) bool {
			below, ok := strings.CutPrefix(f.Name, dir+"/")
			return ok && found(below)
		})
	}
	return has(func(below string) bool { return below == "modules.dep" }) &&
		has(func(below string) bool { return strings.Contains(path.Base(below), ".ko") })
}

// boots reports whether a node may not come up with another file of that name.
func (b *builder) boots(f initramfs.Entry) bool {
	switch f.Part {
	case initramfs.PartInit:
		return b.base == nil || !b.base.keepsInit()
	case initramfs.PartModules, initramfs.PartIndexes:
		return b.base == nil
	default:
		return f.Name == b.configName()
	}
}

// configName is where the config lies, links followed.
func (b *builder) configName() string {
	at, _, err := b.links.Lookup(initramfs.ConfigPath, false)
	if err != nil {
		return initramfs.ConfigPath
	}
	return at
}

// ownRefused says how to do what the administrator may have meant.
func ownRefused(f initramfs.Entry) error {
	how := "kernel modules go in by --modules, --module and --module-dir"
	switch f.Part {
	case initramfs.PartInit:
		how = "it boots the node, and then starts /sbin/init of the tree; --init FILE takes another program"
	case initramfs.PartConfig:
		how = "--config FILE says what is in it"
	default:
	}
	return fmt.Errorf("add /%s: that file is nodisk's own, and is not replaced: %s; --exclude %s leaves the "+
		"added one out",
		f.Name, how, f.Name)
}
