package boot

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// rebootTime is what the kernel may take to end the machine. It waits for every
// driver's probe (device_shutdown in drivers/base/core.c), for ever.
const rebootTime = 3 * time.Second

// end ends the machine: it returns only if the kernel refuses.
func (s *supervisor) end(a Action) error {
	s.letGo(a)
	how := unix.LINUX_REBOOT_CMD_RESTART
	switch a {
	case ActionPoweroff:
		how = unix.LINUX_REBOOT_CMD_POWER_OFF
	case ActionHalt:
		how = unix.LINUX_REBOOT_CMD_HALT
	default:
	}
	// Not from a thread that anything else depends on: after this there is no exec
	// that would wait for it.
	refused := make(chan error, 1)
	go func() { refused <- unix.Reboot(how) }()
	select {
	case err := <-refused:
		if err != nil {
			return fmt.Errorf("%s: %w", a, err)
		}
	case <-time.After(rebootTime):
	}
	report(errorPriority, "the kernel does not %s: %s", a, held(os.Getpid()))
	force(a)
	// Nothing is left to try. The thread is still in the kernel: if what holds it
	// lets go, the machine ends yet.
	err := <-refused
	return fmt.Errorf("%s: the kernel went on: %w", a, err)
}

// force ends the machine without the kernel's way down, as far as there is one.
func force(a Action) {
	switch a {
	case ActionReboot:
		report(errorPriority, "restarting it at once (sysrq b)")
		// Never masked for whoever writes to the file (write_sysrq_trigger in
		// drivers/tty/sysrq.c).
		if err := os.WriteFile(sysrqTrigger, []byte("b"), 0); err != nil {
			report(errorPriority, "%v: panicking in its place", err)
			panicNow()
		}
	case ActionPoweroff:
		report(errorPriority, "once more (sysrq o)")
		if err := os.WriteFile(sysrqTrigger, []byte("o"), 0); err != nil {
			report(errorPriority, "%v", err)
		}
	default:
	}
}

const sysrqTrigger = "/proc/sysrq-trigger"

// panicNow has a kernel without sysrq (CONFIG_MAGIC_SYSRQ) restart the machine: it
// does so a second after it has lost PID 1 (panic in kernel/panic.c, which calls
// emergency_restart).
func panicNow() {
	if err := os.WriteFile("/proc/sys/kernel/panic", []byte("1"), 0); err != nil {
		report(errorPriority, "%v", err)
		return
	}
	leave(1)
}
