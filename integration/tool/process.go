package tool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nodisk/nodisk/integration/transcript"
)

const (
	// serverStart is how long a server may take until it serves.
	serverStart = 30 * time.Second
	// StopGrace is how long a process may take from SIGTERM to its end.
	StopGrace = 3 * time.Second
)

// A Process is a server or a node that the lab started.
type Process struct {
	name   string
	Out    *transcript.Transcript
	cancel context.CancelFunc
	Done   chan struct{} // closed after the end
	Err    error         // how it ended, valid when done is closed
	self   *os.Process
}

// Start runs a program in the background. It lives until ctx ends, it is
// stopped, or it ends by itself. Standard output and standard error go to its
// transcript and, as they are, to tee unless that is nil.
func Start(ctx context.Context, t Tool, tee io.Writer, args ...string) (*Process, error) {
	return StartReading(ctx, t, nil, tee, args...)
}

// StartReading is start for a program whose standard input is a file; nil is none.
func StartReading(ctx context.Context, t Tool, stdin *os.File, tee io.Writer, args ...string) (*Process, error) {
	path, err := t.Find()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &Process{name: t.Name, Out: transcript.New(), cancel: cancel, Done: make(chan struct{})}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(cmp.Or(t.ends, syscall.SIGTERM)) }
	cmd.WaitDelay = StopGrace
	var w io.Writer = p.Out
	if tee != nil {
		w = io.MultiWriter(p.Out, tee)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if stdin != nil {
		cmd.Stdin = stdin
	}
	// A group of its own: a Ctrl-C at the terminal reaches the lab alone, which
	// then ends its processes in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("start %s: %w", t.Name, err)
	}
	p.self = cmd.Process
	go func() {
		p.Err = cmd.Wait()
		p.Out.End()
		close(p.Done)
	}()
	return p, nil
}

// Ready waits until the server has logged the line that says so.
func (p *Process) Ready(ctx context.Context, re *regexp.Regexp) error {
	ctx, cancel := context.WithTimeoutCause(ctx, serverStart, fmt.Errorf("nothing within %v", serverStart))
	defer cancel()
	if _, err := p.Out.Await(ctx, 0, re); err != nil {
		return fmt.Errorf("start %s: %w; it said:\n%s", p.name, err, transcript.Tail(p.Out.String(), 15))
	}
	return nil
}

// Signal sends the process a signal.
func (p *Process) Signal(s os.Signal) error {
	if err := p.self.Signal(s); err != nil {
		return fmt.Errorf("send %s to %s: %w", s, p.name, err)
	}
	return nil
}

// Delays is for how long each of the process's threads was ready to run and had
// no processor: the second field of schedstat (Documentation/scheduler/sched-stats.rst).
// A kernel without it says nothing.
func (p *Process) Delays() map[string]time.Duration {
	delays := map[string]time.Duration{}
	// The pattern is good, the only error there is.
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.self.Pid))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		if f := strings.Fields(string(text)); len(f) == 3 {
			if ns, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				delays[path] = time.Duration(ns)
			}
		}
	}
	return delays
}

// Stop ends the process and waits for its end.
func (p *Process) Stop() {
	if p == nil {
		return
	}
	p.cancel()
	<-p.Done
}

// Poll calls f at once and then ten times a second until it returns nil or ctx
// ends. It is for servers that tell nobody when they are ready.
func Poll(ctx context.Context, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, serverStart, fmt.Errorf("nothing within %v", serverStart))
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w", what, context.Cause(ctx), err)
		}
	}
}

// ExitStatus returns the status of a process that ended by itself, -1 for one
// that a signal ended or that did not start.
func ExitStatus(err error) int {
	var ee *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ee):
		return ee.ExitCode()
	default:
		return -1
	}
}
