package boot

import (
	"bytes"
	"fmt"
	"os"
)

// A keptSysctl is one that a boot changes for itself.
type keptSysctl struct {
	path  string
	value []byte // before the boot; nil: the kernel has no such
}

// devkmsgSysctl says what userspace may write to /dev/kmsg.
const devkmsgSysctl = "/proc/sys/kernel/printk_devkmsg"

// keepSysctls reads, before any worker lives, what workers change. It is PID 1
// who knows it: a worker may die at any moment.
func keepSysctls() []keptSysctl {
	kept := []keptSysctl{{path: modprobeSysctl}, {path: devkmsgSysctl}}
	for i := range kept {
		b, err := os.ReadFile(kept[i].path)
		if err == nil {
			kept[i].value = b
		}
	}
	return kept
}

// giveBack writes the values that are not the same any more. The root's init finds the
// kernel's own, and so does a new worker.
func giveBack(kept []keptSysctl) {
	for _, k := range kept {
		if k.value == nil {
			continue
		}
		now, err := os.ReadFile(k.path)
		if err == nil && bytes.Equal(now, k.value) {
			continue
		}
		if err == nil {
			err = os.WriteFile(k.path, k.value, 0)
		}
		if err != nil {
			report(warningPriority, "%v", fmt.Errorf("give %s back: %w", k.path, err))
		}
	}
}
