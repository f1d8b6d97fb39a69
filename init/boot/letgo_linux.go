package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/iscsi"
)

// Before the machine ends, and before a new worker, what the last one took is let
// go: /sysroot is unmounted and the iSCSI sessions are ended, so that neither a
// later worker nor the kernel's own way down (sd_shutdown in drivers/scsi/sd.c
// flushes the caches of disks) waits for a target that does not answer. Each of
// these calls can be held by the kernel for as long as such a target is away.

// letGoTime is what all of it may take, from when a disk or server has last taken what was
// written; the others are the bounds of its steps.
const (
	letGoTime   = 4 * time.Second
	syncTime    = 1200 * time.Millisecond
	unmountTime = 500 * time.Millisecond // of two steps
	sessionTime = 500 * time.Millisecond // of three steps
)

// letGo has a child of PID 1 let go of what the boot holds, and goes on without it
// when its time is over. A signal that says how the machine is to end is not kept waiting.
func (s *supervisor) letGo(before plan.Action) *orderError {
	if s.gone {
		// By ourselves what little has been written is saved: no exec follows.
		if err := whileSaving(syncTime, save, syncAll, func() {}); err != nil {
			report(console.ErrorPriority, "%v", err)
		}
		return nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		report(console.ErrorPriority, "make a pipe: %v", err)
		return nil
	}
	k, err := s.children.start(func() (int, error) { return s.fork(w, letGoArg, before.String()) })
	_ = w.Close()
	if err != nil {
		_ = r.Close()
		report(console.ErrorPriority, "let go of the root: %v", err)
		return nil
	}
	messages, over := make(chan message), make(chan struct{})
	go listenTo(r, messages, over)
	defer func() { close(over); _ = r.Close(); k.kill() }()
	// Its end is not what counts: a thread that the kernel holds has no end.
	timer := time.NewTimer(letGoTime)
	defer timer.Stop()
	for {
		select {
		case m, ok := <-messages:
			switch {
			case !ok:
				report(console.ErrorPriority, "let go of the root: it ended before it was done; going on")
				return nil
			case m.Kind == messageDone:
				return nil
			}
			timer.Reset(letGoTime)
		case order := <-s.orders:
			return order
		case <-timer.C:
			report(console.ErrorPriority, "%v", notOver("let go of the root", letGoTime, k.pid))
			return nil
		}
	}
}

// letGo is the main of the child that does it. The argument is the action that
// follows. It says itself what goes wrong.
func letGo(t *teller, args []string) {
	ends := len(args) == 1 && args[0] != plan.ActionAgain.String()
	for _, err := range letGoAll(ends, t.alive) {
		report(console.WarningPriority, "%v", err)
	}
	if err := t.done(); err != nil {
		report(console.ErrorPriority, "%v", err)
	}
	leave(0)
}

const save = "save what is written (sync)"

// syncAll is sync(2): the kernel writes what is dirty now, and not what comes later.
func syncAll(context.Context) error { unix.Sync(); return nil }

// letGoAll does it: what has been written is saved while there are sessions, then
// nothing is to wait for them any more. What is mounted elsewhere goes too if the machine
// ends; before another attempt only what is on disks of the sessions, which go. Moved is
// called whenever a disk or server has taken something.
func letGoAll(ends bool, moved func()) []error {
	var errs []error
	bounded := func(d time.Duration, what string, f func(context.Context) error) {
		if err := within(d, what, f); err != nil {
			errs = append(errs, err)
		}
	}
	saved := func(d time.Duration, what string, f func(context.Context) error) {
		if err := whileSaving(d, what, f, moved); err != nil {
			errs = append(errs, err)
		}
	}
	list := make(chan []iscsi.Kept, 1) // whoever comes too late is not listened to
	bounded(sessionTime, "look for iSCSI sessions", func(context.Context) error {
		kept, err := iscsi.KeptSessions()
		list <- kept
		return err
	})
	var alive, dead []iscsi.Kept
	select {
	case kept := <-list:
		for _, k := range kept {
			if k.LoggedIn() {
				alive = append(alive, k)
			} else {
				dead = append(dead, k)
			}
		}
	default:
	}
	for _, k := range alive {
		// A connection that is lost from now on fails what waits for it. One that
		// is lost already has its time from before: only its end helps.
		if err := k.SetRecovery(time.Second); err != nil {
			report(console.DebugPriority, "%v", err)
		}
	}
	if len(dead) > 0 {
		bounded(sessionTime, "end lost iSCSI sessions", endAll(dead))
	}
	saved(syncTime, save, syncAll)
	mounts, err := readMounts()
	if err != nil {
		errs = append(errs, err)
	}
	// In one step, however many of them have a server that is away. What is below sysroot goes with it.
	others := slices.DeleteFunc(
		mounts,
		func(m mountPoint) bool { return !m.foreign() || !ends && !m.onSession(sidsOf(alive)...) },
	)
	if len(others) > 0 {
		saved(
			unmountTime,
			"unmount "+others[0].Point+" and what else is mounted",
			func(context.Context) error { return detachEach(others) },
		)
	}
	saved(unmountTime, "unmount "+sysroot, func(ctx context.Context) error { return unmountAll(ctx, sysroot) })
	if len(alive) > 0 {
		bounded(sessionTime, "end iSCSI sessions", endAll(alive))
	}
	return errs
}

// detachEach takes mounts out of the tree side by side. One that has gone with another is no error.
func detachEach(mounts []mountPoint) error {
	gone := make(chan error, len(mounts))
	for _, m := range mounts {
		go func() { gone <- guarded(func() error { return detach(m.Point) }) }()
	}
	var errs []error
	for range mounts {
		if err := <-gone; !errors.Is(err, errNotMounted) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func sidsOf(sessions []iscsi.Kept) (sids []uint32) {
	for _, k := range sessions {
		sids = append(sids, k.SID)
	}
	return sids
}

func endAll(sessions []iscsi.Kept) func(context.Context) error {
	return func(ctx context.Context) error {
		ended := make(chan error, len(sessions))
		for _, k := range sessions {
			go func() { ended <- k.End(ctx) }()
		}
		var errs []error
		for range sessions {
			errs = append(errs, <-ended)
		}
		return errors.Join(errs...)
	}
}

// within runs f, and goes on without it when the time is over.
func within(d time.Duration, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- guarded(func() error { return f(ctx) }) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	case <-ctx.Done():
		return notOver(what, d, os.Getpid())
	}
}

// notOver is the error of what the kernel holds process pid in for longer than d.
func notOver(what string, d time.Duration, pid int) error {
	return fmt.Errorf("%s: not over in %s: %s; going on", what, console.Seconds(d), held(pid))
}
