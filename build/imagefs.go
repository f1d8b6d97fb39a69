package build

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// FS is the image as the kernel unpacks it, rooted at "/". Links are followed: images
// of others have lib -> usr/lib. A file that [ImageReader.Load] did not load is read from the
// image, 64 MiB at most, each time it is opened.
func (r *ImageReader) FS(ctx context.Context) fs.FS { return &imageFS{ctx, r} }

// Load reads files into memory; names that are not those of regular files are passed
// over. No file may have more than 64 MiB, all together not more than 128.
func (r *ImageReader) Load(ctx context.Context, names ...string) error { return r.load(ctx, names...) }

// Visit reads regular files, in the order of the archives, without keeping them. want is asked for each, by its
// path without links; visit gets all the paths of a file (hard links).
func (r *ImageReader) Visit(ctx context.Context, want func(name string) bool, visit func(names []string, size int64, content io.Reader) error) error {
	names := make(map[*File][]string)
	var files []*File
	r.tree.walk("", r.tree.root, func(name string, n *inode) {
		if !n.is(typeFile) || n.body == nil || !want(name) {
			return
		}
		if names[n.body] == nil {
			files = append(files, n.body)
		}
		names[n.body] = append(names[n.body], name)
	})
	return r.contents(ctx, files, func(f *File, content io.Reader) error { return visit(names[f], f.Size, content) })
}

type imageFS struct {
	ctx context.Context //nolint:containedctx // fs.FS has no place for it
	r   *ImageReader
}

func (f *imageFS) find(op, name string) (imageInfo, error) {
	if fs.ValidPath(name) {
		if at, n, err := f.r.tree.lookup(name, true); err == nil && n != nil {
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
	if err == nil && !i.n.is(typeFile) {
		err = &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, err
	}
	return f.content(name, i.n)
}

func (f *imageFS) content(name string, n *inode) ([]byte, error) {
	if n.data != nil || n.size() == 0 {
		return n.data, nil
	}
	if n.size() > loadMax {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("it has %s: no such file of an initramfs is that large", bytesText(n.size()))}
	}
	var data []byte
	err := f.r.contents(f.ctx, []*File{n.body}, func(_ *File, content io.Reader) (err error) {
		data, err = io.ReadAll(content)
		return err
	})
	return data, err
}

// ReadDir is fs.ReadDirFS.
func (f *imageFS) ReadDir(name string) ([]fs.DirEntry, error) {
	i, err := f.find("readdir", name)
	if err == nil && !i.n.is(typeDir) {
		err = &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, err
	}
	list := make([]fs.DirEntry, 0, len(i.n.entries))
	for base, n := range i.n.entries {
		list = append(list, fs.FileInfoToDirEntry(imageInfo{base, n}))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// Open is fs.FS; directories are read by ReadDir.
func (f *imageFS) Open(name string) (fs.File, error) {
	i, err := f.find("open", name)
	if err != nil {
		return nil, err
	}
	var data []byte
	if i.n.is(typeFile) {
		if data, err = f.content(name, i.n); err != nil {
			return nil, err
		}
	}
	return &imageOpen{i, bytes.NewReader(data)}, nil
}

type imageOpen struct {
	info imageInfo
	*bytes.Reader
}

func (f *imageOpen) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *imageOpen) Close() error               { return nil }

// An imageInfo is an fs.FileInfo.
type imageInfo struct {
	name string // the last part of the path; empty for the root
	n    *inode
}

func (i imageInfo) Name() string {
	if i.name == "" {
		return "."
	}
	return i.name
}
func (i imageInfo) Size() int64 { return i.n.size() }
func (i imageInfo) Sys() any    { return nil }
func (i imageInfo) IsDir() bool { return i.n.is(typeDir) }

func (i imageInfo) ModTime() time.Time {
	if i.n.meta == nil {
		return time.Time{}
	}
	return time.Unix(int64(i.n.meta.MTime), 0).UTC()
}

func (i imageInfo) Mode() fs.FileMode { return fileMode(i.n.mode) }

// fileMode is st_mode as Go has it.
func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for bit, special := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= special
		}
	}
	switch mode & typeMask {
	case typeFile:
	case typeDir:
		m |= fs.ModeDir
	case typeLink:
		m |= fs.ModeSymlink
	case typeFIFO:
		m |= fs.ModeNamedPipe
	case typeChar:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case typeBlock:
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

// Head reads the first n bytes of a regular file, links followed; nil if there is none.
func (r *ImageReader) Head(ctx context.Context, name string, n int) ([]byte, error) {
	file := r.tree.get(name)
	if !file.is(typeFile) || file.body == nil {
		return nil, nil
	}
	head := make([]byte, min(int64(n), file.size()))
	err := r.contents(ctx, []*File{file.body}, func(_ *File, content io.Reader) error {
		_, err := io.ReadFull(content, head)
		return err
	})
	return head, err
}

// RealPath is a path of the image without links, false if it leads nowhere.
func (r *ImageReader) RealPath(name string) (string, bool) {
	at, n, err := r.tree.lookup(name, true)
	return at, err == nil && n != nil
}
