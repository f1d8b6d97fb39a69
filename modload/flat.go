package modload

import (
	"bytes"
	"io/fs"
	"strings"
)

// treesDir is where kernels and administrators put modules.
const treesDir = "lib/modules"

// addFlat adds the modules of flat directories, in the order of names. others reports
// whether there is a tree of another release.
func (x *Index) addFlat(fsys fs.FS) (others bool) {
	dirs, err := fs.ReadDir(fsys, treesDir)
	if err != nil {
		return false // without lib/modules there is nothing to add
	}
	for _, sub := range dirs {
		dir := treesDir + "/" + sub.Name()
		if _, err := fs.Stat(fsys, dir+"/modules.dep"); err == nil {
			others = others || dir != x.dir
			continue
		}
		files, err := fs.ReadDir(fsys, dir)
		if err != nil {
			continue // a file, or what nobody may read
		}
		for _, file := range files {
			name := nameOf(file.Name())
			if _, known := x.byName[name]; known || !IsModule(file.Name()) || file.IsDir() || x.Builtin(name) {
				continue
			}
			x.byName[name] = int32(len(x.mods)) //nolint:gosec // a directory does not have 2^31 files
			x.mods = append(x.mods, entry{name: name, path: "/" + dir + "/" + file.Name()})
		}
	}
	return others
}

// IsModule reports by its name whether a file is a module, compressed or not.
func IsModule(file string) bool {
	for _, ending := range [...]string{".ko", ".ko.xz", ".ko.zst", ".ko.gz"} {
		if strings.HasSuffix(file, ending) && len(file) > len(ending) {
			return true
		}
	}
	return false
}

// depends returns the modules that a module's file names in the record
// "depends=a,b" of its .modinfo section, which modpost wrote
// (scripts/mod/modpost.c, add_depends). It is empty when there are none.
func depends(file []byte) []string {
	_, rest, ok := bytes.Cut(file, []byte("\x00depends="))
	if !ok {
		return nil
	}
	value, _, ok := bytes.Cut(rest, []byte{0})
	if !ok {
		return nil
	}
	var names []string
	for name := range strings.SplitSeq(string(value), ",") {
		if name != "" {
			names = append(names, normal(name))
		}
	}
	return names
}
