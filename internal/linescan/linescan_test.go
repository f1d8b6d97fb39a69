package linescan

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

// What is too long is told, not cut off.
func TestBound(t *testing.T) {
	for text, want := range map[string]string{
		strings.Repeat("x\n", 1<<19):       "",
		strings.Repeat("x\n", 1<<19) + "y": "it is longer than 1 MiB: it is not the text file that it should be",
	} {
		s := New(Bound(strings.NewReader(text), 1<<20), Longest)
		lines := 0
		for s.Scan() {
			lines++
		}
		got := ""
		if err := s.Err(); err != nil {
			got = err.Error()
		}
		if lines != 1<<19 || got != want {
			t.Errorf("%d lines, error %q, want %q", lines, got, want)
		}
	}
}

func TestScanner(t *testing.T) {
	const longest = 2 << 10
	s := New(strings.NewReader("one\r\n\n"+strings.Repeat("x", longest-1)+"\n"+strings.Repeat("x", longest)+"\n"),
		longest)
	var lengths []int
	for s.Scan() {
		lengths = append(lengths, len(s.Text()))
		if s.Number() != len(lengths) {
			t.Errorf("line %d is %d", len(lengths), s.Number())
		}
	}
	if len(lengths) != 3 || lengths[0] != 3 || lengths[1] != 0 || lengths[2] != longest-1 {
		t.Errorf("lengths %d", lengths)
	}
	if err := s.Err(); err == nil || !strings.HasPrefix(err.Error(), "line 4 is longer than 2 KiB") {
		t.Errorf("error %v", err)
	}
	broken := errors.New("broken")
	s = New(iotest.ErrReader(broken), longest)
	if s.Scan() || !errors.Is(s.Err(), broken) {
		t.Errorf("error %v", s.Err())
	}
	s = New(strings.NewReader("no newline"), longest)
	if !s.Scan() || s.Text() != "no newline" || s.Scan() || s.Err() != nil {
		t.Errorf("%q, %v", s.Text(), s.Err())
	}
}
