package uevent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrOverrun is returned by Receive when the kernel had to drop events: what they reported must
// be looked up in sysfs instead. All events from that moment on are received.
var ErrOverrun = errors.New("uevents were lost: receive buffer overrun")

// receiveBuffer holds a coldplug storm of some thousand events.
const receiveBuffer = 8 << 20

// A Conn receives device events.
type Conn struct {
	file *os.File
	raw  func(func(fd uintptr) bool) error
	// overrun is from the loss of events until the socket is empty. The kernel reports it before
	// the events that are left in the socket, and drops further ones, without a message, until
	// those have been read (netlink_overrun and netlink_rcv_wake of net/netlink/af_netlink.c): a
	// look at sysfs now would miss what comes meanwhile.
	overrun bool
	buf     [16 << 10]byte // UEVENT_BUFFER_SIZE is 2 KiB
}

// Listen subscribes to the kernel's events. Events from the moment it returns
// are not missed. It needs no privilege.
func Listen() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK,
		unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("open uevent socket: %w", err)
	}
	// Without CAP_NET_ADMIN the ordinary limit applies: smaller, not wrong.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer); err != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("bind uevent socket: %w", err)
	}
	// The runtime's poller serves the descriptor, so that deadlines work.
	file := os.NewFile(uintptr(fd), "uevent")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("open uevent socket: %w", err)
	}
	return &Conn{file: file, raw: raw.Read}, nil
}

// Close ends a Receive that is under way.
func (c *Conn) Close() error {
	return c.file.Close()
}

// Receive returns the next event. It ends with ctx, and with ErrOverrun when
// events were lost and those that were not have been returned. One goroutine calls it.
func (c *Conn) Receive(ctx context.Context) (Event, error) {
	wake := func() bool { return true }
	defer func() { wake() }()
	for waits := false; ; {
		if err := ctx.Err(); err != nil {
			return Event{}, err
		}
		var (
			n    int
			from unix.Sockaddr
			rerr error
		)
		err := c.raw(func(fd uintptr) bool {
			n, from, rerr = unix.Recvfrom(int(fd), c.buf[:], 0)
			return !waits || c.overrun || !errors.Is(rerr, unix.EAGAIN)
		})
		switch {
		case err != nil && ctx.Err() != nil:
			return Event{}, ctx.Err()
		case err != nil:
			return Event{}, fmt.Errorf("receive uevent: %w", err)
		case errors.Is(rerr, unix.ENOBUFS):
			c.overrun = true
			continue
		case errors.Is(rerr, unix.EAGAIN) && c.overrun:
			c.overrun = false
			return Event{}, ErrOverrun
		case errors.Is(rerr, unix.EAGAIN):
			// Nothing is there: now ctx has to be able to end the wait, which a storm of events need
			// not pay for. A deadline in the past wakes the reader.
			waits = true
			wake = context.AfterFunc(ctx, func() { _ = c.file.SetReadDeadline(time.Unix(1, 0)) })
			continue
		case errors.Is(rerr, unix.EINTR):
			continue
		case rerr != nil:
			return Event{}, fmt.Errorf("receive uevent: %w", rerr)
		}
		// Only the kernel (port 0) is believed.
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue
		}
		e, err := Parse(c.buf[:n])
		if err != nil {
			continue
		}
		return e, nil
	}
}

// Wait subscribes, then calls done at once and after every event until it
// reports true or an error, or ctx ends. Because the subscription comes first,
// a device that appears in between is not missed.
func Wait(ctx context.Context, done func() (bool, error)) error {
	c, err := Listen()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if _, err := c.Receive(ctx); err != nil && !errors.Is(err, ErrOverrun) {
			return err
		}
	}
}
