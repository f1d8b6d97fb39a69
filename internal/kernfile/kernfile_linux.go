// Package kernfile reads files that never make a reader wait: those of proc and sysfs, and of the
// initramfs itself. os.Open registers whatever it opens with the runtime's poller; of ten system
// calls to read one attribute four are left here. A boot opens some four hundred such files,
// and saves a hundredth of its computing by it.
package kernfile

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Open is os.Open without deadlines: a read waits in the kernel, as long as that lets it.
func Open(path string) (*os.File, error) {
	fd, err := open(path)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// open returns a descriptor, or an *fs.PathError as os.Open does.
func open(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return -1, &fs.PathError{Op: "open", Path: path, Err: err}
		default:
			return fd, nil
		}
	}
}

// first is the room for the first read: nearly every attribute of sysfs fits. Longer files take more.
const first = 512

// ReadFile is os.ReadFile.
func ReadFile(path string) ([]byte, error) {
	fd, err := open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }() // of a file that was only read it says nothing
	var room [first]byte
	buf := room[:0]
	for {
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return slices.Clone(buf), &fs.PathError{Op: "read", Path: path, Err: err}
		case n == 0:
			return slices.Clone(buf), nil
		}
		if buf = buf[:len(buf)+n]; len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf))
		}
	}
}

// ReadDir is os.ReadDir.
func ReadDir(path string) ([]os.DirEntry, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, errors.Join(err, f.Close())
}

// DirFS is os.DirFS, but that errors have the whole path.
func DirFS(dir string) fs.FS { return tree(dir) }

type tree string

var (
	_ fs.ReadFileFS = tree("")
	_ fs.ReadDirFS  = tree("")
	_ fs.StatFS     = tree("")
	_ fs.ReadLinkFS = tree("")
)

func (t tree) path(op, name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return strings.TrimSuffix(string(t), "/") + "/" + name, nil // a valid path has nothing to clean
}

func (t tree) Open(name string) (fs.File, error) {
	path, err := t.path("open", name)
	if err != nil {
		return nil, err
	}
	f, err := Open(path)
	if err != nil {
		return nil, err // not the *os.File, which would be an fs.File that is not nil
	}
	return f, nil
}

func (t tree) ReadFile(name string) ([]byte, error) {
	path, err := t.path("open", name)
	if err != nil {
		return nil, err
	}
	return ReadFile(path)
}

func (t tree) ReadDir(name string) ([]fs.DirEntry, error) {
	path, err := t.path("open", name)
	if err != nil {
		return nil, err
	}
	return ReadDir(path)
}

func (t tree) Stat(name string) (fs.FileInfo, error) {
	path, err := t.path("stat", name)
	if err != nil {
		return nil, err
	}
	return os.Stat(path)
}

func (t tree) Lstat(name string) (fs.FileInfo, error) {
	path, err := t.path("lstat", name)
	if err != nil {
		return nil, err
	}
	return os.Lstat(path)
}

func (t tree) ReadLink(name string) (string, error) {
	path, err := t.path("readlink", name)
	if err != nil {
		return "", err
	}
	return os.Readlink(path)
}
