package initramfs

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// FS is the image as the kernel unpacks it, rooted at "/". Links are followed: images
// of others have lib -> usr/lib. Files have the content that [Reader.Read] loaded; to read one that it
// did not is an error, as it would unpack the image once more for each of them.
func (r *Reader) FS() fs.FS { return &imageFS{r.Tree} }

type imageFS struct{ tree *Tree }

// errNotLoaded is about a file whose content is wanted and was not asked for in time.
var errNotLoaded = errors.New("it was not loaded from the image")

func (f *imageFS) find(op, name string) (imageInfo, error) {
	if fs.ValidPath(name) {
		if at, n, err := f.tree.Lookup(name, true); err == nil && n != nil {
			return imageInfo{at[strings.LastIndexByte(at, '/')+1:], n}, nil
		}
	}
	return imageInfo{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

// Stat is fs.StatFS. It follows links.
func (f *imageFS) Stat(name string) (fs.FileInfo, error) {
	i, err := f.find("stat", name)
	if err != nil {
		return nil, err
	}
	return i, nil
}

// ReadFile is fs.ReadFileFS.
func (f *imageFS) ReadFile(name string) ([]byte, error) {
	i, err := f.find("read", name)
	if err == nil && !i.n.Is(TypeFile) {
		err = &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, err
	}
	return f.content(name, i.n)
}

func (f *imageFS) content(name string, n *Inode) ([]byte, error) {
	if n.Data == nil && n.size() > 0 {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errNotLoaded}
	}
	return n.Data, nil
}

// ReadDir is fs.ReadDirFS.
func (f *imageFS) ReadDir(name string) ([]fs.DirEntry, error) {
	i, err := f.find("readdir", name)
	if err == nil && !i.n.Is(TypeDir) {
		err = &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, err
	}
	list := make([]fs.DirEntry, 0, len(i.n.Entries))
	for base, n := range i.n.Entries {
		list = append(list, fs.FileInfoToDirEntry(imageInfo{base, n}))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// Open is fs.FS; directories are read by ReadDir. Any file can be opened, for its Stat alone (which is all that
// [fs.Stat] of a [fs.Sub] does).
func (f *imageFS) Open(name string) (fs.File, error) {
	i, err := f.find("open", name)
	if err != nil {
		return nil, err
	}
	open := &imageOpen{info: i}
	if i.n.Is(TypeFile) {
		open.data, open.err = f.content(name, i.n)
	}
	return open, nil
}

type imageOpen struct {
	info imageInfo
	data []byte // what has not been read
	err  error  // why nothing can be read
}

func (f *imageOpen) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *imageOpen) Close() error               { return nil }

// Read is io.Reader.
func (f *imageOpen) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if len(f.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.data)
	f.data = f.data[n:]
	return n, nil
}

// An imageInfo is an fs.FileInfo.
type imageInfo struct {
	name string // the last part of the path; empty for the root
	n    *Inode
}

func (i imageInfo) Name() string {
	if i.name == "" {
		return "."
	}
	return i.name
}
func (i imageInfo) Size() int64 { return i.n.size() }
func (i imageInfo) Sys() any    { return nil }
func (i imageInfo) IsDir() bool { return i.n.Is(TypeDir) }

func (i imageInfo) ModTime() time.Time {
	if i.n.meta == nil {
		return time.Time{}
	}
	return time.Unix(int64(i.n.meta.MTime), 0).UTC()
}

func (i imageInfo) Mode() fs.FileMode { return fileMode(i.n.Mode) }

// fileMode is st_mode as Go has it.
func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for bit, special := range map[uint32]fs.FileMode{
		0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid,
		0o1000: fs.ModeSticky,
	} {
		if mode&bit != 0 {
			m |= special
		}
	}
	switch mode & TypeMask {
	case TypeFile:
	case TypeDir:
		m |= fs.ModeDir
	case TypeLink:
		m |= fs.ModeSymlink
	case TypeFIFO:
		m |= fs.ModeNamedPipe
	case TypeChar:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case TypeBlock:
		m |= fs.ModeDevice
	default:
		m |= fs.ModeIrregular
	}
	return m
}

var (
	_ fs.StatFS     = (*imageFS)(nil)
	_ fs.ReadFileFS = (*imageFS)(nil)
	_ fs.ReadDirFS  = (*imageFS)(nil)
)

// RealPath is a path of the image without links, false if it leads nowhere.
func (r *Reader) RealPath(name string) (string, bool) {
	at, n, err := r.Tree.Lookup(name, true)
	return at, err == nil && n != nil
}
