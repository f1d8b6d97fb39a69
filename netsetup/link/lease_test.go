package link

import (
	"strings"
	"testing"
)

func TestLabels6(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, want := range map[string]string{
		"node7":              "\x05node7",
		"node7.example.org":  "\x05node7\x07example\x03org\x00",
		"node7.example.org.": "\x05node7\x07example\x03org\x00",
		long:                 "?" + long,
		long + "a":           "",
		"a..b":               "",
		"":                   "",
	} {
		if got := Labels6(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
