package rootfs

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

type kmsg struct {
	fd int
}

// openKmsg opens the kernel's log behind its last message. Where that is not
// permitted the log stays empty.
func openKmsg() kernelLog {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return kmsg{fd: -1}
	}
	if _, err := unix.Seek(fd, 0, io.SeekEnd); err != nil {
		_ = unix.Close(fd)
		return kmsg{fd: -1}
	}
	return kmsg{fd: fd}
}

// Lines reads until the log is empty. EPIPE means that messages were
// overwritten: the next read gets the oldest that is left.
func (k kmsg) Lines() []string {
	const maxLines = 1000
	var lines []string
	buf := make([]byte, 8<<10) // PRINTK_MESSAGE_MAX is 2 KiB
	for range maxLines {
		n, err := unix.Read(k.fd, buf)
		switch {
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINTR):
			continue
		case err != nil || n <= 0:
			return lines
		}
		if text, ok := kmsgText(string(buf[:n])); ok {
			lines = append(lines, text)
		}
	}
	return lines
}

func (k kmsg) Close() error {
	if k.fd < 0 {
		return nil
	}
	return unix.Close(k.fd)
}
