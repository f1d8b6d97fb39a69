package boot

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// sysroot is where the new root is mounted.
const sysroot = "/sysroot"

// Magic numbers of <linux/magic.h>: what an initramfs is made of.
const (
	ramfsMagic = 0x858458f6
	tmpfsMagic = 0x01021994
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

// FindInit returns the init of the tree below the directory root: the first of the candidates that is a program
// for this machine. Links are followed as they will be after the switch, inside of root. An error of
// permissions says nothing of the tree; all others say what is wrong with the first candidate.
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
	return "", fmt.Errorf("the root has no init (%w): is it the right disk or export, and is it filled? init=PATH names another", why)
}

// ofTree reports whether an error says what the tree is like, rather than that it
// could not be looked at: a dead disk (EIO), or a kernel that refuses the call
// (ENOSYS, EPERM), which nothing in the tree can mend.
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

// switchRoot makes the tree mounted at root the root of PID 1 and frees what
// the initramfs holds. Begun tells that there is no way back: every check that
// can be made is made before.
func switchRoot(root string) (begun bool, err error) {
	if err := unix.Chdir(root); err != nil {
		return false, fmt.Errorf("enter %s: %w", root, err)
	}
	var old, next unix.Stat_t
	var fs unix.Statfs_t
	if err := unix.Stat("/", &old); err != nil {
		return false, fmt.Errorf("look at /: %w", err)
	}
	if err := unix.Stat(".", &next); err != nil {
		return false, fmt.Errorf("look at %s: %w", root, err)
	}
	if old.Dev == next.Dev {
		return false, fmt.Errorf("%s is not a mounted root", root)
	}
	if err := unix.Statfs("/", &fs); err != nil {
		return false, fmt.Errorf("look at /: %w", err)
	}
	if fs.Type != ramfsMagic && fs.Type != tmpfsMagic {
		return false, fmt.Errorf("/ is no initramfs (file system type %#x): nothing of it is deleted", fs.Type)
	}
	slash, err := os.Open("/")
	if err != nil {
		return false, fmt.Errorf("open the initramfs: %w", err)
	}
	for _, m := range earlyMounts() {
		if err := moveMount(m.target, "."+m.target); err != nil {
			_ = slash.Close()
			return true, err
		}
	}
	deleteTree(slash, old.Dev)
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return true, fmt.Errorf("move %s to /: %w", root, err)
	}
	if err := unix.Chroot("."); err != nil {
		return true, fmt.Errorf("chroot to the root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return true, fmt.Errorf("enter the root: %w", err)
	}
	return true, nil
}

// moveMount moves a mount into the new root. A root without the directory, and
// read-only so that it cannot be made, goes without: the kernel's file system
// is let go, as its init may mount it elsewhere.
func moveMount(from, to string) error {
	if !mounted(from) {
		return nil
	}
	err := unix.Mount(from, to, "", unix.MS_MOVE, "")
	if errors.Is(err, unix.ENOENT) {
		if os.Mkdir(to, 0o755) == nil {
			err = unix.Mount(from, to, "", unix.MS_MOVE, "")
		}
	}
	if err == nil {
		return nil
	}
	if err := unix.Unmount(from, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of %s: %w", from, err)
	}
	return nil
}

// deleteTree removes what is in a folder on the device dev, and closes it.
// Mounts inside are left alone and links are not followed. Nobody is left to
// care for what cannot be removed: it costs memory, not the boot.
func deleteTree(dir *os.File, dev uint64) {
	defer func() { _ = dir.Close() }()
	fd := int(dir.Fd())
	entries, _ := dir.ReadDir(-1) // what was read before an error is removed all the same
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() {
			_ = unix.Unlinkat(fd, name, 0)
			continue
		}
		sub, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Fstat(sub, &st) != nil || st.Dev != dev {
			_ = unix.Close(sub)
			continue
		}
		deleteTree(os.NewFile(uintptr(sub), name), dev)
		_ = unix.Unlinkat(fd, name, unix.AT_REMOVEDIR)
	}
}
