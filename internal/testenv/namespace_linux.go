package testenv

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const inside = "NODISK_TEST_NAMESPACE"

// Inside reports whether this is the process that Namespace has started.
func Inside() bool { return os.Getenv(inside) != "" }

// Namespace runs the calling test once more, alone, in a process with a network of its own and
// with the further namespaces of flags (CLONE_NEWNS and the like of clone(2)), and reports whether this is
// that process. The caller returns where it is not.
func Namespace(t *testing.T, flags uintptr) bool {
	t.Helper()
	if Inside() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | flags, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Start()
	if err != nil {
		Missing(t, "namespaces (root, or user namespaces): "+err.Error())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("in the namespace: %v\n%s", err, out.Bytes())
	} else {
		t.Logf("%s", out.Bytes())
	}
	if strings.Contains(out.String(), "--- SKIP") { // it has said what is missing
		Missing(t, "what the test in the namespace needs")
	}
	return false
}
