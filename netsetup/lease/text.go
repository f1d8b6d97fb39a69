package lease

import (
	"strings"

	"github.com/nodisk/nodisk/internal/phrase"
)

// InitiatorName reports whether the text can be the name of an iSCSI initiator, whose form
// package iscsi checks: one word of at most 223 bytes (RFC 7143 section 4.2.7.1). It goes into a
// file of lines.
func InitiatorName(s string) bool {
	return len(s) <= 223 && phrase.Printable(s) && !strings.ContainsAny(s, " ,")
}
