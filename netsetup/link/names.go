package link

import (
	"strings"

	"github.com/nodisk/nodisk/internal/phrase"
)

// IsDigits reports whether a text consists of decimal digits, at least one.
func IsDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// LongestName is the maximum length of an interface's name in bytes: IFNAMSIZ without the zero.
const LongestName = 15

// ValidDeviceName follows dev_valid_name of net/core/dev.c.
func ValidDeviceName(s string) bool {
	return s != "" && len(s) <= LongestName && s != "." && s != ".." && !strings.ContainsAny(s, "/: \t\n\v\f\r[]") &&
		phrase.Printable(s)
}
