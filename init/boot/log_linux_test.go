package boot

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A terminal that takes nothing, because somebody typed ^S or nobody reads it, costs the boot a
// second once. What it lost is counted, on a line of its own, when it takes lines again.
func TestConsoleThatIsStopped(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]bool{"stopped": true, "not read": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testConsoleThatIsStopped(t, stop)
		})
	}
}

func testConsoleThatIsStopped(t *testing.T, stop bool) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close() //nolint:errcheck // nothing is kept in it
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	c, err := openConsole(fmt.Sprintf("/dev/pts/%d", n))
	if err != nil {
		t.Fatal(err)
	}
	defer c.file.Close() //nolint:errcheck // nothing is kept in it
	flow := func(action int) {
		if !stop {
			return
		}
		raw, err := c.file.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var ferr error
		if err := errors.Join(raw.Control(func(fd uintptr) { ferr = unix.IoctlSetInt(int(fd), unix.TCXONC, action) }), ferr); err != nil {
			t.Fatal(err)
		}
	}
	flow(unix.TCOOFF)
	const lines = 200
	line := []byte(strings.Repeat("x", 997) + "\r\n")
	ended := make(chan int, 1)
	go func() {
		lost := 0
		for range lines {
			n, err := c.Write(line)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				lost++
			}
			if n > len(line) || (err == nil) != (n == len(line)) {
				t.Errorf("of %d bytes it took %d, and says %v", len(line), n, err)
			}
		}
		ended <- lost
	}()
	lost := 0
	select {
	case lost = <-ended:
	case <-time.After(time.Minute):
		t.Fatal("a line is waited for, for ever")
	}
	if lost == 0 {
		t.Error("the terminal is stopped, and takes all")
	}
	seen := make(chan string, 1)
	go func() {
		var all strings.Builder
		buf := make([]byte, 4096)
		for !strings.Contains(all.String(), "again") {
			n, err := master.Read(buf)
			all.Write(buf[:n])
			if err != nil {
				break
			}
		}
		seen <- all.String()
	}()
	flow(unix.TCOON)
	c.stopped = false // the reader may need a moment
	if _, err := c.Write([]byte("again\r\n")); err != nil {
		t.Fatal(err)
	}
	text := <-seen
	// The terminal may have taken a line in between.
	told := 0
	for _, m := range regexp.MustCompile(`(?:^|\n)nodisk: lines that the console did not take: (\d+)\r`).FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		told += n
	}
	if told != lost {
		t.Errorf("it tells of %d lines, and lost %d: %q", told, lost, tailOf(text, 200))
	}
}

// A slow line is no line that is stopped.
func TestConsolePatience(t *testing.T) {
	for speed, want := range map[uint32]time.Duration{0: time.Second, 300: 10 * time.Second, 9600: 4766 * time.Millisecond, 115200: 855 * time.Millisecond} {
		if got := consolePatience(speed).Truncate(time.Millisecond); got != want {
			t.Errorf("%d bits per second: %v, want %v", speed, got, want)
		}
	}
}

func tailOf(s string, n int) string { return s[max(0, len(s)-n):] }
