package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
)

// A Node is a machine that is switched on.
type Node struct {
	m   Machine
	p   *tool.Process
	log *os.File
	// preface is before the console of the specification; nil without one.
	preface *preface
	keys    *os.File // what is written here is typed at its serial line
	began   time.Time
	// typing is closed when nothing more comes from BootSpec.Keyboard; nil without one.
	typing chan struct{}

	Until *regexp.Regexp
	// late happens the time after after the start of /init: the DHCP server
	// or the subnet manager is started, a cable is plugged. It returns what
	// undoes it when the node has ended.
	late    func() (undo func(), err error)
	after   time.Duration
	replies []Reply // those of the specification, without placeholders
	// Script happens while the node runs; nil for nothing. The node does not
	// end by powerOffGrace before it is done.
	Script func(context.Context) error
}

// Power switches a node on. Its life ends with ctx.
func (l *Lab) Power(ctx context.Context, m Machine) (*Node, error) {
	// Of nine nodes with two processors that booted so, one, with Linux 7.2, took a
	// breakpoint of the kernel's own patching (sched_clock_cpu) and panicked. Whether
	// the way of booting has to do with it is not known.
	if m.Accel == "tcg" && m.Spec.arch() == "amd64" && !m.Spec.PXE && m.Spec.cpus() == 1 {
		m.Spec.Kernel = l.PlainKernel(ctx, m.Spec.Kernel)
	}
	n := &Node{m: m, began: time.Now()}
	var file io.Writer
	if m.Spec.Log != "" {
		f, err := os.Create(m.Spec.Log)
		if err != nil {
			return nil, fmt.Errorf("keep console: %w", err)
		}
		n.log, file = f, f
	}
	l.Log().Info("switch node on", "name", m.Spec.name(), "accel", m.Accel, "cmdline", m.Cmdline, "qemu", m.String())
	keyboard, keys, err := os.Pipe()
	if err != nil {
		_ = n.log.Close()
		return nil, fmt.Errorf("make a keyboard: %w", err)
	}
	defer func() { _ = keyboard.Close() }()
	n.keys = keys
	if m.Spec.Keyboard != nil {
		n.typing = make(chan struct{})
		go func() {
			defer close(n.typing)
			// It ends when the keyboard is closed, or nobody reads.
			_, _ = io.Copy(keys, m.Spec.Keyboard)
		}()
	}
	qemu, console := tool.QEMUFor(m.Spec.arch()), m.Spec.Console
	if console != nil {
		n.preface = &preface{w: console, program: qemu.Name}
		console = n.preface
	}
	p, err := tool.StartReading(ctx, qemu, keyboard, consoles(console, file), m.args()...)
	if err != nil {
		_ = n.log.Close()
		n.unplug()
		return nil, err
	}
	n.p = p
	return n, nil
}

// Console is what the node writes to its serial line.
func (n *Node) Console() *transcript.Transcript { return n.p.Out }

// Delays is for how long each of the machine's threads was kept waiting for a processor.
func (n *Node) Delays() map[string]time.Duration { return n.p.Delays() }

// Off switches the node off, hard.
func (n *Node) Off() {
	n.p.Stop()
	if n.preface != nil {
		_ = n.preface.release() // as of all that it writes
	}
	n.unplug()
	if n.log != nil {
		_ = n.log.Close()
	}
}

// unplug takes the keyboard away.
func (n *Node) unplug() {
	_ = n.keys.Close()
	if n.typing != nil {
		_ = n.m.Spec.Keyboard.Close()
		<-n.typing
	}
}

// answer types the replies.
func (n *Node) answer(ctx context.Context) error {
	at := 0
	for _, r := range n.replies {
		after, err := regexp.Compile(r.After)
		if err == nil {
			at, err = n.p.Out.Await(ctx, at, after)
		}
		if err == nil {
			_, err = n.keys.WriteString(r.Type + "\r")
		}
		if err != nil {
			return fmt.Errorf("type %q at the console of %s: %w", r.Type, n.m.Spec.name(), err)
		}
	}
	return nil
}

// turn does what the turns say.
func (n *Node) turn(ctx context.Context) error {
	at := 0
	for _, t := range n.m.Spec.Turns {
		after, err := regexp.Compile(t.After)
		if err == nil {
			at, err = n.p.Out.Await(ctx, at, after)
		}
		if err == nil {
			err = t.Do(ctx)
		}
		if err != nil {
			return fmt.Errorf("do what comes after %q on the console of %s: %w", t.After, n.m.Spec.name(), err)
		}
	}
	return nil
}

// Follow reads the console until the node ends, writes what was waited for, or
// ctx ends, and then tells what was seen.
func (n *Node) Follow(ctx context.Context) (res BootResult, err error) {
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
	acting := n.Script != nil
	if acting {
		go func() { scripted <- n.Script(watch) }()
	}
	var failed error
	reached := make(chan time.Duration, 1)
	go func() {
		if _, err := n.p.Out.Await(watch, 0, MarkerLine()); err == nil {
			reached <- time.Since(n.began)
		}
	}()
	inited := make(chan struct{}, 1)
	go func() {
		if _, err := n.p.Out.Await(watch, 0, InitLine()); err == nil {
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
			end = EndFound
		case <-grace:
			end = fmt.Sprintf("it did not switch itself off within %v of its root", powerOffGrace)
		case <-n.p.Done:
			end = n.ending()
		case <-ctx.Done():
			end = context.Cause(ctx).Error()
		}
		res.End = end
	}
	stop()
	n.p.Stop()
	if acting {
		failed = <-scripted
	}
	return n.m.result(n.p, res.End, atRoot, time.Since(n.began)), failed
}

// found waits for what the node is to write. A root of one's own writes it after the
// switch, which is seen unless the kernel is to be quiet. Before it a rescue shell may have
// a prompt; what somebody waits for by BootSpec.Until may come at any time, unless the lab
// serves the root.
func (n *Node) found(ctx context.Context) error {
	s := n.m.Spec
	if !s.Own() || !s.given() && s.Until != "" {
		_, err := n.p.Out.Await(ctx, 0, n.Until)
		return err
	}
	from := 0
	if !s.quiet() {
		var err error
		if from, err = n.p.Out.Await(ctx, 0, switchLine()); err != nil {
			return err
		}
	}
	return n.p.Out.AwaitText(ctx, from, n.Until)
}

// How a node may end. Of the first two the kernel says so whatever the log level
// (kernel/reboot.c, pr_emerg).
const (
	EndOff    = "it switched itself off"
	EndReboot = "it rebooted"
	EndFound  = "it wrote what was waited for" // BootSpec.Until
)

func (n *Node) ending() string {
	lines, _, _ := n.p.Out.Snapshot(0)
	for _, l := range slices.Backward(lines) {
		switch l.Text {
		case "reboot: Power down":
			return EndOff
		case "reboot: Restarting system":
			return EndReboot
		}
	}
	return fmt.Sprintf("QEMU ended with status %d: %s", tool.ExitStatus(n.p.Err), transcript.Tail(n.p.Out.String(), 2))
}

// MarkerLine is that of the lab's root, when its init runs.
func MarkerLine() *regexp.Regexp { return regexp.MustCompile(`^` + Marker) }

// InitLine is the kernel's, when it starts /init.
func InitLine() *regexp.Regexp { return regexp.MustCompile(`^Run \S+ as init process`) }
