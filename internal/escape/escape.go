// Package escape makes foreign text fit for a terminal. Text of images, servers, firmware and
// command lines is data; a terminal would obey control characters in it. [Text] makes one line of
// it; [Writer] stands before a terminal and lets nothing else through.
package escape

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns text as one line of valid UTF-8 that every terminal shows as it is. What controls
// a terminal or is invisible is escaped as in Go: control characters, C1 too, and bytes that are
// not UTF-8 as \x1b, marks that turn the direction of writing (Trojan Source, CVE-2021-42574),
// zero-width and other invisible characters as \u202e. A backslash stays one, so that text which
// is visible already is left unchanged. The result has at most four bytes for one.
func Text(text string) string {
	if clean(text, "") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		i += one(&b, text[i:])
	}
	return b.String()
}

// one appends the first rune of text, and returns how long it is.
func one(b *strings.Builder, text string) int {
	r, size := utf8.DecodeRuneInString(text)
	switch {
	case r == utf8.RuneError && size == 1:
		fmt.Fprintf(b, `\x%02x`, text[0])
	case visible(r):
		b.WriteString(text[:size])
	case r < 0x100:
		fmt.Fprintf(b, `\x%02x`, r)
	case r < 0x10000:
		fmt.Fprintf(b, `\u%04x`, r)
	default:
		fmt.Fprintf(b, `\U%08x`, r)
	}
	return size
}

// clean reports whether nothing in text needs to be escaped except what is allowed.
func clean[T string | []byte](text T, allowed string) bool {
	for i := 0; i < len(text); {
		if c := text[i]; c < 0x7f && c >= ' ' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(string(text[i:min(i+utf8.UTFMax, len(text))]))
		if r == utf8.RuneError && size == 1 || !visible(r) && !strings.ContainsRune(allowed, r) {
			return false
		}
		i += size
	}
	return true
}

// visible reports whether a rune is shown, and only shown. What Unicode calls
// printable contains some that are not: fillers, and selectors of variants
// (Default_Ignorable_Code_Point of DerivedCoreProperties.txt).
func visible(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// A Writer escapes what is written through it as [Text] does, except for newlines and
// tabs, and the carriage return before a newline. A rune that is cut by two calls
// of Write is put together. Several goroutines may write.
type Writer struct {
	W io.Writer

	mu   sync.Mutex
	held []byte // the beginning of a rune, or a carriage return
}

// Write escapes p. It returns len(p) unless the writer below fails.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := string(w.held) + string(p)
	w.held = w.held[:0]
	text, rest := whole(text)
	w.held = append(w.held, rest...)
	if _, err := io.WriteString(w.W, lines(text)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what is held of an unfinished rune.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := string(w.held)
	w.held = w.held[:0]
	if text == "" {
		return nil
	}
	_, err := io.WriteString(w.W, lines(text))
	return err
}

// Unwrap is the writer below, for what must reach it as it is.
func (w *Writer) Unwrap() io.Writer { return w.W }

// whole cuts text before a rune, or a carriage return, of which the rest may follow.
func whole(text string) (head, rest string) {
	if strings.HasSuffix(text, "\r") {
		return text[:len(text)-1], "\r"
	}
	for n := 1; n <= min(utf8.UTFMax-1, len(text)); n++ {
		at := len(text) - n
		if !utf8.RuneStart(text[at]) {
			continue
		}
		if !utf8.FullRuneInString(text[at:]) {
			return text[:at], text[at:]
		}
		break
	}
	return text, ""
}

// lines is Text for text of several lines.
func lines(text string) string {
	if clean(text, "\n\t") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		switch {
		case text[i] == '\n', text[i] == '\t':
			b.WriteByte(text[i])
			i++
		case strings.HasPrefix(text[i:], "\r\n"):
			b.WriteString("\r\n")
			i += 2
		default:
			i += one(&b, text[i:])
		}
	}
	return b.String()
}

var _ io.Writer = (*Writer)(nil)

// Bottom is the writer below all that have Unwrap() io.Writer.
func Bottom(w io.Writer) io.Writer {
	for {
		wrapper, ok := w.(interface{ Unwrap() io.Writer })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}

// JSON escapes in a JSON text what [Text] escapes, as JSON has it: \u202e. The text means
// the same as before.
func JSON(text []byte) []byte {
	if clean(text, "\n\t\r") {
		return text
	}
	b := make([]byte, 0, len(text)+64)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\n', r == '\t', r == '\r', visible(r):
			b = append(b, text[:size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		text = text[size:]
	}
	return b
}
