package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// mount calls mount(2), which cannot be interrupted where it matters: a disk or server that is
// gone. So it runs in the background, on a directory of its own next to dir, and is moved to dir
// when it succeeds in time. A mount that succeeds after ctx has ended is unmounted without
// touching what is on dir by then. That needs nothing newer than MS_MOVE; the parent of dir must
// not be a shared mount, which an initramfs is not.
func mount(ctx context.Context, source, dir, fstype string, o MountOptions) error {
	return mountAside(ctx, dir, func(own string) error {
		return unix.Mount(source, own, fstype, o.Flags, o.Data)
	})
}

// mountAside does so with a call that mounts something on a directory.
func mountAside(ctx context.Context, dir string, call func(own string) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	own, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*")
	if err != nil {
		return fmt.Errorf("make a directory to mount on: %w", err)
	}
	done := make(chan error)
	go func() {
		err := call(own)
		select {
		case done <- err:
			return
		case <-ctx.Done():
		}
		if err == nil {
			_ = unix.Unmount(own, unix.MNT_DETACH) // nobody is left to report to
		}
		_ = os.Remove(own)
	}()
	select {
	case err := <-done:
		return errors.Join(move(own, dir, err), os.Remove(own))
	case <-ctx.Done():
		return fmt.Errorf(
			"the kernel did not finish the mount, the disk or server does not answer: %w",
			context.Cause(ctx),
		)
	}
}

// move puts the mount on own to dir, unless there is none because of err.
func move(own, dir string, err error) error {
	if err != nil {
		return err
	}
	if err := unix.Mount(own, dir, "", unix.MS_MOVE, ""); err != nil {
		return errors.Join(fmt.Errorf("move the mount to %s: %w", dir, err), unix.Unmount(own, unix.MNT_DETACH))
	}
	return nil
}
