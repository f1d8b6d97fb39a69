package console

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nodisk/nodisk/internal/escape"
)

// Console is a slog.Handler for people at a serial line: one line a record, "nodisk: " before it,
// the level only where it is a warning or worse, and the attributes after the message as
// key=value.
//
// Every record goes to Kmsg with its priority, one write a record, so that the kernel's log has
// the boot after switch_root, too. The kernel shows it on the console if the priority is above
// its console level; what it would not show (a command line with "quiet") is written to Console
// as well.
type Console struct {
	Kmsg    io.Writer      // /dev/kmsg; nil: there is none
	Console io.Writer      // /dev/console; nil: there is none
	Level   slog.Leveler   // nil is info
	Quiet   func(int) bool // whether the kernel hides this syslog priority; nil: it shows all

	mu    *sync.Mutex
	pace  *pace
	attrs string
	group string
}

// NewConsole returns a handler that writes to kmsg and, what the kernel would
// hide, to console. Either may be nil.
func NewConsole(kmsg, console io.Writer, level slog.Leveler, quiet func(int) bool) *Console {
	return &Console{
		Kmsg:    kmsg,
		Console: console,
		Level:   level,
		Quiet:   quiet,
		mu:      new(sync.Mutex),
		pace:    &pace{room: paceFirst},
	}
}

var _ slog.Handler = (*Console)(nil)

// KmsgLine is the longest text of one kmsg record: the kernel refuses more
// than LOG_LINE_MAX, 1024 less its prefix (kernel/printk/printk.c).
const KmsgLine = 900

// Enabled reports whether a record of this level is written at all.
func (c *Console) Enabled(_ context.Context, level slog.Level) bool {
	least := slog.LevelInfo
	if c.Level != nil {
		least = c.Level.Level()
	}
	return level >= least
}

// Handle writes one record, at most recordMost bytes of it. A line feed in the message begins a
// new line, which is indented: text from elsewhere in a message cannot make a line that looks
// like one of ours.
func (c *Console) Handle(ctx context.Context, r slog.Record) error {
	var b strings.Builder
	switch {
	case r.Level >= slog.LevelError:
		b.WriteString("error: ")
	case r.Level >= slog.LevelWarn:
		b.WriteString("warning: ")
	}
	b.WriteString(r.Message)
	b.WriteString(c.attrs)
	r.Attrs(func(a slog.Attr) bool {
		appendAttr(&b, c.group, a)
		return true
	})
	text := escapeLines(b.String())
	prio := priority(r.Level)

	c.mu.Lock()
	defer c.mu.Unlock()
	if prio == WarningPriority && !c.Enabled(ctx, slog.LevelDebug) {
		most := c.pace.grant(r.Time)
		if most == 0 {
			c.pace.missed++
			return nil
		}
		text = leaveOut(text, most)
		c.pace.room -= len(text) + len("nodisk: \r\n")
	}
	lines := recordLines(leaveOut(text, recordMost))
	if n := c.pace.missed; n > 0 {
		c.pace.missed = 0
		lines = append(lines, fmt.Sprintf("%swarnings left out before this line: %d (nodisk.log=debug shows all)",
			continued, n))
	}
	var first error
	for _, line := range lines {
		if err := c.write(prio, line); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// recordMost is how many bytes of one record are written.
const recordMost = 2 << 10

// continued stands before each line of a record but the first.
const continued = "  "

// escapeLines makes each line of a record printable.
func escapeLines(text string) string {
	var all []string
	for line := range strings.Lines(text) {
		all = append(all, escape.Text(strings.TrimRight(line, "\r\n")))
	}
	return strings.Join(all, "\n")
}

// recordLines returns a record as lines that the kernel's log takes.
func recordLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		for line = strings.TrimRight(line, "\n"); ; {
			at := runeStart(line, min(len(line), KmsgLine))
			prefix := continued
			if lines == nil {
				prefix = ""
			}
			lines = append(lines, prefix+line[:at])
			if line = line[at:]; line == "" {
				break
			}
		}
	}
	return lines
}

// A pace bounds what warnings write: an attempt that fails over and over, sixteen
// interfaces that all have something to say, or a server that sends rubbish
// would scroll the reason away and fill the kernel's log. Errors are few, one an
// attempt, and always written.
type pace struct {
	room   int // bytes, may be below zero
	last   time.Time
	missed int // records since the last that was written
}

// With an error of reasonMost bytes, an attempt writes no more than 2 KiB at once.
const (
	paceFirst = 4 << 10 // bytes, for what there is to say about a command line
	paceMost  = 704     // bytes at once, after that
	paceGain  = 256     // bytes a second
	paceLeast = 128     // bytes that a record gets if it gets any: a sentence
)

// grant returns how many bytes a record of that time may have, 0 for none.
func (p *pace) grant(at time.Time) int {
	if p.room < paceMost {
		gain := min(max(at.Sub(p.last), 0), time.Minute) * paceGain / time.Second
		p.room = min(p.room+int(gain), paceMost)
	}
	p.last = at
	if p.room <= 0 {
		return 0
	}
	return min(max(p.room, paceLeast), recordMost)
}

// Settle ends what paceFirst is for: from here on attempts write.
func (c *Console) Settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pace.room = min(c.pace.room, paceMost)
}

func (c *Console) write(prio int, line string) error {
	shown := false
	var first error
	if c.Kmsg != nil {
		_, err := c.Kmsg.Write([]byte("<" + strconv.Itoa(prio) + ">nodisk: " + line + "\n"))
		shown = err == nil && (c.Quiet == nil || !c.Quiet(prio))
		first = err
	}
	if !shown && c.Console != nil {
		_, err := c.Console.Write([]byte("nodisk: " + line + "\r\n"))
		return err
	}
	return first
}

// The syslog priorities of <linux/kern_levels.h> that nodisk uses.
const (
	ErrorPriority   = 3
	WarningPriority = 4
	InfoPriority    = 6
	DebugPriority   = 7
)

func priority(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return ErrorPriority
	case l >= slog.LevelWarn:
		return WarningPriority
	case l >= slog.LevelInfo:
		return InfoPriority
	default:
		return DebugPriority
	}
}

// WithAttrs returns a handler that adds attrs to every record.
func (c *Console) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		appendAttr(&b, c.group, a)
	}
	with := *c
	with.attrs += b.String()
	return &with
}

// WithGroup returns a handler that puts name before every key.
func (c *Console) WithGroup(name string) slog.Handler {
	with := *c
	if name != "" {
		with.group += name + "."
	}
	return &with
}

func appendAttr(b *strings.Builder, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, sub := range v.Group() {
			appendAttr(b, group, sub)
		}
		return
	}
	text := v.String()
	if v.Kind() == slog.KindDuration {
		text = Seconds(v.Duration())
	}
	if text == "" || strings.ContainsAny(text, " \"\n") {
		text = strconv.Quote(text)
	}
	fmt.Fprintf(b, " %s%s=%s", group, a.Key, text)
}

// Seconds prints a duration as the console shows it: 0.41 s.
func Seconds(d time.Duration) string {
	if d >= 10*time.Second {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
