package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockWait is how long another nodisk may keep the record: it reads its images meanwhile.
const lockWait = 2 * time.Minute

// lockName is the file whose lock is that of the record. The directory itself would do, but for NFS, where only a
// file that is open for writing can be locked (flock(2)).
const lockName = ".lock"

// lock keeps other processes from the record until unlock is called: its files are read and replaced as one, because
// an image that is made again for another kernel moves from one to another. Whatever ends the process gives it back.
func (r Record) lock(ctx context.Context) (unlock func() error, err error) {
	at := filepath.Join(r.Dir, lockName)
	f, err := os.OpenFile(at, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644) //nolint:gosec // nothing is in it
	if err != nil {
		return nil, fmt.Errorf("lock the record of images: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait, fmt.Errorf("another process has kept it for %v", lockWait))
	defer cancel()
	fd, done := int(f.Fd()), make(chan error, 1) //nolint:gosec // a descriptor fits
	go func() { done <- flock(fd) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		go func() { // when the call ends at last, nobody wants the lock any longer
			if err := <-done; err == nil {
				_ = f.Close()
			}
		}()
		return nil, fmt.Errorf("lock %s: %w", at, context.Cause(ctx))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", at, err), f.Close())
	}
	return f.Close, nil
}

func flock(fd int) error {
	for {
		if err := unix.Flock(fd, unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
