package build

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/nodisk/nodisk/build/depmod"
)

// indexed is the tree with the indexes of depmod. Where depmod has not run, or not since files came that it would
// take, they are made here, and only here: nothing is written into the tree. notes say so of a tree without
// indexes; of those that are stale, [tree.staleWarnings] does. cache may be nil.
//
// Stale indexes are not taken as they are: whoever put a vendor's driver into the tree and forgot depmod wants
// that driver, and any update of the kernel's package would run depmod for him.
func (t tree) indexed(cache *Cache) (with tree, notes, warnings []string, err error) {
	root := depmod.Tree(t.dir, t.release)
	conf, confErr := depmod.ReadConfig(root)
	switch _, err = os.Stat(filepath.Join(t.dir, "modules.dep")); {
	case err == nil && confErr != nil:
		return t, nil, []string{fmt.Sprintf("whether modules.dep is as the files of %s are is not known: %v", t.dir, confErr)}, nil
	case err == nil:
		differences, err := cache.differences(t, root, conf)
		if err != nil {
			return t, nil, nil, fmt.Errorf("open modules: %w", err)
		}
		for _, d := range differences {
			// One that is gone is an error if it is wanted.
			if d.File != "" && !t.seen(root, d) {
				t.unseen = append(t.unseen, d)
			}
		}
		if t.unseen == nil {
			return t, nil, nil, nil
		}
	case !errors.Is(err, fs.ErrNotExist):
		return t, nil, nil, fmt.Errorf("open modules: %w", err)
	case confErr != nil:
		return t, nil, nil, fmt.Errorf("open modules: %s has no modules.dep, and to make it: %w", t.dir, confErr)
	}
	made, err := cache.indexes(root, t.release, conf)
	if err != nil {
		return t, nil, nil, fmt.Errorf("open modules: make the indexes of %s: %w", t.dir, err)
	}
	t.made = made.Texts
	if t.unseen != nil {
		return t, nil, nil, nil
	}
	note := fmt.Sprintf("%s has no modules.dep: the indexes were made for this image; %s makes them to stay", t.dir, t.depmod())
	return t, []string{note}, made.Warnings, nil
}

// seen reports whether a file was there, as it is, when depmod ran. Then depmod chose another, by a search order of
// its machine that is not known here, and its choice counts, if it is still there.
func (t tree) seen(root fs.FS, d depmod.Difference) bool {
	stat := func(file string) (fs.FileInfo, error) {
		at := modulesDir + "/" + t.release + "/" + file
		if strings.HasPrefix(file, "/") {
			at = file[1:]
		}
		f, err := depmod.Open(root, at)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // nothing was written
		return f.Stat()
	}
	if d.Listed == "" {
		return false
	}
	_, listedErr := stat(d.Listed)
	info, fileErr := stat(d.File)
	dep, depErr := os.Stat(filepath.Join(t.dir, "modules.dep"))
	return errors.Join(listedErr, fileErr, depErr) == nil && lastChange(info).Before(dep.ModTime())
}

// staleWarnings tells what of an image is another file than modules.dep says, and how the node's root will
// load it too.
func (t tree) staleWarnings(holds func(module string) bool) []string {
	const few = 3
	var warnings []string
	inside := 0
	for _, d := range t.unseen {
		if !holds(d.Module) {
			continue
		}
		if inside++; inside > few {
			continue
		}
		text := fmt.Sprintf("module %s: %s is in the image, which modules.dep does not know", d.Module, d.File)
		if d.Listed != "" {
			text = fmt.Sprintf("module %s: %s is in the image, not %s, which modules.dep names", d.Module, d.File, d.Listed)
		}
		warnings = append(warnings, text+": depmod has not run since it came; run "+t.depmod()+", also in the node's root, which loads by its own")
	}
	if inside > few {
		warnings = append(warnings, fmt.Sprintf("so it is with %d more modules of the image: run %s", inside-few, t.depmod()))
	}
	if other := len(t.unseen) - inside; other > 0 && inside == 0 {
		warnings = append(warnings, fmt.Sprintf("modules.dep of %s is stale: depmod has not seen %s (%s); none of it is in the image; run %s",
			t.dir, plural(other, "module file"), t.unseen[0].File, t.depmod()))
	}
	return warnings
}

// Open makes the tree a file system rooted at "/" in which the tree is
// lib/modules/RELEASE, wherever it lies on disk. Links are followed; absolute ones
// begin where the tree's root is, as they do on the node.
func (t tree) Open(name string) (fs.File, error) {
	in, ok := strings.CutPrefix(name, modulesDir+"/"+t.release+"/")
	if !ok || !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if text, ok := t.made[in]; ok {
		return &memoryFile{Reader: bytes.NewReader(text), name: path.Base(name)}, nil
	}
	f, err := depmod.Open(depmod.Tree(t.dir, t.release), name)
	if errors.Is(err, fs.ErrNotExist) { // a link out of the root, to another place of this machine
		return os.DirFS(t.dir).Open(in)
	}
	return f, err
}

// A memoryFile is an index that was made here.
type memoryFile struct {
	*bytes.Reader
	name string
}

func (f *memoryFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *memoryFile) Close() error               { return nil }
func (f *memoryFile) Name() string               { return f.name }
func (f *memoryFile) Mode() fs.FileMode          { return 0o444 }
func (f *memoryFile) ModTime() time.Time         { return time.Time{} }
func (f *memoryFile) IsDir() bool                { return false }
func (f *memoryFile) Sys() any                   { return nil }
