package transcript

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseLine(t *testing.T) {
	tests := []struct {
		name, in string
		want     Line
	}{
		{"printk", "[    1.810823] Run /init as init process\r", Line{
			Text:  "Run /init as init process",
			Stamp: 1810823 * time.Microsecond, Stamped: true,
		}},
		{"stamp zero", "[    0.000000] Linux version 6.1", Line{Text: "Linux version 6.1", Stamped: true}},
		{"console", "nodisk: network (3/7): eth0\r", Line{Text: "nodisk: network (3/7): eth0"}},
		{"not a stamp", "[OK] done", Line{Text: "[OK] done"}},
		{"half a stamp", "[    1.8", Line{Text: "[    1.8"}},
		{"negative", "[   -1.810823] x", Line{Text: "[   -1.810823] x"}},
		{"firmware", "\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS (version 1.16)\r", Line{Text: "SeaBIOS (version 1.16)"}},
		{"escape at the end", "x\x1b", Line{Text: "x"}},
		{"open sequence at the end", "x\x1b[12", Line{Text: "x"}},
		{"not UTF-8", "a\xffb", Line{Text: "a?b"}},
		{"empty", "", Line{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ParseLine(tt.in)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add("[    1.810823] Run /init as init process\r")
	f.Add("[    1.810823][    T1] caller")
	f.Add("\x1bc\x1b[?7l\x1b[2Jtext\x1b")
	f.Add("[99999999999.999999] x")
	f.Fuzz(func(t *testing.T, raw string) {
		l := ParseLine(raw)
		if strings.ContainsFunc(l.Text, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			t.Errorf("control characters in %q", l.Text)
		}
		if l.Stamp < 0 || !l.Stamped && l.Stamp != 0 {
			t.Errorf("stamp %v of %q", l.Stamp, raw)
		}
	})
}

func TestTranscriptAwait(t *testing.T) {
	tr := New()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() {
		for _, part := range []string{"one\ntw", "o\nthree", "\nfour"} {
			_, _ = tr.Write([]byte(part))
		}
		tr.End()
	}()
	at, err := tr.Await(ctx, 0, regexp.MustCompile(`^two$`))
	if err != nil || at != 2 {
		t.Errorf("await two: index %d, %v; want 2", at, err)
	}
	if _, err := tr.Await(ctx, at, regexp.MustCompile(`^one$`)); err == nil {
		t.Error("a line before the index was found")
	}
	// The last line has no end of line and counts all the same.
	if _, err := tr.Await(ctx, at, regexp.MustCompile(`^four$`)); err != nil {
		t.Error(err)
	}
}

func TestTranscriptAwaitDeadline(t *testing.T) {
	cause := errors.New("the node had 1 ms")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, cause)
	defer cancel()
	if _, err := New().Await(ctx, 0, regexp.MustCompile(`x`)); !errors.Is(err, cause) {
		t.Errorf("await: %v, want the cause of the deadline", err)
	}
}

func TestPlain(t *testing.T) {
	var b bytes.Buffer
	w := Plain(&b)
	for _, part := range []string{"\x1b[2Jone\r", "\ntw", "o\r\n", "three"} {
		if _, err := w.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := b.String(), "one\ntwo\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A prompt is seen before its line ends.
func TestAwaitText(t *testing.T) {
	w := New()
	_, _ = w.Write([]byte("one\nnode login: "))
	if err := w.AwaitText(t.Context(), 0, regexp.MustCompile(`login:$`)); err != nil {
		t.Error(err)
	}
	w.End()
	if err := w.AwaitText(t.Context(), 0, regexp.MustCompile(`two`)); err == nil {
		t.Error("what was never written was found")
	}
}
