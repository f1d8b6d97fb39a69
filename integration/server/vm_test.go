package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
)

// Strings a shell, a half-open serial port and a command that was given up may
// leave behind.
const lateAnswer = "\x00garbage\r\n| of the first\n= 1 0\n| one\r\n| = 2 0\n| \n= 2 7\n"

func TestReadAnswer(t *testing.T) {
	out, status, err := readAnswer(bufio.NewReader(strings.NewReader(lateAnswer)), 2)
	if err != nil || status != "7" {
		t.Errorf("status %q, %v, want 7", status, err)
	}
	if diff := cmp.Diff("one\n= 2 0\n\n", out); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if _, _, err := readAnswer(bufio.NewReader(strings.NewReader("| cut short\n")), 1); !errors.Is(err, io.EOF) {
		t.Errorf("an answer without an end: %v, want EOF", err)
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, s := range []string{lateAnswer, "= 2 0\n", "=", "= \n= 2\n", "| \n= 3 1\n= 2 -1\n", "= 02 0\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, status, err := readAnswer(bufio.NewReader(strings.NewReader(s)), 2)
		if err == nil && strings.Contains(status, "\n") {
			t.Errorf("status %q", status)
		}
		if len(out) > len(s) {
			t.Errorf("%d bytes of output from %d", len(out), len(s))
		}
	})
}

// A command that is not answered in time is an error, and the next one is not
// given its answer.
func TestServerRun(t *testing.T) {
	lab, vm := net.Pipe()
	defer func() { _ = vm.Close() }()
	v := &VM{p: &tool.Process{Out: transcript.New()}, conn: lab, r: bufio.NewReader(lab)}
	commands := bufio.NewReader(vm)
	read := make(chan string)
	go func() {
		defer close(read)
		for {
			c, err := commands.ReadString('\n')
			if err != nil {
				return
			}
			read <- c
		}
	}()
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-read
		cancel(errors.New("enough"))
	}()
	if _, err := v.Run(ctx, "first"); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("a command without answer: %v", err)
	}
	go func() {
		if c := <-read; c == "2 second\n" {
			_, _ = io.WriteString(vm, "| of the first\n= 1 0\n| fine\n= 2 0\n")
		}
	}()
	if out, err := v.Run(t.Context(), "second"); err != nil || out != "fine\n" {
		t.Errorf("the second command: %q, %v", out, err)
	}
	if _, err := v.Run(t.Context(), "two\nlines"); err == nil {
		t.Error("two lines are one command")
	}
	_ = lab.Close()
}
