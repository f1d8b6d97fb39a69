package build

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// mknod makes a device node or a FIFO.
func mknod(at string, mode uint32, major, minor uint32) error {
	if err := unix.Mknod(at, mode, int(unix.Mkdev(major, minor))); err != nil { //nolint:gosec // small numbers
		return err
	}
	return unix.Chmod(at, mode&0o7777)
}

// listen makes a socket.
func listen(t *testing.T, at string) {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "unix", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
}
