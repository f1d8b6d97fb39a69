package integration

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
)

const (
	// serverBoot is how long the server VM may take to its first line, on a
	// machine that emulates two nodes besides.
	serverBoot = 2 * time.Minute
	// serverAnswer bounds one command.
	serverAnswer = time.Minute
)

// A serverVM is a virtual machine that serves a fabric. Its console is a
// transcript; commands go over its second serial port.
type serverVM struct {
	p   *process
	log *os.File

	mu     sync.Mutex // one command at a time
	conn   net.Conn
	r      *bufio.Reader
	number int

	qemu *monitor // nil without
}

// serverMachine is what QEMU is told of it.
type serverMachine struct {
	accel, kernel, image string
	nics                 []nic
	memory               int    // MiB
	monitor              string // socket for orders to QEMU, empty for none
}

// startServer boots the VM and returns when it takes commands. It lives until
// close, or as long as the lab. What it writes is copied to the file log unless
// that is empty.
func startServer(ctx context.Context, l *Lab, m serverMachine, name, log string) (v *serverVM, err error) {
	socket := l.path(name + ".socket")
	var conf net.ListenConfig
	listener, err := conf.Listen(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("start server VM: %w", err)
	}
	defer func() { _ = listener.Close() }()
	v = &serverVM{}
	var tee io.Writer
	if log != "" {
		if v.log, err = os.Create(log); err != nil {
			return nil, fmt.Errorf("keep the server's console: %w", err)
		}
		tee = v.log
	}
	if m.accel == "tcg" {
		m.kernel = l.plainKernel(ctx, m.kernel)
	}
	args := append(machineArgs(name, "amd64", m.accel, m.memory, 1, false),
		"-accel", m.accel, "-machine", "pc", "-kernel", m.kernel, "-initrd", m.image,
		"-append", "console=ttyS0,115200 panic=-1 no_timer_check loglevel=4",
		"-chardev", "socket,id=commands,path="+socket, "-serial", "chardev:commands")
	for i, n := range m.nics {
		args = append(args, n.args(i, NICVirtio, ",romfile=")...)
	}
	if m.monitor != "" {
		if v.qemu, err = listenMonitor(ctx, m.monitor); err != nil {
			v.closeLog()
			return nil, err
		}
		args = append(args, "-chardev", "socket,id=monitor,path="+m.monitor, "-mon", "chardev=monitor,mode=control")
	}
	if v.p, err = l.start(toolQEMU(), tee, args...); err != nil {
		v.closeLog()
		return nil, errors.Join(err, v.qemu.close())
	}
	if err := v.ready(ctx, listener); err != nil {
		err = fmt.Errorf("start server VM: %w; it wrote:\n%s", err, tail(v.p.out.String(), 20))
		return nil, errors.Join(err, v.close())
	}
	return v, nil
}

// ready takes QEMU's connection and waits for the line that says that commands
// are read.
func (v *serverVM) ready(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithTimeoutCause(ctx, serverBoot, fmt.Errorf("nothing within %v", serverBoot))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-v.p.done:
			_ = listener.Close()
		case <-ended:
		}
	}()
	conn, err := listener.Accept()
	if err != nil {
		return fmt.Errorf("wait for QEMU's connection: %w", err)
	}
	v.conn, v.r = conn, bufio.NewReader(conn)
	if v.qemu != nil {
		if err := v.qemu.accept(ctx); err != nil {
			return err
		}
	}
	_, err = v.p.out.await(ctx, 0, regexp.MustCompile(`^server: ready`))
	return err
}

func (v *serverVM) closeLog() {
	if v.log != nil {
		_ = v.log.Close()
	}
}

// close switches the machine off.
func (v *serverVM) close() error {
	if v == nil {
		return nil
	}
	v.p.stop()
	errs := []error{v.qemu.close()}
	if v.conn != nil {
		errs = append(errs, v.conn.Close())
	}
	if v.log != nil {
		errs = append(errs, v.log.Close())
	}
	return errors.Join(errs...)
}

// run executes a shell command on the server and returns what it wrote. The
// functions of server/services are known to it. A status that is not 0 is an
// error.
func (v *serverVM) run(ctx context.Context, command string) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if strings.Contains(command, "\n") {
		return "", fmt.Errorf("run on the server: more than one line: %q", command)
	}
	ctx, cancel := context.WithTimeout(ctx, serverAnswer)
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
			command, err, tail(v.p.out.String(), 20))
	case status != "0":
		return out, fmt.Errorf("run %q on the server: status %s; it wrote:\n%s", command, status, out)
	}
	return out, nil
}

// exchange sends a command and reads its answer.
func (v *serverVM) exchange(command string) (out, status string, err error) {
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

// mark is a place in the console, for await and since.
func (v *serverVM) mark() int {
	lines, _, _ := v.p.out.snapshot(0)
	return len(lines)
}

// await waits for a line of the console after a mark.
func (v *serverVM) await(ctx context.Context, mark int, pattern string) error {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("wait for the server: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, serverAnswer, fmt.Errorf("nothing within %v", serverAnswer))
	defer cancel()
	if _, err := v.p.out.await(ctx, mark, re); err != nil {
		return fmt.Errorf("%w; the server's console ends:\n%s", err, tail(v.p.out.String(), 20))
	}
	return nil
}

// since returns the lines of the console after a mark that match.
func (v *serverVM) since(mark int, pattern string) ([]string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("search the server's console: %w", err)
	}
	lines, _, _ := v.p.out.snapshot(mark)
	var found []string
	for _, l := range lines {
		if re.MatchString(l.Text) {
			found = append(found, l.Text)
		}
	}
	return found, nil
}
