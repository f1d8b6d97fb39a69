package boot

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/plan"
)

// An orderError ends what PID 1 waits for: a signal says how the machine is to end.
type orderError struct {
	signal unix.Signal
	action plan.Action
}

func (e *orderError) Error() string {
	return fmt.Sprintf("%s by %s", e.action, unix.SignalName(e.signal))
}

// ordered is what a signal to PID 1 means. The programs reboot, halt and poweroff
// of busybox send these (init/halt.c), and its init understands them
// (halt_reboot_pwoff in init/init.c); the kernel sends SIGINT for ctrl-alt-del
// if kernel.ctrl-alt-del is 0, and sysvinit takes SIGPWR for a failing supply.
// No order is 0.
func ordered(s unix.Signal) plan.Action {
	switch s {
	case unix.SIGTERM, unix.SIGINT:
		return plan.ActionReboot
	case unix.SIGUSR1:
		return plan.ActionHalt
	case unix.SIGUSR2, unix.SIGPWR:
		return plan.ActionPoweroff
	default:
		return 0
	}
}

// actionNamed is what a command of the rescue shell asks for by its name: reboot,
// halt or poweroff. No such name is 0.
func actionNamed(program string) plan.Action {
	name := filepath.Base(program)
	for _, a := range []plan.Action{plan.ActionReboot, plan.ActionHalt, plan.ActionPoweroff} {
		if a.String() == name {
			return a
		}
	}
	return 0
}

// order is the main of such a command. PID 1 saves what has been written, and ends the machine
// whatever the kernel holds; if it is somebody else, to whom a signal may mean anything, this process
// does it. -f, as with the programs of that name, asks nobody and saves nothing.
func order(a plan.Action, args []string) error {
	if slices.Contains(args, "-f") {
		return rebootNow(a)
	}
	if len(args) > 0 {
		return fmt.Errorf("%s: unknown argument %q: there is -f, at once and without saving", a, args[0])
	}
	if !isNodisk("/proc/1/exe") {
		if err := whileSaving(syncTime, save, syncAll, func() {}); err != nil {
			report(console.ErrorPriority, "%v", err)
		}
		return rebootNow(a)
	}
	for s := unix.Signal(1); s < 32; s++ {
		if ordered(s) != a {
			continue
		}
		if err := unix.Kill(1, s); err != nil {
			return fmt.Errorf("tell PID 1 to %s: %w", a, err)
		}
		return nil
	}
	return fmt.Errorf("tell PID 1 to %s: there is no signal for it", a)
}

// isNodisk reports whether a process (its exe in proc_pid_exe(5)) runs the same program as this one.
func isNodisk(exe string) bool {
	var theirs, ours unix.Stat_t
	return unix.Stat(exe, &theirs) == nil && unix.Stat("/proc/self/exe", &ours) == nil && theirs.Dev == ours.Dev &&
		theirs.Ino == ours.Ino
}

// listen turns signals into orders. All signals for which the Go runtime has a handler that would
// end the program are caught: with a handler the kernel does not keep PID 1 from them, and panics
// when it is gone (SIGNAL_UNKILLABLE in kernel/signal.c). A signal without a meaning here does
// nothing.
func listen() <-chan *orderError {
	const most = 16
	signals := make(chan os.Signal, most)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGPWR,
		unix.SIGHUP, unix.SIGQUIT, unix.SIGILL, unix.SIGTRAP, unix.SIGABRT, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV,
		unix.SIGSTKFLT, unix.SIGSYS)
	orders := make(chan *orderError, 1)
	go func() {
		for s := range signals {
			number, ok := s.(syscall.Signal)
			if !ok {
				continue
			}
			action := ordered(number)
			if action == 0 {
				report(console.InfoPriority, "%s is not an order: going on", unix.SignalName(number))
				continue
			}
			select {
			case orders <- &orderError{number, action}:
			default: // one is being carried out
			}
		}
	}()
	return orders
}
