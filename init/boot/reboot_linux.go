package boot

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/init/acpi"
	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/kernfile"
)

// rebootTime is what the kernel may take to end the machine. It waits for every
// driver's probe (device_shutdown in drivers/base/core.c), forever.
const rebootTime = 3 * time.Second

// end ends the machine: it returns only if the kernel refuses.
func (s *supervisor) end(a plan.Action) error {
	if order := s.letGo(a); order != nil {
		report(console.WarningPriority, "%v: at once", order)
		a = order.action
	}
	// Not from a thread that anything else depends on: after this there is no exec
	// that would wait for it.
	refused := make(chan error, 1)
	go func() { refused <- rebootNow(a) }()
	select {
	case err := <-refused:
		if err != nil {
			return err
		}
	case <-time.After(rebootTime):
	}
	report(console.ErrorPriority, "the kernel does not %s: %s", a, held(os.Getpid()))
	force(a)
	// The thread is still in the kernel: if what holds it lets go, the machine still ends.
	// Meanwhile somebody may find a better way.
	for {
		select {
		case err := <-refused:
			return fmt.Errorf("the kernel went on: %w", err)
		case order := <-s.orders:
			report(console.WarningPriority, "%v", order)
			force(order.action)
		}
	}
}

// rebootNow ends the machine by the kernel's own shutdown, without saving anything.
func rebootNow(a plan.Action) error {
	how := unix.LINUX_REBOOT_CMD_RESTART
	switch a {
	case plan.ActionPoweroff:
		how = unix.LINUX_REBOOT_CMD_POWER_OFF
	case plan.ActionHalt:
		how = unix.LINUX_REBOOT_CMD_HALT
	default:
	}
	if err := unix.Reboot(how); err != nil {
		return fmt.Errorf("%s: %w", a, err)
	}
	return nil
}

// force ends the machine without the kernel's shutdown, as far as that is possible.
func force(a plan.Action) {
	switch a {
	case plan.ActionReboot:
		report(console.ErrorPriority, "restarting it at once (sysrq b)")
		// Never masked for whoever writes to the file (write_sysrq_trigger in
		// drivers/tty/sysrq.c).
		if err := os.WriteFile(sysrqTrigger, []byte("b"), 0); err != nil {
			report(console.ErrorPriority, "%v: panicking in its place", err)
			panicNow()
		}
	case plan.ActionPoweroff:
		// sysrq o goes the same way, and would wait with us.
		report(console.ErrorPriority, "switching it off by its ACPI registers")
		if err := switchOff(); err != nil {
			report(console.ErrorPriority, "%v: it stays on; switch it off by hand", err)
		}
	case plan.ActionHalt:
		report(
			console.ErrorPriority,
			"what was written is saved, and nothing of nodisk is running: switch it off by hand",
		)
	default:
	}
}

const sysrqTrigger = "/proc/sysrq-trigger"

// switchOff writes what ends the machine into its registers, as the kernel does at the end of its
// shutdown (acpi_hw_legacy_sleep in drivers/acpi/acpica/hwsleep.c).
func switchOff() error {
	const tables = "/sys/firmware/acpi/tables/"
	fadt, err := kernfile.ReadFile(tables + "FACP")
	if err != nil {
		return fmt.Errorf("switch off: %w", err)
	}
	dsdt, err := kernfile.ReadFile(tables + "DSDT")
	if err != nil {
		return fmt.Errorf("switch off: %w", err)
	}
	off, err := acpi.ParseSoftOff(fadt, dsdt)
	if err != nil {
		return fmt.Errorf("switch off: %w", err)
	}
	for i, port := range off.Ports {
		if err := acpi.WritePort(port, off.Values[i]); err != nil {
			return fmt.Errorf("switch off: write port %#x: %w", port, err)
		}
	}
	return nil
}

// panicNow makes a kernel without sysrq (CONFIG_MAGIC_SYSRQ) restart the machine: it does so a
// second after it has lost PID 1 (panic in kernel/panic.c, which calls emergency_restart).
func panicNow() {
	if err := os.WriteFile("/proc/sys/kernel/panic", []byte("1"), 0); err != nil {
		report(console.ErrorPriority, "%v", err)
		return
	}
	leave(1)
}
