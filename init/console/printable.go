package console

import (
	"fmt"
	"unicode/utf8"

	"github.com/nodisk/nodisk/internal/escape"
)

// Text of servers, of the firmware and of the command line is data: it reaches people at a
// terminal, which obeys control characters. Everything that is written to the console, the
// kernel's log or a shell's screen passes through printable.

// Printable returns text as one line of valid UTF-8 that every terminal shows as it is, in at
// most most bytes. What controls a terminal or is invisible is escaped as in Go: control
// characters, C1 too, and bytes that are not UTF-8 as \x1b, marks that turn the direction of
// writing (Trojan Source, CVE-2021-42574), zero-width and other invisible characters as \u202e. A
// backslash stays one, so that text which is printable already, in paths and unit names too,
// stays as it is.
//
// Of a longer text the middle is left out and counted: the head says what it is about, the tail
// what follows from it.
func Printable(text string, most int) string { return leaveOut(escape.Text(text), most) }

// leaveOut shortens text, which is valid UTF-8, to at most most bytes, and keeps
// runes whole.
func leaveOut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	mark := func(n int) string { return fmt.Sprintf(" ... (%d bytes more) ... ", n) }
	room := most - len(mark(len(text)))
	if room < 16 { // no place for a sentence with a hole in it
		return text[:runeStart(text, max(most, 0))]
	}
	head := runeStart(text, room*3/4)
	tail := len(text) - (room - head)
	for !utf8.RuneStart(text[tail]) {
		tail++
	}
	return text[:head] + mark(tail-head) + text[tail:]
}

// runeStart is the last place not after i where text can be cut.
func runeStart(text string, i int) int {
	for i > 0 && i < len(text) && !utf8.RuneStart(text[i]) {
		i--
	}
	return i
}
