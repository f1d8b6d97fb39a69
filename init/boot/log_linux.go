package boot

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/internal/kernfile"
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
	var kmsg, consoleOf io.Writer
	if f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		kmsg = f
	}
	if c, err := openConsole("/dev/console"); err == nil {
		consoleOf = c
	}
	return slog.New(console.NewConsole(kmsg, consoleOf, level, hiddenByKernel))
}

// report writes one line without the machinery of the worker's log. Without the kernel's log it goes
// to the console, which is not waited for either; what is for debugging does not.
func report(prio int, format string, args ...any) {
	line := console.Printable(supervisorLog+fmt.Sprintf(format, args...), console.KmsgLine)
	if f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		_, err = fmt.Fprintf(f, "<%d>nodisk: %s\n", prio, line)
		_ = f.Close()
		if err == nil {
			return
		}
	}
	if prio >= console.DebugPriority {
		return
	}
	reported.Lock()
	defer reported.Unlock()
	_, _ = fmt.Fprintf(reportConsole(), "nodisk: %s\r\n", line) // nobody is left to be told
}

// reportConsole is the console, or what this process was given if it has none.
var (
	reported      sync.Mutex
	reportConsole = sync.OnceValue(func() io.Writer {
		c, err := openConsole("/dev/console")
		if err != nil {
			return os.Stderr
		}
		return c
	})
)

// One that takes nothing, because somebody typed ^S or the line has flow control and nobody at
// its other end, is tried for consoleTaste a line from then on.
const consoleTaste = time.Millisecond

// consolePatience is how long a terminal of a speed in bits per second may take to take a line: a tty
// keeps up to 4 KiB, of ten bits each on the line, before it takes more.
func consolePatience(speed uint32) time.Duration {
	const kept, bits = 4096, 10
	if speed == 0 {
		return time.Second
	}
	return min(time.Second/2+time.Second*kept*bits/time.Duration(speed), 10*time.Second)
}

// A console is a terminal that nobody waits for: what it does not take in time is
// lost. It is not for several goroutines.
type consoleFile struct {
	file     *os.File
	patience time.Duration
	stopped  bool
	cut      bool // it took a part of the last line
	lost     int  // lines since it took one
}

// openConsole opens a terminal to write to.
func openConsole(path string) (*consoleFile, error) {
	// Not the controlling terminal: a stray ^C must not end the boot.
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var speed uint32
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			if mode, err := unix.IoctlGetTermios(int(fd), unix.TCGETS2); err == nil {
				speed = mode.Ospeed
			}
		})
	}
	return &consoleFile{file: f, patience: consolePatience(speed)}, nil
}

// Write writes a line, or loses it: the error is then os.ErrDeadlineExceeded.
func (c *consoleFile) Write(line []byte) (int, error) {
	patience := c.patience
	if c.stopped {
		patience = consoleTaste
	}
	// A device without a poller has no deadlines, and no ^S.
	if err := c.file.SetWriteDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		return 0, err
	}
	var before []byte
	if c.cut {
		before = append(before, "\r\n"...)
	}
	if c.lost > 0 {
		before = fmt.Appendf(before, "nodisk: lines that the console did not take: %d\r\n", c.lost)
	}
	n, err := c.file.Write(append(before, line...))
	c.stopped = err != nil
	if err != nil {
		c.cut = c.cut && n == 0 || n > 0
		c.lost++
		return max(n-len(before), 0), err
	}
	c.cut, c.lost = false, 0
	return len(line), nil
}

// hiddenByKernel reports whether a record of this priority stays off the
// console: the first field of the sysctl is the console's level (proc(5)),
// which "quiet" and "loglevel=" set.
func hiddenByKernel(prio int) bool {
	text, err := kernfile.ReadFile("/proc/sys/kernel/printk")
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
