package iscsi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// A tcpConn is the pduConn of a login in userspace. It reads PDU by PDU
// without a buffer: what follows the login response stays in the socket for
// the kernel.
type tcpConn struct {
	conn *net.TCPConn
}

var _ pduConn = &tcpConn{}

// dial connects to a portal, through one device only when netdev is given. What
// sentBy says of the portal, nothing for a configured one, is for errors.
func dial(ctx context.Context, p Portal, sentBy, netdev string) (*tcpConn, error) {
	d := net.Dialer{
		KeepAlive: -1, // the kernel's iSCSI NOPs watch the connection
	}
	if netdev != "" {
		d.Control = bindTo(netdev)
	}
	c, err := d.DialContext(ctx, "tcp", p.String())
	if err != nil {
		return nil, explainDial(ctx, err, p, sentBy)
	}
	conn, ok := c.(*net.TCPConn)
	if !ok {
		_ = c.Close()
		return nil, fmt.Errorf("connect to portal %v: not a TCP connection", p)
	}
	if err := conn.SetNoDelay(true); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("connect to portal %v: %w", p, err)
	}
	return &tcpConn{conn: conn}, nil
}

// explainDial turns what connect(2) and the resolver say into what to check.
func explainDial(ctx context.Context, err error, p Portal, sentBy string) error {
	var dns *net.DNSError
	var check string
	switch {
	case errors.As(err, &dns):
		check = fmt.Sprintf("host name %q does not resolve: check the name server, or write the portal's address",
			p.Host)
	case errors.Is(err, syscall.ECONNREFUSED):
		check = fmt.Sprintf("the host is there but nothing listens on port %d: check that the target service "+
			"runs, and the port", p.Port)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		check = "check address, gateway, and that the portal is up and in this network"
	case errors.Is(err, syscall.ENODEV):
		check = "check the network device in the root path"
	case expired(ctx) && errors.Is(ctx.Err(), context.Canceled):
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		check = "no answer: check that the portal is up, the address, and the firewall"
	}
	err = rootCause(ctx, err)
	if check == "" {
		return fmt.Errorf("connect to portal %v%s: %w", p, sentBy, err)
	}
	return fmt.Errorf("connect to portal %v%s: %w: %s", p, sentBy, err, check)
}

// rootCause strips the package net's own account ("dial tcp ...: i/o timeout")
// down to the error number, or to why ctx ended.
func rootCause(ctx context.Context, err error) error {
	var (
		number syscall.Errno
		dns    *net.DNSError
	)
	switch {
	case errors.As(err, &number):
		return number
	case expired(ctx):
		return context.Cause(ctx)
	case errors.As(err, &dns):
		return dns
	default:
		return err
	}
}

// expired reports whether ctx has ended. A dialer counts to the same deadline and
// can notice it some microseconds before ctx does.
func expired(ctx context.Context) bool {
	if d, ok := ctx.Deadline(); ok && !time.Now().Before(d) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// Send writes one PDU.
func (c *tcpConn) Send(ctx context.Context, p *pdu) error {
	return c.within(ctx, func() error {
		_, err := c.conn.Write(p.append(make([]byte, 0, bhsSize+len(p.data)+3)))
		return err
	})
}

// Recv reads one PDU and not a byte more.
func (c *tcpConn) Recv(ctx context.Context) (p *pdu, err error) {
	err = c.within(ctx, func() error {
		p, err = readPDU(c.conn)
		return err
	})
	return p, err
}

// within makes blocking I/O end with ctx.
func (c *tcpConn) within(ctx context.Context, io func() error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	// A deadline in the past wakes whoever reads or writes when ctx ends.
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	return explainIO(ctx, io())
}

func explainIO(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("no answer from the target: %w", context.Cause(ctx))
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("target closed the connection during the login: %w: check its log, its access list, and "+
			"that the port is that of iSCSI", rootCause(ctx, err))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("target closed the connection within a PDU: %w", err)
	default:
		return rootCause(ctx, err)
	}
}

// remote is the portal's address as connected.
func (c *tcpConn) remote() netip.AddrPort {
	if a, ok := c.conn.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

func (c *tcpConn) Close() error {
	return c.conn.Close()
}
