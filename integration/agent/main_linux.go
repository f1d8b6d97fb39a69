// Command agent is what a storm's node starts as PID 1 (rdinit=/storm): it
// starts itself once more in the background and becomes /init. The copy takes
// orders over the second serial line, one a line, and answers each with one:
//
//	signal NAME    send the worker that signal (KILL, STOP, CONT, ABRT)
//	starve         take all memory until the kernel has killed the worker
//	stacks         write where PID 1 and the worker are in the kernel to its log
//
// /init knows nothing of it. For tests only.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// proc is the agent's own, in a mount namespace of its own: /init finds the
	// initramfs as it always is.
	proc  = "/.storm"
	tty   = "/.storm-tty"
	worry = "<3>storm: "
	// starveLimit bounds, in milliseconds, how long the kernel may take to kill.
	starveLimit = 100000
)

func main() {
	log.SetFlags(0)
	if len(os.Args) == 2 && (os.Args[1] == "agent" || os.Args[1] == "eat") {
		run := serve
		if os.Args[1] == "eat" {
			run = eat
		}
		if err := run(); err != nil {
			toLog(err.Error())
		}
		return
	}
	_, err := syscall.ForkExec(os.Args[0], []string{os.Args[0], "agent"}, &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: []uintptr{0, 1, 2},
		Sys: &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWNS},
	})
	if err != nil {
		log.Printf("storm: start the agent: %v", err)
	}
	err = syscall.Exec("/init", append([]string{"/init"}, os.Args[1:]...), os.Environ())
	log.Printf("storm: become /init: %v", err)
}

func serve() error {
	if err := os.Mkdir(proc, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", proc, err)
	}
	if err := unix.Mount("proc", proc, "proc", 0, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	// ttyS1 (Documentation/admin-guide/devices.txt): there is no /dev yet.
	if err := unix.Mknod(tty, unix.S_IFCHR|0o600, int(unix.Mkdev(4, 65))); err != nil {
		return fmt.Errorf("make ttyS1: %w", err)
	}
	fd, err := unix.Open(tty, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open ttyS1: %w", err)
	}
	mode, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("read the mode of ttyS1: %w", err)
	}
	mode.Iflag, mode.Oflag, mode.Lflag = 0, 0, 0
	mode.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
	mode.Cc[unix.VMIN], mode.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, mode); err != nil {
		return fmt.Errorf("set the mode of ttyS1: %w", err)
	}
	line := os.NewFile(uintptr(fd), "ttyS1")
	if _, err := fmt.Fprintln(line, "ready"); err != nil {
		return fmt.Errorf("say that orders are taken: %w", err)
	}
	orders := bufio.NewScanner(line)
	for orders.Scan() {
		said, err := obey(strings.Fields(orders.Text()))
		if err != nil {
			said = "error: " + err.Error()
		}
		if _, err := fmt.Fprintln(line, said); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	return orders.Err()
}

// obey carries out an order. "none" says that there is no worker.
func obey(order []string) (string, error) {
	switch {
	case len(order) == 1 && order[0] == "stacks":
		return "ok", stacks()
	case len(order) == 0:
		return "", errors.New("no order")
	}
	pid, err := worker()
	if err != nil || pid == 0 {
		return "none", err
	}
	switch {
	case len(order) == 2 && order[0] == "signal":
		s := unix.SignalNum("SIG" + order[1])
		if s == 0 {
			return "", fmt.Errorf("no signal %s", order[1])
		}
		if err := unix.Kill(pid, s); err != nil {
			return "", fmt.Errorf("send %s to process %d: %w", order[1], pid, err)
		}
		return fmt.Sprintf("ok %d", pid), nil
	case len(order) == 1 && order[0] == "starve":
		vmstat, err := os.Open(proc + "/vmstat")
		if err != nil {
			return "", fmt.Errorf("read what was killed: %w", err)
		}
		defer func() { _ = vmstat.Close() }()
		before, err := kills(vmstat)
		if err != nil {
			return "", err
		}
		if err := starve(pid); err != nil {
			return "", err
		}
		switch after, err := kills(vmstat); {
		case err != nil:
			return "", err
		case after == before:
			return "none", nil // it ended by itself
		}
		return fmt.Sprintf("ok %d", pid), nil
	default:
		return "", fmt.Errorf("no order %v", order)
	}
}

// worker returns the process number of the youngest worker, 0 when there is none.
func worker() (int, error) {
	paths, err := filepath.Glob(proc + "/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	youngest := 0
	for _, path := range paths {
		words, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(words, []byte("\x00nodisk-worker\x00")) {
			continue // it may have ended meanwhile
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			youngest = max(youngest, pid)
		}
	}
	return youngest, nil
}

// kills is how many processes the kernel has killed for want of memory, by an open /proc/vmstat: the
// switch may come between two looks, and take the path away.
func kills(vmstat io.ReaderAt) (string, error) {
	text, err := io.ReadAll(io.NewSectionReader(vmstat, 0, 1<<20))
	if err != nil {
		return "", fmt.Errorf("read what was killed: %w", err)
	}
	_, n, ok := strings.Cut(string(text), "\noom_kill ")
	if !ok {
		return "", errors.New("read what was killed: /proc/vmstat has no oom_kill")
	}
	n, _, _ = strings.Cut(n, "\n")
	return n, nil
}

// starve takes memory until the worker is dead. The kernel is told whom to take
// first (proc(5), oom_score_adj): the worker; then who took the memory, so that
// there is somebody; the agent never, and PID 1 it never does.
func starve(pid int) error {
	for whose, score := range map[string]string{"self": "-1000", strconv.Itoa(pid): "1000"} {
		if err := os.WriteFile(filepath.Join(proc, whose, "oom_score_adj"), []byte(score), 0); err != nil {
			return fmt.Errorf("choose whom the kernel kills: %w", err)
		}
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("watch process %d: %w", pid, err)
	}
	defer func() { _ = unix.Close(fd) }()
	attr := &syscall.ProcAttr{Files: []uintptr{0, 1, 2}}
	eater, err := syscall.ForkExec(proc+"/self/exe", []string{os.Args[0], "eat"}, attr)
	if err != nil {
		return fmt.Errorf("start to take memory: %w", err)
	}
	defer func() {
		_ = unix.Kill(eater, unix.SIGKILL)
		_, _ = unix.Wait4(eater, nil, 0, nil)
	}()
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		switch n, err := unix.Poll(p, starveLimit); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("watch process %d: %w", pid, err)
		case n == 0:
			return fmt.Errorf("process %d outlived %d ms without memory", pid, starveLimit)
		default:
			return nil
		}
	}
}

// eat takes memory until the kernel or the agent ends it.
func eat() error {
	if err := os.WriteFile(proc+"/self/oom_score_adj", []byte("0"), 0); err != nil {
		return fmt.Errorf("let the kernel kill this: %w", err)
	}
	const how = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_POPULATE
	for {
		_, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, how)
		if err != nil && !errors.Is(err, unix.ENOMEM) {
			return fmt.Errorf("take memory: %w", err)
		}
	}
}

// stacks writes where the threads of PID 1 and of the worker are.
func stacks() error {
	pid, err := worker()
	if err != nil {
		return err
	}
	for _, who := range []int{1, pid} {
		paths, err := filepath.Glob(fmt.Sprintf("%s/%d/task/*/stack", proc, who))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil {
				thread := filepath.Base(filepath.Dir(path))
				toLog(fmt.Sprintf("%d/%s: %s", who, thread, strings.Join(strings.Fields(string(text)), " ")))
			}
		}
	}
	return nil
}

// toLog writes to the kernel's log, or to the console when there is none. The
// node's /dev is not in this mount namespace.
func toLog(text string) {
	const kmsg = "/.storm-kmsg"
	err := unix.Mknod(kmsg, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 11)))
	if err == nil || errors.Is(err, unix.EEXIST) {
		if err = os.WriteFile(kmsg, []byte(worry+text[:min(len(text), 800)]+"\n"), 0); err == nil {
			return
		}
	}
	log.Printf("storm: %s", text)
}
