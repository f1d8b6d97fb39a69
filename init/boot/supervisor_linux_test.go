package boot

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// PID 1 carries the verdict out whatever becomes of the worker and of the pipe.
func TestVerdictIsCarriedOut(t *testing.T) {
	t.Parallel()
	for scenario, says := range map[string]string{
		"holder":  "",
		"stays":   "",
		"held":    "let go of the root: not over in 4.00 s: the kernel does not say what it waits for; going on",
		"large":   "the image has no /bin/sh",
		"crashes": "the worker crashed with exit status 2: please report the lines above; its verdict stands",
		"mute":    "",
		"sweep":   "sweeps that failed: 0\n",
		"stopped": "the worker was stopped by SIGSTOP: continuing it",
	} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			out, status := switchOn(t, scenario).ends()
			if status.Signal() != unix.SIGINT {
				t.Errorf("ended by %v, want that it switched itself off", status.Signal())
			}
			if !strings.Contains(out, says) {
				t.Errorf("it did not say %q:\n%s", says, out)
			}
		})
	}
}

// No signal kills PID 1; some of them are orders.
func TestSignalsToPID1(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		order syscall.Signal
		ends  syscall.Signal
		says  string
	}{
		{unix.SIGTERM, unix.SIGHUP, "reboot by SIGTERM"},
		{unix.SIGINT, unix.SIGHUP, "reboot by SIGINT"},
		{unix.SIGUSR1, unix.SIGINT, "halt by SIGUSR1"},
		{unix.SIGUSR2, unix.SIGINT, "poweroff by SIGUSR2"},
		{unix.SIGPWR, unix.SIGINT, "poweroff by SIGPWR"},
	} {
		t.Run(unix.SignalName(tt.order), func(t *testing.T) {
			t.Parallel()
			m := switchOn(t, "waits")
			m.await("worker waits")
			for _, s := range []syscall.Signal{
				unix.SIGHUP, unix.SIGQUIT, unix.SIGABRT, unix.SIGILL, unix.SIGTRAP, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSYS,
				unix.SIGALRM, unix.SIGPIPE, unix.SIGTSTP, unix.SIGXCPU, unix.SIGSTKFLT,
			} {
				if err := m.cmd.Process.Signal(s); err != nil {
					t.Fatalf("%v: %v; it wrote:\n%s", s, err, m.all.String())
				}
			}
			m.await("SIGSEGV is not an order")
			if err := m.cmd.Process.Signal(tt.order); err != nil {
				t.Fatal(err)
			}
			out, status := m.ends()
			if status.Signal() != tt.ends || !strings.Contains(out, tt.says) {
				t.Errorf("ended by %v, want %v and %q:\n%s", status.Signal(), tt.ends, tt.says, out)
			}
		})
	}
}

// The root's init and the children of a worker get nothing of nodisk's: no
// descriptors, no signals blocked or ignored, no changed sysctls; the latter also if a worker
// dies before it can give them back.
func TestNothingIsInherited(t *testing.T) {
	t.Parallel()
	score, err := os.ReadFile("/proc/self/oom_score_adj") // what the machine is started with
	if err != nil {
		t.Fatal(err)
	}
	out, status := switchOn(t, "switch").ends()
	if !status.Exited() || status.ExitStatus() != 0 {
		t.Fatalf("status %#x; it wrote:\n%s", status, out)
	}
	for _, want := range []string{
		"second worker finds /sbin/modprobe",
		"child descriptors [0 1 2]",
		"root argv [/sbin/init single]",
		"root descriptors [0 1 2]",
		"root SigBlk 0000000000000000",
		"root SigIgn 0000000000000000",
		"root oom_score_adj " + strings.TrimSpace(string(score)) + " <nil>",
		"root modprobe /sbin/modprobe",
		"root printk_devkmsg ratelimit",
		"root rcu_expedited 0 <nil>",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("not %q; it wrote:\n%s", want, out)
		}
	}
}
