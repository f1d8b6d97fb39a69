package infile

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// awaitWriter waits until a FIFO has something to read, or had a writer: before the first has come, poll(2) says
// nothing, and a read that there is nothing any longer (fs/pipe.c: pipe_poll, pipe_read). A deadline ends it.
func awaitWriter(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var wrong error
	err = raw.Read(func(fd uintptr) bool {
		for {
			one := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // a descriptor fits
			n, err := unix.Poll(one, 0)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			wrong = err
			return err != nil || n > 0
		}
	})
	if err == nil {
		err = wrong
	}
	if err != nil {
		return fmt.Errorf("wait for who writes to %s: %w", f.Name(), err)
	}
	return nil
}
