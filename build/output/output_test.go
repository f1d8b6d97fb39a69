package output

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
)

func TestFindDestination(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	buildtest.Write(t, at("real/image"), nil)
	buildtest.Mkdir(t, at("links"))
	buildtest.Symlink(t, "../real/image", at("links/file"))
	buildtest.Symlink(t, "file", at("links/twice"))
	buildtest.Symlink(t, at("real/new"), at("links/dangling"))
	buildtest.Symlink(t, "nowhere/new", at("links/lost"))
	buildtest.Symlink(t, "real", at("dir"))
	buildtest.Symlink(t, "circle", at("circle"))
	buildtest.Symlink(t, "/dev/stdout", at("out"))
	if err := syscall.Mkfifo(at("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	buildtest.Symlink(t, "fifo", at("links/fifo"))
	for name, tt := range map[string]struct {
		kind destinationKind
		path string
		fail string
	}{
		"real/image":      {kind: toFile, path: "real/image"},
		"real/other":      {kind: toFile, path: "real/other"},
		"dir/image":       {kind: toFile, path: "real/image"},
		"links/file":      {kind: toFile, path: "real/image"},
		"links/twice":     {kind: toFile, path: "real/image"},
		"links/dangling":  {kind: toFile, path: "real/new"},
		"fifo":            {kind: toPipe, path: "fifo"},
		"out":             {kind: ToStdout},
		"links/lost":      {fail: "there is no directory " + at("links/nowhere")},
		"no/image":        {fail: "there is no directory " + at("no")},
		"real":            {fail: "is a directory: give a file in it"},
		"circle":          {fail: "go round in a circle"},
		"links/file/more": {fail: "not a directory"},
	} {
		d, err := Find(at(name))
		switch {
		case tt.fail != "":
			if err == nil || !strings.Contains(err.Error(), tt.fail) {
				t.Errorf("%s: error %v, want %q", name, err, tt.fail)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case d.Kind != tt.kind || tt.path != "" && d.Path != at(tt.path):
			t.Errorf("%s is %v %s, want %v %s", name, d.Kind, d.Path, tt.kind, tt.path)
		}
	}
	// ".." is above what a link leads to, not above the link.
	buildtest.Mkdir(t, at("real/deep"))
	buildtest.Symlink(t, "real/deep", at("deep"))
	buildtest.Symlink(t, "../deep/../x", at("links/up"))
	for _, name := range []string{dir + "/deep/../x", dir + "/links/up"} {
		if d, err := Find(name); err != nil || d.Path != at("real/x") {
			t.Errorf("%s is %s, %v; want real/x", name, d.Path, err)
		}
	}
	for name, want := range map[string]destinationKind{
		"-": ToStdout, "/dev/stdout": ToStdout, "/dev/fd/1": ToStdout, "/proc/self/fd/1": ToStdout, "/dev/null": toPipe,
		"/dev/full": toPipe,
	} {
		if d, err := Find(name); err != nil || d.Kind != want {
			t.Errorf("%s: %v, %v; want %v", name, d.Kind, err, want)
		}
	}
	for name, want := range map[string]string{
		"": "the path is empty", "/dev/mem": "is a device", "/dev/tty": "is a terminal", "/dev/ptmx": "is a terminal",
	} {
		if _, err := os.Stat(name); name != "" && err != nil {
			continue // a container without it
		}
		if d, err := Find(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, error %v; want %q", name, d.Kind, err, want)
		}
	}
}

// A FIFO that nobody reads from is waited for until the build is told to end.
func TestImageToPipeWithoutReader(t *testing.T) {
	at := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(at, 0o600); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := openPipe(stop, at)
		done <- err
	}()
	close(stop)
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "nobody reads from it") {
			t.Errorf("error %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits forever")
	}
}

// What is written is there under its name when all of it is complete.
func TestOutputs(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	begin := func(t *testing.T) *Set {
		t.Helper()
		var o Set
		for name, text := range map[string]string{"new": "one", "old": "two"} {
			if err := o.Write(t.Context(), at(name), 0o640, false, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		return &o
	}
	buildtest.Write(t, at("old"), []byte("before"))
	o := begin(t)
	if err := o.Discard(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"old"}, buildtest.Names(t, dir)); diff != "" || buildtest.ReadText(t, at("old")) != "before" {
		t.Errorf("after discard (-want +got):\n%s", diff)
	}
	o = begin(t)
	if _, err := os.Stat(at("new")); err == nil {
		t.Error("an output is there before it is complete")
	}
	if err := errors.Join(o.Commit(), o.Discard()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"new", "old"}, buildtest.Names(t, dir)); diff != "" || buildtest.ReadText(t, at("old")) != "two" ||
		buildtest.ReadText(t, at("new")) != "one" {
		t.Errorf("after commit (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(at("new")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// What builds that were killed have left is removed, and nothing else.
func TestRemoveLeftovers(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{
		".nodisk-1.part", ".nodisk-2.part", ".nodisk-3.part", ".nodisk-pxe",
		".nodisk-4.partial", "nodisk-5.part", ".image.123",
	} {
		buildtest.Write(t, at(name), []byte("x"))
	}
	buildtest.Mkdir(t, at(".nodisk-6.part"))
	buildtest.Symlink(t, "nodisk-5.part", at(".nodisk-7.part"))
	long := time.Now().Add(-time.Hour)
	for _, name := range []string{".nodisk-1.part", ".nodisk-3.part", "nodisk-5.part", ".nodisk-4.partial"} {
		if err := os.Chtimes(at(name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	held, err := os.Open(at(".nodisk-3.part"))
	if err != nil || !lockFile(held) {
		t.Fatalf("lock: %v", err)
	}
	defer held.Close() //nolint:errcheck // nothing was written
	var o Set
	if _, err := o.Open(t.Context(), at("image"), ImageMode, false); err != nil {
		t.Fatal(err)
	}
	if err := o.Discard(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		".image.123", ".nodisk-2.part", ".nodisk-3.part", ".nodisk-4.partial", ".nodisk-6.part",
		".nodisk-7.part", ".nodisk-pxe", "nodisk-5.part",
	}
	if diff := cmp.Diff(want, buildtest.Names(t, dir)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}
