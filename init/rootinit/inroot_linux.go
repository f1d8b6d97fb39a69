package rootinit

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links a path may lead over: MAXSYMLINKS of
// <linux/namei.h>.
const maxLinks = 40

// openInRoot opens a regular file for reading as a process would find it that
// has the directory root as its root: links and ".." never lead out of it. That
// is openat2(2) with RESOLVE_IN_ROOT, which Linux has since 5.6 only and some
// sandboxes refuse, so it is done by hand on every kernel. What is not a regular
// file is not opened: a FIFO would hold whoever opens it.
//
// Errors are errNotFile and those of openat(2), as ENOENT, ENOTDIR, ELOOP and
// ENAMETOOLONG.
func openInRoot(root int, name string) (*os.File, error) {
	switch {
	case name == "":
		return nil, unix.ENOENT
	case len(name) >= unix.PathMax:
		return nil, unix.ENAMETOOLONG
	}
	w := &rootWalk{root: root}
	defer w.back(0)
	links := 0
	for rest := name; ; {
		part, after, more := strings.Cut(strings.TrimLeft(rest, "/"), "/")
		if part == "" || part == "." || part == ".." {
			if part == ".." {
				w.back(len(w.below) - 1)
			}
			if !more {
				return nil, errNotFile // it is the directory that was reached
			}
			rest = after
			continue
		}
		target, file, err := w.step(part, more)
		switch {
		case err != nil || file != nil:
			return file, err
		case target == "":
			rest = after
			continue
		}
		if links++; links > maxLinks {
			return nil, unix.ELOOP
		}
		if strings.HasPrefix(target, "/") {
			w.back(0)
		}
		rest = target
		if more {
			rest += "/" + after
		}
	}
}

var errNotFile = errors.New("not a file")

// A rootWalk is on its way along a path: below are the directories between root
// and where it is, so that ".." is the one before, and at the root itself.
type rootWalk struct {
	root  int
	below []int
}

func (w *rootWalk) at() int {
	if len(w.below) == 0 {
		return w.root
	}
	return w.below[len(w.below)-1]
}

// back leaves all but the first n directories.
func (w *rootWalk) back(n int) {
	n = max(n, 0)
	for _, fd := range w.below[n:] {
		_ = unix.Close(fd)
	}
	w.below = w.below[:n]
}

// step looks at one name. It returns the target of a link, or enters a directory
// when there is more of the path, or opens the file when there is not.
func (w *rootWalk) step(name string, more bool) (target string, file *os.File, err error) {
	fd, err := openat(w.at(), name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", nil, err
	}
	entered := false
	defer func() {
		if !entered {
			_ = unix.Close(fd)
		}
	}()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", nil, err
	}
	switch kind := st.Mode & unix.S_IFMT; {
	case kind == unix.S_IFLNK:
		target, err = readLink(fd)
		return target, nil, err
	case more && kind != unix.S_IFDIR:
		return "", nil, unix.ENOTDIR
	case more:
		w.below, entered = append(w.below, fd), true
		return "", nil, nil
	case kind != unix.S_IFREG:
		return "", nil, errNotFile
	}
	// The name once more: a descriptor of O_PATH is not for reading.
	opened, err := openat(w.at(), name, unix.O_RDONLY|unix.O_NOFOLLOW)
	if err != nil {
		return "", nil, err
	}
	return "", os.NewFile(uintptr(opened), name), nil
}

// readLink returns where an open link leads (readlinkat(2): an empty path is the
// link itself).
func readLink(fd int) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	switch {
	case err != nil:
		return "", err
	case n == 0:
		return "", unix.ENOENT
	case n == len(buf):
		return "", unix.ENAMETOOLONG
	}
	return string(buf[:n]), nil
}

func openat(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
