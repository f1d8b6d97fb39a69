package boot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/linux"
	"github.com/nodisk/nodisk/internal/kernfile"
)

// A keptSysctl is a setting in /proc/sys or /sys that a boot changes for itself.
type keptSysctl struct {
	path  string
	value []byte // before the boot; nil: the kernel has no such
}

// devkmsgSysctl says what userspace may write to /dev/kmsg.
const devkmsgSysctl = "/proc/sys/kernel/printk_devkmsg"

// expediteRCU makes the kernel's synchronize_rcu() ask all CPUs at once instead of waiting for
// ticks, as it does by itself until it starts /init (kernel/ksysfs.c, kernel/rcu/update.c).
// A boot waits for many: to close a packet socket, to take an interface down. The
// parameter rcupdate.rcu_normal overrides it.
const expediteRCU = "/sys/kernel/rcu_expedited"

// hurry makes the kernel spend CPU time rather than wait, until giveBack. A kernel for one CPU
// does not have that choice.
func hurry() error {
	err := os.WriteFile(expediteRCU, []byte("1"), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("have the kernel wait less: %w", err)
	}
	return nil
}

// keepSysctls reads, before any worker lives, what workers change. PID 1 keeps it: a worker may
// die at any moment.
func keepSysctls() []keptSysctl {
	kept := []keptSysctl{{path: modprobeSysctl}, {path: devkmsgSysctl}, {path: expediteRCU}}
	for i := range kept {
		b, err := kernfile.ReadFile(kept[i].path)
		if err == nil {
			kept[i].value = b
		}
	}
	return kept
}

// giveBack restores the values that have changed. The root's init finds the kernel's own, and so
// does a new worker.
func giveBack(kept []keptSysctl) {
	for _, k := range kept {
		if k.value == nil {
			continue
		}
		now, err := kernfile.ReadFile(k.path)
		if err == nil && bytes.Equal(now, k.value) {
			continue
		}
		if err == nil {
			err = os.WriteFile(k.path, k.value, 0)
		}
		if err != nil {
			report(console.WarningPriority, "%v", fmt.Errorf("give %s back: %w", k.path, err))
		}
	}
}

// tellOldKernel warns about a kernel that nodisk does not support. The boot goes on: what it
// needs may be there all the same, and if not, the warning precedes the error.
func tellOldKernel(log *slog.Logger) {
	release, err := kernelRelease()
	if err != nil {
		return // whoever needs the release says so
	}
	if err := linux.TooOld(release); err != nil {
		log.Warn(err.Error() + "; trying with this one")
	}
}
