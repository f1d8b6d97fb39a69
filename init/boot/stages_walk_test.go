package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/init/plan"
)

// walks is how many graphs of how many seeds are replayed.
const walks = 400

// walkIdentity seeds the pauses.
const walkIdentity = "walk"

// TestGraphWalk replays random graphs whose attempts succeed, fail, panic and send the boot
// back in random order. What must hold of all of them:
//
//   - a stage begins only when all that it needs have succeeded, and none of them runs;
//   - a stage never runs twice at once, nor in the pause after a failure, nor again after its success
//     unless the boot was sent back to it or to something that it needs;
//   - a run ends, no stage outlives it, and its verdict is what the attempts said: nil is the
//     success of all, a PermanentError was said by a stage, a stuckError comes at the deadline.
//
// NODISK_WALK_SEED=N replays one walk.
func TestGraphWalk(t *testing.T) {
	first, n := rand.Uint64(), uint64(walks)
	if text := os.Getenv("NODISK_WALK_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("NODISK_WALK_SEED=%s: %v", text, err)
		}
		first, n = seed, 1
	}
	ends := map[string]int{}
	for i := range n {
		seed := first + i
		w := newWalk(seed)
		synctest.Test(t, func(t *testing.T) { w.run(t) })
		ends[w.end]++
		if t.Failed() {
			t.Fatalf("again: NODISK_WALK_SEED=%d go test -run 'TestGraphWalk$' ./init/boot\n%s", seed, w.history())
		}
	}
	t.Logf("%d walks from seed %d: %v", n, first, ends)
	for _, end := range []string{"done", "permanent", "stuck"} {
		if n == walks && ends[end] == 0 {
			t.Errorf("none of %d walks from seed %d ended as %q: %v", n, first, end, ends)
		}
	}
}

// A walk is one graph and what happened in it.
type walk struct {
	stages []stage
	end    string // "done", "permanent" or "stuck"
	begin  time.Time

	// The model: what the events so far allow.
	mu            sync.Mutex
	running, done []bool
	failed        []int       // attempts in a row
	pauses        []time.Time // until when
	permanent     []error     // that stages have said
	events        []string
	broken        []string
}

// newWalk makes a graph of up to eight stages, each after some of those before it.
func newWalk(seed uint64) *walk {
	r := rand.New(rand.NewPCG(seed, 0))
	n := 1 + r.IntN(8)
	w := &walk{running: make([]bool, n), done: make([]bool, n), failed: make([]int, n), pauses: make([]time.Time, n)}
	// How likely an attempt fails, and of those how likely for good.
	fails, never := r.Float64()*0.7, r.Float64()*0.1
	for i := range n {
		s := stage{name: "s" + strconv.Itoa(i)}
		for j := range i {
			if r.IntN(3) == 0 {
				s.after = append(s.after, w.stages[j].name)
			}
		}
		if r.IntN(2) == 0 {
			s.timeout = time.Duration(1+r.IntN(4)) * time.Second
		}
		if before := w.below(s.after); len(before) > 0 && r.IntN(2) == 0 {
			back, every := before[r.IntN(len(before))], 1+r.IntN(3)
			s.reenter = func(attempt int) string {
				if attempt%every != 0 {
					return ""
				}
				w.takeBack(back)
				return "s" + strconv.Itoa(back)
			}
		}
		// Of its own: what a stage does must not depend on which other is scheduled before it.
		own := rand.New(rand.NewPCG(seed, uint64(i)+1))
		s.run = func(ctx context.Context) (string, error) {
			return w.attempt(ctx, i, time.Duration(own.Int64N(int64(5*time.Second))), own.Float64()/fails, never)
		}
		w.stages = append(w.stages, s)
	}
	return w
}

// below are the stages that the named ones are built on, and they themselves.
func (w *walk) below(names []string) []int {
	var all []int
	for i, s := range slices.Backward(w.stages) {
		if slices.Contains(names, s.name) {
			all = append(all, i)
			names = append(slices.Clone(names), s.after...)
		}
	}
	return all
}

// attempt is what a stage does: it waits for so long, and fails if luck is below 1, for good if it
// is below never.
func (w *walk) attempt(ctx context.Context, i int, takes time.Duration, luck, never float64) (line string, err error) {
	name := w.stages[i].name
	w.starts(i)
	defer w.stops(i)
	select {
	case <-ctx.Done():
		w.tell("%s is interrupted", name)
		return "", fmt.Errorf("wait for %s: %w", name, context.Cause(ctx))
	case <-time.After(takes):
	}
	switch {
	case luck < never:
		w.tell("%s fails for good", name)
		err := plan.Permanent(errors.New("no attempt helps " + name))
		w.mu.Lock()
		defer w.mu.Unlock()
		w.permanent = append(w.permanent, err)
		return "", err
	case luck < 0.2:
		w.tell("%s panics", name)
		panic("in " + name)
	case luck < 1:
		w.tell("%s fails", name)
		return "", errors.New("attempt at " + name)
	}
	w.tell("%s succeeds", name)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[i] = true
	return "ok", nil
}

// starts compares the start of a stage with what the events before it allow.
func (w *walk) starts(i int) {
	s := w.stages[i]
	w.tell("%s begins", s.name)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running[i] {
		w.broken = append(w.broken, s.name+" runs twice at once")
	}
	if w.done[i] {
		w.broken = append(w.broken, s.name+" begins again after its success")
	}
	if time.Now().Before(w.pauses[i]) {
		w.broken = append(w.broken, s.name+" begins in its pause")
	}
	for _, name := range s.after {
		j := slices.IndexFunc(w.stages, func(s stage) bool { return s.name == name })
		if !w.done[j] || w.running[j] {
			w.broken = append(w.broken, s.name+" begins before "+name+" has succeeded")
		}
	}
	w.running[i] = true
}

// stops is the end of an attempt, which has failed unless it has said that it is done.
func (w *walk) stops(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[i] = false
	if w.done[i] {
		w.failed[i] = 0
		return
	}
	w.failed[i]++
	w.pauses[i] = time.Now().Add(plan.Pause(walkIdentity, w.failed[i]))
}

// takeBack takes the success of a stage, and of all that are built on it, out of the model.
func (w *walk) takeBack(back int) {
	w.tell("back to %s", w.stages[back].name)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[back] = false
	for i := back + 1; i < len(w.stages); i++ {
		if slices.Contains(w.below(w.stages[i].after), back) {
			w.done[i] = false
		}
	}
}

func (w *walk) run(t *testing.T) {
	const deadline = 40 * time.Second
	w.begin = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	g := graph{stages: w.stages, identity: walkIdentity, log: slog.New(slog.DiscardHandler)}
	err := g.run(ctx)
	took := time.Since(w.begin)
	w.tell("ends: %v", err)

	if slices.Contains(w.running, true) {
		t.Errorf("a stage outlives the run: %v", w.running)
	}
	if took > deadline+stopTimeout {
		t.Errorf("the run took %v of %v", took, deadline)
	}
	_, stuck := errors.AsType[*stuckError](err)
	_, never := errors.AsType[*plan.PermanentError](err)
	switch {
	case err == nil:
		w.end = "done"
		if slices.Contains(w.done, false) {
			t.Errorf("success, but these stages have succeeded: %v", w.done)
		}
	case never:
		w.end = "permanent"
		if !slices.ContainsFunc(w.permanent, func(said error) bool { return errors.Is(err, said) }) {
			t.Errorf("error %v, but what was said is %v", err, w.permanent)
		}
	case stuck:
		w.end = "stuck"
		if took < deadline {
			t.Errorf("stuck after %v of %v", took, deadline)
		}
	default:
		t.Errorf("error %v is neither for good nor of the deadline", err)
	}
	for _, b := range w.broken {
		t.Error(b)
	}
}

func (w *walk) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, fmt.Sprintf("%8.3f s  ", time.Since(w.begin).Seconds())+fmt.Sprintf(format, args...))
}

// history is the graph and its events, for people.
func (w *walk) history() string {
	var b strings.Builder
	for _, s := range w.stages {
		fmt.Fprintf(&b, "%s after %v\n", s.name, s.after)
	}
	return b.String() + strings.Join(w.events, "\n")
}
