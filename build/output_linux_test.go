package build

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
)

// again runs this test in a process of its own, which finds the directory in NODISK_TEST_DIR.
func again(t *testing.T, dir string, attr *syscall.SysProcAttr) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "NODISK_TEST_DIR="+dir)
	cmd.SysProcAttr = attr
	return cmd
}

// A build that is killed leaves nothing, or what the next one removes.
func TestOutputKilled(t *testing.T) {
	if dir := os.Getenv("NODISK_TEST_DIR"); dir != "" {
		var o outputs
		if err := o.write(t.Context(), filepath.Join(dir, "n.img"), imageMode, false, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		fmt.Println("begun")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed
		return
	}
	dir := t.TempDir()
	cmd := again(t, dir, nil)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // nobody reads it then
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "begun\n" {
		t.Errorf("it says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if f, err := unnamedFile(dir, "n.img"); err == nil {
		_ = f.Close()
		if left := ls(t, dir); left != nil {
			t.Errorf("left behind, on a file system with O_TMPFILE: %v", left)
		}
	}
	nextRemoves(t, dir)
}

// nextRemoves makes the next build come an hour later.
func nextRemoves(t *testing.T, dir string) {
	t.Helper()
	for _, name := range ls(t, dir) {
		long := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	var o outputs
	if err := o.write(t.Context(), filepath.Join(dir, "n.img"), imageMode, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := o.discard(); err != nil {
		t.Fatal(err)
	}
	if left := ls(t, dir); left != nil {
		t.Errorf("the next build leaves %v", left)
	}
}

// A file system without O_TMPFILE: the same by a name, which is locked as long as somebody writes.
func TestOutputWithoutTmpfile(t *testing.T) {
	dir := t.TempDir()
	begin := func() *output {
		d, err := findDestination(filepath.Join(dir, "n.img"))
		if err != nil {
			t.Fatal(err)
		}
		o := &output{destination: d, mode: 0o640}
		if err := o.createNamed(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Write([]byte("image")); err != nil {
			t.Fatal(err)
		}
		return o
	}
	o := begin()
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(o.temp, long, long); err != nil {
		t.Fatal(err)
	}
	removeLeftovers(dir)
	list := outputs{list: []*output{o}}
	if err := list.commit(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"n.img"}, ls(t, dir)); diff != "" ||
		fileText(t, filepath.Join(dir, "n.img")) != "image" {
		t.Errorf("after commit (-want +got):\n%s", diff)
	}
	o = begin()
	if err := o.discard(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"n.img"}, ls(t, dir)); diff != "" {
		t.Errorf("after discard (-want +got):\n%s", diff)
	}
	// Killed: the kernel takes the lock back.
	o = begin()
	if err := o.file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "n.img")); err != nil {
		t.Fatal(err)
	}
	nextRemoves(t, dir)
}

// A full file system: the error names the file, and how much room there is.
func TestOutputNoSpace(t *testing.T) {
	if dir := os.Getenv("NODISK_TEST_DIR"); dir != "" {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
			t.Fatal(err)
		}
		for name, size := range map[string]int{"small": 300_000, "large": 2_000_000} {
			var o outputs
			err := o.write(t.Context(), filepath.Join(dir, name), imageMode, false, make([]byte, size))
			fmt.Printf("%s: %v\n", name, err)
			if err := o.discard(); err != nil {
				t.Error(err)
			}
		}
		fmt.Printf("left: %q\n", ls(t, dir))
		return
	}
	dir := t.TempDir()
	attr := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} // Go makes its mounts private
	if os.Geteuid() != 0 {
		attr.Cloneflags = syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	text, err := again(t, dir, attr).CombinedOutput()
	testenv.Needs(t, err == nil || !strings.Contains(err.Error(), "operation not permitted"), "mount namespaces")
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for _, want := range []string{
		"small: <nil>\n", `left: []` + "\n",
		"large: " + dir + "/large: no space left on device: the file system of " + dir + " has 1.05 MB free without " +
			"it, and this needs more: make room",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
}

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
	want := " is a terminal, and this is not text: give a file, or a pipe behind it"
	for _, name := range []string{pts, number(slave)} {
		if err := CheckOutputs(Spec{Out: name}); err == nil || err.Error() != "write --out: "+name+want {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := CheckOutputs(Spec{Out: filepath.Join(t.TempDir(), "x"), SBOM: number(slave)}); err != nil {
		t.Errorf("a list: %v", err)
	}
}

// A standard stream that was closed is told from a shell's >/dev/null.
func TestIsLost(t *testing.T) {
	for flag, want := range map[int]bool{os.O_RDWR: true, os.O_WRONLY: false, os.O_RDONLY: false} {
		f, err := os.OpenFile(os.DevNull, flag, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := isLost(f); got != want {
			t.Errorf("%#o: %v, want %v", flag, got, want)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if isLost(f) {
		t.Error("a file is")
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
