package modload

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/kmsg"
	"github.com/nodisk/nodisk/internal/uevent"
)

// moduleInitCompressedFile is MODULE_INIT_COMPRESSED_FILE of
// include/uapi/linux/module.h, since Linux 5.17.
const moduleInitCompressedFile = 4

// A machine is the kernel that runs.
type machine struct {
	root       string
	modules    string // directory above lib/modules
	decompress func(path string, r io.Reader) (io.Reader, error)
	format     func() string // of compressed modules the kernel takes; "" is none
	uname      func() string
	modalias   func() string
}

func newMachine(c LoaderConfig) *machine {
	m := &machine{root: c.Root, decompress: c.Decompress}
	if m.root == "" {
		m.root = "/"
	}
	m.modules = filepath.Join(m.root, c.Modules)
	m.format = sync.OnceValue(func() string { return m.read("sys/module/compression") })
	m.modalias = sync.OnceValue(func() string { return m.read("sys/devices/system/cpu/modalias") })
	m.uname = sync.OnceValue(func() string {
		var u unix.Utsname
		if unix.Uname(&u) != nil {
			return ""
		}
		return unix.ByteSliceToString(u.Release[:])
	})
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

// file is the path of a module's file.
func (m *machine) file(path string) string { return filepath.Join(m.modules, path) }

// read returns the one line of a sysfs file, empty if there is none.
func (m *machine) read(name string) string {
	fd, err := open(m.path(name), unix.O_RDONLY)
	if err != nil {
		return ""
	}
	defer func() { _ = unix.Close(fd) }()
	buf := make([]byte, 4096) // sysfs shows a page at most
	n, err := unix.Read(fd, buf)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(buf[:n]))
}

func open(path string, mode int) (int, error) {
	for {
		fd, err := unix.Open(path, mode|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

func (m *machine) live(module string) bool {
	return m.read("sys/module/"+module+"/initstate") == "live"
}

func (m *machine) present(module string) bool {
	if m.live(module) {
		return true
	}
	// A module that is built in has a directory if it has parameters or a version,
	// and never an initstate.
	if unix.Access(m.path("sys/module/"+module), unix.F_OK) != nil {
		return false
	}
	return errors.Is(unix.Access(m.path("sys/module/"+module+"/initstate"), unix.F_OK), unix.ENOENT)
}

func (m *machine) size(path string) int64 {
	var st unix.Stat_t
	if unix.Stat(m.file(path), &st) != nil {
		return 0
	}
	return st.Size
}

// needs reads the whole file: it is asked when an error is to be explained.
func (m *machine) needs(path string) []string {
	fd, err := open(m.file(path), unix.O_RDONLY)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	r := io.Reader(descriptor(fd))
	if compression(path) != "" && m.decompress != nil {
		if r, err = m.decompress(path, r); err != nil {
			return nil
		}
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil
	}
	return depends(data)
}

func (m *machine) release() string { return m.uname() }
func (m *machine) cpu() string     { return m.modalias() }

func (m *machine) events() (listener, error) {
	c, err := uevent.Listen()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// insert loads a file. On failure it returns what the kernel logged meanwhile.
func (m *machine) insert(i insertion) ([]string, error) {
	path := i.path
	fd, err := open(m.file(path), unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", m.file(path), err)
	}
	defer func() { _ = unix.Close(fd) }()
	format := compression(path)
	if format == "" {
		return m.finit(fd, i, 0)
	}
	if m.format() == format {
		said, err := m.finit(fd, i, moduleInitCompressedFile)
		// EINVAL is what a kernel without the flag says, EOPNOTSUPP one without the
		// format, whatever sysfs has. A module may say EINVAL too, and then says it
		// again.
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) || m.decompress == nil {
			return said, err
		}
		if _, err := unix.Seek(fd, 0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", path, err)
		}
	}
	plain, err := m.unpack(fd, path, format)
	if err != nil {
		return nil, err
	}
	defer func() { _ = plain.Close() }()
	return m.finit(int(plain.Fd()), i, 0)
}

func (m *machine) finit(fd int, i insertion, flags int) ([]string, error) {
	// Opened before the call and at the end of the log, so that what is read
	// from it was said during the call. Without it errors say less.
	said, err := kmsg.Open(m.path("dev/kmsg"))
	if err == nil {
		defer func() { _ = said.Close() }()
	}
	i.enter()
	for {
		err = unix.FinitModule(fd, i.params, flags)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err == nil || errors.Is(err, unix.EEXIST) {
		return nil, err
	}
	return said.Messages(), err
}

// compression names the format of a file as /sys/module/compression does.
func compression(path string) string {
	switch filepath.Ext(path) {
	case ".xz":
		return "xz"
	case ".zst":
		return "zstd"
	case ".gz":
		return "gzip"
	}
	return ""
}

// unpack copies a compressed module to a file in memory.
func (m *machine) unpack(fd int, path, format string) (*os.File, error) {
	if m.decompress == nil {
		takes := m.format()
		if takes == "" {
			takes = "none"
		}
		return nil, fmt.Errorf("unpack %s: the kernel unpacks %s, not %s: build the image with plain modules",
			path, takes, format)
	}
	r, err := m.decompress(path, descriptor(fd))
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", path, err)
	}
	mem, err := unix.MemfdCreate("module", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: create file in memory: %w", path, err)
	}
	f := os.NewFile(uintptr(mem), "memfd:module")
	if _, err := io.Copy(f, r); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("unpack %s: %w", path, err)
	}
	return f, nil
}

// A descriptor reads an open file, and leaves it open.
type descriptor int

func (d descriptor) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(d), b)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}
