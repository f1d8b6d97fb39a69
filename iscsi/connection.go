package iscsi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Options are what a login and a session need besides the target. The zero
// value of every field but InitiatorName is a good default.
type Options struct {
	InitiatorName string // see [InitiatorName]
	ISID          ISID   // default: DeriveISID of initiator and portal

	HeaderDigest, DataDigest Digest

	// LoginTimeout bounds connecting and logging in to one portal, with all
	// its redirections. Default 15 s.
	LoginTimeout time.Duration
	// DiskTimeout bounds the scan and the wait for the disk. Default 30 s.
	DiskTimeout time.Duration
	// RecoveryTimeout is how long the kernel holds I/O back while the
	// connection is lost, before it fails with EIO. Default 5 s: nobody brings a
	// session back before there is a root, and whoever reads its disks must be
	// let go, so that a new session can be made. With a root on it the session
	// is given [RootRecovery] by [Session.Keep].
	RecoveryTimeout time.Duration
	// PingInterval and PingTimeout are the kernel's NOP-Out: without it a
	// portal that vanishes is never noticed. Default 5 s each.
	PingInterval, PingTimeout time.Duration
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.LoginTimeout, 15 * time.Second},
		{&o.DiskTimeout, 30 * time.Second},
		{&o.RecoveryTimeout, 5 * time.Second},
		{&o.PingInterval, 5 * time.Second},
		{&o.PingTimeout, 5 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return o
}

// maxRedirects bounds how often a target may send a login elsewhere.
const maxRedirects = 4

// firstCmdSN is the CmdSN of the first login, which the kernel goes on from.
const firstCmdSN = 1

// A Connection is a login that succeeded: its TCP connection is in the full
// feature phase and waits for [Connection.HandOver].
type Connection struct {
	Target Target
	Portal netip.AddrPort // connected to, after redirections
	ISID   ISID
	TSIH   uint16
	Tag    uint16        // target portal group
	Took   time.Duration // connect and login

	conn    *tcpConn
	options Options
	agreed  negotiated
	// lasting is the portal a reconnect begins at: the configured one, unless
	// the target has moved for good.
	lasting netip.AddrPort
}

// Close ends the login. Since DefaultTime2Retain is 0, the target forgets the
// session at once.
func (c *Connection) Close() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	if err != nil {
		return fmt.Errorf("close connection to %v: %w", c.Portal, err)
	}
	return nil
}

// Login connects to the target's portal and logs in, following redirections.
// It needs no kernel module. A refusal is a *[StatusError]. A nil log
// discards.
func Login(ctx context.Context, t Target, o Options, log *slog.Logger) (*Connection, error) {
	log = orDiscard(log)
	o = o.withDefaults()
	if err := t.check(); err != nil {
		return nil, err
	}
	if err := checkName(o.InitiatorName); err != nil {
		return nil, fmt.Errorf("log in to target %s: initiator %w", t.Name, err)
	}
	if o.ISID == (ISID{}) {
		o.ISID = DeriveISID(o.InitiatorName, t.Portal)
	}
	start := time.Now()
	ctx, cancel := withTimeout(ctx, o.LoginTimeout)
	defer cancel()
	quiet := o.LoginTimeout * 2 / 3
	slow := time.AfterFunc(quiet, func() {
		log.Info(fmt.Sprintf("still waiting: portal %v has not let this node in for %v", t.Portal, quiet))
	})
	defer slow.Stop()

	portal := t.Portal
	sentBy := "" // for errors: follows a portal that nobody configured
	var lasting netip.AddrPort
	for hop := 0; ; hop++ {
		c, err := loginAt(ctx, t, portal, sentBy, o)
		if err == nil {
			c.lasting = lasting
			if !lasting.IsValid() {
				c.lasting = c.Portal
			}
			c.Took = time.Since(start)
			log.Debug("iscsi login", "target", t.Name, "portal", c.Portal, "initiator", o.InitiatorName,
				"isid", c.ISID, "tsih", c.TSIH, "rounds", c.agreed.rounds, "took", c.Took)
			return c, nil
		}
		refused, ok := errors.AsType[*refusal](err)
		if !ok || !refused.status.Moved() {
			return nil, err
		}
		next, perr := parseTargetAddress(refused.status.Address)
		if perr != nil {
			return nil, fmt.Errorf("follow redirection: %w: %w", err, perr)
		}
		if hop == maxRedirects {
			return nil, fmt.Errorf("%w: this was redirection %d of one login", err, hop+1)
		}
		if refused.status.Detail == 0x01 && !lasting.IsValid() {
			lasting = refused.at // moved temporarily: come back here
		}
		log.Info("iscsi target moved", "target", t.Name, "from", portal, "to", next)
		sentBy = fmt.Sprintf(" (where %v sent the login)", portal)
		portal = next
	}
}

// A refusal remembers which address answered with the status.
type refusal struct {
	status *StatusError
	at     netip.AddrPort
}

func (r *refusal) Error() string { return r.status.Error() }
func (r *refusal) Unwrap() error { return r.status }

func loginAt(ctx context.Context, t Target, portal Portal, sentBy string, o Options) (*Connection, error) {
	conn, err := dial(ctx, portal, sentBy, t.NetDev)
	if err != nil {
		return nil, err
	}
	at := conn.remote()
	agreed, err := login(ctx, conn, loginParams{
		target: t.Name, initiator: o.InitiatorName, portal: portal.String() + sentBy,
		isid: o.ISID, cmdSN: firstCmdSN,
		header: o.HeaderDigest, data: o.DataDigest,
	})
	if err != nil {
		_ = conn.Close()
		if status, ok := errors.AsType[*StatusError](err); ok {
			return nil, &refusal{status, at} // says target and portal itself
		}
		return nil, fmt.Errorf("log in to target %s on portal %v%s: %w", t.Name, portal, sentBy, err)
	}
	return &Connection{
		Target: t, Portal: at, ISID: o.ISID, TSIH: agreed.tsih, Tag: agreed.tpgt,
		conn: conn, options: o, agreed: agreed,
	}, nil
}

// parseTargetAddress reads RFC 7143 section 13.8: domainname[:port][,tag].
func parseTargetAddress(s string) (Portal, error) {
	address, _, _ := strings.Cut(s, ",")
	var host, port string
	if rest, ok := strings.CutPrefix(address, "["); ok {
		if host, port, ok = strings.Cut(rest, "]"); !ok || port != "" && port[0] != ':' {
			return Portal{}, fmt.Errorf("read TargetAddress %q: not [address]:port", clip(s))
		}
		port = strings.TrimPrefix(port, ":")
	} else {
		host, port, _ = strings.Cut(address, ":")
	}
	p := Portal{Host: host, Port: DefaultPort}
	switch {
	case host == "":
		return Portal{}, fmt.Errorf("read TargetAddress %q: no host", clip(s))
	case !isHost(host):
		// It is printed, and asked of the name server.
		return Portal{}, fmt.Errorf("read TargetAddress %q: %q is neither an address nor a host name",
			clip(s), clip(host))
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Portal{}, fmt.Errorf("read TargetAddress %q: port %q is not a port", clip(s), clip(port))
		}
		p.Port = uint16(n)
	}
	return p, nil
}

// LoginAny logs in to several targets or portals side by side. The first that
// succeeds is returned, the others are given up. When none does, the error has
// one line per portal.
func LoginAny(ctx context.Context, targets []Target, o Options, log *slog.Logger) (*Connection, error) {
	switch len(targets) {
	case 0:
		return nil, errors.New("no iSCSI target given")
	case 1:
		return Login(ctx, targets[0], o, log)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		index int
		conn  *Connection
		err   error
	}
	results := make(chan result)
	for i, t := range targets {
		go func() {
			c, err := Login(ctx, t, o, log)
			results <- result{i, c, err}
		}()
	}
	var winner *Connection
	errs := make([]error, len(targets))
	for range targets {
		r := <-results
		switch {
		case r.err != nil:
			errs[r.index] = r.err
		case winner == nil:
			winner = r.conn
			cancel()
		default:
			_ = r.conn.Close()
		}
	}
	if winner == nil {
		return nil, errors.Join(errs...)
	}
	return winner, nil
}

// withTimeout ends with a cause that says how long the wait was.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, timeoutError(d))
}

// A timeoutError is a context.DeadlineExceeded for people.
type timeoutError time.Duration

func (e timeoutError) Error() string        { return "timed out after " + time.Duration(e).String() }
func (e timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
