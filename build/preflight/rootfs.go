package preflight

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/build"
)

// A rootFS is the initramfs as the kernel unpacks it, rooted at "/". Links
// are followed: images of others have lib -> usr/lib.
type rootFS struct {
	entries map[string]*entry
}

// An entry is a file, a folder or a link. It is an fs.FileInfo and an
// fs.DirEntry as well.
type entry struct {
	name   string // the last part
	mode   fs.FileMode
	data   []byte
	target string   // of a link
	below  []string // names in a folder
}

func (e *entry) Name() string               { return e.name }
func (e *entry) Size() int64                { return int64(len(e.data)) }
func (e *entry) Mode() fs.FileMode          { return e.mode }
func (e *entry) Type() fs.FileMode          { return e.mode.Type() }
func (e *entry) ModTime() time.Time         { return time.Time{} }
func (e *entry) IsDir() bool                { return e.mode.IsDir() }
func (e *entry) Sys() any                   { return nil }
func (e *entry) Info() (fs.FileInfo, error) { return e, nil }

// Types of files in st_mode, inode(7).
const (
	typeMask = 0o170000
	typeDir  = 0o040000
	typeFile = 0o100000
	typeLink = 0o120000
)

// newRootFS unpacks. Of two files of one name the later is there.
func newRootFS(files []build.ImageFile) *rootFS {
	r := &rootFS{entries: map[string]*entry{".": {name: ".", mode: fs.ModeDir | 0o755}}}
	// Of hard links one has the content.
	type inode struct {
		segment int
		number  uint32
	}
	contents := make(map[inode][]byte)
	for _, f := range files {
		if f.NLink > 1 && len(f.Data) > 0 {
			contents[inode{f.Segment, f.Ino}] = f.Data
		}
	}
	for _, f := range files {
		name := r.canonical(f.Name)
		e := &entry{name: path.Base(name), mode: fs.FileMode(f.Mode & 0o777), data: f.Data}
		switch f.Mode & typeMask {
		case typeDir:
			e.mode |= fs.ModeDir
		case typeLink:
			e.mode |= fs.ModeSymlink
			e.target = f.Target
		case typeFile:
			if len(e.data) == 0 && f.NLink > 1 {
				e.data = contents[inode{f.Segment, f.Ino}]
			}
		default:
			e.mode |= fs.ModeIrregular
		}
		r.put(name, e)
	}
	return r
}

// put makes an entry and the folders above it.
func (r *rootFS) put(name string, e *entry) {
	if name == "." {
		return
	}
	if old := r.entries[name]; old != nil {
		if e.IsDir() && old.IsDir() {
			return
		}
		e.below = old.below
	} else {
		dir := path.Dir(name)
		if r.entries[dir] == nil {
			r.put(dir, &entry{name: path.Base(dir), mode: fs.ModeDir | 0o755})
		}
		above := r.entries[dir]
		above.below = append(above.below, name)
	}
	r.entries[name] = e
}

// canonical is a name with the links in its folders followed, not the last.
func (r *rootFS) canonical(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return "."
	}
	dir, ok := r.resolve(path.Dir(name))
	if !ok {
		dir = path.Dir(name)
	}
	return path.Join(dir, path.Base(name))
}

// maxLinks is MAXSYMLINKS of include/linux/namei.h.
const maxLinks = 40

// resolve follows all links of a name; false if it does not exist.
func (r *rootFS) resolve(name string) (string, bool) {
	at, todo, links := ".", strings.Split(path.Clean(name), "/"), 0
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		e := r.entries[next]
		if e == nil {
			return "", false
		}
		if e.mode&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", false
		}
		if strings.HasPrefix(e.target, "/") {
			at = "."
		}
		todo = append(strings.Split(path.Clean(e.target), "/"), todo...)
	}
	return at, true
}

func (r *rootFS) find(op, name string) (*entry, error) {
	if fs.ValidPath(name) {
		if at, ok := r.resolve(name); ok {
			return r.entries[at], nil
		}
	}
	return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

// has tells whether a file or folder exists.
func (r *rootFS) has(name string) bool {
	_, err := r.find("stat", name)
	return err == nil
}

// Stat follows links.
func (r *rootFS) Stat(name string) (fs.FileInfo, error) { return r.find("stat", name) }

// ReadFile is fs.ReadFileFS.
func (r *rootFS) ReadFile(name string) ([]byte, error) {
	e, err := r.find("read", name)
	if err == nil && !e.mode.IsRegular() {
		err = &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, err
	}
	return e.data, nil
}

// ReadDir is fs.ReadDirFS.
func (r *rootFS) ReadDir(name string) ([]fs.DirEntry, error) {
	e, err := r.find("readdir", name)
	if err == nil && !e.IsDir() {
		err = &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, err
	}
	list := make([]fs.DirEntry, 0, len(e.below))
	for _, b := range slices.Sorted(slices.Values(e.below)) {
		list = append(list, r.entries[b])
	}
	return list, nil
}

// Open is fs.FS; folders are read by ReadDir.
func (r *rootFS) Open(name string) (fs.File, error) {
	e, err := r.find("open", name)
	if err != nil {
		return nil, err
	}
	return &openFile{entry: e, Reader: bytes.NewReader(e.data)}, nil
}

type openFile struct {
	entry *entry
	io.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.entry, nil }
func (f *openFile) Close() error               { return nil }
