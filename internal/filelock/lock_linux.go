package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// longest is how long another process may keep a lock: it reads its images meanwhile, or writes its files.
const longest = 2 * time.Minute

// Lock takes the lock of an open file (flock(2)), which on NFS must be open for writing. While another process has it
// Lock calls waiting, which may be nil, once, and waits until ctx ends, or for two minutes. The file is closed by
// unlock, or by Lock when it has failed; whatever ends the process gives the lock back, too.
//
// Libraries such as gofrs/flock ask for the lock again and again; here the kernel says when it is free.
func Lock(ctx context.Context, f *os.File, waiting func()) (unlock func() error, err error) {
	name, fd := f.Name(), int(f.Fd())
	if err := flock(fd, unix.LOCK_EX|unix.LOCK_NB); err == nil {
		return f.Close, nil
	} else if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(refused(name, err), f.Close())
	}
	if waiting != nil {
		waiting()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, longest,
		fmt.Errorf("another process has kept it for %v: see which one (fuser -v %s), and whether it hangs",
			longest, name))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- flock(fd, unix.LOCK_EX) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		go func() { // when the call ends at last, nobody wants the lock any longer
			err := <-done
			_ = errors.Join(err, f.Close()) // nothing was written
		}()
		return nil, fmt.Errorf("lock %s: %w", name, context.Cause(ctx))
	}
	if err != nil {
		return nil, errors.Join(refused(name, err), f.Close())
	}
	return f.Close, nil
}

// refused says why there is no lock, and what helps where that is the file system's doing.
func refused(name string, err error) error {
	if errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("lock %s: %w: its file system has no locks (on NFS, check that lockd runs): give a "+
			"directory of another one", name, err)
	}
	return fmt.Errorf("lock %s: %w", name, err)
}

func flock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
