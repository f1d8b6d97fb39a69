package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/nodisk/nodisk/internal/userns"
)

// insideEnv marks a process that Enter has moved into the lab's namespaces.
const insideEnv = "NODISK_LAB_INSIDE"

// leaveGrace is how long the program inside may take to its end when the one outside
// has been told to end.
const leaveGrace = 30 * time.Second

// Inside reports whether this process is in the lab's namespaces.
func Inside() bool {
	return os.Getenv(insideEnv) == "1"
}

// An Outside is what [Enter] returns outside of the namespaces when the program has run
// inside of them: all that is left to do is to exit with its status.
type Outside struct{ Status int }

func (o *Outside) Error() string {
	return fmt.Sprintf("the program in the lab's namespaces ended with status %d", o.Status)
}

// Enter moves the calling program into network, mount and PID namespaces of
// its own, and into a user namespace when it is not root. It does so by executing the
// program again with the same arguments, as a child: outside it returns when that has
// ended, an [Outside] or why there is no child; inside it makes the namespaces usable and
// returns nil. The end of ctx outside is a SIGTERM inside, perhaps not the first there. Call it early.
//
// Why a child: a Go process has threads before main begins, and unshare(2) makes a user
// namespace only for a process with one. And what the child leaves undone when it is
// killed, a terminal in raw mode, the parent can mend.
func Enter(ctx context.Context) error {
	if Inside() {
		return settle()
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("enter namespaces: find own program: %w", err)
	}
	// Pdeathsig is about the thread that makes the child (prctl(2)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = namespaces()
	// Of a signal to the terminal's processes or to a group it has one itself, and it must bear
	// this one too.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = leaveGrace
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("enter namespaces: %w: %s", err, refusal(readSysctl))
	}
	err = cmd.Wait()
	switch state := cmd.ProcessState; {
	case state == nil:
		return fmt.Errorf("enter namespaces: %w", err)
	case state.Exited():
		return &Outside{Status: state.ExitCode()}
	default:
		const killed = 128 // a shell's way of telling a signal
		if status, ok := state.Sys().(syscall.WaitStatus); ok {
			return &Outside{Status: killed + int(status.Signal())}
		}
		return &Outside{Status: killed}
	}
}

// namespaces are those of the lab. The end of the process outside is the end of the one
// inside, and that, as PID 1 of its namespace, takes everything with it.
func namespaces() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// settle makes mounts private, shows the processes of the namespace, and gives the
// servers places of their own: /run for sockets and locks, /var/lib/nfs for ganesha's
// recovery records.
func settle() error {
	const safe = syscall.MS_NOSUID | syscall.MS_NODEV
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w: %s", err, refusal(readSysctl))
	}
	if err := syscall.Mount("proc", "/proc", "proc", safe|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount private /proc: %w: %s", err, refusal(readSysctl))
	}
	for _, dir := range []string{"/run", "/var/lib/nfs"} {
		switch err := syscall.Mount("nodisk-lab", dir, "tmpfs", safe, "mode=0755"); {
		case errors.Is(err, os.ErrNotExist):
			// No NFS server installed: whoever wants one will be told.
		case err != nil:
			return fmt.Errorf("mount private %s: %w: %s", dir, err, refusal(readSysctl))
		}
	}
	return nil
}

// rootOutside reports whether the process is root of the machine, not only of a
// user namespace.
func rootOutside() bool { return os.Geteuid() == 0 && !userns.Inside() }

// readSysctl reads a value below /proc/sys; empty means that this kernel has none.
func readSysctl(name string) string {
	text, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
