package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/internal/escape"
)

// An interruption is the signal that ended a command, or the cause of one that was
// going to.
type interruption struct{ signal syscall.Signal }

// Error says it to whoever waits at the terminal.
func (i *interruption) Error() string {
	switch i.signal {
	case syscall.SIGINT:
		return "interrupted"
	case syscall.SIGTERM:
		return "terminated"
	case syscall.SIGHUP:
		return "the terminal has hung up"
	case syscall.SIGPIPE:
		return "nobody reads the output any longer"
	default:
		return i.signal.String()
	}
}

// status is what a shell reports of a program that the signal ended.
func (i *interruption) status() int { return signalled + int(i.signal) }

// oneSignal is how far apart two arrivals of one signal may be: timeout(1) and service managers
// send theirs to the process and to its group.
const oneSignal = time.Second

// heed returns a context that the first SIGINT, SIGTERM or SIGHUP ends, with an
// interruption as its cause, so that the command can clean up. A second signal finds
// them as they were before, and ends the process at once; one that comes within oneSignal is the
// first once more. In the lab's namespaces the first is the only one: whoever is impatient ends the
// process outside, and all that is inside with it. stop must be called.
//
// Without SIGPIPE among those that are asked for, the runtime would end the process where it
// writes to a pipe that nobody reads (os/signal, "SIGPIPE"). So the write fails, and the
// console ends the context.
func heed(parent context.Context) (_ context.Context, end context.CancelCauseFunc, stop func()) {
	ctx, end := context.WithCancelCause(parent)
	signals, pipe := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	signal.Notify(pipe, syscall.SIGPIPE)
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case s := <-signals:
			if number, ok := s.(syscall.Signal); ok {
				end(&interruption{number})
			}
		case <-stopped:
		}
		if lab.Inside() {
			return
		}
		select {
		case <-time.After(oneSignal):
			signal.Stop(signals)
		case <-stopped:
		}
	}()
	return ctx, end, func() {
		end(nil)
		close(stopped)
		<-done
		signal.Stop(signals)
		signal.Stop(pipe)
	}
}

// An outlet ends the command when nobody reads what it writes.
type outlet struct {
	io.Writer
	end context.CancelCauseFunc
}

// Write implements io.Writer.
func (o *outlet) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		o.end(&interruption{syscall.SIGPIPE})
	}
	return n, err
}

// Unwrap is the writer below.
func (o *outlet) Unwrap() io.Writer { return o.Writer }

// newConsole makes what subcommands write to of the two streams of the process. What comes out is fit
// for a terminal, whatever went in.
func newConsole(stdout, stderr io.Writer, end context.CancelCauseFunc) console {
	return console{out: &escape.Writer{W: &outlet{stdout, end}}, err: &escape.Writer{W: &outlet{stderr, end}}}
}

// raw is standard output for what must not be changed: the content of a file, an image.
func (c console) raw() io.Writer { return unescaped(c.out) }

// flush writes what is left of unfinished characters.
func (c console) flush() error {
	var errs []error
	for _, w := range []io.Writer{c.out, c.err} {
		if e, ok := w.(*escape.Writer); ok {
			errs = append(errs, e.Flush())
		}
	}
	return errors.Join(errs...)
}

// unescaped is a stream of the console without what makes it fit for a terminal.
func unescaped(w io.Writer) io.Writer {
	if e, ok := w.(*escape.Writer); ok {
		return e.Unwrap()
	}
	return w
}

// standardInput is os.Stdin until ctx ends. A read of a terminal or a pipe cannot be
// called off: it is left to itself, and the process ends without it.
func standardInput(ctx context.Context) io.Reader {
	if info, err := os.Stdin.Stat(); err == nil && info.Mode().IsRegular() {
		return os.Stdin
	}
	return &endable{ctx: ctx, r: os.Stdin}
}

// An endable is a reader whose reads end with ctx.
type endable struct {
	ctx    context.Context //nolint:containedctx // io.Reader has no place for it
	r      io.Reader
	chunks chan []byte
	chunk  []byte
	err    error // set before chunks is closed
}

// Read implements io.Reader.
func (e *endable) Read(p []byte) (int, error) {
	if e.chunks == nil {
		e.chunks = make(chan []byte)
		go e.feed()
	}
	if len(e.chunk) == 0 {
		select {
		case chunk, ok := <-e.chunks:
			if !ok {
				return 0, e.err
			}
			e.chunk = chunk
		case <-e.ctx.Done():
			return 0, context.Cause(e.ctx)
		}
	}
	n := copy(p, e.chunk)
	e.chunk = e.chunk[n:]
	return n, nil
}

// feed reads until the end.
func (e *endable) feed() {
	defer close(e.chunks)
	for {
		buf := make([]byte, 64<<10)
		n, err := e.r.Read(buf)
		if n > 0 {
			select {
			case e.chunks <- buf[:n]:
			case <-e.ctx.Done():
				return
			}
		}
		if err != nil {
			e.err = err
			return
		}
	}
}
