package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// unnamedFile opens a file in a directory that has no name (O_TMPFILE, open(2)): whatever ends this process, the
// kernel lets go of it. Not every file system can, nor a machine without /proc, by which it gets its name later.
// Errors name the file by the path that it is for.
func unnamedFile(dir, path string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	if _, err := os.Stat(procFD(f)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// nameFile gives a file of unnamedFile its name. One that is taken is an error, [fs.ErrExist].
func nameFile(f *os.File, path string) error {
	err := unix.Linkat(unix.AT_FDCWD, procFD(f), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &fs.PathError{Op: "link", Path: path, Err: err}
	}
	return nil
}

func procFD(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// lockFile takes the lock of a file (flock(2)) and reports whether it has got it: another process may hold it, and
// not every file system has locks. Whatever ends the process gives it back.
func lockFile(f *os.File) bool {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}

// hasName reports whether an open file is in a directory still.
func hasName(f *os.File) (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false, fmt.Errorf("look at %s: %w", f.Name(), err)
	}
	return st.Nlink > 0, nil
}

// freeBytes is how much a user may write yet to the file system of a directory.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil //nolint:gosec // no file system is that large
}

// isTerminal reports whether an open file is a terminal.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// isLost reports whether an open file is /dev/null for reading and writing. So the Go runtime opens it in the place of
// a standard stream that this process was started without (runtime/fds_unix.go); a shell's >/dev/null is for writing.
func isLost(f *os.File) bool {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR ||
		uint64(st.Rdev) != unix.Mkdev(1, 3) { //nolint:unconvert,nolintlint // 32 bits on some
		return false
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE == unix.O_RDWR
}

// deviceOf is the number of a device's node.
func deviceOf(info fs.FileInfo) (major, minor uint32) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0
	}
	return unix.Major(st.Rdev), unix.Minor(st.Rdev)
}

// duplicate returns a further descriptor of a file that this process was given open.
func duplicate(fd int, name string) (*os.File, error) {
	again, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(again), name), nil
}

// openReader opens a FIFO to read from it, without waiting for whoever writes.
func openReader(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
}
