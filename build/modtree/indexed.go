package modtree

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/build/cache"
	"github.com/nodisk/nodisk/build/depmod"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/internal/infile"
)

// Indexed is the tree with the indexes of depmod. Where depmod has not run, or not since files came that it would
// take, they are made here, and only here: nothing is written into the tree. notes say so of a tree without
// indexes; of those that are stale, [Dir.StaleWarnings] and [Dir.StaleNotes] do. cache may be nil.
//
// Stale indexes are not taken as they are: whoever put a vendor's driver into the tree and forgot depmod wants
// that driver, and any update of the kernel's package would run depmod for him.
func (t Dir) Indexed(cache *cache.Cache) (with Dir, notes, warnings []string, err error) {
	root := depmod.Tree(t.Path, t.Release)
	conf, confErr := depmod.ReadConfig(root)
	switch _, err = os.Stat(filepath.Join(t.Path, "modules.dep")); {
	case err == nil && confErr != nil:
		return t, nil, []string{fmt.Sprintf("whether modules.dep is as the files of %s are is not known: %v",
			t.Path, confErr)}, nil
	case err == nil:
		found, err := differences(cache, t, root, conf)
		if err != nil {
			return t, nil, nil, fmt.Errorf("open modules: %w", err)
		}
		for _, d := range found {
			// One that is gone is an error if it is wanted.
			if d.File == "" {
				continue
			}
			stale := staleModule{Difference: d, sight: t.sees(root, d)}
			t.differences = append(t.differences, stale)
			if !stale.taken() { // for the indexes that others are made again for
				conf.Overrides = append(conf.Overrides, keepChoice(d))
			}
		}
		if !slices.ContainsFunc(t.differences, staleModule.taken) {
			return t, nil, nil, nil
		}
	case !errors.Is(err, fs.ErrNotExist):
		return t, nil, nil, fmt.Errorf("open modules: %w", err)
	case confErr != nil:
		return t, nil, nil, fmt.Errorf("open modules: %s has no modules.dep, and to make it: %w", t.Path, confErr)
	}
	made, err := indexes(cache, root, t.Release, conf)
	if err != nil {
		return t, nil, nil, fmt.Errorf("open modules: make the indexes of %s: %w", t.Path, err)
	}
	t.made = made.Texts
	if t.differences != nil {
		return t, nil, nil, nil
	}
	note := fmt.Sprintf("%s has no modules.dep: the indexes were made for this image; %s makes them to stay",
		t.Path, t.depmod())
	return t, []string{note}, made.Warnings, nil
}

// Open makes the tree a file system rooted at "/" in which the tree is
// lib/modules/RELEASE, wherever it lies on disk. Links are followed; absolute ones
// begin where the tree's root is, as they do on the node.
func (t Dir) Open(name string) (fs.File, error) {
	in, ok := strings.CutPrefix(name, initramfs.ModulesDir+"/"+t.Release+"/")
	if !ok || !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if text, ok := t.made[in]; ok {
		return &memoryFile{Reader: bytes.NewReader(text), name: path.Base(name)}, nil
	}
	f, err := depmod.Open(depmod.Tree(t.Path, t.Release), name)
	if errors.Is(err, fs.ErrNotExist) { // a link out of the root, to another place of this machine
		return infile.Regular(filepath.Join(t.Path, in))
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
