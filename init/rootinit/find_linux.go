package rootinit

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sys/unix"
)

// InitCandidates are the programs that the root's init may be, in the order in which they are looked for:
// want, which is init=, or if that is empty the kernel's own order (kernel_init in init/main.c) without its
// last, /bin/sh: a root shell that nobody asked for.
func InitCandidates(want string) []string {
	if want != "" {
		return []string{want}
	}
	return []string{"/sbin/init", "/etc/init", "/bin/init"}
}

// FindInit returns the init of the tree below the directory root: the first of the candidates
// that is a program for this machine. Links are followed as they will be after the switch, inside
// of root. An error of permissions says nothing about the tree; all others say what is wrong with
// the first candidate.
func FindInit(root, want string) (string, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", root, err)
	}
	defer func() { _ = unix.Close(dir) }()
	var why error
	for _, name := range InitCandidates(want) {
		if err := checkInit(dir, name); err != nil {
			if why == nil {
				why = fmt.Errorf("%s: %w", name, err)
			}
			continue
		}
		return name, nil
	}
	switch {
	case !ofTree(why):
		return "", fmt.Errorf("look for the root's init: %w", why)
	case want != "":
		return "", fmt.Errorf("init=%w: this root has no such program", why)
	}
	return "", fmt.Errorf(
		"the root has no init (%w): is it the right disk or export, and is it filled? init=PATH names another",
		why,
	)
}

// ofTree reports whether an error says what the tree is like, rather than that it could not be
// looked at: a dead disk (EIO), or a kernel that refuses the call (ENOSYS, EPERM), which nothing
// in the tree can fix.
func ofTree(err error) bool {
	errno, ok := errors.AsType[unix.Errno](err)
	return !ok || slices.Contains([]unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENAMETOOLONG}, errno)
}

func checkInit(dir int, name string) error {
	f, err := openInRoot(dir, name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case info.Mode().Perm()&0o111 == 0:
		return errors.New("not executable")
	}
	head := make([]byte, elfHeader)
	n, err := f.ReadAt(head, 0)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return fmt.Errorf("read it: %w", err)
	case n == 0:
		return errors.New("empty")
	}
	return checkProgram(head[:n])
}
