package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
		if err := unix.Mount(
			m.source,
			m.target,
			m.fstype,
			m.flags,
			m.data,
		); err != nil &&
			!errors.Is(err, unix.EBUSY) {
			errs = append(errs, fmt.Errorf("mount %s on %s: %w", m.fstype, m.target, err))
		}
	}
	return errors.Join(errs...)
}

// mounted reports whether a directory is the root of a mount, by its device
// number: /proc/self/mountinfo may not be there yet.
func mounted(dir string) bool {
	var here, root unix.Stat_t
	if unix.Lstat(dir, &here) != nil || unix.Lstat("/", &root) != nil {
		return false
	}
	return here.Dev != root.Dev
}

// unmountAll unmounts what earlier attempts mounted on dir. The kernel lets go of a filesystem in
// the same call, and may wait there for a disk or server that is gone: the wait ends with ctx.
// The call ends when the kernel lets it, and nothing follows it then, because what is on dir by
// that time belongs to a later attempt.
func unmountAll(ctx context.Context, dir string) error {
	done := make(chan error, 1)
	go func() { done <- guarded(func() error { return detachAll(ctx, dir) }) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf(
			"unmount %s: the kernel did not finish, the disk or server does not answer: %w",
			dir,
			context.Cause(ctx),
		)
	}
}

// detachAll unmounts until nothing is mounted there, which umount(2) reports by EINVAL. It does
// not look before: lstat(2) asks the server of an NFS mount. What waits for such a server is
// failed (MNT_FORCE). Mounts for dir that came too late follow, even if there is something that
// does not go.
func detachAll(ctx context.Context, dir string) error {
	var errs []error
	for ctx.Err() == nil {
		err := detach(dir)
		if errors.Is(err, errNotMounted) {
			break
		}
		if err != nil {
			errs = append(errs, err)
			break
		}
	}
	for _, aside := range mountsAside(dir) {
		if err := detach(aside); err != nil && !errors.Is(err, errNotMounted) { // it may be unmounted at this moment
			errs = append(errs, err)
			continue
		}
		_ = os.Remove(aside)
	}
	if ctx.Err() != nil {
		errs = append(errs, fmt.Errorf("unmount %s: %w", dir, context.Cause(ctx)))
	}
	return errors.Join(errs...)
}

var errNotMounted = errors.New("nothing is mounted there")

// detach takes the topmost mount on a directory out of the tree, and fails what waits for its server.
func detach(dir string) error {
	err := unix.Unmount(dir, unix.MNT_FORCE|unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
		return fmt.Errorf("unmount %s: %w", dir, errNotMounted)
	default:
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
}

// inTree reports whether something is mounted on dir.
func inTree(dir string) bool {
	mounts, err := readMounts()
	return err != nil ||
		slices.ContainsFunc(mounts, func(m mountPoint) bool { return m.Point == dir }) // an error: nobody knows
}

// mountsAside are the mounts for dir that came when nobody was waiting for them any longer, of a
// worker that has died: see package rootfs, mountAside.
func mountsAside(dir string) []string {
	mounts, _ := readMounts() // what is unknown is left where it is
	prefix := filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".")
	var aside []string
	for _, m := range mounts {
		if strings.HasPrefix(m.Point, prefix) {
			aside = append(aside, m.Point)
		}
	}
	return aside
}
