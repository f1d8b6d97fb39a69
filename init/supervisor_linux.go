package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel starts /init as PID 1, and /init starts itself once more as the
// worker; the kernel also calls it in modprobe's place (see modprobe_linux.go).
const (
	workerArg     = "nodisk-worker"
	verdictFD     = 3
	supervisorLog = "supervisor: "
)

// Main is the whole of cmd/nodisk-init. As PID 1 it never returns.
func Main(args []string) {
	switch {
	case os.Getpid() == 1:
		supervise(args)
	case len(args) > 1 && args[1] == workerArg:
		work(os.NewFile(verdictFD, "verdict"))
	case len(args) > 1 && args[1] == "-q":
		modprobe(args[2:])
	case len(args) > 1 && args[1] == driversArg:
		loadDrivers()
	case strings.HasSuffix(args[0], "modprobe"): // in a shell, by bin/modprobe of --rescue
		if err := modprobeAll(context.Background(), args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			leave(1)
		}
	default:
		fmt.Fprintln(os.Stderr, "nodisk-init is PID 1 of an initramfs: build an image with `nodisk build`, try it with `nodisk boot`")
	}
}

// supervise starts workers and carries out their verdicts, for ever. Nothing
// may end it: the kernel panics without PID 1.
func supervise(args []string) {
	for attempt := 1; ; attempt++ {
		line, err := guard(func() (string, error) {
			v, err := superviseOnce(args[0])
			if err != nil {
				return "", err
			}
			// The kernel gave PID 1 the words of the command line that it did
			// not know ("single", "3"): they are for the root's init.
			if v.Action == ActionSwitch || v.Action == ActionStay || v.Action == ActionChain {
				v.Argv = append(v.Argv, args[1:]...)
			}
			return v.Action.String(), carryOut(v)
		})
		wait := pause(identity(), attempt)
		if err != nil {
			report(errorPriority, "%v; starting again in %s", err, seconds(wait))
		} else {
			report(debugPriority, "%s: starting again in %s", line, seconds(wait))
		}
		reapFor(wait)
	}
}

// superviseOnce runs one worker to its end.
func superviseOnce(program string) (Verdict, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return Verdict{}, fmt.Errorf("make a pipe for the worker: %w", err)
	}
	defer func() { _ = r.Close() }()
	pid, err := startWorker(program, w)
	_ = w.Close()
	if err != nil {
		return Verdict{}, fmt.Errorf("start the worker: %w", err)
	}
	status, err := reapUntil(pid)
	if err != nil {
		return Verdict{}, err
	}
	// The pipe outlives the worker; what it wrote fits into it.
	text, err := io.ReadAll(r)
	if err != nil {
		return Verdict{}, fmt.Errorf("read the worker's verdict: %w", err)
	}
	switch {
	case status.Signaled():
		return Verdict{}, fmt.Errorf("the worker was killed by %v (out of memory?)", status.Signal())
	case status.ExitStatus() != 0:
		return Verdict{}, fmt.Errorf("the worker crashed with exit status %d: please report the lines above", status.ExitStatus())
	}
	return ParseVerdict(text)
}

// carryOut does what a verdict says. It returns if that is to start again, or
// an error if that is still possible: what is lost is answered by a reboot.
func carryOut(v Verdict) error {
	var err error
	switch v.Action {
	case ActionAgain:
		return nil
	case ActionShell:
		return shell(strings.Join(v.Argv, " "), "starts the boot again")
	case ActionReboot, ActionPoweroff, ActionHalt:
		return reboot(v.Action)
	case ActionStay:
		return execInit(v.Argv)
	case ActionChain:
		return chain(v)
	case ActionSwitch:
		var begun bool
		if begun, err = switchRoot(v.Root); err == nil {
			err = execInit(v.Argv)
		}
		if err == nil || !begun {
			return err
		}
	default:
		return fmt.Errorf("no such action: %v", v.Action)
	}
	// The initramfs is gone, and the root's init cannot be started.
	report(errorPriority, "%s: %v; rebooting in %s", v.Action, err, seconds(newCommandLine))
	reapFor(newCommandLine)
	return reboot(ActionReboot)
}

// reapUntil waits for one process and buries all others that die meanwhile:
// orphans become children of PID 1.
func reapUntil(pid int) (unix.WaitStatus, error) {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, fmt.Errorf("wait for process %d: %w", pid, err)
		case got == pid && (status.Exited() || status.Signaled()):
			return status, nil
		}
	}
}

// reapFor waits and buries what dies meanwhile.
func reapFor(d time.Duration) {
	<-time.After(d)
	for {
		var status unix.WaitStatus
		if got, err := unix.Wait4(-1, &status, unix.WNOHANG, nil); got <= 0 && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// report writes one line without the machinery of the worker's log.
func report(prio int, format string, args ...any) {
	line := supervisorLog + fmt.Sprintf(format, args...)
	if f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		_, err = fmt.Fprintf(f, "<%d>nodisk: %s\n", prio, line)
		_ = f.Close()
		if err == nil {
			return
		}
	}
	fmt.Fprintf(os.Stderr, "nodisk: %s\r\n", line)
}
