package iscsi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/kernfile"
)

// A kernel talks to the kernel's iSCSI transport class. One goroutine receives
// all the time, because the kernel drops what a full socket cannot take, and
// announces new sessions (event 106) before it replies to their creation.
type kernel struct {
	file    *os.File
	handle  uint64        // of the transport "tcp"
	replies chan event    // to the call under way
	lost    chan lostConn // connections given up
	overrun chan struct{} // events were lost: one of those may be among them
	missed  atomic.Bool   // and those that were not are still to be read
	done    chan struct{} // closed when the receiver has ended
	err     error         // why, valid after done

	mu sync.Mutex // one call at a time
}

type lostConn struct {
	sid, cid uint32
	err      connError
}

// openKernel needs iscsi_tcp loaded and CAP_SYS_ADMIN.
func openKernel(sysfs string) (*kernel, error) {
	path := filepath.Join(sysfs, "class/iscsi_transport/tcp/handle")
	text, err := kernfile.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("find the kernel's iSCSI over TCP: %w: is the module iscsi_tcp loaded?", err)
	} else if err != nil {
		return nil, fmt.Errorf("find the kernel's iSCSI over TCP: %w", err)
	}
	handle, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ISCSI)
	if err != nil {
		return nil, fmt.Errorf("open iSCSI netlink socket: %w: it exists in the first network namespace only", err)
	}
	// Group 1 is ISCSI_NL_GRP_ISCSID: replies and connection errors.
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("bind iSCSI netlink socket: %w", err)
	}
	k := &kernel{
		file:    os.NewFile(uintptr(fd), "iscsi netlink"),
		handle:  handle,
		replies: make(chan event, 1),
		lost:    make(chan lostConn, 16),
		overrun: make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	go k.receive()
	return k, nil
}

// Close ends the receiver and waits for it.
func (k *kernel) Close() error {
	err := k.file.Close()
	<-k.done
	return err
}

// receive dispatches until the socket is closed.
func (k *kernel) receive() {
	defer close(k.done)
	raw, err := k.file.SyscallConn()
	if err != nil {
		k.err = err
		return
	}
	// The function never says that it is ready: it drains the socket, then
	// the poller waits for more, until Close.
	k.err = raw.Read(func(fd uintptr) bool {
		k.drain(int(fd))
		return false
	})
}

// drain dispatches what is in the socket now.
func (k *kernel) drain(fd int) {
	buf := make([]byte, maxEvent)
	for k.take(fd, buf) {
	}
}

// take dispatches the next event, and reports whether there may be another.
func (k *kernel) take(fd int, buf []byte) bool {
	n, from, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
	switch {
	case errors.Is(err, unix.EINTR):
		return true
	case errors.Is(err, unix.ENOBUFS):
		// A reply lost to a full buffer is noticed by the call that waits for it, when
		// its time is over. A lost connection is looked for in sysfs, but not before the
		// socket is empty: until then the kernel drops all that happens, and says so no
		// second time (netlink_rcv_wake of net/netlink/af_netlink.c).
		k.missed.Store(true)
		return true
	case err != nil:
		if k.missed.Swap(false) {
			k.look()
		}
		return false
	}
	// Only the kernel (port 0) is believed.
	if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
		return true
	}
	if e, err := parseEvent(buf[:n]); err == nil {
		k.dispatch(e)
	}
	return true
}

// look has lost connections looked for in sysfs.
func (k *kernel) look() {
	select {
	case k.overrun <- struct{}{}:
	default: // that is still to be done
	}
}

// maxEvent is more than the kernel sends: an event and a PDU of 8 KiB.
const maxEvent = 16 << 10

// dispatch never blocks: a reply nobody waits for is dropped, and a seventeenth lost
// connection is looked for in sysfs.
func (k *kernel) dispatch(e event) {
	switch {
	case e.typ == eventConnError:
		select {
		case k.lost <- lostConn{e.r[0], e.r[1], connError(e.r[2])}:
		default:
			k.look()
		}
	case e.typ == eventIfError || e.typ < 100:
		e.payload = nil // points into the receive buffer
		select {
		case k.replies <- e:
		default:
		}
	}
}

// call sends one request and waits for its reply.
func (k *kernel) call(ctx context.Context, q request) (event, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.replies: // to a call that was given up
	default:
	}
	raw, err := k.file.SyscallConn()
	if err != nil {
		return event{}, fmt.Errorf("%v: %w", q.typ, err)
	}
	message := q.append(make([]byte, 0, nlHeaderSize+ueventSize+len(q.payload)), k.handle)
	var serr error
	// The kernel works the request off within the send: the reply is there at
	// once, and to fetch it here is quicker than to wait for the receiver.
	err = raw.Control(func(fd uintptr) {
		serr = unix.Sendto(int(fd), message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if serr == nil {
			k.drain(int(fd))
		}
	})
	if err = errors.Join(err, serr); err != nil {
		return event{}, fmt.Errorf("%v: send to kernel: %w", q.typ, err)
	}
	select {
	case e := <-k.replies:
		if err := e.result(q.typ); err != nil {
			return event{}, fmt.Errorf("%v: %w", q.typ, err)
		}
		return e, nil
	case <-k.done:
		return event{}, fmt.Errorf("%v: receive from kernel: %w", q.typ, k.err)
	case <-ctx.Done():
		return event{}, fmt.Errorf("%v: no reply from the kernel: %w", q.typ, context.Cause(ctx))
	}
}
