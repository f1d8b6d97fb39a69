package console

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/internal/escape"
)

func TestConsole(t *testing.T) {
	var kmsg, console bytes.Buffer
	h := NewConsole(&kmsg, &console, slog.LevelDebug, func(prio int) bool { return prio >= 4 })
	log := slog.New(h)
	log.Info("drivers (2/7): 12 modules, 0.14 s")
	log.Warn("no carrier", "dev", "eth0", "after", 12*time.Second)
	log.With("dev", "ib 0").WithGroup("port").Error("down", "state", "INIT", slog.Group("n", "a", 1))
	log.Debug("details")
	want := "<6>nodisk: drivers (2/7): 12 modules, 0.14 s\n<4>nodisk: warning: no carrier dev=eth0 after=\"12 s\"\n" +
		"<3>nodisk: error: down dev=\"ib 0\" port.state=INIT port.n.a=1\n<7>nodisk: details\n"
	if kmsg.String() != want {
		t.Errorf("kmsg:\n%s\nwant:\n%s", &kmsg, want)
	}
	// The kernel hides warnings and less here: they reach the console by us,
	// and the error is not shown twice.
	want = "nodisk: drivers (2/7): 12 modules, 0.14 s\r\nnodisk: warning: no carrier dev=eth0 after=\"12 s\"\r\nnodisk: details\r\n"
	if console.String() != want {
		t.Errorf("console:\n%s\nwant:\n%s", &console, want)
	}
}

func TestConsoleSplitsWhatTheKernelRefuses(t *testing.T) {
	var kmsg bytes.Buffer
	slog.New(NewConsole(&kmsg, nil, nil, nil)).Info("one\ntwo " + strings.Repeat("x", 2*KmsgLine))
	lines := strings.Split(strings.TrimSpace(kmsg.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d records, want 4", len(lines))
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, "<6>nodisk: ") || len(l) > 1000 {
			t.Errorf("record of %d bytes: %.40s", len(l), l)
		}
	}
}

func TestConsoleLevel(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(NewConsole(nil, &b, slog.LevelWarn, nil))
	log.Info("not shown")
	log.Warn("shown")
	if b.String() != "nodisk: warning: shown\r\n" {
		t.Errorf("%q", b.String())
	}
}

// whole checks that what was written to the kernel's log is lines that begin as
// ours do, hold nothing that steers a terminal, and are short enough.
func whole(t *testing.T, written string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSuffix(written, "\n"), "\n") {
		text := strings.TrimSuffix(line, "\r")
		if _, after, ok := strings.Cut(text, ">"); ok && strings.HasPrefix(text, "<") {
			text = after
		}
		if !strings.HasPrefix(text, "nodisk: ") {
			t.Errorf("not a line of ours: %q", line)
		}
		if len(text) > KmsgLine+len("nodisk: ")+len(continued) {
			t.Errorf("a line of %d bytes", len(text))
		}
		if text != escape.Text(text) {
			t.Errorf("written as it came: %q", text)
		}
	}
}

// Whatever way the text of a server takes to the console, and however it is
// built, no order to the terminal gets there, and no line that looks like ours.
func TestConsoleHostileText(t *testing.T) {
	for name, hostile := range map[string]string{
		"escape":    "\x1b[2J\x1b]0;owned\a\x1b[31mall is well\r",
		"line":      "x\nswitch (7/7): to /sbin/init\r\nerror: forged",
		"C1":        "\u009b2J\x9b2J",
		"direction": "\u202etini/nibs/\u202c\u200b",
		"NUL":       "a\x00b",
		"not UTF-8": "\xff\xfe\xc3",
		"long":      strings.Repeat("\x1b[31m\u202e", 20000),
		"long line": strings.Repeat("x", 899) + "nodisk: switch (7/7): to /sbin/init" + strings.Repeat("ö", 800),
	} {
		t.Run(name, func(t *testing.T) {
			for way, say := range map[string]func(*slog.Logger){
				"message":   func(l *slog.Logger) { l.Error("attach: connect to " + hostile + ": refused") },
				"attribute": func(l *slog.Logger) { l.Info("name", "name", hostile) },
				"key":       func(l *slog.Logger) { l.Info("name", hostile, 1) },
				"with":      func(l *slog.Logger) { l.With("name", hostile).Warn("name") },
				"group": func(l *slog.Logger) {
					l.WithGroup(hostile).Warn("name", "a", slog.GroupValue(slog.String(hostile, hostile)))
				},
				"error": func(l *slog.Logger) { l.Debug("name", "err", errors.New(hostile)) },
			} {
				var kmsg, console bytes.Buffer
				say(slog.New(NewConsole(&kmsg, &console, slog.LevelDebug, func(int) bool { return true })))
				for _, b := range []*bytes.Buffer{&kmsg, &console} {
					whole(t, b.String())
					if b.Len() > recordMost+300 {
						t.Errorf("%s: %d bytes written", way, b.Len())
					}
				}
				if strings.Contains("\n"+console.String(), "\nnodisk: switch") {
					t.Errorf("%s: a forged line in:\n%s", way, &console)
				}
			}
		})
	}
}

// What matters of a long error is at its beginning and at its end.
func TestConsoleKeepsHeadAndTail(t *testing.T) {
	var b bytes.Buffer
	slog.New(NewConsole(&b, nil, nil, nil)).Error("mount (6/7): " + strings.Repeat("it exports /srv; ", 20000) + "attempt 3, next in 3.91 s")
	if got := b.String(); !strings.HasPrefix(got, "<3>nodisk: error: mount (6/7): it exports") || !strings.HasSuffix(got, "attempt 3, next in 3.91 s\n") || !strings.Contains(got, "bytes more") {
		t.Errorf("%s", got)
	}
}

// Errors and news are always written, warnings at a pace, and what was left out
// is counted.
func TestConsolePace(t *testing.T) {
	var b bytes.Buffer
	h := NewConsole(&b, nil, nil, nil)
	now := time.Unix(1000, 0)
	say := func(level slog.Level, text string) {
		if err := h.Handle(t.Context(), slog.NewRecord(now, level, text, 0)); err != nil {
			t.Error(err)
		}
	}
	line := strings.Repeat("w", 111) // 120 with "warning: "
	for range 1000 {
		say(slog.LevelWarn, line)
	}
	if n := strings.Count(b.String(), line); n != 32 { // 130 bytes each, of 4096
		t.Errorf("%d warnings at once, want 32", n)
	}
	b.Reset()
	say(slog.LevelInfo, "mounts (1/7)")
	want := "<6>nodisk: mounts (1/7)\n<6>nodisk:   warnings left out before this line: 968 (nodisk.log=debug shows all)\n"
	if b.String() != want {
		t.Errorf("%s, want %s", &b, want)
	}
	for range 10 {
		say(slog.LevelError, "attach (5/7)")
	}
	if n := strings.Count(b.String(), "error: attach (5/7)\n"); n != 10 {
		t.Errorf("%d of 10 errors", n)
	}
	// A wait that is told every ten seconds is told every time.
	b.Reset()
	for range 20 {
		now = now.Add(10 * time.Second)
		say(slog.LevelWarn, line)
	}
	if n := strings.Count(b.String(), line); n != 20 {
		t.Errorf("%d of 20 warnings, ten seconds from each other", n)
	}
	b.Reset()
	now = now.Add(time.Hour)
	for range 1000 {
		say(slog.LevelWarn, line)
	}
	if n := strings.Count(b.String(), line); n != 6 { // of 704 bytes
		t.Errorf("%d warnings at once later, want 6", n)
	}
	b.Reset()
	h.Level = slog.LevelDebug
	for range 100 {
		say(slog.LevelWarn, line)
	}
	if n := strings.Count(b.String(), line); n != 100 {
		t.Errorf("%d of 100 warnings with debug", n)
	}
}
