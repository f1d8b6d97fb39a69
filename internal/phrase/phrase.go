// Package phrase makes parts of sentences for people: counts, durations, and what a
// server sent, cut and quoted so that it is fit for one line.
package phrase

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Seconds writes a duration as people say it.
func Seconds(d time.Duration) string {
	return fmt.Sprintf("%d s", int(d.Round(time.Second)/time.Second))
}

// Printable reports whether the text is UTF-8 that is shown, and does nothing
// else to a terminal: no control characters, no change of direction.
func Printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Clip shortens what a server sent to what a sentence has room for, between two
// characters.
func Clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	at := most
	for at > most-utf8.UTFMax && !utf8.RuneStart(s[at]) {
		at--
	}
	return s[:at]
}

// Quoted shows what a server sent and cannot be used, without a password that a
// root path may have before its server.
func Quoted(s string) string {
	return strconv.Quote(Clip(s[strings.LastIndexByte(s, '@')+1:]))
}

// Sentence makes one note of several. A server decides how many there are.
func Sentence(notes []string) string {
	const most = 4
	if n := len(notes) - most; n > 0 {
		notes = append(notes[:most:most], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(notes, "; ")
}

// Count is a number of things with the noun: "1 port", "2 ports".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// AddressList separates addresses by commas.
func AddressList(addrs []netip.Addr) string {
	var words []string
	for _, a := range addrs {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

// Sentences joins two, of which either may be empty.
func Sentences(a, b string) string {
	if a != "" && b != "" {
		return a + "; " + b
	}
	return a + b
}

// Times is how often: "once", "2 times".
func Times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
