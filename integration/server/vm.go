package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
)

const (
	// serverBoot is how long the server VM may take to its first line, on a
	// machine that emulates two nodes besides.
	bootLimit = 2 * time.Minute
	// serverAnswer bounds one command.
	answerLimit = time.Minute
)

// A VM is a virtual machine that serves a fabric or a rig. Its console is a
// transcript; commands go over its second serial port.
type VM struct {
	p   *tool.Process
	log *os.File

	mu     sync.Mutex // one command at a time
	conn   net.Conn
	r      *bufio.Reader
	number int

	QEMU *lab.Monitor // nil without
}

// Machine is what QEMU is told of it.
type Machine struct {
	Accel, Kernel, Image string
	NICs                 []lab.NIC
	Memory               int    // MiB
	Monitor              string // socket for orders to QEMU, empty for none
}

// Start boots the VM and returns when it takes commands. It lives until
// close, or as long as the lab. What it writes is copied to the file log unless
// that is empty.
func Start(ctx context.Context, l *lab.Lab, m Machine, name, log string) (v *VM, err error) {
	socket := l.Path(name + ".socket")
	var conf net.ListenConfig
	listener, err := conf.Listen(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("start server VM: %w", err)
	}
	defer func() { _ = listener.Close() }()
	v = &VM{}
	var tee io.Writer
	if log != "" {
		if v.log, err = os.Create(log); err != nil {
			return nil, fmt.Errorf("keep the server's console: %w", err)
		}
		tee = v.log
	}
	if m.Accel == "tcg" {
		m.Kernel = l.PlainKernel(ctx, m.Kernel)
	}
	args := append(lab.MachineArgs(name, "amd64", m.Accel, m.Memory, 1, false),
		"-accel", m.Accel, "-machine", "pc", "-kernel", m.Kernel, "-initrd", m.Image,
		"-append", "console=ttyS0,115200 panic=-1 no_timer_check loglevel=4",
		"-chardev", "socket,id=commands,path="+socket, "-serial", "chardev:commands")
	for i, n := range m.NICs {
		args = append(args, n.Args(i, lab.NICVirtio, ",romfile=")...)
	}
	if m.Monitor != "" {
		if v.QEMU, err = lab.ListenMonitor(ctx, m.Monitor); err != nil {
			v.closeLog()
			return nil, err
		}
		args = append(args, "-chardev", "socket,id=monitor,path="+m.Monitor, "-mon", "chardev=monitor,mode=control")
	}
	if v.p, err = l.Start(tool.QEMU(), tee, args...); err != nil {
		v.closeLog()
		return nil, errors.Join(err, v.QEMU.Close())
	}
	if err := v.ready(ctx, listener); err != nil {
		err = fmt.Errorf("start server VM: %w; it wrote:\n%s", err, transcript.Tail(v.p.Out.String(), 20))
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

// ready takes QEMU's connection and waits for the line that says that commands
// are read.
func (v *VM) ready(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bootLimit, fmt.Errorf("nothing within %v", bootLimit))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-v.p.Done:
			_ = listener.Close()
		case <-ended:
		}
	}()
	conn, err := listener.Accept()
	if err != nil {
		return fmt.Errorf("wait for QEMU's connection: %w", err)
	}
	v.conn, v.r = conn, bufio.NewReader(conn)
	if v.QEMU != nil {
		if err := v.QEMU.Accept(ctx); err != nil {
			return err
		}
	}
	_, err = v.p.Out.Await(ctx, 0, regexp.MustCompile(`^server: ready`))
	return err
}

func (v *VM) closeLog() {
	if v.log != nil {
		_ = v.log.Close()
	}
}

// Close switches the machine off.
func (v *VM) Close() error {
	if v == nil {
		return nil
	}
	v.p.Stop()
	errs := []error{v.QEMU.Close()}
	if v.conn != nil {
		errs = append(errs, v.conn.Close())
	}
	if v.log != nil {
		errs = append(errs, v.log.Close())
	}
	return errors.Join(errs...)
}

// Run executes a shell command on the server and returns what it wrote. The
// functions of the script services are known to it. A status that is not 0 is an
// error.
func (v *VM) Run(ctx context.Context, command string) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if strings.Contains(command, "\n") {
		return "", fmt.Errorf("run on the server: more than one line: %q", command)
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	if err := v.conn.SetDeadline(time.Time{}); err != nil {
		return "", fmt.Errorf("run on the server: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = v.conn.SetDeadline(time.Now()) })
	defer stop()
	v.number++
	out, status, err := v.exchange(command)
	switch {
	case err != nil && ctx.Err() != nil:
		return out, fmt.Errorf("run %q on the server: %w; it wrote:\n%s", command, context.Cause(ctx), out)
	case err != nil:
		return out, fmt.Errorf("run %q on the server: %w; its console's end:\n%s",
			command, err, transcript.Tail(v.p.Out.String(), 20))
	case status != "0":
		return out, fmt.Errorf("run %q on the server: status %s; it wrote:\n%s", command, status, out)
	}
	return out, nil
}

// exchange sends a command and reads its answer.
func (v *VM) exchange(command string) (out, status string, err error) {
	if _, err := fmt.Fprintf(v.conn, "%d %s\n", v.number, command); err != nil {
		return "", "", err
	}
	return readAnswer(v.r, v.number)
}

// readAnswer reads what the command of that number wrote, each line after "| ",
// and its status from "= NUMBER STATUS". Answers to other commands, which were
// given up, are passed over, and so is what is no line of ours: the serial port
// before the shell had it.
func readAnswer(r *bufio.Reader, number int) (out, status string, err error) {
	var b strings.Builder
	for {
		text, err := r.ReadString('\n')
		if err != nil {
			return b.String(), "", err
		}
		text = strings.TrimRight(text, "\r\n")
		if said, ok := strings.CutPrefix(text, "| "); ok {
			b.WriteString(said + "\n")
			continue
		}
		end, ok := strings.CutPrefix(text, "= ")
		whose, status, _ := strings.Cut(end, " ")
		switch n, err := strconv.Atoi(whose); {
		case !ok || err != nil:
		case n == number:
			return b.String(), status, nil
		default:
			b.Reset()
		}
	}
}

// Mark is a place in the console, for await and since.
func (v *VM) Mark() int {
	lines, _, _ := v.p.Out.Snapshot(0)
	return len(lines)
}

// Await waits for a line of the console after a mark.
func (v *VM) Await(ctx context.Context, mark int, pattern string) error {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("wait for the server: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerLimit, fmt.Errorf("nothing within %v", answerLimit))
	defer cancel()
	if _, err := v.p.Out.Await(ctx, mark, re); err != nil {
		return fmt.Errorf("%w; the server's console ends:\n%s", err, transcript.Tail(v.p.Out.String(), 20))
	}
	return nil
}

// Since returns the lines of the console after a mark that match.
func (v *VM) Since(mark int, pattern string) ([]string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("search the server's console: %w", err)
	}
	lines, _, _ := v.p.Out.Snapshot(mark)
	var found []string
	for _, l := range lines {
		if re.MatchString(l.Text) {
			found = append(found, l.Text)
		}
	}
	return found, nil
}
