package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/plan"
)

// The kernel starts /init as PID 1, and /init starts itself once more as the worker, and to
// release what a boot holds; the kernel also calls it in place of modprobe (see
// modprobe_linux.go).
const (
	workerArg     = "nodisk-worker"
	letGoArg      = "nodisk-let-go"
	messageFD     = 3
	supervisorLog = "supervisor: "
)

// Main is the whole of cmd/nodisk-init. As PID 1 it never returns.
func Main(args []string) {
	switch {
	case os.Getpid() == 1:
		supervise(args)
	case len(args) > 1 && args[1] == workerArg:
		work(newTeller())
	case len(args) > 1 && args[1] == letGoArg:
		letGo(newTeller(), args[2:])
	case len(args) > 1 && args[1] == "-q":
		modprobe(args[2:])
	case len(args) > 1 && args[1] == driversArg:
		loadDrivers()
	case len(args) > 0 && actionNamed(args[0]) != 0: // in a shell, by bin/reboot of --rescue
		if err := order(actionNamed(args[0]), args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, reason(err))
			leave(1)
		}
	case strings.HasSuffix(args[0], "modprobe"): // in a shell, by bin/modprobe of --rescue
		if err := modprobeAll(context.Background(), args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, reason(err))
			leave(1)
		}
	default:
		fmt.Fprintln(
			os.Stderr,
			"nodisk-init is PID 1 of an initramfs: build an image with `nodisk build`, try it with `nodisk boot`",
		)
	}
}

// A supervisor is PID 1. It makes no call that the kernel may hold: a thread that
// is held could neither be ended nor left behind, and execve(2) waits for all
// threads. What may be held is done by children.
type supervisor struct {
	program  string   // the path of /init
	words    []string // of the command line, for the root's init
	children *children
	orders   <-chan *orderError
	sysctls  []keptSysctl
	// gone: the initramfs is deleted, and program with it.
	gone bool
}

// supervise starts workers and carries out their verdicts, forever. Nothing
// may end it: the kernel panics without PID 1.
func supervise(args []string) {
	// First of all: a signal that comes before this ends PID 1.
	s := &supervisor{program: args[0], words: args[1:], orders: listen(), children: newChildren()}
	if err := mountEarly(); err != nil {
		report(console.ErrorPriority, "%v", err)
	}
	s.sysctls = keepSysctls()
	for attempt := 1; ; attempt++ {
		err := s.guarded(func() error {
			v, err := s.watch()
			if err != nil {
				return err
			}
			return s.carryOut(v)
		})
		wait := plan.Pause(identity(), attempt)
		if err != nil {
			report(console.ErrorPriority, "%v; starting again in %s", err, console.Seconds(wait))
		} else {
			report(console.DebugPriority, "starting again in %s", console.Seconds(wait))
		}
		err = s.guarded(func() error {
			giveBack(s.sysctls)
			order := s.letGo(plan.ActionAgain)
			if order == nil {
				order = s.pass(wait)
			}
			if order != nil {
				return order
			}
			return nil
		})
		if err != nil {
			report(console.ErrorPriority, "%v", err)
		}
	}
}

// guarded is guard for PID 1. An order that ended f is carried out: the error says why that, or
// f, did not succeed.
func (s *supervisor) guarded(f func() error) error {
	_, err := guard(func() (string, error) {
		err := f()
		if order, ok := errors.AsType[*orderError](err); ok {
			report(console.WarningPriority, "%v", order)
			err = s.end(order.action)
		}
		return "", err
	})
	return err
}

// carryOut does what a verdict says. It returns if the verdict is to start again, or an error if
// that is still possible: if not, it reboots.
func (s *supervisor) carryOut(v plan.Verdict) error {
	if order := s.pass(v.Wait); order != nil {
		return order
	}
	switch v.Action {
	case plan.ActionSwitch, plan.ActionStay, plan.ActionChain:
		// The kernel gave PID 1 the arguments of the command line that it did not know ("single",
		// "3"): they are for the root's init.
		v.Argv = append(v.Argv, s.words...)
		giveBack(s.sysctls)
		return s.handOver(v)
	case plan.ActionShell:
		return shell(strings.Join(v.Argv, " "), "starts the boot again", s.run)
	case plan.ActionReboot, plan.ActionPoweroff, plan.ActionHalt:
		return s.end(v.Action)
	case plan.ActionAgain:
		return nil
	default:
		return fmt.Errorf("no such action: %v", v.Action)
	}
}

// slowSwitch is when a hand-over that does not end is reported. There is no way back: the root's
// disk or server may still answer, and nobody else could do better than wait.
const slowSwitch = 10 * time.Second

// handOver makes PID 1 the root's init, or that of another initramfs.
func (s *supervisor) handOver(v plan.Verdict) error {
	slow := time.AfterFunc(slowSwitch, func() {
		report(
			console.ErrorPriority,
			"%s does not end in %s: %s",
			v.Action,
			console.Seconds(slowSwitch),
			held(os.Getpid()),
		)
	})
	defer slow.Stop()
	switch v.Action {
	case plan.ActionStay:
		return execInit(v.Argv)
	case plan.ActionChain:
		return chain(v)
	default:
	}
	begun, err := switchRoot(v.Root)
	if err == nil {
		err = execInit(v.Argv)
	} else if !begun {
		return err
	}
	// The root's init cannot be started.
	s.gone = true
	report(console.ErrorPriority, "%s: %v; rebooting in %s", v.Action, err, console.Seconds(plan.NewCommandLine))
	_ = s.pass(plan.NewCommandLine) // an order to end the machine has the same effect
	return s.end(plan.ActionReboot)
}

// pass waits. An order ends it.
func (s *supervisor) pass(d time.Duration) *orderError {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case order := <-s.orders:
		return order
	}
}
