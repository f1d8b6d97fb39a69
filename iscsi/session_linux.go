package iscsi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// teardownTimeout bounds how long the kernel may take to end a session, and
// whatever waits for it to do so.
const teardownTimeout = 5 * time.Second

// A watch tells when the connection is lost. Before there is a root nobody
// brings a session back: one that has lost its connection is ended and made
// again.
type watch struct {
	lost chan struct{} // closed then
	once sync.Once
	why  error // valid when lost is closed
}

func (w *watch) tell(why error) {
	w.once.Do(func() {
		w.why = why
		close(w.lost)
	})
}

// waitReason is how long a session that sysfs calls failed is given to say why: the kernel
// sets the state a moment before it sends the event (libiscsi.c, iscsi_conn_failure).
const waitReason = time.Second

// A LostError is a session whose connection the kernel has given up.
type LostError struct {
	Portal netip.AddrPort
	reason error // the kernel's connError, or what sysfs says of the session
}

// Error names the portal and why.
func (e *LostError) Error() string {
	why := e.reason.Error()
	if code, ok := errors.AsType[connError](e.reason); ok {
		why = code.reason()
	}
	return fmt.Sprintf("connection to portal %v lost (%s)", e.Portal, why)
}

// Unwrap returns the kernel's reason.
func (e *LostError) Unwrap() error { return e.reason }

// follow waits for the event of the lost connection, until the session has
// ended.
func (s *Session) follow() {
	for {
		select {
		case l := <-s.kernel.lost:
			if l.sid == s.SID {
				s.watch.tell(&LostError{s.Portal, l.err})
				return
			}
		case <-s.kernel.overrun:
			if err := s.inSysfs(); err != nil {
				s.watch.tell(err)
				return
			}
		case <-s.kernel.done:
			return
		}
	}
}

// Lost is closed when the connection is lost; [Session.Check] says why then.
func (s *Session) Lost() <-chan struct{} { return s.watch.lost }

// Check returns nil if the kernel has the session and is logged in. What was
// true when the session was made is not believed: sysfs is read.
func (s *Session) Check() error {
	select {
	case <-s.watch.lost:
		return s.watch.why
	default:
	}
	err := s.inSysfs()
	if _, failed := errors.AsType[*LostError](err); !failed {
		return err
	}
	reason := time.NewTimer(waitReason)
	defer reason.Stop()
	select {
	case <-s.watch.lost:
		return s.watch.why
	case <-s.kernel.done: // nobody listens
	case <-reason.C:
	}
	return err
}

func (s *Session) inSysfs() error {
	kept, err := keptSessions(s.sysfs)
	if err != nil {
		return err
	}
	for _, k := range kept {
		switch {
		case k.SID != s.SID || k.Target != s.Target.Name:
		case !k.LoggedIn():
			return &LostError{s.Portal, fmt.Errorf("%v is not logged in", k)}
		default:
			return nil
		}
	}
	return fmt.Errorf("session %d with %s has gone", s.SID, s.Target.Name)
}

// Keep sets for how long the kernel holds I/O back while the connection is lost.
func (s *Session) Keep(d time.Duration) error {
	return Kept{SID: s.SID, Target: s.Target.Name, sysfs: s.sysfs}.SetRecovery(d)
}

// Show makes the kernel show the wanted units of the session and sets Disks to
// their disks: also again, when they may have changed. It ends within the
// DiskTimeout of the login and a few seconds. When it fails the session has been
// ended: the kernel holds a scan on a lost connection, and only that sets it free.
func (s *Session) Show(ctx context.Context, want Units, log *slog.Logger) error {
	log = orDiscard(log)
	ctx, stop := withTimeout(ctx, s.diskTimeout)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type outcome struct {
		found found
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		f, err := scsiHost{s.sysfs, s.Host}.find(ctx, want)
		done <- outcome{f, err}
	}()
	var o outcome
	select {
	case o = <-done:
		select {
		case <-s.watch.lost: // which explains what the scan did not find
			o.err = s.watch.why
		default:
		}
		if o.err != nil {
			o.err = errors.Join(o.err, s.End(ctx))
		}
	case <-s.watch.lost:
		cancel(s.watch.why)
		o.err = s.letGo(ctx, s.watch.why)
	case <-ctx.Done():
		o.err = s.letGo(ctx, unanswered(ctx))
		select {
		case late := <-done: // it may know better
			if late.err != nil {
				o.err = late.err
			}
		default:
		}
	}
	if o.err != nil {
		return fmt.Errorf("find %s of target %s on %v: %w", want, s.Target.Name, s.Target.Portal, o.err)
	}
	s.Disks, s.Took.Scan, s.Took.Disk = o.found.disks, o.found.scan, o.found.wait
	for _, l := range o.found.late {
		log.Warn(fmt.Sprintf("LUN %v of target %s: the kernel made no disk of it: left out", l, s.Target.Name))
	}
	log.Debug("iscsi disks", "disks", s.Disks, "scan", s.Took.Scan, "wait", s.Took.Disk)
	return nil
}

// letGo ends the session because of why.
func (s *Session) letGo(ctx context.Context, why error) error {
	if err := s.End(ctx); err != nil {
		return fmt.Errorf("%w; %w", why, err)
	}
	return why
}

// End takes the session apart, its disks with it. There is no logout: the target
// sees the connection end. A kernel that holds the call for longer than 5 s is
// left behind with it, and that is an error.
func (s *Session) End(ctx context.Context) error {
	s.watch.tell(errors.New("session ended"))
	err := bounded(ctx, func(ctx context.Context) error {
		err := takeApart(ctx, s.kernel, s.SID, s.CID)
		return errors.Join(err, s.kernel.Close())
	})
	if err != nil {
		return fmt.Errorf("end session %d with %s: %w", s.SID, s.Target.Name, err)
	}
	return nil
}

// EndSoon is [Kept.End] for a process that goes on: it leaves a call behind that
// the kernel holds for longer than 5 s, with an error.
func (k Kept) EndSoon(ctx context.Context) error { return k.endSoon(ctx, k.End) }

func (k Kept) endSoon(ctx context.Context, end func(context.Context) error) error {
	// Whatever waits for the session's disks is to be let go at once. A session that has lost its
	// connection refuses (EBUSY, store_priv_session_attr in scsi_transport_iscsi.c): its end is what helps then.
	refused := k.SetRecovery(time.Second)
	if err := bounded(ctx, end); err != nil {
		return errors.Join(err, refused)
	}
	return nil
}

// takeApart ends a session of which all or a part was made.
func takeApart(ctx context.Context, n *kernel, sid, cid uint32) error {
	var errs []error
	for _, step := range []request{stopConn(sid, cid, stopTerminate), destroyConn(sid, cid), destroySession(sid)} {
		// ENODEV, EINVAL: a session that never got as far as this step.
		if _, err := n.call(ctx, step); err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// bounded calls f, which goes on after ctx has ended, and gives it
// teardownTimeout. The kernel works a request off within the sending of it and
// may hold it: such a call is left behind.
func bounded(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := withTimeout(context.WithoutCancel(ctx), teardownTimeout)
	done := make(chan error, 1)
	go func() {
		defer cancel()
		done <- f(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done: // both at once
		return err
	default:
		return fmt.Errorf("the kernel holds the call: %w", context.Cause(ctx))
	}
}
