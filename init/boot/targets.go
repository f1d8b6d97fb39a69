package boot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/iscsi"
)

// A login has succeeded at a portal and waits for its hand-over to the kernel.
type login interface {
	At() iscsi.Portal // the portal that was asked first, before redirections
	// HandOver consumes the login. A failure leaves nothing behind.
	HandOver(ctx context.Context, want iscsi.Units) (*iscsi.Session, error)
}

// logIn makes the first login that succeeds at one of several portals.
type logIn func(ctx context.Context, portals []iscsi.Target) (login, error)

// An attached is the outcome of one target.
type attached struct {
	index   int            // of the target
	session *iscsi.Session // nil: it failed, or has not ended
	err     error
	// behind are the portals that took the login and did not have the disk: the fastest answer is
	// not the best one.
	behind []iscsi.Portal
}

// attachGroup makes a session. The portals race with their logins, but what counts is that the
// disks come: a portal without them is out, and the rest race again. Those in behind failed in
// that way before, and are tried when the others have failed. The error has a line for each
// portal.
func attachGroup(ctx context.Context, g iscsi.Group, behind []iscsi.Portal, logIn logIn) attached {
	var first, last []iscsi.Target
	for _, p := range g.Portals {
		if slices.Contains(behind, p.Portal) {
			last = append(last, p)
		} else {
			first = append(first, p)
		}
	}
	var errs []error
	// A portal that fails at the login is not one of them: it is the race that
	// leaves it behind.
	behind = slices.DeleteFunc(slices.Clone(behind), func(p iscsi.Portal) bool { return !g.Has(p) })
	for _, racing := range [][]iscsi.Target{first, last} {
		for len(racing) > 0 && ctx.Err() == nil {
			l, err := logIn(ctx, racing)
			if err != nil {
				errs = append(errs, err)
				break
			}
			at := l.At()
			racing = slices.DeleteFunc(slices.Clone(racing), func(p iscsi.Target) bool { return p.Portal == at })
			s, err := l.HandOver(ctx, g.Units)
			behind = slices.DeleteFunc(behind, func(p iscsi.Portal) bool { return p == at })
			if err == nil {
				return attached{session: s, behind: behind}
			}
			errs = append(errs, err)
			behind = append(behind, at)
		}
	}
	if len(errs) == 0 {
		errs = append(errs, context.Cause(ctx))
	}
	return attached{err: errors.Join(errs...), behind: behind}
}

// gather waits for n targets that are attached in parallel, and returns the outcome of each, in
// their order. As soon as here says that the root is on what is attached, the rest get the grace
// period; then, and when ctx ends, they are as they are: neither a session nor an error.
func gather(
	ctx context.Context,
	n int,
	results <-chan attached,
	here func(context.Context, []attached) bool,
	grace time.Duration,
) []attached {
	list := make([]attached, n)
	found := make(chan struct{}, n)
	var over <-chan time.Time
	var searches sync.WaitGroup
	stop := func() {}
	defer func() {
		stop()
		searches.Wait()
	}()
	for pending := n; pending > 0; {
		select {
		case r := <-results:
			list[r.index] = r
			if pending--; pending == 0 || over != nil {
				continue
			}
			// With one more target the search begins again.
			stop()
			inner, cancel := context.WithCancel(ctx)
			stop = cancel
			seen := slices.Clone(list)
			searches.Go(func() {
				if here(inner, seen) {
					found <- struct{}{}
				}
			})
		case <-found:
			if over == nil {
				timer := time.NewTimer(grace)
				defer timer.Stop()
				over = timer.C
			}
		case <-over:
			return list
		case <-ctx.Done():
			return list
		}
	}
	return list
}

// newLeaseAfter is how many attempts in a row a server that DHCP named may
// fail before DHCP is asked again.
const newLeaseAfter = 3

// backTo is the stage that a failed attempt at the root sends the boot to, "" for the one that
// failed. What comes after attach fails when a session does, or when the target shows something
// else by now: attach checks it again.
func backTo(attempt int, byDHCP, attached bool) string {
	switch {
	case byDHCP && attempt%newLeaseAfter == 0:
		return plan.StageNetwork
	case attached:
		return plan.StageAttach
	}
	return ""
}

// stale says why a session of ours is not the one that is wanted, "" when it is.
func stale(s *iscsi.Session, groups []iscsi.Group, initiator string) string {
	i := slices.IndexFunc(groups, func(g iscsi.Group) bool { return g.Name == s.Target.Name })
	switch {
	case i < 0:
		return fmt.Sprintf("target %s is no longer wanted (session %d)", s.Target.Name, s.SID)
	case !groups[i].Has(s.Target.Portal):
		return fmt.Sprintf("target %s is no longer at portal %v (session %d)", s.Target.Name, s.Target.Portal, s.SID)
	case s.Initiator != initiator:
		return fmt.Sprintf("session %d with %s is another initiator's, %s", s.SID, s.Target.Name, s.Initiator)
	}
	return ""
}

// disksOf are the disks of all that is attached, in the order of the targets.
func disksOf(list []attached) []string {
	var disks []string
	for _, a := range list {
		if a.session != nil {
			for _, d := range a.session.Disks {
				disks = append(disks, d.Name)
			}
		}
	}
	return disks
}

// firstHere reports whether the first disk, which is the root when nothing chooses, is certain:
// no target before it has yet to answer.
func firstHere(list []attached) bool {
	for _, a := range list {
		switch {
		case a.session != nil && len(a.session.Disks) > 0:
			return true
		case a.session == nil && a.err == nil:
			return false
		}
	}
	return false
}
