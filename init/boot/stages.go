package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/plan"
)

// A stage is one node of the boot's graph.
type stage struct {
	name  string
	after []string // stages that must have succeeded before
	// timeout bounds one attempt; zero is no bound but the boot's own.
	timeout time.Duration
	// before, if not nil, runs before each attempt and does not count towards its time.
	before func(context.Context)
	// run does the work and returns the sentence for the console. It may be called again after an
	// error, and after an earlier stage was re-entered: it must find what it did before and
	// continue from there.
	run func(context.Context) (string, error)
	// reenter names the stage to go back to after the given failed attempt
	// (1, 2, ...). Nil or "" is the stage itself.
	reenter func(attempt int) string
}

// A stuckError says what the boot was waiting for when it ended.
type stuckError struct {
	after   time.Duration
	waiting []string // "network: no DHCP answer on eth0", one a stage
}

func (e *stuckError) Error() string {
	return fmt.Sprintf("gave up after %s: %s", console.Seconds(e.after), strings.Join(e.waiting, "; "))
}

// A graph runs stages, each as soon as the stages before it have succeeded.
type graph struct {
	stages   []stage
	identity string // of the node: seeds the pauses
	log      *slog.Logger
}

type stageState struct {
	running bool
	done    bool
	pausing bool
	failed  int   // attempts in a row
	err     error // of the last attempt
}

type outcome struct {
	index   int
	line    string
	err     error
	took    time.Duration
	resumed bool // a pause is over, nothing was run
}

// stopTimeout is how long stages may take to end after ctx has. They end at once, unless the
// kernel holds them: the boot's end does not wait for that.
const stopTimeout = 4 * time.Second

// run returns nil when all stages have succeeded, a *permanentError at once, and a *stuckError
// when ctx ends. No goroutine outlives it except one that the kernel does not let go.
func (g *graph) run(ctx context.Context) error {
	if c, ok := g.log.Handler().(*console.Console); ok {
		c.Settle()
	}
	start := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	// As many as can be running: one that comes too late is not blocked.
	results := make(chan outcome, 2*len(g.stages))
	state := make([]stageState, len(g.stages))
	active := 0 // goroutines that will send one outcome each

	launch := func(f func() outcome) {
		active++
		go func() { results <- f() }()
	}
	// drain waits for what is still running.
	drain := func(take func(outcome)) {
		cancel()
		patience := time.NewTimer(stopTimeout)
		defer patience.Stop()
		for ; active > 0; active-- {
			select {
			case o := <-results:
				take(o)
			case <-patience.C:
				g.log.Warn(fmt.Sprintf("%d stages do not end: the kernel holds them", active))
				active = 0
				return
			}
		}
	}
	defer func() { drain(func(outcome) {}) }()

	for {
		for i := range g.stages {
			if ctx.Err() == nil && g.ready(state, i) {
				state[i].running = true
				launch(func() outcome { return g.attempt(ctx, i) })
			}
		}
		if !slices.ContainsFunc(state, func(s stageState) bool { return !s.done }) {
			return nil
		}
		var o outcome
		select {
		case <-ctx.Done():
			after := time.Since(start)
			// What the stages say about their wait is the explanation.
			drain(func(o outcome) {
				if o.resumed {
					return
				}
				state[o.index].running = false
				state[o.index].done = o.err == nil
				if o.err != nil {
					state[o.index].err = atEnd(state[o.index].err, o)
				}
			})
			return &stuckError{after: after, waiting: g.waiting(state)}
		case o = <-results:
			active--
		}
		s := &state[o.index]
		switch {
		case o.resumed:
			s.pausing = false
		case o.err == nil:
			s.running, s.done, s.failed, s.err = false, true, 0, nil
			g.log.Info(
				fmt.Sprintf(
					"%s (%d/%d): %s, %s",
					g.stages[o.index].name,
					o.index+1,
					len(g.stages),
					o.line,
					console.Seconds(o.took),
				),
			)
		default:
			s.running = false
			if ctx.Err() != nil {
				s.err = atEnd(s.err, o)
				continue // the select above takes the other branch
			}
			if _, ok := errors.AsType[*plan.PermanentError](o.err); ok {
				return fmt.Errorf("%s: %w", g.stages[o.index].name, o.err)
			}
			s.failed++
			s.err = o.err
			wait := plan.Pause(g.identity, s.failed)
			g.log.Error(fmt.Sprintf("%s (%d/%d): %s; attempt %d, next in %s",
				g.stages[o.index].name, o.index+1, len(g.stages), reason(o.err), s.failed, console.Seconds(wait)))
			g.reenter(state, o.index)
			s.pausing = true
			launch(func() outcome {
				t := time.NewTimer(wait)
				defer t.Stop()
				select {
				case <-ctx.Done():
				case <-t.C:
				}
				return outcome{index: o.index, resumed: true}
			})
		}
	}
}

// A timeoutError is a context.DeadlineExceeded for people.
type timeoutError time.Duration

func (e timeoutError) Error() string        { return "timed out after " + console.Seconds(time.Duration(e)) }
func (e timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

func isContext(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// tooShort is how long an attempt must have run for its error to say more than the one before.
const tooShort = time.Second

// atEnd is why a stage has not succeeded when the boot's end has interrupted it: what it was
// waiting for then, and how the attempt before, if there was one, had failed. One that had just
// begun, or says nothing but that it was interrupted, adds nothing. What no further attempt could
// have cured comes first.
func atEnd(before error, last outcome) error {
	_, never := errors.AsType[*plan.PermanentError](last.err)
	switch {
	case before == nil, never:
		return last.err
	case last.took < tooShort || interruption(last.err) || oneLine(last.err) == oneLine(before):
		return before
	case !isContext(last.err):
		return last.err
	}
	return fmt.Errorf("%w; the attempt before it: %w", last.err, before)
}

// interruption reports whether err says nothing but that a context has ended.
func interruption(err error) bool {
	bare := []string{context.Canceled.Error(), context.DeadlineExceeded.Error()}
	if t, ok := errors.AsType[timeoutError](err); ok {
		bare = append(bare, t.Error())
	}
	for line := range strings.Lines(err.Error()) {
		if !slices.Contains(bare, strings.TrimSpace(line)) {
			return false
		}
	}
	return true
}

func (g *graph) ready(state []stageState, i int) bool {
	if s := state[i]; s.running || s.done || s.pausing {
		return false
	}
	for _, name := range g.stages[i].after {
		if j := g.index(name); !state[j].done {
			return false
		}
	}
	return true
}

func (g *graph) index(name string) int {
	i := slices.IndexFunc(g.stages, func(s stage) bool { return s.name == name })
	if i < 0 {
		// A graph is built by code, not by input: stage tables are tested.
		panic("boot: no stage " + name)
	}
	return i
}

func (g *graph) attempt(ctx context.Context, i int) outcome {
	s := g.stages[i]
	if s.before != nil {
		s.before(ctx)
	}
	begin := time.Now()
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.timeout, timeoutError(s.timeout))
		defer cancel()
	}
	line, err := guard(func() (string, error) { return s.run(ctx) })
	return outcome{index: i, line: line, err: err, took: time.Since(begin)}
}

// guard turns a panic into an error: in a stage it is one failed attempt.
func guard(f func() (string, error)) (line string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("defect in nodisk, please report: panic: %v", r)
		}
	}()
	return f()
}

// reenter resets the stage that a failure sends the boot back to, and all that were built on it.
func (g *graph) reenter(state []stageState, failed int) {
	f := g.stages[failed].reenter
	if f == nil {
		return
	}
	name := f(state[failed].failed)
	if name == "" || name == g.stages[failed].name {
		return
	}
	g.log.Info(fmt.Sprintf("%s: going back to %s", g.stages[failed].name, name))
	taken := map[string]bool{name: true}
	state[g.index(name)].done = false
	for again := true; again; {
		again = false
		for i, s := range g.stages {
			if !taken[s.name] && slices.ContainsFunc(s.after, func(a string) bool { return taken[a] }) {
				taken[s.name], again = true, true
				state[i].done = false
			}
		}
	}
}

// waiting says for every stage that could have run why it did not succeed.
func (g *graph) waiting(state []stageState) []string {
	var lines []string
	for i, s := range g.stages {
		switch {
		case state[i].done:
		case state[i].err != nil:
			lines = append(lines, s.name+": "+reason(state[i].err))
		case state[i].running:
			lines = append(lines, s.name+": does not end, the kernel holds it")
		case g.ready(state, i):
			lines = append(lines, s.name+": not begun")
		}
	}
	if len(lines) == 0 {
		lines = append(lines, "no stage had failed")
	}
	return lines
}

// reasonMost is how many bytes of an error are shown: a server's list may be endless, and an
// attempt has to fit on the console together with its warnings.
const reasonMost = 960

// reason is an error as one line for the console.
func reason(err error) string { return console.Printable(oneLine(err), reasonMost) }

// oneLine joins the lines of an error that has several, one for each portal or
// protocol version: on a console with other nodes' lines between, or in a log
// that is searched, a line must stand for itself.
func oneLine(err error) string {
	var b strings.Builder
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			continue
		case b.Len() == 0:
		case strings.HasSuffix(b.String(), ":"):
			b.WriteString(" ")
		default:
			b.WriteString("; ")
		}
		b.WriteString(line)
	}
	return b.String()
}
