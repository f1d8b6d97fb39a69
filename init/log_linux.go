package boot

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// openLog opens the console and the kernel's log. Either may be missing on a
// machine that has no console or a kernel without CONFIG_PRINTK: then the
// other one serves.
func openLog(level slog.Leveler) *slog.Logger {
	// The kernel drops all but ten records in five seconds from userspace
	// otherwise (printk.devkmsg in kernel-parameters.txt). A command line that
	// says printk.devkmsg= locks the sysctl, and its word is kept. The line end
	// matters: without it the kernel refuses the word. PID 1 gives it back.
	_ = os.WriteFile(devkmsgSysctl, []byte("on\n"), 0)
	var kmsg, console io.Writer
	if f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		kmsg = f
	}
	if c, err := openConsole("/dev/console"); err == nil {
		console = c
	}
	return slog.New(NewConsole(kmsg, console, level, hiddenByKernel))
}

// consolePatience is how long a terminal may take to take a line: 4 KiB, what a
// tty keeps, need 0.4 s at 115200 baud. One that takes nothing, because
// somebody typed ^S or the line has flow control and nobody at its other end, is
// tried for consoleTaste a line from then on.
const (
	consolePatience = time.Second
	consoleTaste    = time.Millisecond
)

// A console is a terminal that nobody waits for: what it does not take in time is
// lost. It is not for several goroutines.
type console struct {
	file    *os.File
	stopped bool
	lost    int // lines since it took one
}

// openConsole opens a terminal to write to.
func openConsole(path string) (*console, error) {
	// Not the controlling terminal: a stray ^C must not end the boot.
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &console{file: f}, nil
}

// Write writes a line, or loses it: the error is then os.ErrDeadlineExceeded.
func (c *console) Write(line []byte) (int, error) {
	patience := consolePatience
	if c.stopped {
		patience = consoleTaste
	}
	// A device without a poller has no deadlines, and no ^S.
	if err := c.file.SetWriteDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		return 0, err
	}
	if c.lost > 0 {
		line = append(fmt.Appendf(nil, "nodisk: lines that the console did not take: %d\r\n", c.lost), line...)
	}
	n, err := c.file.Write(line)
	c.stopped = err != nil
	if err != nil {
		c.lost++
		return n, err
	}
	c.lost = 0
	return n, nil
}

// hiddenByKernel tells whether a record of this priority stays off the
// console: the first field of the sysctl is the console's level (proc(5)),
// which "quiet" and "loglevel=" set.
func hiddenByKernel(prio int) bool {
	text, err := os.ReadFile("/proc/sys/kernel/printk")
	if err != nil {
		return true
	}
	return prio >= consoleLevel(string(text))
}

// consoleLevel reads the first field of /proc/sys/kernel/printk. What cannot
// be read is taken for a console that shows nothing.
func consoleLevel(text string) int {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return 0
	}
	n, err := strconv.Atoi(fields[0])
	if err != nil {
		return 0
	}
	return n
}
