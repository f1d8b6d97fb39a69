package boot

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/iscsi"
)

// Before the machine ends, and before a new worker, what the last one took is let
// go: /sysroot is unmounted and the iSCSI sessions are ended, so that neither a
// later worker nor the kernel's own way down (sd_shutdown in drivers/scsi/sd.c
// flushes the caches of disks) waits for a target that does not answer. Each of
// these calls can be held by the kernel for as long as such a target is away.

// letGoTime is what all of it may take, the others are the bounds of its steps.
const (
	letGoTime   = 4 * time.Second
	syncTime    = 1500 * time.Millisecond
	unmountTime = 700 * time.Millisecond
	sessionTime = 500 * time.Millisecond // of three steps
)

// letGo has a child of PID 1 let go of what the boot holds, and goes on without it
// when its time is over.
func (s *supervisor) letGo(before Action) {
	if s.gone {
		// By ourselves what little has been written is saved: no exec follows.
		if err := within(syncTime, "save what is written (sync)", func(context.Context) error { unix.Sync(); return nil }); err != nil {
			report(errorPriority, "%v", err)
		}
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		report(errorPriority, "make a pipe: %v", err)
		return
	}
	defer func() { _ = r.Close() }()
	k, err := s.children.start(func() (int, error) { return s.fork(w, letGoArg, before.String()) })
	_ = w.Close()
	if err != nil {
		report(errorPriority, "let go of the root: %v", err)
		return
	}
	if err := r.SetReadDeadline(time.Now().Add(letGoTime)); err != nil {
		report(errorPriority, "let go of the root: %v", err)
	}
	// Its end is not what counts: a thread that the kernel holds has no end.
	if m, err := readMessage(bufio.NewReader(r)); err != nil || m.Kind != messageDone {
		report(errorPriority, "let go of the root: not over in %s: %s; going on", seconds(letGoTime), held(k.pid))
	}
	k.kill()
}

// letGo is the main of the child that does it. The argument is the action that
// follows. It says itself what goes wrong.
func letGo(t *teller, args []string) {
	syncs := len(args) == 1 && args[0] != ActionAgain.String()
	for _, err := range letGoAll(syncs) {
		report(warningPriority, "%v", err)
	}
	if err := t.done(); err != nil {
		report(errorPriority, "%v", err)
	}
	leave(0)
}

// letGoAll does it: what has been written is saved while there are sessions, then
// nothing is to wait for them any more.
func letGoAll(syncs bool) []error {
	var errs []error
	bounded := func(d time.Duration, what string, f func(context.Context) error) {
		if err := within(d, what, f); err != nil {
			errs = append(errs, err)
		}
	}
	var alive, dead []iscsi.Kept
	bounded(sessionTime, "look for iSCSI sessions", func(context.Context) error {
		kept, err := iscsi.KeptSessions()
		for _, k := range kept {
			// A connection that is lost from now on fails what waits for it. One that
			// is lost already has its time from before: only its end helps.
			if err := k.SetRecovery(time.Second); err != nil {
				report(debugPriority, "%v", err)
			}
			if k.LoggedIn() {
				alive = append(alive, k)
			} else {
				dead = append(dead, k)
			}
		}
		return err
	})
	if len(dead) > 0 {
		bounded(sessionTime, "end lost iSCSI sessions", endAll(dead))
	}
	if syncs {
		bounded(syncTime, "save what is written (sync)", func(context.Context) error { unix.Sync(); return nil })
	}
	bounded(unmountTime, "unmount "+sysroot, func(ctx context.Context) error { return unmountAll(ctx, sysroot) })
	if len(alive) > 0 {
		bounded(sessionTime, "end iSCSI sessions", endAll(alive))
	}
	return errs
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
	go func() {
		_, err := guard(func() (string, error) { return "", f(ctx) })
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: not over in %s: %s; going on", what, seconds(d), held(os.Getpid()))
	}
}
