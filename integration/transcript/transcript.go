package transcript

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxLine bounds a line of a node that has lost its mind.
const maxLine = 64 << 10

// A Transcript collects what a node or a server writes, line by line, and lets
// others wait for a line. It is an io.Writer.
type Transcript struct {
	mu      sync.Mutex
	lines   []Line
	partial []byte
	changed chan struct{} // closed and replaced when something was added
	ended   bool
}

// A Line is one line of a console, without control characters.
type Line struct {
	// Text has no time stamp of the kernel's.
	Text string
	// Stamp is the kernel's time stamp (printk.time); Stamped reports whether
	// there was one.
	Stamp   time.Duration
	Stamped bool
}

// New makes an empty one.
func New() *Transcript {
	return &Transcript{changed: make(chan struct{})}
}

// Write takes any bytes and never fails.
func (t *Transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range p {
		if b != '\n' && len(t.partial) < maxLine {
			t.partial = append(t.partial, b)
			continue
		}
		t.lines = append(t.lines, ParseLine(string(t.partial)))
		t.partial = t.partial[:0]
	}
	t.wake()
	return len(p), nil
}

// End says that nothing will follow, and ends all waits.
func (t *Transcript) End() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	if len(t.partial) > 0 {
		t.lines = append(t.lines, ParseLine(string(t.partial)))
		t.partial = nil
	}
	t.ended = true
	t.wake()
}

func (t *Transcript) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Snapshot returns the lines from index on, whether it is the end, and a
// channel that is closed when there is more.
func (t *Transcript) Snapshot(from int) (lines []Line, ended bool, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lines[min(from, len(t.lines)):], t.ended, t.changed
}

// Await waits for a line, from index on, that matches, and returns the index
// after it. It ends with ctx, and when the writer has ended.
func (t *Transcript) Await(ctx context.Context, from int, re *regexp.Regexp) (int, error) {
	for {
		lines, ended, changed := t.Snapshot(from)
		for i, l := range lines {
			if re.MatchString(l.Text) {
				return from + i + 1, nil
			}
		}
		from += len(lines)
		if ended {
			return from, fmt.Errorf("wait for %q: the writer ended without it", re)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return from, fmt.Errorf("wait for %q: %w", re, context.Cause(ctx))
		}
	}
}

// AwaitText is await, of lines that have not ended too: a prompt has no line feed.
func (t *Transcript) AwaitText(ctx context.Context, from int, re *regexp.Regexp) error {
	for {
		lines, ended, changed := t.Snapshot(from)
		for _, l := range append(slices.Clip(lines), t.open()) {
			if re.MatchString(l.Text) {
				return nil
			}
		}
		from += len(lines)
		if ended {
			return fmt.Errorf("wait for %q: the writer ended without it", re)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %q: %w", re, context.Cause(ctx))
		}
	}
}

// open returns the line that has not ended yet.
func (t *Transcript) open() Line {
	t.mu.Lock()
	defer t.mu.Unlock()
	return ParseLine(string(t.partial))
}

// String returns everything written so far as clean text.
func (t *Transcript) String() string {
	lines, _, _ := t.Snapshot(0)
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// String renders the line as the kernel does.
func (l Line) String() string {
	if !l.Stamped {
		return l.Text
	}
	return fmt.Sprintf("[%12.6f] %s", l.Stamp.Seconds(), l.Text)
}

// Tail returns the last n lines of text.
func Tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// ParseLine takes the control characters and the kernel's time stamp off.
func ParseLine(raw string) Line {
	text := plain(raw)
	rest, ok := strings.CutPrefix(text, "[")
	if !ok {
		return Line{Text: text}
	}
	stamp, rest, ok := strings.Cut(rest, "] ")
	if !ok {
		return Line{Text: text}
	}
	// With CONFIG_PRINTK_CALLER there is a caller after it: "[    1.2][    T1] ".
	sec, micro, ok := strings.Cut(strings.TrimLeft(stamp, " "), ".")
	if !ok || len(micro) != 6 {
		return Line{Text: text}
	}
	s, err1 := strconv.ParseUint(sec, 10, 31)
	us, err2 := strconv.ParseUint(micro, 10, 31)
	if err1 != nil || err2 != nil {
		return Line{Text: text}
	}
	at := time.Duration(s)*time.Second + time.Duration(us)*time.Microsecond
	return Line{Text: rest, Stamp: at, Stamped: true}
}

// Plain returns a writer that passes a console on line by line without what is
// meant for a terminal: firmware clears the screen and moves the cursor.
func Plain(w io.Writer) io.Writer { return &plainWriter{w: w} }

type plainWriter struct {
	w       io.Writer
	partial []byte
}

func (p *plainWriter) Write(b []byte) (int, error) {
	p.partial = append(p.partial, b...)
	for {
		l, rest, ok := bytes.Cut(p.partial, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		if _, err := io.WriteString(p.w, plain(string(l))+"\n"); err != nil {
			return 0, err
		}
		p.partial = rest
	}
}

// plain takes off what is meant for a terminal: escape sequences (ECMA-48 CSI,
// and the two-character ones), carriage returns and other control characters.
// A carriage return inside a line overwrites nothing: firmware draws its
// progress so, and it shall be seen.
func plain(raw string) string {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == 0x1b && i+1 < len(raw) && raw[i+1] == '[':
			i += 2
			for i < len(raw) && (raw[i] < 0x40 || raw[i] > 0x7e) {
				i++
			}
		case c == 0x1b:
			i++
		case c == '\t':
			b.WriteByte(' ')
		case c < 0x20 || c == 0x7f:
		default:
			b.WriteByte(c)
		}
	}
	return strings.ToValidUTF8(strings.TrimRight(b.String(), " "), "?")
}
