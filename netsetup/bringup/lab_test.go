package bringup

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
)

// What follows is for the table of testdata/world.txt, which is tried from outside of
// this package: it makes plans of command lines, as package boot does, and asks
// what comes of them on the fake kernel.

// An Outcome is what came of Up, and of Keep after it.
type Outcome struct {
	State         netsetup.State
	Err           error
	Commands, Log []string
	Took          time.Duration
}

// UpOn runs Up on a node with these cards, and keeps the network for a while, in the
// clock of a synctest bubble. Nodes at the addresses of taken answer ARP besides the
// servers.
func UpOn(t *testing.T, c netsetup.Config, cards []fakekernel.Card, taken []netip.Addr, timeout, during time.Duration) Outcome {
	t.Helper()
	start := time.Now()
	l := fakekernel.NewLab(t, c, cards, taken)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	go l.Signals(ctx)
	lines := &logLines{start: start}
	r := newRunner(c, node{l.Kernel}, slog.New(lines))
	s, err := r.up(ctx)
	took := time.Since(start)
	if err == nil {
		kept, leave := context.WithTimeout(t.Context(), during)
		defer leave()
		if err := r.keep(kept); err != nil {
			t.Error(err)
		}
	}
	r.close()
	l.Kernel.Lock()
	defer l.Kernel.Unlock()
	return Outcome{s, err, l.Kernel.Commands, lines.lines, took}
}
