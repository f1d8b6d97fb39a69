package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/testenv"
)

// The tests of PID 1 run it: the test binary becomes /init of an initramfs of its
// own, in namespaces of processes and mounts, and goes on to be the workers, which
// do what a scenario says, and the root's init. Only the kernel is not one of its own: in such
// a namespace reboot(2) ends all its processes (reboot_pid_ns in
// kernel/pid_namespace.c), and the files below /proc that reach beyond it are covered.

// scenarioEnv carries the scenario's name to all of them.
const scenarioEnv = "NODISK_TEST_SCENARIO"

func TestMain(m *testing.M) {
	if scenario := os.Getenv(scenarioEnv); scenario != "" {
		machine(scenario)
	}
	os.Exit(m.Run()) //nolint:forbidigo // The way a test binary ends.
}

// machine is what the test binary does where it is not a test.
func machine(scenario string) {
	switch {
	case os.Getpid() == 1 && os.Args[0] == "/init":
		Main(os.Args)
	case os.Getpid() == 1 && os.Args[0] == "/sbin/init":
		inRoot()
	case os.Getpid() == 1:
		if err := unpackMachine(); err != nil {
			fmt.Println("lacks:", err)
			leave(1)
		}
		if scenario == "mute" {
			if err := stopConsole(); err != nil {
				fmt.Println("lacks:", err)
				leave(1)
			}
		}
		err := errors.Join(defaultSignals(), syscall.Exec("/init", []string{"/init", "single"}, os.Environ()))
		fmt.Println("lacks:", err)
		leave(1)
	case len(os.Args) > 1 && os.Args[1] == workerArg:
		scenarios()[scenario]()
	case len(os.Args) > 1 && os.Args[1] == "descriptors":
		fmt.Println("child descriptors", descriptors())
	case len(os.Args) > 1 && os.Args[1] == letGoArg && scenario == "held":
		select {}
	case len(os.Args) > 1 && os.Args[1] == "sleep":
		select {}
	default:
		Main(os.Args)
	}
	leave(0)
}

// unpackMachine makes the initramfs: /init, a root in /tree, and the libraries that the
// test binary may need.
func unpackMachine() error {
	// What the test binary was given is not of the machine.
	if err := unix.CloseRange(3, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return err
	}
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	const top = "/tmp"
	mount := func(source, target, fstype string, flags uintptr) error {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(source, target, fstype, flags, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", source, target, err)
		}
		return nil
	}
	program, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := mount("tmpfs", top, "tmpfs", 0); err != nil {
		return err
	}
	for _, root := range []string{top, top + "/tree"} {
		if err := errors.Join(mount("tmpfs", root, "tmpfs", 0), os.MkdirAll(root+"/sbin", 0o755)); err != nil {
			return err
		}
		for _, dir := range []string{"/usr", "/lib", "/lib64"} {
			to, err := os.Readlink(dir)
			switch {
			case err == nil:
				err = os.Symlink(to, root+dir)
			case exists(dir):
				err = mount(dir, root+dir, "", unix.MS_BIND|unix.MS_REC)
			default:
				err = nil
			}
			if err != nil {
				return err
			}
		}
	}
	for _, path := range []string{"/init", "/tree/sbin/init"} {
		if err := os.WriteFile(top+path, program, 0o755); err != nil { //nolint:gosec // a program
			return err
		}
	}
	for target, fstype := range map[string]string{"/proc": "proc", "/sys": "tmpfs", "/dev": "tmpfs", "/run": "tmpfs"} {
		if err := mount(fstype, top+target, fstype, 0); err != nil {
			return err
		}
	}
	// The kernel of the machine that tests is not to change.
	if err := mount("tmpfs", top+"/proc/sys", "tmpfs", 0); err != nil {
		return err
	}
	if err := errors.Join(os.Mkdir(top+"/proc/sys/kernel", 0o755), os.Mkdir(top+"/sys/kernel", 0o755)); err != nil {
		return err
	}
	for path, text := range map[string]string{modprobeSysctl: "/sbin/modprobe\n", devkmsgSysctl: "ratelimit\n", expediteRCU: "0\n"} {
		if err := os.WriteFile(top+path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	if exists(top + sysrqTrigger) {
		if err := unix.Mount(top+devkmsgSysctl, top+sysrqTrigger, "", unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("cover %s: %w", sysrqTrigger, err)
		}
	}
	if err := os.Mkdir(top+"/old", 0o755); err != nil {
		return err
	}
	return errors.Join(unix.PivotRoot(top, top+"/old"), unix.Chdir("/"), unix.Unmount("/old", unix.MNT_DETACH), os.Remove("/old"))
}

// stopConsole gives the machine a console that takes nothing, and to this process as its output,
// as the kernel does.
func stopConsole() error {
	const path = "/dev/console"
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return err
	}
	end, err := unix.Open(path, unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	filler, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for {
		switch _, err := unix.Write(filler, make([]byte, 4096)); {
		case errors.Is(err, unix.EAGAIN):
			return errors.Join(unix.Close(filler), unix.Dup2(end, 2), unix.Dup2(end, 1))
		case err != nil:
			return err
		}
	}
}

// defaultSignals leaves no signal ignored, as the kernel starts PID 1. Whatever ran the
// test may have left some: posix_spawn(3) of glibc gives its children signals 32 and 33,
// which the Go runtime does not touch, ignored.
func defaultSignals() error {
	var action [4]uint64 // struct sigaction of the kernel: SIG_DFL, no flags, no mask
	for s := syscall.Signal(1); s <= 64; s++ {
		if s == unix.SIGKILL || s == unix.SIGSTOP {
			continue
		}
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
		if errno != 0 {
			return fmt.Errorf("give signal %d its default: %w", s, errno)
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// inRoot is the root's init. It tells what it was given.
func inRoot() {
	fmt.Println("root argv", os.Args)
	fmt.Println("root descriptors", descriptors())
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), ":"); slices.Contains([]string{"SigBlk", "SigIgn", "ShdPnd"}, key) {
			fmt.Println("root", key, strings.TrimSpace(value))
		}
	}
	for _, path := range []string{modprobeSysctl, devkmsgSysctl, expediteRCU, "/proc/self/oom_score_adj"} {
		text, err := os.ReadFile(path)
		fmt.Println("root", filepath.Base(path), strings.TrimSpace(string(text)), err)
	}
	files, err := filepath.Glob("/*")
	fmt.Println("root files", files, err)
}

// descriptors lists those of this process that it was given: what the Go runtime
// opens itself is CLOEXEC.
func descriptors() (list []string) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return []string{err.Error()}
	}
	for _, e := range entries {
		var fd int
		if _, err := fmt.Sscan(e.Name(), &fd); err != nil {
			return []string{err.Error()}
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			list = append(list, e.Name())
		}
	}
	return list
}

// first reports whether this is the first worker of its machine.
func first() bool {
	err := os.Mkdir("/run/first", 0o755)
	return err == nil
}

// say is a worker's verdict.
func say(t *teller, v plan.Verdict) {
	if err := t.verdict(v); err != nil {
		fmt.Println("verdict:", err)
		leave(1)
	}
}

func spawn(args []string, files ...uintptr) {
	if _, err := syscall.ForkExec("/init", append([]string{"/init"}, args...), &syscall.ProcAttr{Env: os.Environ(), Files: files}); err != nil {
		fmt.Println("spawn:", err)
	}
}

// scenarios are what workers do.
func scenarios() map[string]func() {
	off := plan.Verdict{Action: plan.ActionPoweroff}
	return map[string]func(){
		// Somebody else has the pipe: a process that was left behind in a shell.
		"holder": func() {
			t := newTeller()
			spawn([]string{"sleep"}, 0, 1, 2, messageFD)
			say(t, off)
		},
		// Whatever is let go is held.
		"held": func() { say(newTeller(), off) },
		// It does not end: the kernel holds a thread, a defect holds all others.
		"stays": func() {
			signal.Ignore(unix.SIGTERM)
			say(newTeller(), off)
			select {}
		},
		// A server that exports to a cluster fills the reason with its names.
		"large": func() {
			t := newTeller()
			if first() {
				say(t, plan.Verdict{Action: plan.ActionShell, Argv: []string{strings.Repeat("node1.cluster.example.org, ", 8000)}})
				return
			}
			say(t, off)
		},
		// It says its verdict, and crashes while it tidies up.
		"crashes": func() {
			say(newTeller(), off)
			leave(2)
		},
		// Nobody reads the console, and there is no log of the kernel.
		"mute": func() {
			if t := newTeller(); !first() {
				say(t, off)
			}
		},
		// Mounts that came late are taken away by two.
		"sweep": func() {
			t := newTeller()
			failed := 0
			for range 500 {
				aside, err := os.MkdirTemp("/", ".sysroot.*")
				if err := errors.Join(err, os.MkdirAll(sysroot, 0o755), unix.Mount("none", aside, "tmpfs", 0, ""), unix.Mount("none", sysroot, "tmpfs", 0, "")); err != nil {
					fmt.Println(err)
				}
				over := make(chan struct{})
				go func() {
					defer close(over)
					_ = unix.Unmount(aside, unix.MNT_DETACH)
					_ = os.Remove(aside)
				}()
				if err := detachAll(context.Background(), sysroot); err != nil || inTree(sysroot) {
					failed++
				}
				<-over
			}
			fmt.Println("sweeps that failed:", failed)
			say(t, off)
		},
		"stopped": func() {
			t := newTeller()
			_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
			say(t, off)
		},
		"waits": func() {
			fmt.Println("worker waits")
			select {}
		},
		// What a worker changes, and what its children and the root get.
		"switch": func() {
			t := newTeller()
			before, err := os.ReadFile(modprobeSysctl)
			_ = openLog(nil)
			if err := errors.Join(err, sacrifice(), hurry(), os.WriteFile(modprobeSysctl, []byte("/init"), 0)); err != nil {
				fmt.Println(err)
			}
			if first() {
				return // it dies, without a verdict
			}
			fmt.Println("second worker finds", string(before))
			if err := errors.Join(os.Mkdir(sysroot, 0o755), unix.Mount("/tree", sysroot, "", unix.MS_BIND|unix.MS_REC, "")); err != nil {
				fmt.Println(err)
			}
			if _, err := runInWorker(func() (int, error) {
				return syscall.ForkExec("/init", []string{"/init", "descriptors"}, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
			}); err != nil {
				fmt.Println(err)
			}
			say(t, plan.Verdict{Action: plan.ActionSwitch, Root: sysroot, Argv: []string{"/sbin/init"}})
		},
	}
}

// A running is a machine of a scenario.
type running struct {
	t   *testing.T
	cmd *exec.Cmd
	out *os.File
	all bytes.Buffer
}

// switchOn starts a machine. It ends with the test.
func switchOn(t *testing.T, scenario string) *running {
	t.Helper()
	if _, ok := scenarios()[scenario]; !ok {
		t.Fatalf("no scenario %s", scenario)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	m := &running{t: t, out: r, cmd: exec.CommandContext(ctx, os.Args[0])}
	m.cmd.Env = append(os.Environ(), scenarioEnv+"="+scenario)
	m.cmd.Stdout, m.cmd.Stderr = w, w
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	if os.Geteuid() != 0 {
		m.cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		m.cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		m.cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err = m.cmd.Start()
	_ = w.Close()
	if err != nil {
		testenv.Missing(t, "namespaces of processes and mounts: "+err.Error())
	}
	return m
}

// await reads until the machine has written a text.
func (m *running) await(text string) {
	m.t.Helper()
	b := make([]byte, 4096)
	for !strings.Contains(m.all.String(), text) {
		n, err := m.out.Read(b)
		m.all.Write(b[:n])
		if err != nil {
			m.t.Fatalf("wait for %q: %v; it wrote:\n%s", text, err, m.all.String())
		}
	}
}

// ends waits for the end and returns all that the machine wrote and how it ended:
// reboot(2) in the namespace kills it by SIGHUP for a restart, by SIGINT for power
// off and halt.
func (m *running) ends() (string, syscall.WaitStatus) {
	m.t.Helper()
	_, err := m.all.ReadFrom(m.out)
	_ = m.cmd.Wait() // its status is looked at
	out := m.all.String()
	if why, ok := strings.CutPrefix(out, "lacks: "); ok {
		testenv.Missing(m.t, why)
	}
	status, ok := m.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if err != nil || !ok {
		m.t.Fatalf("%v", err)
	}
	if status.Signal() == unix.SIGKILL {
		m.t.Fatalf("it does not end; it wrote:\n%s", out)
	}
	return out, status
}
