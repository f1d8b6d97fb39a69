package build

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/internal/infile"
	"github.com/nodisk/nodisk/internal/namelist"
	"github.com/nodisk/nodisk/modload"
)

// HostModprobe as one of Spec.Modprobe are the directories of modprobe.d(5) of this
// machine.
const HostModprobe = "host"

// confMax bounds a file of modprobe.d.
const confMax = 1 << 20

// modprobe reads the files of modprobe.d that go into the image, and what they
// and those among the additions say. Of several files with one name the first counts.
func (s Spec) modprobe() ([]initramfs.Entry, modload.Conf, error) {
	var files []initramfs.Entry
	for _, source := range s.Modprobe {
		paths, err := confPaths(source)
		if err != nil {
			return nil, modload.Conf{}, fmt.Errorf("read modprobe.d %s: %w", source, err)
		}
		for _, at := range paths {
			text, err := readConf(at)
			if err != nil {
				return nil, modload.Conf{}, fmt.Errorf("read modprobe.d %s: %w", source, err)
			}
			name := filepath.Base(at)
			if !modload.IsConf(name) {
				name += ".conf"
			}
			f := initramfs.Entry{
				Name: initramfs.ModprobeDir + "/" + name,
				Mode: initramfs.TypeFile | 0o644,
				Data: text,
				Part: initramfs.PartConfig,
			}
			if !slices.ContainsFunc(files, func(g initramfs.Entry) bool { return g.Name == f.Name }) {
				files = append(files, f)
			}
		}
	}
	var list []modload.ConfFile
	for i, dir := range modload.ConfDirs() {
		more, err := s.addedConf(dir)
		if err != nil {
			return nil, modload.Conf{}, err
		}
		list = append(list, more...)
		if i == 0 { // an addition replaces a file of the same name
			for _, f := range files {
				list = append(list, modload.ConfFile{Path: "/" + f.Name, Text: string(f.Data)})
			}
		}
	}
	return files, modload.ParseConf(list), nil
}

// confPaths are the files that an entry of Spec.Modprobe stands for.
func confPaths(source string) ([]string, error) {
	if source == HostModprobe {
		var paths []string
		for _, dir := range modload.ConfDirs() {
			more, err := confsIn("/" + dir)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, err
			}
			paths = append(paths, more...)
		}
		return paths, nil
	}
	info, err := os.Stat(source)
	switch {
	case err != nil:
		return nil, err
	case info.Mode().IsRegular():
		return []string{source}, nil
	case !info.IsDir():
		return nil, errors.New("it is neither a directory nor a file")
	}
	paths, err := confsIn(source)
	if err == nil && paths == nil {
		err = errors.New("no file in it ends in .conf: modprobe reads no others")
	}
	return paths, err
}

// confsIn are the files of a directory that modprobe reads.
func confsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if !e.IsDir() && modload.IsConf(e.Name()) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// readConf reads a file of modprobe.d. A link to /dev/null, which hides a file
// of that name in later directories, is an empty file.
func readConf(at string) ([]byte, error) {
	if at, err := filepath.EvalSymlinks(at); err == nil && at == os.DevNull {
		return nil, nil
	}
	f, err := infile.Regular(at)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, confMax+1))
	if err == nil && len(text) > confMax {
		err = fmt.Errorf("%s has more than %d KiB: it is not a file of modprobe.d(5)", at, confMax>>10)
	}
	return text, err
}

// addedConf reads the files that additions put into a directory of modprobe.d.
func (s Spec) addedConf(dir string) ([]modload.ConfFile, error) {
	exclude, err := parseExclusions(s.Exclude)
	if err != nil {
		return nil, err
	}
	var list []modload.ConfFile
	for _, a := range s.Add {
		var paths []string
		destination := initramfs.CleanName(a.Destination)
		below, above := strings.CutPrefix(dir+"/", destination+"/")
		if destination == "" {
			below, above = dir, true
		}
		switch {
		case above:
			var err error
			if paths, err = confsIn(filepath.Join(a.Source, below)); err != nil {
				continue // it has no such directory
			}
		case path.Dir(destination) == dir && modload.IsConf(path.Base(destination)):
			paths = []string{a.Source}
		}
		for _, at := range paths {
			name := path.Base(destination)
			if above {
				name = filepath.Base(at)
			}
			if excludedBelow(exclude, dir+"/"+name) {
				continue
			}
			text, err := readConf(at)
			if errors.Is(err, os.ErrNotExist) {
				err = nil // a link into the root to be
			}
			if err != nil {
				return nil, fmt.Errorf("add %s: %w", a.Source, err)
			}
			list = append(list, modload.ConfFile{Path: "/" + dir + "/" + name, Text: string(text)})
		}
	}
	// The last of several additions with one place is the one in the image.
	slices.Reverse(list)
	return list, nil
}

// confNotes tells what of a configuration does not do what one may expect.
func confNotes(x *modload.Index, c modload.Conf, inside func(module string) bool) []string {
	var notes, black []string
	for _, b := range c.Blacklist {
		if inside(b.Module) {
			black = append(black, b.Module)
		}
	}
	if black != nil {
		notes = append(notes, fmt.Sprintf("modprobe.d blacklists %s: still in the image, for whoever names them",
			strings.Join(namelist.Sorted(black), ", ")))
	}
	for _, l := range c.Lines {
		name := ko.ModuleName(l.Words[1])
		switch {
		case l.Words[0] == "softdep" && l.Late && inside(name) && x.HasSoftdep(name):
			notes = append(notes, fmt.Sprintf("%s: softdep %s has no effect, as with modprobe: the module has a "+
				"softdep of its own, and modules.softdep comes before this file by name", l.Path, name))
		case l.Words[0] == "alias" && !x.Has(name) && slices.ContainsFunc(c.Params,
			func(p modload.Param) bool { return p.Module == name }):
			notes = append(notes, fmt.Sprintf("%s: options %s has no effect: that is an alias; write options %s",
				l.Path, name, l.Words[2]))
		}
	}
	return notes
}

// confLeft is a note when the root of a module tree has a configuration about
// modules of the image that nobody asked to take.
func confLeft(t modtree.Dir, asked []string, inside func(module string) bool) []string {
	root, ok := strings.CutSuffix(t.Path, "/"+initramfs.ModulesDir+"/"+t.Release)
	if !ok || asked != nil {
		return nil
	}
	root = strings.TrimSuffix(root, "/usr")
	dir := root + "/" + initramfs.ModprobeDir
	paths, err := confsIn(dir)
	if err != nil {
		return nil // mostly there is none
	}
	var list []modload.ConfFile
	for _, at := range paths {
		text, err := readConf(at)
		if err != nil {
			continue // nothing depends on it
		}
		list = append(list, modload.ConfFile{Path: at, Text: string(text)})
	}
	var about []string
	c := modload.ParseConf(list)
	for _, p := range c.Params {
		about = append(about, p.Module)
	}
	for _, b := range c.Blacklist {
		about = append(about, b.Module)
	}
	for _, l := range c.Lines {
		about = append(about, ko.ModuleName(l.Words[1]), ko.ModuleName(l.Words[2]))
	}
	about = slices.DeleteFunc(namelist.Sorted(about), func(name string) bool { return !inside(name) })
	if len(about) == 0 {
		return nil
	}
	take := dir
	if root == "" {
		take = HostModprobe
	}
	return []string{fmt.Sprintf("%s says something of %s and is not in the image: --modprobe %s takes it",
		dir, strings.Join(about, ", "), take)}
}
