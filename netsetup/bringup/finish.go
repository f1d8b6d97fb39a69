package bringup

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/internal/phrase"
)

// finishTime is how long close waits for links that are being made. A port joins its bond in
// milliseconds, including the time to open it; a driver that takes seconds must not delay the
// boot, which goes on by the others. It is less than the time init gives close.
const finishTime = time.Second

// finishLinks completes the steps that were begun for links which the command line makes. Up
// returns when a bond has its address, which may be when its first port has joined: without this
// the next port might stay down and in no bond, or the bond stay without the primary that the
// command line names, for as long as the node runs.
func (r *runner) finishLinks() {
	defer r.abandon()
	defer r.tellHeld()
	late := time.NewTimer(finishTime)
	defer late.Stop()
	for slices.ContainsFunc(r.sorted(), func(n *attachment) bool { return n.linking }) {
		select {
		case s := <-r.setups:
			r.held = append(r.held, s.short...)
			s.close()
			n := r.attachments[s.key]
			if n == nil || s.rewired {
				continue
			}
			n.linking = false
			r.tellNever(n, append(slices.Clone(s.faults), s.err))
			if err := cmp.Or(
				s.err,
				s.faults.err(),
			); !never(err) && n.err == nil &&
				n.redoErr == nil { // otherwise it has been reported
				r.log.Warn(fmt.Sprintf("set up %s: %v; not tried again", n.dev.Name, err))
				n.redoTold = true
			}
			n.redoErr = s.faults.err()
		case <-late.C:
			r.tellUnfinished(time.Now())
			return
		}
	}
	for _, n := range r.sorted() {
		if !never(n.redoErr) && !n.redoTold {
			r.log.Warn(fmt.Sprintf("links on %s: %v; not tried again", n.dev.Name, n.redoErr))
		}
	}
}

// tellUnfinished reports the links that are no longer waited for.
func (r *runner) tellUnfinished(now time.Time) {
	for _, n := range r.sorted() {
		if !n.linking {
			continue
		}
		links := cmp.Or(strings.Join(r.config.Over(n.dev), " and "), n.dev.Name)
		r.log.Warn(
			fmt.Sprintf(
				"%s: driver %s is taking %s to bring the device up: the boot goes on, %s may be left half set up",
				n.dev.Name,
				n.dev.Driver,
				phrase.Seconds(now.Sub(n.first)),
				links,
			),
		)
	}
}
