package rootfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// ONC RPC version 2 (RFC 5531), as much of it as a few procedures with small arguments and
// results need.
const (
	rpcCall    = 0
	rpcReply   = 1
	rpcVersion = 2

	authNone   = 0
	authSys    = 1
	maxAuth    = 400
	maxReply   = 256 << 10 // the export list of a large server has some thousand lines
	callTime   = 5 * time.Second
	firstRetry = 500 * time.Millisecond // UDP; doubles
)

// A procedure is what a call asks for.
type procedure struct {
	program, version, number uint32
	name                     string // for errors: "MOUNT MNT"
}

// An rpcError is an answer of the server's RPC layer: the service is not there
// as asked for.
type rpcError struct {
	proc   procedure
	reason string
}

func (e *rpcError) Error() string { return e.proc.name + ": " + e.reason }

// appendCall makes a call message (RFC 5531 section 9). Credentials are
// AUTH_SYS of root, because a mount daemon may want to know who asks.
func appendCall(xid uint32, p procedure, args []byte) []byte {
	var b []byte
	for _, v := range []uint32{xid, rpcCall, rpcVersion, p.program, p.version, p.number} {
		b = appendUint32(b, v)
	}
	var cred []byte
	cred = appendUint32(cred, 0)        // stamp
	cred = appendOpaque(cred, "nodisk") // machine name
	cred = appendUint32(cred, 0)        // uid
	cred = appendUint32(cred, 0)        // gid
	cred = appendUint32(cred, 0)        // no further groups
	b = appendUint32(b, authSys)        // credential
	b = appendOpaque(b, string(cred))   //
	b = appendUint32(b, authNone)       // verifier
	return append(appendUint32(b, 0), args...)
}

// parseReply returns the results of an accepted call. ok is false for a message that is not the
// answer to xid.
func parseReply(msg []byte, xid uint32, p procedure) (results []byte, ok bool, err error) {
	r := xdrReader{b: msg}
	if len(msg) < 8 || r.uint32() != xid || r.uint32() != rpcReply {
		return nil, false, nil
	}
	refuse := func(reason string) ([]byte, bool, error) {
		return nil, true, &rpcError{proc: p, reason: reason}
	}
	if denied := r.uint32(); r.err == nil && denied != 0 {
		if r.uint32() == 1 {
			return refuse(fmt.Sprintf("the server does not accept the caller (auth_stat %d)", r.uint32()))
		}
		return refuse("the server speaks another version of RPC")
	}
	r.uint32() // flavour of the verifier
	r.opaque(maxAuth)
	status := r.uint32()
	if r.err != nil {
		return nil, true, fmt.Errorf("parse answer to %s: %w", p.name, r.err)
	}
	switch status { // accept_stat
	case 0:
		return r.b, true, nil
	case 1:
		return refuse("the server does not offer this service")
	case 2:
		low, high := r.uint32(), r.uint32()
		return refuse(fmt.Sprintf("the server offers versions %d to %d, not %d", low, high, p.version))
	case 3:
		return refuse("the server does not know the procedure")
	case 4:
		return refuse("the server could not read the request")
	}
	return refuse(fmt.Sprintf("the server has a problem of its own (accept_stat %d)", status))
}

// record and readRecord are the record marking of RPC over TCP (RFC 5531
// section 11): fragments with a length, whose top bit marks the last one.
func record(msg []byte) []byte {
	return append(appendUint32(nil, uint32(len(msg))|1<<31), msg...)
}

func readRecord(r io.Reader) ([]byte, error) {
	const maxFragments = 64
	var msg []byte
	for range maxFragments {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, err
		}
		mark := binary.BigEndian.Uint32(head[:])
		size := int(mark &^ (1 << 31))
		if len(msg)+size > maxReply {
			return nil, fmt.Errorf("answer of more than %d KiB", maxReply>>10)
		}
		at := len(msg)
		msg = append(msg, make([]byte, size)...)
		if _, err := io.ReadFull(r, msg[at:]); err != nil {
			return nil, err
		}
		if mark>>31 == 1 {
			return msg, nil
		}
	}
	return nil, fmt.Errorf("answer of more than %d fragments", maxFragments)
}

// call asks one procedure and returns its results. Network is tcp or udp. The
// call ends after 5 s or with ctx, whatever comes first. With privileged set it
// comes from a port below 1024 where the process may use one.
func call(
	ctx context.Context,
	network string,
	to netip.AddrPort,
	privileged bool,
	p procedure,
	args []byte,
) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	conn, err := dial(ctx, network, to, privileged)
	if err != nil {
		return nil, unreachable(p, network, to, err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	xid := rand.Uint32()
	msg := appendCall(xid, p, args)
	var results []byte
	if network == "udp" {
		results, err = exchangeUDP(ctx, conn, msg, xid, p)
	} else {
		results, err = exchangeTCP(conn, msg, xid, p)
	}
	if err != nil {
		if _, refused := errors.AsType[*rpcError](err); refused {
			return nil, fmt.Errorf("%s: %w", to, err)
		}
		return nil, unreachable(p, network, to, err)
	}
	return results, nil
}

func exchangeTCP(conn net.Conn, msg []byte, xid uint32, p procedure) ([]byte, error) {
	if _, err := conn.Write(record(msg)); err != nil {
		return nil, err
	}
	for {
		answer, err := readRecord(conn)
		if err != nil {
			return nil, err
		}
		if results, ok, err := parseReply(answer, xid, p); ok {
			return results, err
		}
	}
}

// exchangeUDP repeats the question, with the same xid, until an answer comes or
// ctx ends.
func exchangeUDP(ctx context.Context, conn net.Conn, msg []byte, xid uint32, p procedure) ([]byte, error) {
	buf := make([]byte, 64<<10)
	for wait := firstRetry; ; wait *= 2 {
		if _, err := conn.Write(msg); err != nil {
			return nil, err
		}
		until := time.Now().Add(wait)
		for {
			// The deadline must not undo the one that ctx sets when it ends.
			if err := errors.Join(conn.SetReadDeadline(until), context.Cause(ctx)); err != nil {
				return nil, err
			}
			n, err := conn.Read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
				break
			}
			if err != nil {
				return nil, err
			}
			if results, ok, err := parseReply(buf[:n], xid, p); ok {
				return results, err
			}
		}
	}
}

// unreachable puts the usual failures of a call into a sentence.
func unreachable(p procedure, network string, to netip.AddrPort, err error) error {
	service, check := p.name, "check that the server runs and lets this node through its firewall"
	switch p.program {
	case programRPCBind:
		service, check = "rpcbind", "start rpcbind there, or give mountport= and port=, or use NFS 4"
	case programMount:
		service, check = "mount daemon", "check that rpc.mountd runs"
	case programNFS:
		service, check = "NFS server", "check that nfsd runs"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no %s on %s (%s): %s: %w", service, to, network, check, err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf(
			"no answer from the %s on %s (%s): check the address, the cable and the firewall: %w",
			service,
			to,
			network,
			err,
		)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return fmt.Errorf("no route to the %s on %s: check the gateway and the network mask: %w", service, to, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf(
			"the %s on %s closed the connection without an answer: check its log and /etc/hosts.allow: %w",
			service,
			to,
			err,
		)
	}
	return fmt.Errorf("ask the %s on %s (%s): %w", service, to, network, err)
}

// The range of the kernel's own NFS client, which spares the lower ports of
// known services (RPC_DEF_MIN_RESVPORT in include/linux/sunrpc/xprtsock.h).
const minPort, maxPort = 665, 1023

// dial connects. A privileged port is sought from a random place in the range on: exports that
// are "secure" (the default of most servers) want one. Without the privilege any port will do.
func dial(ctx context.Context, network string, to netip.AddrPort, privileged bool) (net.Conn, error) {
	const count = maxPort - minPort + 1
	first := rand.IntN(count)
	for i := range count {
		if !privileged {
			break
		}
		port := minPort + (first+i)%count
		d := net.Dialer{LocalAddr: &net.TCPAddr{Port: port}}
		if network == "udp" {
			d.LocalAddr = &net.UDPAddr{Port: port}
		}
		conn, err := d.DialContext(ctx, network, to.String())
		switch {
		case errors.Is(err, syscall.EADDRINUSE), errors.Is(err, syscall.EADDRNOTAVAIL):
			continue // taken, or the last connection from it still lingers
		case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		default:
			return conn, err
		}
		break
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to.String())
}
