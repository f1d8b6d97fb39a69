package escape

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"größe \\ ok":      "größe \\ ok",
		"a\x1b[31mb\nc\td": `a\x1b[31mb\x0ac\x09d`,
		"\u009b31m":        `\x9b31m`,         // CSI as C1
		"a\u202eb\ufeffc":  `a\u202eb\ufeffc`, // bidi override, BOM
		"\xff\xc3":         `\xff\xc3`,        // not UTF-8
		"\ufffd":           "\ufffd",          // but this is
		"\U000e0041":       `\U000e0041`,      // a tag
		"":                 "",
	} {
		if got := Text(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// What is written in whatever pieces comes out as if it had been written at once.
func TestWriterPieces(t *testing.T) {
	const text = "größe\n\ta\x1b[2J\r\nb\rc \u202e\U0001f600 \xe2\x82"
	const want = "größe\n\ta\\x1b[2J\r\nb\\x0dc \\u202e\U0001f600 \\xe2\\x82"
	for size := 1; size <= len(text); size++ {
		var out bytes.Buffer
		w := &Writer{W: &out}
		for rest := text; rest != ""; rest = rest[min(size, len(rest)):] {
			piece := rest[:min(size, len(rest))]
			if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != want {
			t.Errorf("in pieces of %d: %q, want %q", size, got, want)
		}
	}
}

func FuzzWriter(f *testing.F) {
	f.Add("a\x1b\r\n\u202e\xe2\x82", 3)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		var out bytes.Buffer
		w := &Writer{W: &out}
		cut = min(max(cut, 0), len(text))
		for _, piece := range []string{text[:cut], text[cut:]} {
			if _, err := w.Write([]byte(piece)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		got := out.String()
		if !utf8.ValidString(got) || !clean(strings.ReplaceAll(got, "\r\n", "\n"), "\n\t") {
			t.Errorf("%q comes out as %q", text, got)
		}
	})
}
