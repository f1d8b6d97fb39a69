package depmod

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/modload"
)

// A File is a module file that counts.
type File struct {
	Name string // of the module, with underscores
	Path string // as modules.dep has it: below lib/modules/RELEASE, or absolute
	Real string // in the file system, links followed
}

// A searcher walks the tree and keeps for each name the file that wins.
type searcher struct {
	fsys     fs.FS
	dir      string // lib/modules/RELEASE
	release  string
	conf     Config
	external []string // folders, the last configured first
	files    map[string]File
	warnings []string
	inside   []string // folders that are being read: a link may lead back
}

// Files returns the module files that count, in the order of modules.dep:
// that of modules.order, and what does not stand there after it. Warnings name
// links that lead nowhere, files that lost against others of their name, and
// modules that are built in too.
func Files(fsys fs.FS, release string, conf Config) ([]File, []string, error) {
	s := &searcher{fsys: fsys, dir: "lib/modules/" + release, release: release, conf: conf,
		files: make(map[string]File)}
	if len(conf.Search) == 0 {
		s.conf.Search = defaultSearch()
	}
	for _, e := range slices.Backward(conf.External) {
		if suits(e.Kernel, release) {
			s.external = append(s.external, path.Clean(e.Dir))
		}
	}
	at, err := follow(fsys, s.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("search modules: %w", err)
	}
	if err := s.walk(at, ""); err != nil {
		return nil, nil, fmt.Errorf("search modules: %w", err)
	}
	for _, dir := range s.external {
		at, err := follow(fsys, dir[1:])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = s.walk(at, dir+"/")
		}
		if err != nil {
			return nil, nil, fmt.Errorf("search external modules: %w", err)
		}
	}
	s.builtin(at)
	order, err := fs.ReadFile(fsys, at+"/modules.order")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("search modules: %w", err)
	}
	return ordered(s.files, string(order)), s.warnings, nil
}

// walk reads a directory. prefix is what the paths in it begin with.
func (s *searcher) walk(folder, prefix string) error {
	if slices.Contains(s.inside, folder) {
		return nil
	}
	s.inside = append(s.inside, folder)
	defer func() { s.inside = s.inside[:len(s.inside)-1] }()
	entries, err := fs.ReadDir(s.fsys, folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if name == "build" || name == "source" || slices.Contains(s.conf.Exclude, name) {
			continue
		}
		at, kind := path.Join(folder, name), e.Type()
		if kind == fs.ModeSymlink {
			target, err := follow(s.fsys, at)
			if err != nil {
				if modload.IsModule(name) {
					s.warn("%s%s is a link to %s, which is not there: the module is left out; remove the link or "+
						"install the package that it belongs to",
						prefix, name, readLink(s.fsys, at))
				}
				continue
			}
			info, err := fs.Stat(s.fsys, target)
			if err != nil {
				return err
			}
			at, kind = target, info.Mode().Type()
		}
		switch {
		case kind.IsDir():
			if err := s.walk(at, prefix+name+"/"); err != nil {
				return err
			}
		case kind == 0 && modload.IsModule(name):
			s.add(File{Name: nameOf(name), Path: prefix + name, Real: at})
		}
	}
	return nil
}

// nameOf is the module of a file, as kmod takes it: up to the first dot.
func nameOf(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".")
	return strings.ReplaceAll(name, "-", "_")
}

func (s *searcher) warn(format string, args ...any) {
	s.warnings = append(s.warnings, fmt.Sprintf(format, args...))
}

// add takes a file, unless one of the same name comes first.
func (s *searcher) add(f File) {
	old, twice := s.files[f.Name]
	if !twice {
		s.files[f.Name] = f
		return
	}
	newWins, why := s.wins(f.Path, old.Path)
	winner, loser := old, f
	if newWins {
		winner, loser = f, old
		s.files[f.Name] = f
	}
	s.warn("module %s: %s is taken, not %s: %s", f.Name, winner.Path, loser.Path, why)
}

// wins reports whether the file met later wins, and why. It goes by
// depmod_module_is_higher_priority in kmod's tools/depmod.c, down to this: of
// two files below one directory of the search order, the one met later wins, and
// of two that no directory is named for, the one met first.
func (s *searcher) wins(newer, older string) (ok bool, why string) {
	for _, o := range slices.Backward(s.conf.Overrides) {
		if !suits(o.Kernel, s.release) {
			continue
		}
		for _, p := range [...]string{newer, older} {
			if stem(p) == o.Dir+"/"+o.Module {
				return p == newer, "there is an override for it"
			}
		}
	}
	builtin, was, is := -1, -1, -1
	i := 0
	var wordWas, wordIs string
	for _, word := range slices.Backward(s.conf.Search) {
		switch word {
		case searchBuiltin:
			builtin = i
		case searchExternal:
			for _, dir := range s.external {
				if strings.HasPrefix(newer, dir+"/") {
					is, wordIs = i, dir
				}
				if strings.HasPrefix(older, dir+"/") {
					was, wordWas = i, dir
				}
				i++
			}
		default:
			switch {
			case strings.HasPrefix(newer, word+"/"):
				is, wordIs = i, word
			case strings.HasPrefix(older, word+"/"):
				was, wordWas = i, word
			}
		}
		i++
	}
	if is < 0 {
		is, wordIs = builtin, searchBuiltin
	}
	if was < 0 {
		was, wordWas = builtin, searchBuiltin
	}
	same := wordIs == wordWas || strings.HasPrefix(newer, wordIs+"/") && strings.HasPrefix(older, wordIs+"/")
	switch {
	case same || is == was:
		return is > was, "both are in the same place of the search order, so depmod's choice is a chance: remove one"
	case is > was:
		return true, fmt.Sprintf("%q is before %q in the search order", wordIs, wordWas)
	}
	return false, fmt.Sprintf("%q is before %q in the search order", wordWas, wordIs)
}

// stem is a path without ".ko" and what follows it.
func stem(p string) string {
	dir, base := path.Split(p)
	base, _, _ = strings.Cut(base, ".")
	return dir + base
}

// builtin warns of files whose module the kernel has already.
func (s *searcher) builtin(folder string) {
	data, err := fs.ReadFile(s.fsys, folder+"/modules.builtin")
	if err != nil {
		return // a kernel without built-in modules has no such file
	}
	for line := range strings.Lines(string(data)) {
		if f, ok := s.files[nameOf(strings.TrimSpace(line))]; ok {
			s.warn("module %s: the kernel has it built in, so %s cannot be loaded", f.Name, f.Path)
		}
	}
}
