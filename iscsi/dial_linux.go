package iscsi

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// bindTo makes a socket use one network device (SO_BINDTODEVICE, socket(7)).
func bindTo(device string) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		if cerr := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), device) }); cerr != nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("use network device %q: %w", device, err)
		}
		return nil
	}
}
