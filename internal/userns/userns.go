// Package userns reports whether this program runs in a user namespace, where user 0 is root of
// what was mapped into it only: user_namespaces(7). Files of users that are not mapped are as
// closed to it as to anybody.
package userns

import (
	"os"
	"slices"
	"strings"
)

// Inside reports whether this process is in a user namespace that does not have all users. A system without such
// namespaces, or without /proc, has none to be in.
func Inside() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && partial(string(text))
}

// partial reports whether a uid_map leaves users out. The initial one maps all to themselves, in one line: the first
// inside, the first outside, how many.
func partial(uidMap string) bool {
	return !slices.Equal(strings.Fields(uidMap), []string{"0", "0", "4294967295"})
}
