package boot

import (
	"fmt"
	"slices"
	"strings"
)

// Bounds of the sentence: the reader of a console wants to know where, not everything.
const (
	heldThreads = 2
	heldFrames  = 4
)

// heldSentence says where the kernel holds threads: "in msleep < stall_probe [stall]".
// A stack is a thread's /proc/PID/task/TID/stack, or its wchan where the kernel has
// no stacks. Empty if there are none.
func heldSentence(stacks []string) string {
	var places []string
	for _, stack := range stacks {
		place := "in " + strings.Join(frames(stack), " < ")
		if place == "in " {
			place = "in a place that it does not name"
		}
		if !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	if more := len(places) - heldThreads; more > 0 {
		places = append(places[:heldThreads], fmt.Sprintf("%d more", more))
	}
	return strings.Join(places, " and ")
}

// frames reads the innermost functions of a stack of proc(5), a line each:
//
//	[<0>] stall_probe+0x2e/0x50 [stall]
//
// or a wchan, which is a bare name.
func frames(stack string) []string {
	var names []string
	for line := range strings.Lines(stack) {
		line = strings.TrimSpace(line)
		if _, frame, ok := strings.Cut(line, "] "); ok && strings.HasPrefix(line, "[<") {
			line = frame
		}
		name, rest, _ := strings.Cut(line, "+")
		if _, module, ok := strings.Cut(rest, " ["); ok {
			name += " [" + module
		}
		if name == "" || name == "0" || len(names) == heldFrames {
			continue
		}
		names = append(names, clip(name, 60))
	}
	return names
}
