package storm

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
)

// An Outcome is what came of a boot in a storm. The zero value is invalid.
type Outcome int

// The outcomes. Hung and Wrong are defects.
const (
	_       Outcome = iota
	Reached         // the root's init ran
	Acted           // the node did what nodisk.onfail= says
	Handed          // the root's server went as the root was handed over: no more nodisk's
	Hung            // neither within deadline and grace
	Wrong           // something else, or without a reason given
)

// String returns the outcome's word.
func (o Outcome) String() string {
	switch o {
	case Reached:
		return "reached"
	case Acted:
		return "acted"
	case Handed:
		return "handed over"
	case Hung:
		return "hung"
	case Wrong:
		return "wrong"
	default:
		return fmt.Sprintf("Outcome(%d)", int(o))
	}
}

// A Result is what came of a case.
type Result struct {
	Case    Case
	Outcome Outcome
	// Problem says what is wrong, empty when nothing is.
	Problem string
	// Stolen is for how long the host kept the node from running. Time limits are
	// longer by that.
	Stolen time.Duration
	// Missed: there was no longer a worker when the fault came to hit it.
	Missed bool
	// Took is the guest time from the start of /init to the outcome.
	Took    time.Duration
	Wall    time.Duration // of the host, with the servers' start
	End     string
	Console string
}

// A stormSeen is what the lab saw of a node.
type seen struct {
	lines []transcript.Line
	init  time.Duration // the kernel's stamp of the start of /init
	// How long after init the fault began and was mended; zero: it was not.
	hit, healed time.Duration
	// stolen is for how long the machine was ready to run and the host did not let it.
	stolen time.Duration
}

// starved reports whether so much was stolen that a boot without a fault may
// have missed the deadline.
func (s seen) starved(c Case) bool { return s.stolen > c.Deadline/3 }

const (
	// actGrace is how long after its deadline a node must have acted.
	actGrace = 15 * time.Second
	// handover is how long before its word that it switches a node may still have
	// read what the switch needs: a server that goes then is the root's loss.
	handover = 5 * time.Second
)

// limit is how long after the start of /init the node must have reached its
// root, or acted, when its fault came and went then.
func (c Case) limit(hit, healed time.Duration) time.Duration {
	limit := c.Deadline + actGrace
	switch {
	case c.OnFail != "retry":
	case c.Fault == WorkerStopped:
		limit += c.Deadline // the next worker's
	case c.Fault.keepsRootAway() && hit > 0:
		// It tries forever: from when the fault is mended it has once more the
		// time of an attempt.
		limit += max(healed, hit+c.Heals)
	}
	return limit
}

// reports are by which line a node did what nodisk.onfail= says: the kernel's
// last words (kernel/reboot.c), or nodisk's that it begins again.
func reports(action string) *regexp.Regexp {
	return map[string]*regexp.Regexp{
		"reboot":   regexp.MustCompile(`^reboot: Restarting system`),
		"poweroff": regexp.MustCompile(`^reboot: Power down`),
		"halt":     regexp.MustCompile(`^reboot: System halted`),
		"retry":    regexp.MustCompile(`^nodisk: .*starting again`),
	}[action]
}

// cause is what a node that did not reach its root must name.
func (c Case) cause() *regexp.Regexp {
	const server = `10\.77\.\d+\.2|iqn\.|session|\bsd[a-z]|LUN|NFS`
	switch c.Fault {
	case DHCPGone:
		return regexp.MustCompile(`DHCP`)
	case CablePulled:
		return regexp.MustCompile(`carrier|cable|link|DHCP|` + server)
	case WorkerKilled, WorkerStopped, WorkerStarved, WorkerPanicked:
		return regexp.MustCompile(`worker`)
	case DriverHangs:
		return regexp.MustCompile(`\bstall\b|a driver is still|the kernel (still )?holds`)
	default:
		return regexp.MustCompile(server)
	}
}

// find returns the first line that matches, and whether there is one.
func (s seen) find(re *regexp.Regexp) (transcript.Line, bool) {
	i := slices.IndexFunc(s.lines, func(l transcript.Line) bool { return re.MatchString(l.Text) })
	if i < 0 {
		return transcript.Line{}, false
	}
	return s.lines[i], true
}

// judge fills in the outcome.
func (r *Result) judge(c Case, s seen) {
	r.Stolen = s.stolen
	r.Missed = c.Fault.inNode() && s.hit == 0
	r.Outcome, r.Took, r.Problem = c.outcome(s)
	if r.Problem == "" {
		r.Problem = c.unsaid(s, r.Outcome, r.Took)
		if r.Problem != "" {
			r.Outcome = Wrong
		}
	}
}

// outcome is what happened, and what is wrong with that.
func (c Case) outcome(s seen) (o Outcome, took time.Duration, problem string) {
	if l, ok := s.find(regexp.MustCompile(`^Kernel panic - `)); ok {
		return Wrong, l.Stamp - s.init, l.Text
	}
	limit := c.limit(s.hit, s.healed) + s.stolen
	if l, ok := s.find(lab.MarkerLine()); ok {
		took := l.Stamp - s.init
		switch {
		case took > limit:
			return Wrong, took, "the root was reached " + behind(took, limit)
		case c.Root == lab.RootISCSI && !s.oneDisk():
			return Wrong, took, "the root has other disks than one: " + s.said("disks")
		}
		return Reached, took, ""
	}
	for _, action := range []string{"reboot", "poweroff", "halt"} {
		l, ok := s.find(reports(action))
		if !ok {
			continue
		}
		took := l.Stamp - s.init
		switch {
		case action != c.OnFail:
			return Wrong, took, fmt.Sprintf("nodisk.onfail=%s, but: %s", c.OnFail, l.Text)
		case took > limit:
			return Wrong, took, "it acted " + behind(took, limit)
		case took < c.Deadline-time.Second:
			return Wrong, took, fmt.Sprintf("it gave up after %.1f s, its deadline is %v", took.Seconds(), c.Deadline)
		case !c.Fault.keepsRootAway() && c.Fault != WorkerStopped && !s.starved(c):
			return Wrong, took, "it gave up, and nothing kept its root away"
		}
		return Acted, took, ""
	}
	if l, ok := s.find(regexp.MustCompile(`^nodisk: switch \(`)); ok && c.Fault.keepsRootAway() && s.hit > 0 {
		if took := l.Stamp - s.init; took < s.hit+handover {
			return Handed, took, ""
		}
	}
	return Hung, limit, "neither at its root nor at an end; the last of it: " + s.last()
}

func behind(took, limit time.Duration) string {
	return fmt.Sprintf("%.1f s after the limit of %.1f s", (took - limit).Seconds(), limit.Seconds())
}

// unsaid is what the node should have said and did not.
func (c Case) unsaid(s seen, o Outcome, took time.Duration) string {
	switch {
	case o == Acted:
		said := regexp.MustCompile(`^nodisk: error: .*` + c.OnFail)
		cause := c.cause()
		if s.starved(c) {
			cause = said // it may never have come as far as the fault
		}
		if !slices.ContainsFunc(s.lines, func(l transcript.Line) bool {
			return said.MatchString(l.Text) && cause.MatchString(l.Text)
		}) {
			return fmt.Sprintf("no error names nodisk.onfail=%s and the cause (%v)", c.OnFail, c.cause())
		}
	case o == Reached && c.OnFail == "retry" && took > c.Deadline+actGrace+s.stolen:
		l, ok := s.find(reports("retry"))
		if !ok || l.Stamp-s.init > c.Deadline+actGrace+s.stolen {
			return fmt.Sprintf("it did not begin again within %v of its deadline %v", actGrace, c.Deadline)
		}
	}
	// A fault in the node that it got over is told as well.
	told := o == Reached && s.hit > 0 && (c.Fault.inNode() || c.Fault == DriverHangs) && c.Heals == 0
	if told && !slices.ContainsFunc(s.lines, func(l transcript.Line) bool {
		return strings.HasPrefix(l.Text, "nodisk: ") && c.cause().MatchString(l.Text)
	}) {
		return fmt.Sprintf("no line names the cause (%v)", c.cause())
	}
	return ""
}

// said is what the root said under a key.
func (s seen) said(key string) string {
	for _, l := range s.lines {
		if _, said, ok := strings.Cut(l.Text, "nodisk-root: "+key+" "); ok {
			return said
		}
	}
	return "(it did not say)"
}

// oneDisk reports whether the root has one SCSI disk, of whatever name: a second
// one is the same LUN once more, by a session that nobody ended. A root that was
// lost before it could say is not asked.
func (s seen) oneDisk() bool {
	_, ok := s.find(regexp.MustCompile(`nodisk-root: disks `))
	return !ok || len(strings.Fields(s.said("disks"))) == 1
}

// last is the last line of nodisk's own.
func (s seen) last() string {
	for _, l := range slices.Backward(s.lines) {
		if strings.HasPrefix(l.Text, "nodisk: ") {
			return l.String()
		}
	}
	return "nothing"
}
