package rootfs

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds in bytes of what a server or a disk adds to one line: the console may
// be a serial one of 9600 baud, and the kernel's log has a ring of its own.
const (
	maxList   = 700 // devices, or exports
	maxClip   = 200 // one text: what the kernel said, the options of a mount
	maxGroups = 120 // the clients of one export
	maxLabel  = 64  // a label
)

// enumerate joins words with commas, as many as fit into limit bytes, and counts the rest. The
// first one is always included, cut when it is too long.
func enumerate(words []string, limit int) string {
	var b strings.Builder
	for i, w := range words {
		w = clip(w, limit)
		if i > 0 && b.Len()+len(", ")+len(w) > limit {
			b.WriteString(", and " + strconv.Itoa(len(words)-i) + " more")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(w)
	}
	return b.String()
}

// clip cuts a text to at most limit bytes, at the start of a character, and
// marks the cut.
func clip(s string, limit int) string {
	const mark = "..."
	if len(s) <= limit {
		return s
	}
	n := max(0, limit-len(mark))
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + mark
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
