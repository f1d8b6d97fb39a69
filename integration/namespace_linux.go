package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// insideEnv marks a process that Enter has moved into the lab's namespaces.
const insideEnv = "NODISK_LAB_INSIDE"

// Inside tells whether this process is in the lab's namespaces.
func Inside() bool {
	return os.Getenv(insideEnv) == "1"
}

// Enter moves the calling program into network, mount and PID namespaces of
// its own, and into a user namespace when it is not root. It does so by
// executing the program anew under unshare(1) with the same arguments: the
// first call does not return unless it fails, and in the new process Enter
// makes the namespaces usable and returns nil. Call it early.
//
// unshare(1) rather than unshare(2), because a Go process has threads before
// main starts, and a user namespace can only be entered by a process with one.
func Enter(ctx context.Context) error {
	if Inside() {
		return settle()
	}
	argv, err := unshareArgs()
	if err != nil {
		return err
	}
	// A trial first: behind execve there is no way back.
	trial := append(append([]string{}, argv[1:]...), "true")
	if out, err := exec.CommandContext(ctx, argv[0], trial...).CombinedOutput(); err != nil {
		return fmt.Errorf("enter namespaces: %s: %w: %s; root can, others need kernel.unprivileged_userns_clone=1",
			strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("enter namespaces: find own program: %w", err)
	}
	argv = append(argv, self)
	argv = append(argv, os.Args[1:]...)
	err = syscall.Exec(argv[0], argv, append(os.Environ(), insideEnv+"=1"))
	return fmt.Errorf("enter namespaces: execute %s: %w", argv[0], err)
}

func unshareArgs() ([]string, error) {
	path, err := exec.LookPath("unshare")
	if err != nil {
		return nil, fmt.Errorf("enter namespaces: %w (package util-linux)", err)
	}
	// --kill-child: the end of the outer process is the end of the inner one,
	// and that, as PID 1 of its namespace, takes everything with it.
	argv := []string{path, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if os.Geteuid() != 0 {
		argv = append(argv, "--user", "--map-root-user")
	}
	return append(argv, "--"), nil
}

// settle gives the servers places of their own: /run for sockets and locks,
// /var/lib/nfs for ganesha's recovery records.
func settle() error {
	for _, dir := range []string{"/run", "/var/lib/nfs"} {
		switch err := syscall.Mount("nodisk-lab", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=0755"); {
		case errors.Is(err, os.ErrNotExist):
			// No NFS server installed: whoever wants one will be told.
		case err != nil:
			return fmt.Errorf("mount private %s: %w", dir, err)
		}
	}
	return nil
}

// rootOutside tells whether the process is root of the machine, not only of a
// user namespace.
func rootOutside() bool {
	m, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false
	}
	f := strings.Fields(string(m))
	return os.Geteuid() == 0 && len(f) == 3 && f[1] == "0" && f[2] == "4294967295"
}
