package boot

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// An earlyMount is a kernel file system that everything else stands on.
type earlyMount struct {
	source, target, fstype string
	flags                  uintptr
	data                   string
}

// earlyMounts is the table of stage "mounts". The flags are those that
// systemd and dracut mount them with, so that the next init finds what it
// expects.
func earlyMounts() []earlyMount {
	const nosuid = unix.MS_NOSUID
	return []earlyMount{
		{"proc", "/proc", "proc", nosuid | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", "/sys", "sysfs", nosuid | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"devtmpfs", "/dev", "devtmpfs", nosuid, "mode=0755"},
		{"tmpfs", "/run", "tmpfs", nosuid | unix.MS_NODEV, "mode=0755,size=20%"},
	}
}

// mountEarly mounts the table. What is mounted already, by an earlier worker
// or by a kernel with CONFIG_DEVTMPFS_MOUNT, stays.
func mountEarly() error {
	var errs []error
	for _, m := range earlyMounts() {
		if mounted(m.target) {
			continue
		}
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			errs = append(errs, fmt.Errorf("make %s: %w", m.target, err))
			continue
		}
		if err := unix.Mount(m.source, m.target, m.fstype, m.flags, m.data); err != nil && !errors.Is(err, unix.EBUSY) {
			errs = append(errs, fmt.Errorf("mount %s on %s: %w", m.fstype, m.target, err))
		}
	}
	return errors.Join(errs...)
}

// mounted tells whether a directory is the root of a mount, by its device
// number: /proc/self/mountinfo may not be there yet.
func mounted(dir string) bool {
	var here, root unix.Stat_t
	if unix.Lstat(dir, &here) != nil || unix.Lstat("/", &root) != nil {
		return false
	}
	return here.Dev != root.Dev
}

// unmountAll takes away what earlier attempts mounted on dir. It does not look at
// what is mounted, for which a server would have to answer, and what waits for such a server
// is failed (MNT_FORCE of umount(2)).
func unmountAll(dir string) error {
	const most = 64 // more than anybody mounts on each other
	for range most {
		err := unix.Unmount(dir, unix.MNT_FORCE|unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT): // nothing is mounted there
			return nil
		case err != nil:
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
	}
	return fmt.Errorf("unmount %s: more than %d mounts", dir, most)
}
