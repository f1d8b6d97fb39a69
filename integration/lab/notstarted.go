package lab

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/integration/tool"
)

// NotStarted is a machine that QEMU did not make: it cannot use what it was told.
type NotStarted struct{ Why string }

func (e *NotStarted) Error() string { return "QEMU did not start: " + e.Why }

// refused is why QEMU, which has ended by itself, made no machine; empty if there was one.
func (n *Node) refused() string {
	if tool.ExitStatus(n.p.Err) == 0 {
		return ""
	}
	return refusedBy(tool.QEMUFor(n.m.Spec.arch()).Name, n.m.args(), n.p.Out.String())
}

// refusedBy finds QEMU's reason in what it wrote, without the argument it is about
// (error_report in util/qemu-error.c). Empty: something else wrote too, the machine ran.
func refusedBy(program string, args []string, said string) string {
	var whys []string
	for text := range strings.Lines(said) {
		text = strings.TrimSpace(text)
		why, own := strings.CutPrefix(text, program+": ")
		switch {
		case text == "" || strings.HasPrefix(why, "warning: "), strings.HasPrefix(text, noKVM):
			continue
		case !own:
			return ""
		}
		for i := range len(args) - 1 {
			why = strings.TrimPrefix(why, args[i]+" "+args[i+1]+": ")
		}
		if !slices.Contains(whys, why) {
			whys = append(whys, why)
		}
	}
	return strings.Join(whys, "; ")
}

// noKVM begins a line of QEMU's without its name (accel/kvm/kvm-all.c).
const noKVM = "Could not access KVM"

// A preface holds back what QEMU says before its machine says anything: if there is none, it is told as an error, and
// not a second time on the console.
type preface struct {
	w       io.Writer
	program string
	held    []byte
	over    bool
}

// Write implements io.Writer.
func (p *preface) Write(text []byte) (int, error) {
	if p.over {
		return p.w.Write(text)
	}
	p.held = append(p.held, text...)
	for line := range bytes.Lines(p.held) {
		if !p.own(line) {
			return len(text), p.release()
		}
	}
	return len(text), nil
}

// own reports whether a line, or its beginning as far as it has come, is QEMU's.
func (p *preface) own(line []byte) bool {
	for _, begin := range []string{p.program + ": ", noKVM} {
		if n := min(len(line), len(begin)); string(line[:n]) == begin[:n] {
			return true
		}
	}
	return false
}

// release writes what was held back, and lets all pass from then on.
func (p *preface) release() error {
	held := p.held
	p.held, p.over = nil, true
	if len(held) == 0 {
		return nil
	}
	_, err := p.w.Write(held)
	return err
}

// drop forgets what was held back.
func (p *preface) drop() { p.held, p.over = nil, true }
