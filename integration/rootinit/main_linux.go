// Command rootinit is /sbin/init of a root for nodes whose processor has no static
// busybox on this machine. It says what the lab's script says (see
// lab.RootTree), as far as a test of another architecture asks for it, and
// switches the machine off.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// marker is lab.Marker: that package is not for a node.
const marker = "nodisk-root: reached"

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "rootinit is the init of a test's root")
		return
	}
	// To the kernel's log first, which stamps it with guest time. 1 is KERN_ALERT: it is
	// shown whatever the console's level is.
	if err := os.WriteFile("/dev/kmsg", []byte("<1>"+marker+"\n"), 0); err != nil {
		report(os.Stderr, err)
	}
	report(os.Stderr, nil)
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) // there is nobody to tell
}

// report writes what there is to be seen, one fact a line.
func report(w io.Writer, err error) {
	say := func(format string, args ...any) {
		_, _ = fmt.Fprintf(w, "nodisk-root: "+format+"\r\n", args...)
	}
	if err != nil {
		say("error %v", err)
		return
	}
	say("machine %s", runtime.GOARCH)
	mounts, err := os.Open("/proc/mounts")
	if err != nil {
		say("error %v", err)
		return
	}
	defer func() { _ = mounts.Close() }()
	var moved []string
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 4 {
			continue
		}
		switch f[1] {
		case "/":
			say("root %s %s %s", f[2], f[0], f[3])
		case "/dev", "/proc", "/sys", "/run":
			moved = append(moved, f[1]+":"+f[2])
		}
	}
	say("moved %s", strings.Join(moved, " "))
	entries, err := os.ReadDir("/")
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	say("files %s", strings.Join(names, " "))
	links, netErr := net.Interfaces()
	for _, l := range links {
		addrs, _ := l.Addrs() // none is said, and the test misses it
		for _, a := range addrs {
			if p, ok := a.(*net.IPNet); ok && p.IP.To4() != nil && l.Flags&net.FlagLoopback == 0 {
				say("net %s %s", l.Name, a)
			}
		}
	}
	if err != nil || netErr != nil {
		say("error %v %v", err, netErr)
	}
	say("done")
}
