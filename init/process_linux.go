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
func execInit(argv []string) error { return execAs(argv[0], argv) }

// execAs is execInit for a program that is told another name than its own.
func execAs(program string, argv []string) error {
	// The program is on the new root now: its errors are the root's.
	err := syscall.Exec(program, argv, rootEnv(os.Environ()))
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("exec %s: %w (a missing interpreter or dynamic loader gives this, too)", program, err)
	}
	return fmt.Errorf("exec %s: %w", program, err)
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
	case ActionReboot, ActionSwitch, ActionStay, ActionAgain, ActionShell, ActionChain:
	}
	if err := unix.Reboot(how); err != nil {
		return fmt.Errorf("%s: %w", a, err)
	}
	return nil
}

// shell runs the image's shell on the console and returns when it ends. Above
// its prompt stands why there is one, and what the boot does behind it.
func shell(why, then string) error {
	if _, err := os.Stat(shellPath); err != nil {
		return fmt.Errorf("the image has no %s: build it with nodisk build --rescue", shellPath)
	}
	console, err := os.OpenFile("/dev/console", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open the console: %w", err)
	}
	defer func() { _ = console.Close() }()
	tty := int(console.Fd())
	// A serial line has no size, and editors of lines need one.
	if size, err := unix.IoctlGetWinsize(tty, unix.TIOCGWINSZ); err == nil && size.Col == 0 {
		_ = unix.IoctlSetWinsize(tty, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	mode, modeErr := unix.IoctlGetTermios(tty, unix.TCGETS)
	for {
		// To the console alone: the kernel's log has it already, and with "quiet"
		// does not show it.
		_, _ = fmt.Fprintf(console, "\nnodisk: %s\nnodisk: a shell: dmesg, ip addr, lsmod, mount tell more; exit %s\n", why, then)
		fd := console.Fd()
		pid, err := syscall.ForkExec(shellPath, []string{shellPath}, &syscall.ProcAttr{
			Dir: "/", Env: append(os.Environ(), "PATH=/bin:/sbin:/usr/bin:/usr/sbin", "TERM=linux"),
			Files: []uintptr{fd, fd, fd},
			Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0},
		})
		if err != nil {
			return fmt.Errorf("start %s: %w", shellPath, err)
		}
		status, err := reapUntil(pid)
		if modeErr == nil {
			_ = unix.IoctlSetTermios(tty, unix.TCSETS, mode)
		}
		// A ^C that was meant for a command ends gosh as well. That is not what
		// whoever typed it wanted of the boot.
		switch {
		case err != nil || !status.Signaled():
			return err
		case status.Signal() != unix.SIGINT:
			return fmt.Errorf("%s was ended by signal %d (%v)", shellPath, status.Signal(), status.Signal())
		}
	}
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
