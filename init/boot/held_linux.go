package boot

import (
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/kernfile"
)

// heldBy looks at where the kernel holds a process. It reads only what the kernel
// gives without waiting for that process (not cmdline, environ or maps, which
// need its memory map), and at most 64 threads.
func heldBy(pid int) string {
	const most = 64
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	entries, err := kernfile.ReadDir(dir)
	if err != nil {
		return ""
	}
	var stacks []string
	for _, e := range entries[:min(len(entries), most)] {
		task := dir + "/" + e.Name()
		stat, err := kernfile.ReadFile(task + "/stat")
		if err != nil {
			continue // it has just ended
		}
		if stateOf(string(stat)) != "D" {
			continue // a signal reaches it
		}
		stack := ""
		for _, source := range []string{"/stack", "/wchan"} {
			if b, err := kernfile.ReadFile(task + source); err == nil && len(b) > 0 {
				stack = string(b)
				break
			}
		}
		stacks = append(stacks, stack)
	}
	return heldSentence(stacks)
}

// held is heldBy with what to say if nothing is known.
func held(pid int) string {
	if where := heldBy(pid); where != "" {
		return "the kernel holds it " + where
	}
	return "the kernel does not say what it waits for"
}

// stateOf reads the state of /proc/PID/stat. The name before it is in parentheses
// and may hold any character (proc(5)).
func stateOf(stat string) string {
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return ""
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) == 0 {
		return ""
	}
	return fields[0]
}
