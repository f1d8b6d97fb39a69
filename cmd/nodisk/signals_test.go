package main

import (
	"bufio"
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The first signal ends a command with a word and the status that shells give it, also while it waits for
// standard input.
func TestSignals(t *testing.T) {
	for signal, want := range map[syscall.Signal]struct {
		status int
		text   string
	}{
		syscall.SIGINT:  {130, "nodisk: interrupted\n"},
		syscall.SIGTERM: {143, "nodisk: terminated\n"},
		syscall.SIGHUP:  {129, "nodisk: the terminal has hung up\n"},
	} {
		c, _ := command(t, "inspect", "-")
		in, err := c.StdinPipe() // nothing is ever written
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		c.Stderr = &stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// It takes what is written when it reads, and not before.
		if _, err := in.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if err := c.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // the status says it
		if got := c.ProcessState.ExitCode(); got != want.status || stderr.String() != want.text {
			t.Errorf("%v: status %d, %q, want %d, %q", signal, got, stderr.String(), want.status, want.text)
		}
	}
}

// When the reader of the output has gone a command ends, without a word about it.
func TestClosedPipe(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	write(t, image, hostile()["folders of modules"].write)
	c, _ := command(t, "inspect", image)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // the status says it
	if got := c.ProcessState.ExitCode(); got != 141 || stderr.Len() > 0 {
		t.Errorf("status %d, %q, want 141 and nothing", got, stderr.String())
	}
}

// What an image holds does not reach the terminal as it is, in errors neither; a file that is
// asked for does.
func TestTerminalEscapes(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	const text = "nodisk.profile=\x1b[31mvirt\u202e\u009b\xff\n"
	write(t, image, func(w io.Writer) {
		packedZstd(w, func(n *newc) {
			n.dirs("etc", "etc/nodisk")
			n.file("etc/nodisk/nodisk.conf", 0o100600, strings.NewReader(text), int64(len(text)))
			n.file("a\x1b]0;x\a", 0o100644, nil, 0)
		})
	})
	for _, args := range [][]string{{"inspect", image}, {"inspect", "--json", image}, {"plan", "--image", image}, {"inspect", "\x1b[31m/nothing"}} {
		_, stdout, stderr := nodisk(args...)
		for _, bad := range []string{"\x1b", "\u202e", "\u009b", "\xff", "\a"} {
			if strings.Contains(stdout+stderr, bad) {
				t.Errorf("%q: %q reaches the terminal: %q", args, bad, stdout+stderr)
			}
		}
	}
	if status, stdout, stderr := nodisk("inspect", "-f", "/etc/nodisk/nodisk.conf", image); status != 0 || stdout != text {
		t.Errorf("-f: status %d, %q, %q", status, stdout, stderr)
	}
}

// nodisk diff answers as diff(1).
func TestDiffCommand(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for at, content := range map[string]string{a: "one", b: "two"} {
		write(t, at, func(w io.Writer) {
			packedZstd(w, func(n *newc) { n.file("f", 0o100644, strings.NewReader(content), 3) })
		})
	}
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"diff", a, a}, 0, ""},
		{[]string{"diff", a, b}, 1, "~ /f: content\n"},
		{[]string{"diff", a, dir + "/none"}, 2, "no such file"},
		{[]string{"diff", "--json", a, b}, 1, "\"same\": false"},
	} {
		status, stdout, stderr := nodisk(tt.args...)
		if status != tt.status || !strings.Contains(stdout+stderr, tt.want) || tt.status == 1 && stderr != "" {
			t.Errorf("%q: status %d, %q, %q", tt.args, status, stdout, stderr)
		}
	}
}
