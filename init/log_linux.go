package boot

import (
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"

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
	// Not the controlling terminal: a stray ^C must not end the boot.
	if f, err := os.OpenFile("/dev/console", os.O_WRONLY|unix.O_NOCTTY, 0); err == nil {
		console = f
	}
	return slog.New(NewConsole(kmsg, console, level, hiddenByKernel))
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
