// Package depmod makes the indexes of a module tree, as depmod(8) does:
// modules.dep, modules.alias, modules.softdep, modules.symbols and
// modules.devname, byte for byte the texts that kmod writes.
//
// [Run] reads every module file; [Quick] reads of a kernel's own modules only what they say about
// themselves. [Files] says which file counts where several
// have one name, by the search order of depmod.d(5); [Stale] compares that with
// the modules.dep that is there. These two look at names only.
//
// Own code, because no package for Go that could be had makes these indexes: u-root's kmodule
// reads modules.dep, to load by it.
//
// Links are followed below the root of the file system that is given, absolute
// ones too: the weak-updates of a tree that was unpacked somewhere else lead to
// where they lead on the node.
package depmod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/modload/unpack"
)

// Indexes are the texts that depmod writes into lib/modules/RELEASE.
type Indexes struct {
	Dep     []byte // modules.dep
	Alias   []byte // modules.alias
	Softdep []byte // modules.softdep
	Symbols []byte // modules.symbols
	Devname []byte // modules.devname; empty when no module has a device node
	Weakdep []byte // modules.weakdep of kmod 33; empty when no module has any
	// Warnings are for the administrator, in the order of modules.
	Warnings []string
}

// Texts are the files of lib/modules/RELEASE by name. A file that depmod would
// leave empty is not among them.
func (x *Indexes) Texts() map[string][]byte {
	texts := map[string][]byte{"modules.dep": x.Dep, "modules.alias": x.Alias, "modules.softdep": x.Softdep,
		"modules.symbols": x.Symbols}
	if len(x.Devname) > 0 {
		texts["modules.devname"] = x.Devname
	}
	if len(x.Weakdep) > 0 {
		texts["modules.weakdep"] = x.Weakdep
	}
	return texts
}

// A module is one file with what Run needs of it.
type module struct {
	File
	info    []ko.Field
	exports []string
	imports []ko.Import
	depends []string  // names of those whose symbols it uses, as modpost saw it
	deps    []*module // whose symbols it uses, in the order of its symbols
	users   int
	sorted  int // place in the topological order, users first
	cyclic  bool
	mark    int   // scratch
	damage  error // why its file cannot be understood
}

// Run makes the indexes of lib/modules/RELEASE in a file system rooted at "/".
// Several processors are used. A file that is not a module, or is damaged, is listed
// without what it needs, as kmod does, and a warning names it.
func Run(fsys fs.FS, release string, conf Config) (*Indexes, error) {
	files, warnings, err := Files(fsys, release, conf)
	if err != nil {
		return nil, err
	}
	mods := make([]*module, len(files))
	err = eachFile(files, func() func(i int) error {
		return func(i int) error {
			m, err := readModule(fsys, files[i])
			if err != nil {
				return fmt.Errorf("read module %s: %w", files[i].Path, err)
			}
			mods[i] = m // each is written by one goroutine only
			return nil
		}
	})
	if err != nil {
		return nil, err
	}
	for _, m := range mods {
		if m.damage != nil {
			warnings = append(warnings, fmt.Sprintf("module %s: %s: %v: it cannot be loaded, and what it needs is "+
				"not known; install its package again", m.Name, m.Path, m.damage))
		}
	}
	symbols, twice := link(mods, conf)
	warnings = append(warnings, twice...)
	warnings = append(warnings, sortUsersFirst(mods)...)
	x := writeIndexes(mods)
	x.Symbols = symbols.text()
	x.Warnings = warnings
	return x, nil
}

// eachFile calls a function of every worker with the number of each file, on all processors. The first error ends it.
func eachFile(files []File, worker func() func(i int) error) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(context.Background())
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			do := worker()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					break
				}
				if err := do(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// maxModule bounds an unpacked module. The largest of distributions have 30 MiB
// with their debugging sections.
const maxModule = 256 << 20

// readModule fails when the file system does.
func readModule(fsys fs.FS, file File) (*module, error) {
	parsed, err := parseFile(fsys, file.Real)
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, failed
	}
	m := &module{File: file, damage: err}
	if parsed != nil {
		m.take(parsed)
	}
	return m, nil
}

// take keeps what the indexes need.
func (m *module) take(parsed *ko.Module) {
	m.imports = parsed.Imports
	m.takeInfo(parsed.Info)
	for _, s := range parsed.Exports {
		m.exports = append(m.exports, s.Name)
	}
}

// takeInfo keeps what the indexes need of .modinfo.
func (m *module) takeInfo(info []ko.Field) {
	for _, f := range info {
		switch f.Key {
		case "alias", "softdep", "weakdep":
			m.info = append(m.info, f)
		case "depends":
			for name := range strings.SplitSeq(f.Value, ",") {
				if name != "" {
					m.depends = append(m.depends, strings.ReplaceAll(name, "-", "_"))
				}
			}
		}
	}
}

func parseFile(fsys fs.FS, name string) (*ko.Module, error) {
	data, err := readFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return ko.Parse(data)
}

// readFile reads a module, unpacked.
func readFile(fsys fs.FS, name string) ([]byte, error) {
	if strings.HasSuffix(name, ".ko") {
		return fs.ReadFile(fsys, name)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	plain, err := unpack.Module(name, f)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(plain, maxModule+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxModule {
		return nil, fmt.Errorf("it unpacks to more than %d MiB", maxModule>>20)
	}
	return data, nil
}
