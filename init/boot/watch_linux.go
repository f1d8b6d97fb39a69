package boot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/plan"
)

// How long PID 1 waits for its worker. From nodisk.deadline= to what nodisk.onfail=
// says it is less than 15 s: stopTimeout, tidyTime, killTime, then letGoTime
// and rebootTime; more only while a disk takes what somebody has written.
const (
	// aliveEvery is how often a worker says that it is at work, silentTime about how long it may
	// be silent before it is taken for dead: stopped, or a thread of each kind held by the
	// kernel.
	aliveEvery = 10 * time.Second
	silentTime = time.Minute
	// lateTime is how much later than its deadline a verdict may come.
	lateTime = stopTimeout + 2*time.Second
	// tidyTime is how long a worker may go on after its verdict.
	tidyTime = 3 * time.Second
	// endTime is how long a process that has nothing left to do takes to end, killTime one that
	// is killed, heldTime one with a thread seen in the kernel: a root that is ready waits no
	// longer than that.
	endTime  = 20 * time.Millisecond
	killTime = 300 * time.Millisecond
	heldTime = 30 * time.Millisecond
)

// watch runs one worker to its verdict and, if the kernel lets it, to its end. An error means
// that there is no verdict, an *orderError that a signal came before.
func (s *supervisor) watch() (plan.Verdict, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return plan.Verdict{}, fmt.Errorf("make a pipe for the worker: %w", err)
	}
	worker, err := s.children.start(func() (int, error) { return s.fork(w, workerArg) })
	_ = w.Close()
	if err != nil {
		_ = r.Close()
		return plan.Verdict{}, fmt.Errorf("start the worker: %w", err)
	}
	messages := make(chan message)
	done := make(chan struct{})
	go listenTo(r, messages, done)
	// The reader ends with its pipe: it never outlives its worker.
	defer func() { close(done); _ = r.Close() }()
	return (&watched{worker: worker, messages: messages, orders: s.orders}).run()
}

// listenTo passes a child's messages on until there are no more. One that cannot be read is
// reported, and ends it.
func listenTo(r io.Reader, messages chan<- message, done <-chan struct{}) {
	defer close(messages)
	b := bufio.NewReaderSize(r, messageMost)
	for {
		m, err := readMessage(b)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
				report(console.ErrorPriority, "%v", err)
			}
			return
		}
		select {
		case messages <- m:
		case <-done:
			return
		}
	}
}

// watched is a worker at work.
type watched struct {
	worker   *child
	messages <-chan message
	orders   <-chan *orderError

	verdict *plan.Verdict   // not nil: said
	late    plan.Verdict    // what is to be done if none comes in time
	status  unix.WaitStatus // valid when ended
	ended   bool
}

// run waits for the verdict and then, for a moment, for the end.
func (w *watched) run() (plan.Verdict, error) {
	// PID 1 counts its own ticks: while the machine stands still neither process has any.
	moments := time.NewTicker(aliveEvery)
	defer moments.Stop()
	silent := 0
	var due, grace <-chan time.Time
	for {
		select {
		case m, ok := <-w.messages:
			if !ok {
				w.messages = nil // the worker's end is an event of its own
				if w.ended {
					return w.result()
				}
				continue
			}
			silent = 0
			switch m.Kind {
			case messageAlive:
				w.late = m.Verdict
				if m.Within > 0 {
					due = time.After(m.Within + lateTime)
				}
			case messageVerdict:
				if w.verdict == nil { // the first one counts
					v := m.Verdict
					w.verdict, due = &v, nil
					grace = time.After(tidyTime)
					if w.ended {
						return w.result()
					}
				}
			case messageDone:
				grace = time.After(endTime)
			}
		case status := <-w.worker.events:
			if status.Stopped() {
				report(
					console.WarningPriority,
					"the worker was stopped by %s: continuing it",
					unix.SignalName(status.StopSignal()),
				)
				_ = unix.Kill(w.worker.pid, unix.SIGCONT) // ESRCH: it has just ended
				continue
			}
			w.ended, w.status = true, status
			if w.messages == nil || w.verdict != nil {
				return w.result()
			}
			// What it said last is still in the pipe.
			grace = time.After(endTime)
		case <-grace:
			if !w.ended {
				w.leaveBehind()
			}
			return w.result()
		case <-due:
			report(
				console.ErrorPriority,
				"the worker gave no verdict by the deadline (nodisk.deadline=): %s; %s (nodisk.onfail=)",
				held(w.worker.pid),
				w.late.Action,
			)
			v := w.late
			w.verdict = &v
			w.leaveBehind()
			return w.result()
		case <-moments.C:
			if silent++; silent < int(silentTime/aliveEvery) {
				continue
			}
			where := held(w.worker.pid)
			w.leaveBehind()
			return plan.Verdict{}, fmt.Errorf("the worker said nothing for %s: %s", console.Seconds(silentTime), where)
		case order := <-w.orders:
			w.leaveBehind()
			return plan.Verdict{}, order
		}
	}
}

// result is what the worker said, if it did. A worker that crashed when it had said its
// verdict did so while it tidied up: the verdict stands.
func (w *watched) result() (plan.Verdict, error) {
	if w.verdict == nil {
		return plan.Verdict{}, errors.New(ending(w.status))
	}
	if w.ended && (w.status.Signaled() || w.status.ExitStatus() != 0) {
		report(console.WarningPriority, "%s; its verdict stands", ending(w.status))
	}
	return *w.verdict, nil
}

// ending says how a worker ended that should not have.
func ending(status unix.WaitStatus) string {
	switch {
	case status.Signaled():
		return fmt.Sprintf("the worker was killed by %s (out of memory?)", unix.SignalName(status.Signal()))
	case status.ExitStatus() != 0:
		return fmt.Sprintf(
			"the worker crashed with exit status %d: please report the lines above",
			status.ExitStatus(),
		)
	default:
		return "the worker ended without a verdict: please report the lines above"
	}
}

// leaveBehind kills the worker. If the kernel holds it that is reported, and the boot goes on
// without waiting for its end.
func (w *watched) leaveBehind() {
	w.worker.kill()
	patience := killTime
	if heldBy(w.worker.pid) != "" {
		patience = heldTime
	}
	if !w.worker.ends(patience) {
		report(console.WarningPriority, "the worker does not end: %s; going on without it", held(w.worker.pid))
	}
}

// ends reports whether a child has ended, or does so in that time.
func (k *child) ends(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case status := <-k.events:
			if !status.Stopped() {
				return true
			}
		case <-t.C:
			return false
		}
	}
}

// run starts a program of the administrator's and waits for it. An order ends both.
func (s *supervisor) run(fork func() (int, error)) (unix.WaitStatus, error) {
	k, err := s.children.start(fork)
	if err != nil {
		return 0, err
	}
	for {
		select {
		case status := <-k.events:
			if !status.Stopped() {
				return status, nil
			}
		case order := <-s.orders:
			k.kill()
			return 0, order
		}
	}
}
