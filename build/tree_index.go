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

// indexed is the tree with the indexes of depmod. Where depmod has not run they
// are made here, and only here: nothing is written into the tree. notes say so.
func (t tree) indexed() (with tree, notes, warnings []string, err error) {
	_, err = os.Stat(filepath.Join(t.dir, "modules.dep"))
	if err == nil {
		return t, nil, nil, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return t, nil, nil, fmt.Errorf("open modules: %w", err)
	}
	root := depmod.Tree(t.dir, t.release)
	conf, err := depmod.ReadConfig(root)
	if err != nil {
		return t, nil, nil, fmt.Errorf("open modules: %s has no modules.dep, and to make it: %w", t.dir, err)
	}
	x, err := depmod.Run(root, t.release, conf)
	if err != nil {
		return t, nil, nil, fmt.Errorf("open modules: %s has no modules.dep, and to make it: %w", t.dir, err)
	}
	t.made = x.Texts()
	note := fmt.Sprintf("%s has no modules.dep: the indexes were made for this image; %s makes them to stay", t.dir, t.depmod())
	return t, []string{note}, x.Warnings, nil
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
