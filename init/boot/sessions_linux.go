package boot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nodisk/nodisk/iscsi"
)

// endStale ends sessions that are not to be trusted: those that an earlier worker left, those
// that have lost their connection, and those that are no longer wanted because a new lease names
// another server, target or initiator. Two sessions with one target would show each disk twice.
func (w *worker) endStale(ctx context.Context, groups []iscsi.Group, initiator string) error {
	kept, err := iscsi.KeptSessions()
	if err != nil {
		return err
	}
	type ending struct {
		what  string
		sid   uint32
		alive bool
		end   func(context.Context) error
	}
	var endings []ending
	w.sessions = slices.DeleteFunc(w.sessions, func(s *iscsi.Session) bool {
		why := stale(s, groups, initiator)
		if why == "" && w.doubted {
			// The kernel reads size and partition table of a disk once.
			why = fmt.Sprintf("no root on what session %d shows: looking at its target again", s.SID)
		}
		lost := s.Check()
		if lost != nil {
			why = lost.Error()
		}
		if why != "" {
			endings = append(endings, ending{why, s.SID, lost == nil, s.End})
			kept = slices.DeleteFunc(kept, func(k iscsi.Kept) bool { return k.SID == s.SID })
		}
		return why != ""
	})
	for _, k := range kept {
		if slices.ContainsFunc(w.sessions, func(s *iscsi.Session) bool { return s.SID == k.SID }) {
			continue
		}
		endings = append(endings, ending{fmt.Sprintf("an earlier attempt left %v", k), k.SID, k.LoggedIn(), k.EndSoon})
	}
	w.doubted = false
	var errs []error
	for _, e := range endings {
		w.log.Info(e.what + ": it is ended")
		// What is mounted from a disk that answers is written back first. One that does not
		// answer would block the unmount: only ending its session helps.
		if e.alive {
			w.leaveDisks(e.sid)
		}
		if err := e.end(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// leaveDisks unmounts what is mounted from a session's disks, by whomever, and saves what has
// been written there.
func (w *worker) leaveDisks(sid uint32) {
	mounts, err := readMounts()
	if err != nil {
		w.log.Warn(err.Error())
	}
	for _, m := range slices.Backward(mounts) {
		if !m.onSession(sid) {
			continue
		}
		err := whileSaving(
			unmountTimeout,
			"unmount "+m.Point,
			func(context.Context) error { return m.letGo() },
			func() {},
		)
		if err != nil {
			w.log.Warn(err.Error())
		}
	}
}

// whileAttached ends ctx when a session is lost, with why. Whoever reads a disk
// of such a session waits for nothing: a new session is needed.
func (w *worker) whileAttached(ctx context.Context) (context.Context, context.CancelFunc, error) {
	for _, s := range w.sessions {
		if err := s.Check(); err != nil {
			return ctx, func() {}, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	for _, s := range w.sessions {
		go func() {
			select {
			case <-s.Lost():
				cancel(s.Check())
			case <-ctx.Done():
			}
		}()
	}
	return ctx, func() { cancel(nil) }, nil
}

// keepSessions makes the sessions last beyond the switch: from then on I/O is held back instead
// of failed. A root whose session is lost by now is attached again; any other lost session is
// left out.
func (w *worker) keepSessions(ctx context.Context) error {
	for _, s := range w.sessions {
		err := s.Keep(iscsi.RootRecovery)
		// After that, since a wait that has begun keeps its time.
		if lost := s.Check(); lost != nil {
			err = lost
		}
		switch {
		case err == nil:
		case slices.ContainsFunc(w.rootDisks, s.Has):
			return fmt.Errorf("the root is not to be relied on: %w", err)
		default:
			w.log.Warn(fmt.Sprintf("the boot goes on without a target: %v", err))
			if err := s.End(ctx); err != nil {
				w.log.Warn(err.Error())
			}
		}
	}
	return nil
}

// session is the one with a target, nil if there is none.
func (w *worker) session(name string) *iscsi.Session {
	i := slices.IndexFunc(w.sessions, func(s *iscsi.Session) bool { return s.Target.Name == name })
	if i < 0 {
		return nil
	}
	return w.sessions[i]
}
