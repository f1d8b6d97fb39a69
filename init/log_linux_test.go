package boot

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A terminal that takes nothing, because somebody typed ^S, costs the boot a
// second once. What it lost is counted when it takes lines again.
func TestConsoleThatIsStopped(t *testing.T) {
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
	ended := make(chan int, 1)
	go func() {
		lost := 0
		for range lines {
			if _, err := c.Write([]byte(strings.Repeat("x", 200) + "\r\n")); errors.Is(err, os.ErrDeadlineExceeded) {
				lost++
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
	flow(unix.TCOON)
	if _, err := c.Write([]byte("again\r\n")); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(seen.String(), "again") {
		n, err := master.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		seen.Write(buf[:n])
	}
	if want := fmt.Sprintf("lines that the console did not take: %d", lost); !strings.Contains(seen.String(), want) {
		t.Errorf("no %q in %q", want, tailOf(seen.String(), 200))
	}
}

func tailOf(s string, n int) string { return s[max(0, len(s)-n):] }
