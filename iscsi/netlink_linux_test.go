package iscsi

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
)

// Lost connections are looked for in sysfs when the kernel tells again of those that come,
// which it does not before the socket is empty.
func TestOverrunIsToldWhenTheSocketIsEmpty(t *testing.T) {
	if !testenv.Namespace(t, 0) {
		return
	}
	open := func(groups uint32) int {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK,
			unix.NETLINK_USERSOCK)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
			t.Fatal(err)
		}
		return fd
	}
	from, to := open(0), open(1)
	if err := unix.SetsockoptInt(to, unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<10); err != nil {
		t.Fatal(err)
	}
	k := &kernel{lost: make(chan lostConn, 1), overrun: make(chan struct{}, 1)}
	for range 100 {
		err := unix.Sendto(from, make([]byte, 512), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1})
		if err != nil && !errors.Is(err, unix.ECONNREFUSED) { // by the kernel, which is sent it, too
			t.Fatal(err)
		}
	}
	buf, read := make([]byte, maxEvent), 0
	for k.take(to, buf) {
		if read++; len(k.overrun) > 0 {
			t.Fatalf("told after %d reads, before the socket was empty", read)
		}
	}
	if len(k.overrun) != 1 || read < 2 || read >= 100 {
		t.Errorf("told %d times after %d reads", len(k.overrun), read)
	}
}

// A lost connection that nobody has taken yet does not hide the next one.
func TestLostConnectionsBeyondTheChannel(t *testing.T) {
	k := &kernel{lost: make(chan lostConn, 1), overrun: make(chan struct{}, 1)}
	k.dispatch(event{typ: eventConnError})
	if len(k.overrun) != 0 {
		t.Error("looked for in sysfs, though it was told")
	}
	k.dispatch(event{typ: eventConnError})
	if len(k.overrun) != 1 {
		t.Error("the second one is lost")
	}
}
