package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/escape"
)

// testGraph runs stages in a bubble of its own clock and returns the console.
func testGraph(t *testing.T, deadline time.Duration, stages ...stage) (c string, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		ctx := t.Context()
		if deadline > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, deadline)
			defer cancel()
		}
		g := graph{stages: stages, identity: "node", log: slog.New(console.NewConsole(nil, &b, nil, nil))}
		err = g.run(ctx)
		c = b.String()
	})
	return c, err
}

func takes(d time.Duration, line string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%s: %w", line, ctx.Err())
		case <-time.After(d):
			return line, nil
		}
	}
}

func TestGraphRunsSideBySide(t *testing.T) {
	got, err := testGraph(t, 0,
		stage{name: "mounts", run: takes(0, "ok")},
		stage{name: "drivers", after: []string{"mounts"}, run: takes(2*time.Second, "2 modules")},
		stage{name: "network", after: []string{"mounts"}, run: takes(3*time.Second, "eth0")},
		stage{name: "mount", after: []string{"drivers", "network"}, run: takes(time.Second/2, "/dev/sda")},
	)
	if err != nil {
		t.Fatal(err)
	}
	want := "nodisk: mounts (1/4): ok, 0.00 s\r\nnodisk: drivers (2/4): 2 modules, 2.00 s\r\n" +
		"nodisk: network (3/4): eth0, 3.00 s\r\nnodisk: mount (4/4): /dev/sda, 0.50 s\r\n"
	if got != want {
		t.Errorf("console:\n%s\nwant:\n%s", got, want)
	}
}

func TestGraphRetriesAndReenters(t *testing.T) {
	leases, attempts := 0, 0
	got, err := testGraph(t, 0,
		stage{name: "network", run: func(context.Context) (string, error) {
			leases++
			return fmt.Sprintf("lease %d", leases), nil
		}},
		stage{
			name: "attach", after: []string{"network"},
			run: func(context.Context) (string, error) {
				if attempts++; attempts < 4 {
					return "", errors.New("connection refused")
				}
				return "sda", nil
			},
			reenter: func(attempt int) string {
				if attempt%3 == 0 {
					return "network"
				}
				return ""
			},
		},
	)
	if err != nil || leases != 2 || attempts != 4 {
		t.Fatalf("%d leases, %d attempts, error %v; want 2, 4, nil\n%s", leases, attempts, err, got)
	}
	for _, want := range []string{
		"error: attach (2/2): connection refused; attempt 1, next in 0.", "attempt 3, next in ", "attach: going back to network",
		"network (1/2): lease 2", "attach (2/2): sda",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("console lacks %q:\n%s", want, got)
		}
	}
}

func TestGraphDeadlineSaysWhatWasWaitedFor(t *testing.T) {
	_, err := testGraph(t, 20*time.Second,
		stage{name: "network", run: takes(time.Hour, "no DHCP answer on eth0")},
		stage{name: "storage", run: takes(time.Second, "ok")},
		stage{name: "attach", after: []string{"network"}, run: takes(0, "never begun")},
	)
	if _, ok := errors.AsType[*stuckError](err); !ok {
		t.Fatalf("error %v, want a stuckError", err)
	}
	if got, want := err.Error(), "gave up after 20 s: network: no DHCP answer on eth0: context deadline exceeded"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestGraphDeadlineKeepsTheLastCause(t *testing.T) {
	_, err := testGraph(t, 10*time.Second, stage{name: "attach", timeout: time.Second, run: func(context.Context) (string, error) {
		return "", errors.New("target not found (status 0203)")
	}})
	if err == nil || !strings.Contains(err.Error(), "attach: target not found (status 0203)") {
		t.Errorf("error %v does not name the cause", err)
	}
}

// The last attempt is under way when the boot ends: what it waits for is told, and not only what
// went wrong long before. One that says nothing keeps the cause of the one before.
func TestGraphDeadlineSaysWhatIsWaitedForNow(t *testing.T) {
	const (
		now  = "gave up after 20 s: mount: no filesystem on sda: context deadline exceeded; the attempt before it: connection lost"
		then = "gave up after 20 s: mount: connection lost"
	)
	for name, tt := range map[string]struct {
		last func(error) error
		want string
	}{
		"wrapped":       {func(err error) error { return fmt.Errorf("no filesystem on sda: %w", err) }, now},
		"wrapped twice": {func(err error) error { return fmt.Errorf("no filesystem on %w: %w", errors.New("sda"), err) }, now},
		"joined":        {func(err error) error { return errors.Join(fmt.Errorf("no filesystem on sda: %w", err)) }, now},
		"bare":          {func(err error) error { return err }, then},
		"bare, joined":  {func(err error) error { return errors.Join(err, err) }, then},
		"bare, timeout": {func(error) error { return timeoutError(20 * time.Second) }, then},
	} {
		attempts := 0
		_, err := testGraph(t, 20*time.Second, stage{name: "mount", run: func(ctx context.Context) (string, error) {
			if attempts++; attempts == 1 {
				return "", errors.New("connection lost")
			}
			<-ctx.Done()
			return "", tt.last(ctx.Err())
		}})
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: got  %v\nwant %s", name, err, tt.want)
		}
	}
}

// An attempt that the end cuts short knows less than the one before it, and no other begins.
func TestGraphDeadlineBehindAPause(t *testing.T) {
	attempts := 0
	_, err := testGraph(t, 20*time.Second, stage{name: "mount", run: func(ctx context.Context) (string, error) {
		attempts++
		begun := time.Now()
		if deadline, _ := ctx.Deadline(); deadline.Sub(begun) > time.Second {
			<-time.After(deadline.Sub(begun) - 500*time.Millisecond - plan.Pause("node", attempts))
			return "", errors.New("not exported; it exports /srv")
		}
		<-ctx.Done()
		return "", errors.New("not exported")
	}})
	if want := "gave up after 20 s: mount: not exported; it exports /srv"; err == nil || err.Error() != want || attempts != 2 {
		t.Errorf("%d attempts, got %v, want %s", attempts, err, want)
	}
}

// What no attempt can cure is told, however late it was found.
func TestAtEndPermanent(t *testing.T) {
	before, last := errors.New("connection lost"), plan.Permanent(errors.New("module nosuch is not in the image"))
	if got := atEnd(before, outcome{err: last, took: time.Millisecond}); !errors.Is(got, last) {
		t.Errorf("got %v, want %v", got, last)
	}
	if got := atEnd(before, outcome{err: errors.New("not exported"), took: time.Millisecond}); !errors.Is(got, before) {
		t.Errorf("got %v, want %v", got, before)
	}
}

func TestGraphPermanentEndsAtOnce(t *testing.T) {
	cause := errors.New("module nosuch is not in the image")
	stopped := false
	_, err := testGraph(t, 0,
		stage{name: "drivers", run: func(context.Context) (string, error) { return "", plan.Permanent(cause) }},
		stage{name: "network", run: func(ctx context.Context) (string, error) {
			<-ctx.Done()
			stopped = true
			return "", ctx.Err()
		}},
	)
	if !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "drivers: ") {
		t.Errorf("error %v, want the stage and the cause", err)
	}
	if !stopped {
		t.Error("a stage outlived the graph")
	}
}

func TestGraphPanicIsAFailedAttempt(t *testing.T) {
	attempts := 0
	got, err := testGraph(t, 0, stage{name: "mount", run: func(context.Context) (string, error) {
		if attempts++; attempts == 1 {
			var m map[string]int
			m["x"] = 1 //nolint:staticcheck,govet // The panic is what is tested.
		}
		return "ok", nil
	}})
	if err != nil || !strings.Contains(got, "panic: assignment to entry in nil map") {
		t.Errorf("error %v, console:\n%s", err, got)
	}
}

// What a stage says of its limit is said to people.
func TestGraphLimitOfAStage(t *testing.T) {
	got, err := testGraph(t, time.Minute, stage{name: "mount", timeout: 30 * time.Second, run: func(ctx context.Context) (string, error) {
		<-ctx.Done()
		return "", fmt.Errorf("the server does not answer: %w", context.Cause(ctx))
	}})
	if !strings.Contains(got, "mount (1/1): the server does not answer: timed out after 30 s; attempt 1") {
		t.Errorf("error %v, console:\n%s", err, got)
	}
}

func TestPermanentOfNil(t *testing.T) {
	if err := plan.Permanent(nil); err != nil {
		t.Error(err)
	}
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"a: b":                             "a: b",
		"mount x:\n  NFS 3: a\n  NFS 4: b": "mount x: NFS 3: a; NFS 4: b",
		"portal a\nportal b\n":             "portal a; portal b",
	} {
		if got := oneLine(errors.New(text)); got != want {
			t.Errorf("oneLine(%q) = %q, want %q", text, got, want)
		}
	}
}

// A stage that the kernel holds must not keep the policy from its word.
func TestGraphDeadlineDespiteAHungStage(t *testing.T) {
	var (
		err  error
		took time.Duration
	)
	synctest.Test(t, func(t *testing.T) {
		hung := make(chan struct{})
		defer close(hung)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		g := graph{log: slog.New(slog.DiscardHandler), stages: []stage{
			{name: "mount", run: func(context.Context) (string, error) { <-hung; return "", nil }},
			{name: "network", run: takes(time.Hour, "no DHCP answer")},
		}}
		begin := time.Now()
		err = g.run(ctx)
		took = time.Since(begin)
	})
	if want := time.Minute + stopTimeout; took != want {
		t.Errorf("took %v, want %v", took, want)
	}
	if err == nil || !strings.Contains(err.Error(), "network: no DHCP answer") || !strings.Contains(err.Error(), "mount: does not end") {
		t.Errorf("error %v", err)
	}
}

// One attempt is a line that can be read, whatever a server lists in its error:
// both when it is tried again and when the boot ends.
func TestGraphBoundsWhatAnAttemptSays(t *testing.T) {
	list := strings.Repeat("/srv/node (10.0.0.1, 10.0.0.2),\n", 5000) // 160 KB: the exports of a cluster
	got, err := testGraph(t, 3*time.Second,
		stage{name: "mount", run: func(context.Context) (string, error) {
			return "", errors.New("10.0.0.9 refuses /srv/root: it exports " + list + "mend /etc/exports")
		}},
	)
	for attempt := range strings.SplitSeq(got, "nodisk: error: ") {
		if len(attempt) > 2<<10 {
			t.Errorf("%d bytes for one attempt", len(attempt))
		}
	}
	for line := range strings.Lines(got) {
		if text := strings.TrimRight(line, "\r\n"); !strings.HasPrefix(text, "nodisk: ") || text != escape.Text(text) {
			t.Errorf("not a line of ours: %q", text)
		}
	}
	flat := strings.ReplaceAll(got, "\r\nnodisk:   ", "")
	for _, want := range []string{
		"nodisk: error: mount (1/1): 10.0.0.9 refuses /srv/root: it exports /srv/node", "mend /etc/exports; attempt 1, next in ",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
	if err == nil || len(err.Error()) > 2<<10 || !strings.HasSuffix(err.Error(), "mend /etc/exports") {
		t.Errorf("the boot ended with: %.3000v", err)
	}
}

// All that an attempt writes at once is no more than 2 KiB: what sixteen
// interfaces say, and the reason for which it failed.
func TestGraphBoundsAnAttempt(t *testing.T) {
	for name, warning := range map[string]string{
		"short": "no DHCP answer",
		"long":  strings.Repeat("no DHCP answer (check the cable) ", 100),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b bytes.Buffer
				log := slog.New(console.NewConsole(&b, nil, nil, nil))
				// Before the second attempt, which is a second away at least.
				ctx, cancel := context.WithTimeout(t.Context(), time.Second/10)
				defer cancel()
				g := graph{identity: "node", log: log, stages: []stage{{name: "network", run: func(context.Context) (string, error) {
					for i := range 16 * 3 {
						log.Warn(fmt.Sprintf("eth%d: %s", i/3, warning))
					}
					return "", errors.New(strings.Repeat("eth0: no DHCP answer; ", 200))
				}}}}
				err := g.run(ctx)
				if b.Len() > 2<<10 {
					t.Errorf("%d bytes:\n%s", b.Len(), &b)
				}
				for _, want := range []string{"warning: eth0: no DHCP answer", "error: network (1/1): eth0: no DHCP answer", "; attempt 1, next in ", "warnings left out"} {
					if !strings.Contains(b.String(), want) {
						t.Errorf("%q is not in:\n%s", want, &b)
					}
				}
				if err == nil || len(err.Error()) > reasonMost+100 {
					t.Errorf("%v", err)
				}
			})
		})
	}
}
