package depmod

import (
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/modload/unpack"
)

// ErrSymbols says that only the symbols of the modules tell who uses whom: see [Quick].
var ErrSymbols = errors.New("not all modules came with the kernel")

// Quick makes the indexes as [Run] does, but for modules.symbols, from what the modules say about themselves:
// it reads a fifth of them. Who uses whom is what modpost wrote down when the kernel was built
// ("depends="), so it is for a tree whose modules all came with this kernel; for any other the error is
// ErrSymbols, and for one with a module that cannot be understood, which Run names. The order of what a module
// uses is one of those that are possible, not that of depmod.
func Quick(fsys fs.FS, release string, conf Config) (*Indexes, error) {
	files, warnings, err := Files(fsys, release, conf)
	if err != nil {
		return nil, err
	}
	mods := make([]*module, len(files))
	err = eachFile(files, func() func(i int) error {
		var buf []byte // of one worker, for all its files
		return func(i int) error {
			var info []ko.Field
			var err error
			if info, buf, err = readInfo(fsys, files[i].Real, buf); err != nil {
				return err
			}
			if !cameWith(info, release) {
				return ErrSymbols
			}
			mods[i] = &module{File: files[i]}
			mods[i].takeInfo(info)
			return nil
		}
	})
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, failed
	}
	if err != nil {
		return nil, ErrSymbols
	}
	linkByName(mods)
	warnings = append(warnings, sortUsersFirst(mods)...)
	x := writeIndexes(mods)
	x.Warnings = warnings
	return x, nil
}

// readInfo reads .modinfo of a module's file.
func readInfo(fsys fs.FS, name string, buf []byte) ([]ko.Field, []byte, error) {
	if strings.HasSuffix(name, ".ko") { // nothing is to be unpacked, and nothing to be guessed
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, buf, err
		}
		info, err := ko.ParseInfo(data)
		return info, buf, err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, buf, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	var plain io.Reader
	if plain, err = unpack.Module(name, f); err != nil {
		return nil, buf, err
	}
	return ko.ReadInfo(plain, buf)
}

// cameWith reports whether a module was built with the kernel of a release.
func cameWith(info []ko.Field, release string) bool {
	inTree, depends, built := false, false, false
	for _, f := range info {
		switch f.Key {
		case "intree":
			inTree = f.Value == "Y"
		case "depends":
			depends = true
		case "vermagic":
			of, _, _ := strings.Cut(f.Value, " ")
			built = of == release
		}
	}
	return inTree && depends && built
}

// linkByName finds out who uses whom by what the modules say.
func linkByName(mods []*module) {
	byName := make(map[string]*module, len(mods))
	for _, m := range mods {
		byName[m.Name] = m
	}
	for serial, m := range mods {
		m.mark = serial + 1
		for _, name := range m.depends {
			if d := byName[name]; d != nil && d.mark != serial+1 {
				d.mark = serial + 1
				m.deps = append(m.deps, d)
				d.users++
			}
		}
	}
}
