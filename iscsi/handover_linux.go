package iscsi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	sysfsRoot = "/sys"

	// What open-iscsi uses: commands of a session and of one logical unit that
	// may be under way.
	cmdsMax    = 128
	queueDepth = 32
)

// HandOver gives the connection to the kernel, which must have iscsi_tcp
// loaded, and makes it show the wanted units. The connection is used up in any
// case: when it fails, whatever was made in the kernel is taken apart again. The
// session is watched from then on.
func (c *Connection) HandOver(ctx context.Context, want Units, log *slog.Logger) (*Session, error) {
	log = orDiscard(log)
	defer func() { _ = c.Close() }()
	if c.conn == nil {
		return nil, errors.New("hand the connection over: it is closed")
	}
	k, err := openKernel(sysfsRoot)
	if err != nil {
		return nil, fmt.Errorf("hand over the session with target %s: %w", c.Target.Name, err)
	}
	s := &Session{
		Target: c.Target, Initiator: c.options.InitiatorName, Portal: c.Portal, ISID: c.ISID,
		HeaderDigest: c.agreed.headerDigest, DataDigest: c.agreed.dataDigest,
		Took:  Took{Login: c.Took},
		sysfs: sysfsRoot, diskTimeout: c.options.DiskTimeout, kernel: k, watch: watch{lost: make(chan struct{})},
	}
	start := time.Now()
	undo, err := c.create(ctx, k, s)
	s.Took.HandOver = time.Since(start)
	if err != nil {
		undo()
		_ = k.Close()
		return nil, fmt.Errorf("hand over the session with target %s: %w", c.Target.Name, err)
	}
	log.Debug("iscsi session", "sid", s.SID, "host", s.Host, "took", s.Took.HandOver)
	go s.follow()
	if err := s.Show(ctx, want, log); err != nil {
		return nil, err
	}
	return s, nil
}

// create makes session and connection, gives them the socket and starts them.
// The order matters: parameters are refused with ENOTCONN before the socket is
// bound. undo takes apart what was made; it is never nil.
func (c *Connection) create(ctx context.Context, k *kernel, s *Session) (undo func(), err error) {
	var made []request
	undo = func() { teardown(ctx, k, made) }

	e, err := k.call(ctx, createSession(firstCmdSN, cmdsMax, queueDepth))
	if err != nil {
		return undo, err
	}
	s.SID, s.Host = e.r[0], e.r[1]
	made = append(made, destroySession(s.SID))

	e, err = k.call(ctx, createConn(s.SID, 0))
	if err != nil {
		return undo, fmt.Errorf("%w: is the module crc32c loaded?", err)
	}
	s.CID = e.r[1]
	made = append(made, destroyConn(s.SID, s.CID))

	raw, err := c.conn.conn.SyscallConn()
	if err != nil {
		return undo, err
	}
	made = append(made, stopConn(s.SID, s.CID, stopTerminate))
	cerr := raw.Control(func(fd uintptr) {
		if _, err = k.call(ctx, bindConn(s.SID, s.CID, fd)); err == nil {
			err = checkOpen(int(fd))
		}
	})
	if err := errors.Join(cerr, err); err != nil {
		return undo, err
	}

	for _, p := range sessionParams(c) {
		// Kernels that have dropped a parameter (the markers) say ENOSYS.
		if _, err := k.call(ctx, setParam(s.SID, s.CID, p)); err != nil && !errors.Is(err, unix.ENOSYS) {
			return undo, fmt.Errorf("%w (parameter %d, value %q)", err, p.param, p.value)
		}
	}
	// The kernel holds a reference of its own on the socket.
	if err := c.Close(); err != nil {
		return undo, err
	}
	if _, err := k.call(ctx, startConn(s.SID, s.CID)); err != nil {
		return undo, err
	}
	return undo, nil
}

// checkOpen notices a target that has closed the connection since the login:
// the kernel watches the socket from the binding on, and would not be told.
func checkOpen(fd int) error {
	n, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("connection lost after the login: %w", err)
	case n == 0:
		return fmt.Errorf("target closed the connection after the login: %w", io.EOF)
	default:
		return nil // a PDU for the kernel
	}
}

// teardown undoes what was made, last first. It goes on after ctx has ended:
// a session without its connection would block whoever touches its disks.
func teardown(ctx context.Context, k *kernel, made []request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), teardownTimeout)
	defer cancel()
	for _, step := range slices.Backward(made) {
		// Nothing is left to try when a step fails.
		_, _ = k.call(ctx, step)
	}
}
