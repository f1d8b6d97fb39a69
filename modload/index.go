package modload

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
)

// An Index knows the modules of one kernel release. It does not change and is
// safe for concurrent use.
type Index struct {
	release string
	dir     string // lib/modules/RELEASE
	mods    []entry
	indexed int // that many of mods are of modules.dep, the rest of flat directories
	byName  map[string]int32
	softs   map[string]softdep
	conf    []ConfLine // of modprobe.d

	builtin string // text of modules.builtin
	modinfo string // text of modules.builtin.modinfo
	aliases func() *aliasTable
}

// An entry is a line of modules.dep, or a module of a flat directory.
type entry struct {
	name string
	path string
	deps string // the rest of the line: paths, the one to load first is last
}

type softdep struct {
	pre, post []string
}

// Open reads the index of a release from a file system rooted at "/". Only
// modules.dep must exist: a kernel without device aliases, softdeps or
// built-in modules has no such files. Not even that must exist where there are
// flat directories: every directory of lib/modules without a modules.dep counts, with
// the modules that lie in it. Of several files for one name that of the index is
// taken, else that of the first directory by name.
//
// modules.order is not read. depmod writes modules.dep and modules.alias in
// that order already, and their own order is the one that counts.
func Open(fsys fs.FS, release string) (*Index, error) {
	x := &Index{release: release, dir: "lib/modules/" + release}
	dep, err := x.read(fsys, "modules.dep")
	if err != nil {
		return nil, err
	}
	var texts [4]string
	for i, name := range [...]string{"modules.alias", "modules.softdep", "modules.builtin", "modules.builtin.modinfo"} {
		data, err := x.read(fsys, name)
		if err != nil {
			return nil, err
		}
		texts[i] = string(data)
	}
	if err := x.parseDep(string(dep)); err != nil {
		return nil, fmt.Errorf("open module index: %w", err)
	}
	alias := texts[0]
	x.aliases = sync.OnceValue(func() *aliasTable { return parseAliases(alias) })
	x.softs = parseSoftdeps(texts[1])
	x.builtin, x.modinfo = texts[2], texts[3]
	x.indexed = len(x.mods)
	others := x.addFlat(fsys)
	// Beside the tree of another kernel, flat directories are that kernel's too.
	if dep == nil && (others || len(x.mods) == 0) {
		return nil, fmt.Errorf("open module index: %w", &fs.PathError{Op: "read", Path: x.dir + "/modules.dep",
			Err: fs.ErrNotExist})
	}
	return x, nil
}

// NoModules is the index of a kernel that has all it needs built in, and no
// modules or no place for them.
func NoModules(release string) *Index {
	return &Index{
		release: release, dir: treesDir + "/" + release,
		aliases: func() *aliasTable { return parseAliases("") },
	}
}

// Empty reports whether there is no module to load.
func (x *Index) Empty() bool { return len(x.mods) == 0 }

// HasBus reports whether a module has aliases for devices of a bus ("mdio").
func (x *Index) HasBus(bus string) bool {
	return slices.ContainsFunc(x.aliases().entries, func(e aliasEntry) bool {
		return strings.HasPrefix(e.pattern, bus) && strings.HasPrefix(e.pattern[len(bus):], ":")
	})
}

// OpenImage is [Open] for the image of a node, which may do without modules: it has
// none of any kernel, or its kernel does not load any (CONFIG_MODULES=n). An image with
// the modules of another kernel alone is an error, fs.ErrNotExist.
func OpenImage(fsys fs.FS, release string, loads bool) (*Index, error) {
	if !loads {
		return NoModules(release), nil
	}
	x, err := Open(fsys, release)
	if errors.Is(err, fs.ErrNotExist) {
		if dirs, _ := fs.ReadDir(fsys, treesDir); len(dirs) == 0 { // nothing can be read there: nothing is there
			return NoModules(release), nil
		}
	}
	return x, err
}

// read returns nil for a file that does not exist.
func (x *Index) read(fsys fs.FS, name string) ([]byte, error) {
	data, err := fs.ReadFile(fsys, x.dir+"/"+name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("open module index: %w", err)
	case data == nil:
		data = []byte{}
	}
	return data, nil
}

// Release is the kernel release the index belongs to.
func (x *Index) Release() string { return x.release }

// parseDep reads "path: path path ...", one module a line.
func (x *Index) parseDep(text string) error {
	n := strings.Count(text, "\n") + 1
	x.mods = make([]entry, 0, n)
	x.byName = make(map[string]int32, n)
	for number := 1; text != ""; number++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		path, deps, ok := strings.Cut(line, ":")
		name := nameOf(path)
		if !ok || name == "" {
			return fmt.Errorf("%s/modules.dep: line %d is not \"module: modules\"; run depmod or build the image again",
				x.dir, number)
		}
		if _, twice := x.byName[name]; twice {
			continue
		}
		x.byName[name] = int32(len(x.mods)) //nolint:gosec // a file of some MB has no 2^31 lines
		x.mods = append(x.mods, entry{name: name, path: path, deps: deps})
	}
	return nil
}

// parseSoftdeps reads "softdep NAME pre: a b post: c". depmod writes a line for
// each MODULE_SOFTDEP of a module. modprobe uses the first of them only; they
// are joined here, because a btrfs root with xxhash sums needs the third.
func parseSoftdeps(text string) map[string]softdep {
	softs := make(map[string]softdep)
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "softdep" {
			continue
		}
		name := normal(words[1])
		soft := softs[name]
		soft.read(words[2:])
		softs[name] = soft
	}
	return softs
}

// read adds what the words after a module's name say.
func (s *softdep) read(words []string) {
	var list *[]string
	for _, word := range words {
		switch {
		case word == "pre:":
			list = &s.pre
		case word == "post:":
			list = &s.post
		case list != nil:
			*list = append(*list, word)
		}
	}
}

// file is the path of a module's file below the root.
func (x *Index) file(path string) string {
	if strings.HasPrefix(path, "/") { // depmod before kmod wrote them so
		return path[1:]
	}
	return x.dir + "/" + path
}

// Builtin reports whether the kernel has this module, or a module with this
// alias, built in.
func (x *Index) Builtin(name string) bool {
	name = normal(name)
	for text := x.builtin; text != ""; {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if base := line[strings.LastIndexByte(line, '/')+1:]; len(base) >= len(name)+3 && nameOf(base) == name {
			return true
		}
	}
	// Records "module.alias=pattern", each ended by NUL.
	for text := x.modinfo; ; {
		_, rest, found := strings.Cut(text, ".alias=")
		if !found {
			return false
		}
		var pattern string
		pattern, text, _ = strings.Cut(rest, "\x00")
		if match(pattern, name) {
			return true
		}
	}
}

// Has reports whether the index has a loadable module of that name.
func (x *Index) Has(name string) bool {
	_, ok := x.byName[normal(name)]
	return ok
}

// Files yields the name and the file of every loadable module, in depmod's
// order.
func (x *Index) Files() func(yield func(name, path string) bool) {
	return func(yield func(name, path string) bool) {
		for i := range x.mods {
			if !yield(x.mods[i].name, x.file(x.mods[i].path)) {
				return
			}
		}
	}
}

// Names yields the name of every module, loadable or built into the kernel.
func (x *Index) Names(yield func(string) bool) {
	for i := range x.mods {
		if !yield(x.mods[i].name) {
			return
		}
	}
	for line := range strings.Lines(x.builtin) {
		if !yield(nameOf(line)) {
			return
		}
	}
}
