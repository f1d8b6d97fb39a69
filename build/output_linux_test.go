package build

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
)

// No image goes to a terminal; a list, which is text, may.
func TestOutputTerminal(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	testenv.Needs(t, err == nil, "/dev/ptmx")
	defer master.Close() //nolint:errcheck // nothing was written
	tty, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	pts := fmt.Sprintf("/dev/pts/%d", tty)
	slave, err := os.OpenFile(pts, os.O_RDWR|unix.O_NOCTTY, 0)
	testenv.Needs(t, err == nil, pts)
	defer slave.Close() //nolint:errcheck // nothing was written
	number := func(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }
	want := " is a terminal, and this is not text: give a file, or a pipe"
	for _, name := range []string{pts, number(slave)} {
		if err := CheckOutputs(Spec{Out: name}); err == nil || err.Error() != "write --out: "+name+want {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := CheckOutputs(Spec{Out: filepath.Join(t.TempDir(), "x"), SBOM: number(slave)}); err != nil {
		t.Errorf("a list: %v", err)
	}
}
