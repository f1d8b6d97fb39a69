package boot

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Everything that execs, forks or ends the machine is in this file.

// startWorker starts this program once more. The worker gets the console as
// its standard descriptors and the pipe for its verdict as descriptor 3.
func startWorker(program string, verdict *os.File) (int, error) {
	// /proc is not mounted yet: the path is the one the kernel started.
	return syscall.ForkExec(program, []string{program, workerArg}, &syscall.ProcAttr{
		Dir:   "/",
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2, verdict.Fd()},
		// The worker may be killed by anything but its own group's signals.
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
}

// execInit replaces PID 1 with the root's init. It returns only if the kernel
// refuses.
func execInit(argv []string) error {
	// The program is on the new root now: its errors are the root's.
	err := syscall.Exec(argv[0], argv, rootEnv(os.Environ()))
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("exec %s: %w (a missing interpreter or dynamic loader gives this, too)", argv[0], err)
	}
	return fmt.Errorf("exec %s: %w", argv[0], err)
}

// reboot ends the machine: it returns only if the kernel refuses.
func reboot(a Action) error {
	unix.Sync()
	how := unix.LINUX_REBOOT_CMD_RESTART
	switch a {
	case ActionPoweroff:
		how = unix.LINUX_REBOOT_CMD_POWER_OFF
	case ActionHalt:
		how = unix.LINUX_REBOOT_CMD_HALT
	case ActionReboot, ActionSwitch, ActionStay, ActionAgain, ActionShell:
	}
	if err := unix.Reboot(how); err != nil {
		return fmt.Errorf("%s: %w", a, err)
	}
	return nil
}

// shell runs the image's shell on the console and returns when it ends.
func shell() error {
	const sh = "/bin/sh"
	if _, err := os.Stat(sh); err != nil {
		return fmt.Errorf("the image has no %s: add one with nodisk build --add", sh)
	}
	console, err := os.OpenFile("/dev/console", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open the console: %w", err)
	}
	fd := console.Fd()
	pid, err := syscall.ForkExec(sh, []string{"sh"}, &syscall.ProcAttr{
		Dir: "/", Env: append(os.Environ(), "PATH=/bin:/sbin:/usr/bin:/usr/sbin", "TERM=linux"),
		Files: []uintptr{fd, fd, fd},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0},
	})
	_ = console.Close()
	if err != nil {
		return fmt.Errorf("start %s: %w", sh, err)
	}
	_, err = reapUntil(pid)
	return err
}

// leave ends the worker. Verdicts need no exit status: zero says there is one.
func leave(status int) {
	os.Exit(status) //nolint:forbidigo // The worker's one way out, and this its one place.
}

// rootEnv is the environment of the root's init: what the kernel gave PID 1,
// which is the command line's unknown words and HOME, TERM.
func rootEnv(env []string) []string {
	if len(env) == 0 {
		return []string{"HOME=/", "TERM=linux"}
	}
	return env
}
