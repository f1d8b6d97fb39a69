package lab

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
)

// A BootResult is what came of a boot.
type BootResult struct {
	// Reached reports whether the root's /sbin/init ran.
	Reached bool
	// Switched reports whether /init has handed over to the root, Found whether the
	// node wrote what it was to write (BootSpec.Until, or a prompt).
	Switched, Found bool
	// Why is the node's own explanation when it did not: its last line that
	// says what went wrong, or what the lab knows when it said nothing.
	Why string
	// End tells how it ended: switched off, timed out, ...
	End string
	// Console is everything the node wrote, without control characters.
	Console string
	// Cmdline is the kernel command line, Accel the acceleration.
	Cmdline string
	Accel   string
	// Served is the log of the DHCP and TFTP server that ran from the beginning.
	Served string
	Root   RootFacts
	Times  Times
}

// RootFacts are what the root's /sbin/init found.
type RootFacts struct {
	Type, Source, Options string // of /, from /proc/mounts
	Address               string // first one that is not on lo, with its prefix
	Hostname              string
	Files                 string // names in /
	MemoryKiB             int    // MemTotal
	UsedKiB               int    // MemTotal - MemAvailable
	Writable              bool
	Lines                 []string // all it said, without prefix
}

// Times are moments of a boot. Guest times are the kernel's stamps.
type Times struct {
	Wall        time.Duration // from power on to the end, on the host
	WallReached time.Duration // from power on to the marker, on the host
	Init        time.Duration // guest: the kernel starts /init
	Root        time.Duration // guest: the marker
	Switch      time.Duration // guest: /init hands over
}

// Initramfs is the guest time from /init to the root, zero when unknown.
func (t Times) Initramfs() time.Duration {
	if t.Root == 0 || t.Init == 0 {
		return 0
	}
	return t.Root - t.Init
}

func (m Machine) result(p *tool.Process, end string, atRoot, wall time.Duration) BootResult {
	lines, _, _ := p.Out.Snapshot(0)
	res := BootResult{End: end, Console: p.Out.String(), Cmdline: m.Cmdline, Accel: m.Accel}
	if m.Spec.Icount {
		res.Accel = "tcg, icount"
	}
	res.Times.Wall, res.Times.WallReached = wall, atRoot
	res.Found = end == EndFound
	read(lines, &res)
	if up := m.Spec.Own() && res.Up(m.Spec.Interactive); !up && !res.Reached {
		res.Why = why(lines)
		if res.Why == "" {
			res.Why = fmt.Sprintf("the node said nothing of its own (%s, QEMU's status %d); the last it wrote: %s",
				end, tool.ExitStatus(p.Err), transcript.Tail(res.Console, 1))
		}
	}
	return res
}

// read takes the facts from the console.
func read(lines []transcript.Line, res *BootResult) {
	isInit, isMarker, isSwitch := InitLine(), MarkerLine(), switchLine()
	for _, l := range lines {
		switch {
		case isInit.MatchString(l.Text) && res.Times.Init == 0:
			res.Times.Init = l.Stamp
		case isSwitch.MatchString(l.Text):
			res.Switched = true
			if l.Stamped && res.Times.Switch == 0 {
				res.Times.Switch = l.Stamp
			}
		case isMarker.MatchString(l.Text):
			res.Reached = true
			if l.Stamped && res.Times.Root == 0 {
				res.Times.Root = l.Stamp
			}
		default:
			// A line of the kernel's may have come in front of it.
			if _, said, ok := strings.Cut(l.Text, "nodisk-root: "); ok {
				res.Root.add(said)
			}
		}
	}
}

func (f *RootFacts) add(said string) {
	f.Lines = append(f.Lines, said)
	key, value, _ := strings.Cut(said, " ")
	words := strings.Fields(value)
	switch {
	case key == "root" && len(words) == 3:
		f.Type, f.Source, f.Options = words[0], words[1], words[2]
	case key == "memory" && len(words) == 2:
		f.MemoryKiB, _ = strconv.Atoi(words[0])
		f.UsedKiB, _ = strconv.Atoi(words[1])
	case key == "net" && len(words) == 2 && f.Address == "":
		f.Address = words[1]
	case key == "hostname":
		f.Hostname = value
	case key == "files":
		f.Files = value
	case key == "writable":
		f.Writable = value == "yes"
	}
}

// why finds the explanation: a panic of the kernel's, else the last line that
// /init wrote as an error, else as a warning, else at all.
func why(lines []transcript.Line) string {
	var said [3]string
	for _, l := range lines {
		switch {
		case strings.HasPrefix(l.Text, "Kernel panic - "):
			return strings.Join(strings.Fields(l.Text+"; before it: "+cmp.Or(last(said[:]), "nothing from nodisk")),
				" ")
		case strings.HasPrefix(l.Text, "nodisk: error: "):
			said[2] = l.Text
		case strings.HasPrefix(l.Text, "nodisk: warning: "):
			said[1] = l.Text
		case strings.HasPrefix(l.Text, "nodisk: "):
			said[0] = l.Text
		}
	}
	return last(said[:])
}

func last(said []string) string {
	for _, s := range slices.Backward(said) {
		if s != "" {
			return s
		}
	}
	return ""
}

// Expect checks that the console has lines that match the regular expressions,
// in that order. The error names the first that is missing and holds the end
// of the console.
func (r BootResult) Expect(patterns ...string) error {
	lines := strings.Split(r.Console, "\n")
	at := 0
	for _, pattern := range patterns {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return fmt.Errorf("expect on the console: %w", err)
		}
		from := at
		for at < len(lines) && !re.MatchString(lines[at]) {
			at++
		}
		if at == len(lines) {
			return fmt.Errorf("the console has no line like %q after line %d; its end:\n%s",
				pattern, from, transcript.Tail(r.Console, 40))
		}
		at++
	}
	return nil
}

// Up reports whether a root of one's own came up: it wrote what it was to write, or it took
// over and then switched the machine off, or with somebody at its console ended in any way.
func (r BootResult) Up(interactive bool) bool {
	return r.Found || r.Switched && (r.End == EndOff || interactive)
}

// OwnSummary is [BootResult.Summary] of a root of one's own, which reports nothing.
func (r BootResult) OwnSummary() string {
	s := fmt.Sprintf("%s, %.1f s after power on (%s)", r.End, r.Times.Wall.Seconds(), r.Accel)
	if t := r.Times; t.Switch > 0 && t.Init > 0 {
		s += fmt.Sprintf(", %.2f s of it in the initramfs", (t.Switch - t.Init).Seconds())
	}
	return s
}

// Summary tells in one line what root was reached and how long it took.
func (r BootResult) Summary() string {
	s := fmt.Sprintf("%s (%s) as /, %.1f s after power on (%s)", r.Root.Source, r.Root.Type,
		r.Times.WallReached.Seconds(), r.Accel)
	if t := r.Times.Initramfs(); t > 0 {
		s += fmt.Sprintf(", %.2f s of it in the initramfs", t.Seconds())
	}
	return s
}
