package console

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/nodisk/nodisk/internal/escape"
)

func TestPrintable(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"plain":           {`attach (5/7): "a b" C:\d`, `attach (5/7): "a b" C:\d`},
		"letters":         {"größe 節点 नोड é", "größe 節点 नोड é"},
		"escape sequence": {"\x1b[2J\x1b]0;owned\a", `\x1b[2J\x1b]0;owned\x07`},
		"line ends":       {"a\r\nb\tc", `a\x0d\x0ab\x09c`},
		"NUL and DEL":     {"a\x00b\x7f", `a\x00b\x7f`},
		"C1":              {"\u009b31m\u0085", `\x9b31m\x85`},
		"C1 as bytes":     {"\x9b31m", `\x9b31m`},
		"not UTF-8":       {"gr\xf6\xdfe \xe2\x82", `gr\xf6\xdfe \xe2\x82`},
		"surrogate":       {"\xed\xa0\x80", `\xed\xa0\x80`},
		"replacement":     {"\ufffd", "\ufffd"},
		"direction":       {"a\u202eb\u2066c\u200f", `a\u202eb\u2066c\u200f`},
		"line separators": {"a\u2028b\u2029", `a\u2028b\u2029`},
		"zero width":      {"a\u200bb\ufeffc\u2060\u00ad", `a\u200bb\ufeffc\u2060\xad`},
		"fillers":         {"\u3164\u115f\u034f\ufe0f", `\u3164\u115f\u034f\ufe0f`},
		"spaces":          {"a\u00a0b\u3000", `a\xa0b\u3000`},
		"tags":            {"\U000e0041", `\U000e0041`},
		"private use":     {"\ue000", `\ue000`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Printable(tt.text, 1000); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// The middle of a long text is left out, between whole characters.
func TestPrintableLeavesOut(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		most int
		want string
	}{
		"fits":       {"0123456789", 10, "0123456789"},
		"middle":     {"target " + strings.Repeat("x", 200) + "; attempt 3", 60, "target " + strings.Repeat("x", 18) + " ... (184 bytes more) ... attempt 3"},
		"runes":      {strings.Repeat("ö", 100), 60, strings.Repeat("ö", 12) + " ... (166 bytes more) ... " + strings.Repeat("ö", 5)},
		"escapes":    {strings.Repeat("\x1b", 100), 60, strings.Repeat(`\x1b`, 6) + `\` + " ... (366 bytes more) ... " + `b\x1b\x1b`},
		"no room":    {"größer", 4, "grö"},
		"half a one": {"größer", 3, "gr"},
		"none":       {"a", 0, ""},
		"less":       {"a", -1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Printable(tt.text, tt.most)
			if got != tt.want {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
			if len(got) > max(tt.most, 0) {
				t.Errorf("%d bytes, %d are allowed", len(got), tt.most)
			}
		})
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b[2J\x1b]0;owned\a\r\n\u202e\u200b\xff", 100)
	f.Add(strings.Repeat("größe", 100), 64)
	f.Add("", 0)
	f.Fuzz(func(t *testing.T, text string, most int) {
		got := Printable(text, most)
		if len(got) > max(most, 0) {
			t.Errorf("%d bytes of %d", len(got), most)
		}
		if !utf8.ValidString(got) {
			t.Errorf("not UTF-8: %q", got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) || escape.Text(string(r)) != string(r) {
				t.Errorf("%q is not printable in %q", r, got)
			}
		}
		if again := Printable(got, most); again != got {
			t.Errorf("not the same the second time: %q, %q", got, again)
		}
	})
}
