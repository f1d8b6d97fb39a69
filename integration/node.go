package integration

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"time"
)

// A node is a machine that is switched on.
type node struct {
	m   machine
	p   *process
	log *os.File
	// preface is before the console of the specification; nil without one.
	preface *preface
	keys    *os.File // what is written here is typed at its serial line
	began   time.Time
	// typing is closed when nothing more comes from BootSpec.Keyboard; nil without one.
	typing chan struct{}

	until *regexp.Regexp
	// late happens the time after after the start of /init: the DHCP server
	// or the subnet manager is started, a cable is plugged. It returns what
	// undoes it when the node has ended.
	late    func() (undo func(), err error)
	after   time.Duration
	replies []Reply // those of the specification, without placeholders
	// script happens while the node runs; nil for nothing. The node does not
	// end by powerOffGrace before it is done.
	script func(context.Context) error
}

// power switches a node on. Its life ends with ctx.
func (l *Lab) power(ctx context.Context, m machine) (*node, error) {
	// Of nine nodes with two processors that booted so, one, with Linux 7.2, took a
	// breakpoint of the kernel's own patching (sched_clock_cpu) and panicked. Whether
	// the way of booting has to do with it is not known.
	if m.accel == "tcg" && m.spec.arch() == "amd64" && !m.spec.PXE && m.spec.cpus() == 1 {
		m.spec.Kernel = l.plainKernel(ctx, m.spec.Kernel)
	}
	n := &node{m: m, began: time.Now()}
	var file io.Writer
	if m.spec.Log != "" {
		f, err := os.Create(m.spec.Log)
		if err != nil {
			return nil, fmt.Errorf("keep console: %w", err)
		}
		n.log, file = f, f
	}
	l.log().Info("switch node on", "name", m.spec.name(), "accel", m.accel, "cmdline", m.cmdline, "qemu", m.String())
	keyboard, keys, err := os.Pipe()
	if err != nil {
		_ = n.log.Close()
		return nil, fmt.Errorf("make a keyboard: %w", err)
	}
	defer func() { _ = keyboard.Close() }()
	n.keys = keys
	if m.spec.Keyboard != nil {
		n.typing = make(chan struct{})
		go func() {
			defer close(n.typing)
			// It ends when the keyboard is closed, or nobody reads.
			_, _ = io.Copy(keys, m.spec.Keyboard)
		}()
	}
	qemu, console := toolMachine(m.spec.arch()), m.spec.Console
	if console != nil {
		n.preface = &preface{w: console, program: qemu.name}
		console = n.preface
	}
	p, err := startReading(ctx, qemu, keyboard, consoles(console, file), m.args()...)
	if err != nil {
		_ = n.log.Close()
		n.unplug()
		return nil, err
	}
	n.p = p
	return n, nil
}

// console is what the node writes to its serial line.
func (n *node) console() *transcript { return n.p.out }

// delays is for how long each of the machine's threads was kept waiting for a processor.
func (n *node) delays() map[string]time.Duration { return n.p.delays() }

// off switches the node off, hard.
func (n *node) off() {
	n.p.stop()
	if n.preface != nil {
		_ = n.preface.release() // as of all that it writes
	}
	n.unplug()
	if n.log != nil {
		_ = n.log.Close()
	}
}

// unplug takes the keyboard away.
func (n *node) unplug() {
	_ = n.keys.Close()
	if n.typing != nil {
		_ = n.m.spec.Keyboard.Close()
		<-n.typing
	}
}

// answer types the replies.
func (n *node) answer(ctx context.Context) error {
	at := 0
	for _, r := range n.replies {
		after, err := regexp.Compile(r.After)
		if err == nil {
			at, err = n.p.out.await(ctx, at, after)
		}
		if err == nil {
			_, err = n.keys.WriteString(r.Type + "\r")
		}
		if err != nil {
			return fmt.Errorf("type %q at the console of %s: %w", r.Type, n.m.spec.name(), err)
		}
	}
	return nil
}

// turn does what the turns say.
func (n *node) turn(ctx context.Context) error {
	at := 0
	for _, t := range n.m.spec.Turns {
		after, err := regexp.Compile(t.After)
		if err == nil {
			at, err = n.p.out.await(ctx, at, after)
		}
		if err == nil {
			err = t.Do(ctx)
		}
		if err != nil {
			return fmt.Errorf("do what comes after %q on the console of %s: %w", t.After, n.m.spec.name(), err)
		}
	}
	return nil
}

// follow reads the console until the node ends, writes what was waited for, or
// ctx ends, and then tells what was seen.
func (n *node) follow(ctx context.Context) (res BootResult, err error) {
	watch, stop := context.WithCancel(ctx)
	defer stop()
	found := make(chan struct{})
	go func() {
		defer close(found)
		if err := n.found(watch); err != nil {
			<-watch.Done()
		}
	}()
	scripted := make(chan error, 1)
	acting := n.script != nil
	if acting {
		go func() { scripted <- n.script(watch) }()
	}
	var failed error
	reached := make(chan time.Duration, 1)
	go func() {
		if _, err := n.p.out.await(watch, 0, markerLine()); err == nil {
			reached <- time.Since(n.began)
		}
	}()
	inited := make(chan struct{}, 1)
	go func() {
		if _, err := n.p.out.await(watch, 0, initLine()); err == nil {
			inited <- struct{}{}
		}
	}()

	var late, grace <-chan time.Time
	var atRoot time.Duration
	for end := ""; end == ""; {
		select {
		case failed = <-scripted:
			acting = false
			if atRoot > 0 {
				grace = time.After(powerOffGrace)
			}
		case <-inited:
			if n.late != nil {
				timer := time.NewTimer(n.after)
				defer timer.Stop()
				late = timer.C
			}
		case <-late:
			undo, err := n.late()
			if err != nil {
				return res, fmt.Errorf("do what comes %v after /init: %w", n.after, err)
			}
			defer undo()
		case atRoot = <-reached:
			if !acting {
				grace = time.After(powerOffGrace)
			}
		case <-found:
			end = endFound
		case <-grace:
			end = fmt.Sprintf("it did not switch itself off within %v of its root", powerOffGrace)
		case <-n.p.done:
			end = n.ending()
		case <-ctx.Done():
			end = context.Cause(ctx).Error()
		}
		res.End = end
	}
	stop()
	n.p.stop()
	if acting {
		failed = <-scripted
	}
	return n.m.result(n.p, res.End, atRoot, time.Since(n.began)), failed
}

// found waits for what the node is to write. A root of one's own writes it after the
// switch, which is seen unless the kernel is to be quiet. Before it a rescue shell may have
// a prompt; what somebody waits for by BootSpec.Until may come at any time, unless the lab
// serves the root.
func (n *node) found(ctx context.Context) error {
	s := n.m.spec
	if !s.Own() || !s.given() && s.Until != "" {
		_, err := n.p.out.await(ctx, 0, n.until)
		return err
	}
	from := 0
	if !s.quiet() {
		var err error
		if from, err = n.p.out.await(ctx, 0, switchLine()); err != nil {
			return err
		}
	}
	return n.p.out.awaitText(ctx, from, n.until)
}

// How a node may end. Of the first two the kernel says so whatever the log level
// (kernel/reboot.c, pr_emerg).
const (
	endOff    = "it switched itself off"
	endReboot = "it rebooted"
	endFound  = "it wrote what was waited for" // BootSpec.Until
)

func (n *node) ending() string {
	lines, _, _ := n.p.out.snapshot(0)
	for _, l := range slices.Backward(lines) {
		switch l.Text {
		case "reboot: Power down":
			return endOff
		case "reboot: Restarting system":
			return endReboot
		}
	}
	return fmt.Sprintf("QEMU ended with status %d: %s", exitStatus(n.p.err), tail(n.p.out.String(), 2))
}

// markerLine is that of the lab's root, when its init runs.
func markerLine() *regexp.Regexp { return regexp.MustCompile(`^` + Marker) }

// initLine is the kernel's, when it starts /init.
func initLine() *regexp.Regexp { return regexp.MustCompile(`^Run \S+ as init process`) }
