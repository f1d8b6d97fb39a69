package output

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

	"github.com/nodisk/nodisk/build/buildtest"
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
		var o Set
		if err := o.Write(t.Context(), filepath.Join(dir, "n.img"), ImageMode, false, make([]byte, 1<<20)); err != nil {
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
		if left := buildtest.Names(t, dir); left != nil {
			t.Errorf("left behind, on a file system with O_TMPFILE: %v", left)
		}
	}
	nextRemoves(t, dir)
}

// nextRemoves makes the next build come an hour later.
func nextRemoves(t *testing.T, dir string) {
	t.Helper()
	for _, name := range buildtest.Names(t, dir) {
		long := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	var o Set
	if err := o.Write(t.Context(), filepath.Join(dir, "n.img"), ImageMode, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := o.Discard(); err != nil {
		t.Fatal(err)
	}
	if left := buildtest.Names(t, dir); left != nil {
		t.Errorf("the next build leaves %v", left)
	}
}

// A file system without O_TMPFILE: the same by a name, which is locked as long as somebody writes.
func TestOutputWithoutTmpfile(t *testing.T) {
	dir := t.TempDir()
	begin := func() *File {
		d, err := Find(filepath.Join(dir, "n.img"))
		if err != nil {
			t.Fatal(err)
		}
		o := &File{Destination: d, mode: 0o640}
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
	list := Set{list: []*File{o}}
	if err := list.Commit(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"n.img"}, buildtest.Names(t, dir)); diff != "" ||
		buildtest.ReadText(t, filepath.Join(dir, "n.img")) != "image" {
		t.Errorf("after commit (-want +got):\n%s", diff)
	}
	o = begin()
	if err := o.discard(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"n.img"}, buildtest.Names(t, dir)); diff != "" {
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
			var o Set
			err := o.Write(t.Context(), filepath.Join(dir, name), ImageMode, false, make([]byte, size))
			fmt.Printf("%s: %v\n", name, err)
			if err := o.Discard(); err != nil {
				t.Error(err)
			}
		}
		fmt.Printf("left: %q\n", buildtest.Names(t, dir))
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
