package leasetest

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// HostileTexts are what a server may put where a name or a path belongs.
func HostileTexts() map[string]string {
	return map[string]string{
		"escape":    "node\x1b[2J\x1b]0;owned\a",
		"line":      "node\nnameserver 6.6.6.6\noptions attempts:9",
		"return":    "node\rnodisk: all is well",
		"NUL":       "no\x00de",
		"space":     "node 6.6.6.6",
		"not UTF-8": "node\xff\xfe",
		"C1":        "node\u009b31m",
		"C1 byte":   "node\x9b31m",
		"direction": "node\u202eedon",
		"zero":      "no\u200bde",
		"255 bytes": strings.Repeat("\x1b", 255),
		"long":      strings.Repeat("n", 255),
		"dots":      "node..example",
		"hyphen":    "-node.example",
		"label":     strings.Repeat("n", 64) + ".example",
	}
}

// Labels is one name as DNS writes it.
func Labels(name string) []byte {
	var b []byte
	for label := range strings.SplitSeq(name, ".") {
		label = label[:min(len(label), 63)]
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

// Clean checks that a text which is written somewhere is one line, or lines of
// resolv.conf, of what is shown and no more.
func Clean(t *testing.T, what, text string) {
	t.Helper()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%s as it came: %q", what, text)
	}
}
