package boot

import (
	"bytes"
	"log/slog"
	"regexp"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// uname26 is UNAME26 of <linux/personality.h>: uname(2) then tells a thread of
// Linux 2.6.
const uname26 = 0x0020000

// On a kernel that is too old there is one line, on any other none.
func TestTellOldKernel(t *testing.T) {
	told := func() string {
		var out bytes.Buffer
		tellOldKernel(slog.New(slog.NewTextHandler(&out, nil)))
		return out.String()
	}
	if got := told(); got != "" {
		t.Errorf("this kernel: %s", got)
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if _, _, errno := unix.Syscall(unix.SYS_PERSONALITY, uname26, 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	want := regexp.MustCompile(`^\S+ level=WARN msg="kernel 2\.6\.\S+: nodisk needs Linux 4\.18 or newer: take a newer kernel, with its modules; trying with this one"\n$`)
	if got := told(); !want.MatchString(got) {
		t.Errorf("as Linux 2.6: %q", got)
	}
}
