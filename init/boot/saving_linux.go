package boot

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/internal/kernfile"
)

// What has been written is on its way to a disk or server for as long as it takes: a slow one is
// waited for while it takes something, a dead one is not. savingMost is the limit in any case,
// tellSaving how often the wait is reported.
const (
	savingMost = 5 * time.Minute
	tellSaving = 10 * time.Second
)

// A writeback is where the kernel stands with what has been written
// (/proc/vmstat, in pages).
type writeback struct {
	written uint64 // so far: it moves while a disk takes anything
	left    uint64 // dirty, or on its way
}

// parseWriteback reads /proc/vmstat. What is missing is 0.
func parseWriteback(vmstat []byte) (w writeback) {
	for line := range bytes.Lines(vmstat) {
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		n, err := strconv.ParseUint(value, 10, 64)
		switch {
		case err != nil:
		case name == "nr_written":
			w.written = n
		case name == "nr_dirty", name == "nr_writeback":
			w.left += n
		}
	}
	return w
}

func readWriteback() writeback {
	text, _ := kernfile.ReadFile("/proc/vmstat") // unread it does not move
	return parseWriteback(text)
}

// whileSaving runs f, which waits for disks or servers, and goes on without it when they
// have taken nothing for a time. Each time that they have, moved is called.
func whileSaving(patience time.Duration, what string, f func(context.Context) error, moved func()) error {
	return saving{
		readWriteback,
		moved,
		func(text string) { report(console.InfoPriority, "%s", text) },
	}.run(
		patience,
		what,
		f,
	)
}

// A saving is whileSaving's view of the world.
type saving struct {
	look  func() writeback
	moved func()
	say   func(string)
}

func (s saving) run(patience time.Duration, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), savingMost)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- guarded(func() error { return f(ctx) }) }()
	ticks := time.NewTicker(patience)
	defer ticks.Stop()
	last, told := s.look(), time.Time{}
	for {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			return nil
		case <-ctx.Done():
			return notOver(what, savingMost, os.Getpid())
		case <-ticks.C:
			now := s.look()
			if now.written == last.written {
				return fmt.Errorf(
					"%s: nothing was taken for %s: %s; going on",
					what,
					console.Seconds(patience),
					held(os.Getpid()),
				)
			}
			last = now
			s.moved()
			if time.Since(told) >= tellSaving {
				told = time.Now()
				s.say(fmt.Sprintf("%s: %d MiB are left", what, now.left*uint64(os.Getpagesize())>>20))
			}
		}
	}
}
