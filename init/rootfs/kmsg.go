package rootfs

import (
	"strings"
)

// A kernelLog collects what the kernel logs from a moment on. It is how a bare
// EINVAL of mount(2) gets a reason.
type kernelLog interface {
	// Lines returns the messages since the log was opened, oldest first.
	Lines() []string
	Close() error
}

// kmsgText takes the message out of one record of /dev/kmsg: "6,1234,5678,-;text"
// and further lines with a dictionary (Documentation/ABI/testing/dev-kmsg).
func kmsgText(record string) (string, bool) {
	head, text, ok := strings.Cut(record, ";")
	if !ok || strings.Contains(head, "\n") {
		return "", false
	}
	text, _, _ = strings.Cut(text, "\n")
	return text, true
}

// about picks the last messages that name any of the words, joined for one line.
func about(lines []string, words ...string) string {
	const keep = 2
	var found []string
	for _, line := range lines {
		for _, w := range words {
			if w != "" && strings.Contains(line, w) {
				found = append(found, clip(strings.TrimSpace(line), maxClip))
				break
			}
		}
	}
	if len(found) > keep {
		found = found[len(found)-keep:]
	}
	return strings.Join(found, "; ")
}
