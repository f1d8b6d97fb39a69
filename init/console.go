package boot

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
)

// Console is a slog.Handler for people at a serial line: one line a record,
// "nodisk: " before it, the level only where it is a warning or worse, and the
// attributes behind the message as key=value.
//
// Every record goes to Kmsg with its priority, one write a record, so that the
// kernel's log tells the boot after switch_root, too. The kernel shows it on
// the console if the priority is above its console level; what it would not
// show (a command line with "quiet") is written to Console as well.
type Console struct {
	Kmsg    io.Writer      // /dev/kmsg; nil: there is none
	Console io.Writer      // /dev/console; nil: there is none
	Level   slog.Leveler   // nil is info
	Quiet   func(int) bool // whether the kernel hides this syslog priority; nil: it shows all

	mu    *sync.Mutex
	attrs string
	group string
}

// NewConsole returns a handler that writes to kmsg and, what the kernel would
// hide, to console. Either may be nil.
func NewConsole(kmsg, console io.Writer, level slog.Leveler, quiet func(int) bool) *Console {
	return &Console{Kmsg: kmsg, Console: console, Level: level, Quiet: quiet, mu: new(sync.Mutex)}
}

var _ slog.Handler = (*Console)(nil)

// kmsgLine is the longest text of one kmsg record: the kernel refuses more
// than LOG_LINE_MAX, 1024 less its prefix (kernel/printk/printk.c).
const kmsgLine = 900

// Enabled reports whether a record of this level is written at all.
func (c *Console) Enabled(_ context.Context, level slog.Level) bool {
	least := slog.LevelInfo
	if c.Level != nil {
		least = c.Level.Level()
	}
	return level >= least
}

// Handle writes one record.
func (c *Console) Handle(_ context.Context, r slog.Record) error {
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
	prio := priority(r.Level)

	c.mu.Lock()
	defer c.mu.Unlock()
	var first error
	for line := range strings.Lines(b.String()) {
		line = strings.TrimRight(line, "\n")
		for part := line; ; {
			head := part[:min(len(part), kmsgLine)]
			if err := c.write(prio, head); err != nil && first == nil {
				first = err
			}
			if part = part[len(head):]; part == "" {
				break
			}
		}
	}
	return first
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
	errorPriority   = 3
	warningPriority = 4
	infoPriority    = 6
	debugPriority   = 7
)

func priority(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return errorPriority
	case l >= slog.LevelWarn:
		return warningPriority
	case l >= slog.LevelInfo:
		return infoPriority
	default:
		return debugPriority
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
		text = seconds(v.Duration())
	}
	if text == "" || strings.ContainsAny(text, " \"\n") {
		text = strconv.Quote(text)
	}
	fmt.Fprintf(b, " %s%s=%s", group, a.Key, text)
}
