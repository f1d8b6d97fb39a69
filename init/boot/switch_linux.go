package boot

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/kernfile"
)

// sysroot is where the new root is mounted.
const sysroot = "/sysroot"

// Magic numbers of <linux/magic.h>: what an initramfs is made of.
const (
	ramfsMagic = 0x858458f6
	tmpfsMagic = 0x01021994
)

// switchRoot makes the tree mounted at root the root of PID 1 and frees what the initramfs holds.
// Begun is set once there is no way back: every check that can be made is made before.
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
		return false, fmt.Errorf("/ is not an initramfs (file system type %#x): refusing to delete it", fs.Type)
	}
	slash, err := kernfile.Open("/")
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

// moveMount moves a mount into the new root. A root without the directory, if it is read-only so
// that it cannot be made, does without: the kernel's file system is unmounted, as its init may
// mount it elsewhere.
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

// deleteTree removes what is in a directory on the device dev, and closes it. Mounts inside are
// left alone and links are not followed. Nobody is left to deal with what cannot be removed: it
// costs memory, not the boot.
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
