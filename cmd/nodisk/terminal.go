package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/nodisk/nodisk/integration/lab"
)

var errNoTerminal = errors.New("boot: --interactive wants a terminal as standard input: leave it out, or run it " +
	"under script(1)")

// keepTerminal remembers the state of the terminal and returns what restores it. The process
// outside of the lab's namespaces does that when the one inside is gone, however it went.
func keepTerminal() (restore func(), err error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return nil, errNoTerminal
	}
	state, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("boot: look at the terminal: %w", err)
	}
	return func() { _ = term.Restore(fd, state) }, nil // a terminal that is gone
}

// takeTerminal makes the terminal a node's: all keys are the node's, and nothing is added to
// what it writes. words, arguments for the kernel, tell the node what terminal it is.
func takeTerminal(con console) (keyboard io.ReadCloser, words string, leave func(), err error) {
	fd := int(os.Stdin.Fd())
	// A description of its own, whose reads end when it is closed.
	in, err := os.OpenFile("/proc/self/fd/0", os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, "", nil, fmt.Errorf("boot: open the terminal: %w", err)
	}
	hint := "the node's console, Ctrl-a x ends it"
	if columns, rows, err := term.GetSize(fd); err == nil && columns > 0 {
		words = fmt.Sprintf("systemd.tty.rows.console=%d systemd.tty.columns.console=%d", rows, columns)
		hint += fmt.Sprintf("; for its size: stty rows %d columns %d", rows, columns)
	}
	if name := os.Getenv("TERM"); name != "" && !strings.ContainsAny(name, " \"") {
		words += " TERM=" + name
	}
	if _, err := fmt.Fprintf(con.err, "nodisk: %s\n", hint); err != nil {
		return nil, "", nil, errors.Join(err, in.Close())
	}
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, "", nil, errors.Join(fmt.Errorf("boot: make the terminal raw: %w", err), in.Close())
	}
	leave = func() {
		_ = term.Restore(fd, state) // a terminal that is gone
		_ = in.Close()
	}
	return in, strings.TrimSpace(words), leave, nil
}

// outside reports whether this is the process that the user started.
func outside() bool { return !lab.Inside() }
