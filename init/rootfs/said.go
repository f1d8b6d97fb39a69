package rootfs

import "strings"

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
