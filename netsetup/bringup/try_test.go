package bringup

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// logLines is a slog.Handler that keeps the messages above debug.
type logLines struct {
	mu    sync.Mutex
	lines []string
	start time.Time
}

func (l *logLines) Enabled(_ context.Context, level slog.Level) bool { return level > slog.LevelDebug }

func (l *logLines) WithAttrs([]slog.Attr) slog.Handler { return l }

func (l *logLines) WithGroup(string) slog.Handler { return l }

func (l *logLines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%ds %s", int(time.Since(l.start).Round(time.Second)/time.Second), r.Message))
	return nil
}

type result struct {
	state    netsetup.State
	err      error
	commands []string
	log      []string
	took     time.Duration
	last     netsetup.State // behind Keep
}

// try runs Up on a fake kernel, in time that costs nothing. script runs beside
// it.
func try(t *testing.T, line string, timeout time.Duration, k *fakekernel.Kernel, script func()) result {
	t.Helper()
	return tryFor(t, line, netsetup.Needs{}, timeout, k, script)
}

// tryFor is try for a boot that needs something.
func tryFor(t *testing.T, line string, needs netsetup.Needs, timeout time.Duration, k *fakekernel.Kernel, script func()) result {
	t.Helper()
	c, err := netsetup.ParseConfig(cmdline.Parse(line))
	if err != nil {
		t.Fatal(err)
	}
	c.Needs, c.Loading = needs, k.Loading
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	lines := &logLines{start: start}
	if script != nil {
		go script()
	}
	s, err := run(ctx, c, node{k}, slog.New(lines))
	k.Lock()
	defer k.Unlock()
	return result{s, err, k.Commands, lines.lines, time.Since(start), s}
}

// A node is one that runs on a fake kernel.
type node struct{ *fakekernel.Kernel }

func (n node) open(d link.Device, via lease.Channel) (wire, error) { return n.Open(d, via) }

// run brings up a network that nobody keeps.
func run(ctx context.Context, c netsetup.Config, sys system, log *slog.Logger) (netsetup.State, error) {
	r := newRunner(c, sys, log)
	defer r.close()
	return r.up(ctx)
}
