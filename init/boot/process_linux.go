package boot

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/plan"
)

// Everything that execs, forks or ends the machine is in this file.

// fork starts this program once more. It gets the console as its standard
// descriptors and a pipe to PID 1 as descriptor messageFD.
func (s *supervisor) fork(pipe *os.File, args ...string) (int, error) {
	// The path is the one the kernel started.
	return syscall.ForkExec(s.program, append([]string{s.program}, args...), &syscall.ProcAttr{
		Dir:   "/",
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2, pipe.Fd()},
		// A session of its own: it can be killed with its group, and no terminal
		// sends it signals.
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
}

// execInit replaces PID 1 with the root's init. It returns only if the kernel
// refuses.
func execInit(argv []string) error { return execAs(argv[0], argv) }

// execAs is execInit for a program that is started under another name than its own.
func execAs(program string, argv []string) error {
	// The program is on the new root now: its errors are the root's.
	err := syscall.Exec(program, argv, rootEnv(os.Environ()))
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("exec %s: %w (a missing interpreter or dynamic loader gives this, too)", program, err)
	}
	return fmt.Errorf("exec %s: %w", program, err)
}

// shell runs the image's shell on the console and returns when it ends. Above its prompt it says
// why there is one, and what the boot does after it. Run starts it and waits for its end: PID 1
// does so in another way than the worker.
func shell(why, then string, run func(fork func() (int, error)) (unix.WaitStatus, error)) error {
	if _, err := os.Stat(plan.ShellPath); err != nil {
		return errors.New(plan.NoShell)
	}
	c, err := os.OpenFile("/dev/console", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open the console: %w", err)
	}
	defer func() { _ = c.Close() }()
	tty := int(c.Fd())
	// A serial line has no size, and line editors need one.
	if size, err := unix.IoctlGetWinsize(tty, unix.TIOCGWINSZ); err == nil && size.Col == 0 {
		_ = unix.IoctlSetWinsize(tty, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	mode, modeErr := unix.IoctlGetTermios(tty, unix.TCGETS)
	banner, err := openConsole("/dev/console")
	if err != nil {
		return fmt.Errorf("open the console: %w", err)
	}
	defer func() { _ = banner.file.Close() }()
	for {
		// To the console alone: the kernel's log has it already, and with "quiet"
		// does not show it.
		_, _ = fmt.Fprintf(
			banner,
			"\nnodisk: %s\nnodisk: a shell: dmesg, ip addr, lsmod, mount tell more; exit %s\n",
			console.Printable(why, reasonMost),
			then,
		)
		fd := c.Fd()
		status, err := run(func() (int, error) {
			pid, err := syscall.ForkExec(plan.ShellPath, []string{plan.ShellPath}, &syscall.ProcAttr{
				Dir: "/", Env: append(os.Environ(), "PATH=/bin:/sbin:/usr/bin:/usr/sbin", "TERM=linux"),
				Files: []uintptr{fd, fd, fd},
				Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0},
			})
			if err != nil {
				err = fmt.Errorf("start %s: %w", plan.ShellPath, err)
			}
			return pid, err
		})
		if modeErr == nil {
			_ = unix.IoctlSetTermios(tty, unix.TCSETS, mode)
		}
		// A ^C that was meant for a command ends gosh as well, which whoever typed it did not
		// want.
		switch {
		case err != nil || !status.Signaled():
			return err
		case status.Signal() != unix.SIGINT:
			return fmt.Errorf("%s was ended by signal %d (%v)", plan.ShellPath, status.Signal(), status.Signal())
		}
	}
}

// runInWorker starts a program and waits for it, in a worker, which has no orphans to reap.
func runInWorker(fork func() (int, error)) (unix.WaitStatus, error) {
	pid, err := fork()
	if err != nil {
		return 0, err
	}
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(pid, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for process %d: %w", pid, err)
		case status.Exited() || status.Signaled():
			return status, nil
		}
	}
}

// leave ends the worker. Verdicts need no exit status: zero says there is one.
func leave(status int) {
	os.Exit(status) //nolint:forbidigo // The worker's one way out, and this its one place.
}

// rootEnv is the environment of the root's init: what the kernel gave PID 1, which is the command
// line's unknown arguments and HOME, TERM.
func rootEnv(env []string) []string {
	if len(env) == 0 {
		return []string{"HOME=/", "TERM=linux"}
	}
	return env
}
