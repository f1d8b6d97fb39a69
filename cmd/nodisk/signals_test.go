package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The first signal ends a command with a message and the status that shells give it, also while it waits for
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

// The first signal ends a command also while it waits for a description or an inventory through a pipe.
func TestSignalsOfReaders(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"pxe", "--nodes", "/dev/fd/3", "--out", dir},
		{"build", "--kernel", filepath.Join(kernelDir(t), "vmlinuz"), "--modules", kernelDir(t), "--profile", "virt",
			"--inventory", "/dev/fd/3", "-o", filepath.Join(dir, "out")},
	} {
		c, _ := command(t, args...)
		there, here, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c.ExtraFiles = []*os.File{there}
		var stderr bytes.Buffer
		c.Stderr = &stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// More than the pipe holds, so that it is being read.
		if _, err := here.Write(bytes.Repeat([]byte("# a comment\n"), 10_000)); err != nil {
			t.Fatal(err)
		}
		if err := c.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(time.Minute, func() { _ = c.Process.Kill() })
		_ = c.Wait() // the status says it
		late.Stop()
		if got := c.ProcessState.ExitCode(); got != 130 || stderr.String() != "nodisk: interrupted\n" {
			t.Errorf("%s: status %d, %q", args[0], got, stderr.String())
		}
		if err := errors.Join(there.Close(), here.Close()); err != nil {
			t.Error(err)
		}
	}
}

// The first signal ends a command also while it waits for the writer of a FIFO, whatever it is to read of it.
func TestSignalsAtFIFO(t *testing.T) {
	dir := t.TempDir()
	fifo, image, out := filepath.Join(dir, "fifo"), filepath.Join(dir, "image"), filepath.Join(dir, "out")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, image, func(w io.Writer) {
		packedZstd(w, func(n *newc) { n.file("f", 0o100644, zeroes{}, 1) })
	})
	build := []string{"build", "--site", "none", "--kernel", filepath.Join(kernelDir(t), "vmlinuz"), "--modules",
		kernelDir(t), "--profile", "virt", "-o", out}
	for _, args := range [][]string{
		{"inspect", fifo},
		{"diff", image, fifo},
		{"plan", "--image", fifo, "root=dhcp"},
		{"plan", "--image", image, "--inventory", fifo, "root=dhcp"},
		{"check", "--image", fifo, "--kernel", filepath.Join(kernelDir(t), "vmlinuz")},
		{"pxe", "--nodes", fifo, "--out", dir},
		{"wake", "--nodes", fifo, "--all"},
		{"build", "--site", "none", "--images", fifo},
		append(build, "--config", fifo), append(build, "--inventory", fifo), append(build, "--base", fifo),
		append(build, "--init", fifo), append(build, "--rescue="+fifo), append(build, "--microcode", fifo),
	} {
		t.Run(strings.Join(args[:min(len(args), 2)], " ")+" "+args[len(args)-1], func(t *testing.T) {
			c, _ := command(t, args...)
			var stderr bytes.Buffer
			c.Stderr = &stderr
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			for began := time.Now(); !opens(c.Process.Pid, fifo) && time.Since(began) < 20*time.Second; {
				<-time.After(5 * time.Millisecond)
			}
			if err := c.Process.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
			late := time.AfterFunc(time.Minute, func() { _ = c.Process.Kill() })
			_ = c.Wait() // the status says it
			late.Stop()
			if got := c.ProcessState.ExitCode(); got != 130 || !strings.HasSuffix(stderr.String(),
				"nodisk: interrupted\n") {
				t.Errorf("status %d, %q", got, stderr.String())
			}
		})
	}
}

// opens reports whether a process has a file open.
func opens(pid int, name string) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	list, _ := os.ReadDir(dir) // it may have ended
	return slices.ContainsFunc(list, func(e os.DirEntry) bool {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		return err == nil && target == name
	})
}

// What is read more than once is not read of a pipe.
func TestPipesAreRefused(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"build", "--site", "none", "--kernel", fifo, "--modules", kernelDir(t), "-o", filepath.Join(dir, "out")},
		{"check", "--kernel", fifo, "--modules", kernelDir(t)},
		{"boot", fifo},
	} {
		status, _, stderr := nodisk(args...)
		if status == 0 || !strings.Contains(stderr, "open "+fifo+": it is a pipe, which cannot be read "+
			"twice: give a file") {
			t.Errorf("%s: status %d, %q", args[0], status, stderr)
		}
	}
}

// A second signal ends a command that the first one did not: here it waits for a reader of its output.
func TestSecondSignal(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	write(t, image, func(w io.Writer) {
		packedZstd(w, func(n *newc) { n.file("f", 0o100644, zeroes{}, 1<<20) })
	})
	c, _ := command(t, "inspect", "-f", "f", image)
	out, err := c.StdoutPipe() // holds less than the file
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = c.Process.Wait() // as below
	}()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for sent, late := 0, time.After(time.Minute); ; sent++ {
		select {
		case <-again.C:
			_ = c.Process.Signal(syscall.SIGINT) // it may have ended
			continue
		case <-late:
			t.Fatalf("%d signals have not ended it", sent)
		case <-ended:
		}
		if sent < 2 {
			t.Errorf("signal %d has ended it while it waited", sent)
		}
		return
	}
}

// When the reader of the output has gone a command ends, without a message about it.
func TestClosedPipe(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	write(t, image, hostile()["directories of modules"].write)
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
	for _, args := range [][]string{{"inspect", image}, {"inspect", "--json", image}, {"plan", "--image", image},
		{"inspect", "\x1b[31m/nothing"}} {
		_, stdout, stderr := nodisk(args...)
		for _, bad := range []string{"\x1b", "\u202e", "\u009b", "\xff", "\a"} {
			if strings.Contains(stdout+stderr, bad) {
				t.Errorf("%q: %q reaches the terminal: %q", args, bad, stdout+stderr)
			}
		}
	}
	if status, stdout, stderr := nodisk("inspect", "-f", "/etc/nodisk/nodisk.conf", image); status != 0 ||
		stdout != text {
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
