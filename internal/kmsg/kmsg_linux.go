package kmsg

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// A Log is the kernel's log from the moment on in which it was opened.
type Log struct {
	fd int
}

// Open opens the log at path, which is /dev/kmsg, after its last message. Where that is not permitted
// the error is that of open(2) or lseek(2); a caller that can do without takes the Log all the same: it is empty.
func Open(path string) (Log, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	for errors.Is(err, unix.EINTR) {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return Log{fd: -1}, fmt.Errorf("open %s: %w", path, err)
	}
	if _, err := unix.Seek(fd, 0, io.SeekEnd); err != nil {
		_ = unix.Close(fd)
		return Log{fd: -1}, fmt.Errorf("go to the end of %s: %w", path, err)
	}
	return Log{fd: fd}, nil
}

// Messages returns what was logged since Open or the last call, oldest first. Of a log without end it
// returns a part.
func (l Log) Messages() []string {
	if l.fd < 0 {
		return nil
	}
	return messages(func(b []byte) (int, error) { return unix.Read(l.fd, b) })
}

// Close closes the log.
func (l Log) Close() error {
	if l.fd < 0 {
		return nil
	}
	if err := unix.Close(l.fd); err != nil {
		return fmt.Errorf("close the kernel's log: %w", err)
	}
	return nil
}

// maxRecords bounds what is read from the log of a machine that logs without end.
const maxRecords = 1000

// messages reads until there is no more. EPIPE means that records were overwritten: the next read gets the
// oldest that is left.
func messages(read func([]byte) (int, error)) []string {
	var list []string
	buf := make([]byte, 8<<10) // PRINTK_MESSAGE_MAX is 2 KiB, CONSOLE_EXT_LOG_MAX 8 KiB
	for range maxRecords {
		n, err := read(buf)
		switch {
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINTR):
			continue
		case err != nil || n <= 0: // EAGAIN: the end
			return list
		}
		if r, err := Parse(buf[:n]); err == nil {
			list = append(list, r.Message)
		}
	}
	return list
}
