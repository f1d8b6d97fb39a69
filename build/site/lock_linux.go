package site

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/filelock"
)

// lockName is the file whose lock is that of the record. The directory itself would do, but for NFS, where only a
// file that is open for writing can be locked (flock(2)).
const lockName = ".lock"

// lock keeps other processes from the record until unlock is called: its files are read and replaced as one, because
// an image that is made again for another kernel moves from one to another.
func (r Record) lock(ctx context.Context) (unlock func() error, err error) {
	at := filepath.Join(r.Dir, lockName)
	f, err := os.OpenFile(at, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK,
		0o644) //nolint:gosec // nothing is in it
	if err != nil {
		return nil, fmt.Errorf("lock the record of images: %w", err)
	}
	return filelock.Lock(ctx, f, func() {
		if r.Tell != nil {
			r.Tell("waiting for another nodisk, which has the record of images in " + r.Dir)
		}
	})
}
