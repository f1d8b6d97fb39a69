package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ls lists a directory.
func ls(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func symlink(t *testing.T, target, at string) {
	t.Helper()
	if err := os.Symlink(target, at); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, at string) {
	t.Helper()
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
}

func fileText(t *testing.T, at string) string {
	t.Helper()
	data, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestFindDestination(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("real/image"), nil)
	mkdir(t, at("links"))
	symlink(t, "../real/image", at("links/file"))
	symlink(t, "file", at("links/twice"))
	symlink(t, at("real/new"), at("links/dangling"))
	symlink(t, "nowhere/new", at("links/lost"))
	symlink(t, "real", at("dir"))
	symlink(t, "circle", at("circle"))
	symlink(t, "/dev/stdout", at("out"))
	if err := syscall.Mkfifo(at("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	symlink(t, "fifo", at("links/fifo"))
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
		"out":             {kind: toStdout},
		"links/lost":      {fail: "there is no directory " + at("links/nowhere")},
		"no/image":        {fail: "there is no directory " + at("no")},
		"real":            {fail: "is a directory: give a file in it"},
		"circle":          {fail: "go round in a circle"},
		"links/file/more": {fail: "not a directory"},
	} {
		d, err := findDestination(at(name))
		switch {
		case tt.fail != "":
			if err == nil || !strings.Contains(err.Error(), tt.fail) {
				t.Errorf("%s: error %v, want %q", name, err, tt.fail)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case d.kind != tt.kind || tt.path != "" && d.path != at(tt.path):
			t.Errorf("%s is %v %s, want %v %s", name, d.kind, d.path, tt.kind, tt.path)
		}
	}
	// ".." is above what a link leads to, not above the link.
	mkdir(t, at("real/deep"))
	symlink(t, "real/deep", at("deep"))
	symlink(t, "../deep/../x", at("links/up"))
	for _, name := range []string{dir + "/deep/../x", dir + "/links/up"} {
		if d, err := findDestination(name); err != nil || d.path != at("real/x") {
			t.Errorf("%s is %s, %v; want real/x", name, d.path, err)
		}
	}
	for name, want := range map[string]destinationKind{
		"-": toStdout, "/dev/stdout": toStdout, "/dev/fd/1": toStdout, "/proc/self/fd/1": toStdout, "/dev/null": toPipe,
		"/dev/full": toPipe,
	} {
		if d, err := findDestination(name); err != nil || d.kind != want {
			t.Errorf("%s: %v, %v; want %v", name, d.kind, err, want)
		}
	}
	for name, want := range map[string]string{
		"": "the path is empty", "/dev/mem": "is a device", "/dev/tty": "is a terminal", "/dev/ptmx": "is a terminal",
	} {
		if _, err := os.Stat(name); name != "" && err != nil {
			continue // a container without it
		}
		if d, err := findDestination(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, error %v; want %q", name, d.kind, err, want)
		}
	}
}

// An output goes through a symbolic link: the link stays, its target is replaced.
func TestImageThroughLink(t *testing.T) {
	s := testSpec(t, testTree(t))
	dir := filepath.Dir(s.Out)
	write(t, filepath.Join(dir, "real", "image"), []byte("old"))
	symlink(t, "real/image", s.Out)
	s.SBOM = filepath.Join(dir, "list.json")
	symlink(t, "real/list.json", s.SBOM) // to nothing yet
	if _, err := Image(t.Context(), s, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{s.Out, s.SBOM} {
		if info, err := os.Lstat(name); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is no longer a link: %v", name, err)
		}
	}
	if len(fileText(t, filepath.Join(dir, "real", "image"))) < 1000 ||
		!strings.Contains(fileText(t, filepath.Join(dir, "real", "list.json")), "SPDX-2.3") {
		t.Error("the targets of the links were not written")
	}
	if diff := cmp.Diff([]string{"image", "list.json"}, ls(t, filepath.Join(dir, "real"))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestImageToPipes(t *testing.T) {
	s := testSpec(t, testTree(t))
	_, want := makeImage(t, s)
	t.Run("stdout", func(t *testing.T) {
		s := s
		var out bytes.Buffer
		s.Out, s.Stdout = Stdout, &out
		t.Chdir(t.TempDir())
		if _, err := Image(t.Context(), s, nil); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%d bytes on the standard output, want the image's %d", out.Len(), len(want))
		}
		if left := ls(t, "."); left != nil {
			t.Errorf("also written: %v", left)
		}
	})
	t.Run("FIFO", func(t *testing.T) {
		s := s
		s.Out = filepath.Join(t.TempDir(), "fifo")
		if err := syscall.Mkfifo(s.Out, 0o600); err != nil {
			t.Fatal(err)
		}
		read := make(chan []byte)
		go func() {
			data, err := os.ReadFile(s.Out)
			if err != nil {
				data = []byte(err.Error())
			}
			read <- data
		}()
		if _, err := Image(t.Context(), s, nil); err != nil {
			t.Error(err)
		}
		if got := <-read; !bytes.Equal(got, want) {
			t.Errorf("%d bytes through the FIFO, want the image's %d", len(got), len(want))
		}
		if info, err := os.Lstat(s.Out); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
			t.Errorf("the FIFO became %v, %v", info.Mode(), err)
		}
	})
	t.Run("descriptor", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		s := s
		s.Out = fmt.Sprintf("/proc/self/fd/%d", w.Fd())
		read := make(chan []byte)
		go func() {
			data, err := io.ReadAll(r)
			if err != nil {
				data = []byte(err.Error())
			}
			read <- data
		}()
		_, err = Image(t.Context(), s, nil)
		if err := errors.Join(err, w.Close()); err != nil {
			t.Error(err)
		}
		if got := <-read; !bytes.Equal(got, want) {
			t.Errorf("%d bytes through the descriptor, want the image's %d", len(got), len(want))
		}
		_ = r.Close()
	})
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
	begin := func(t *testing.T) *outputs {
		t.Helper()
		var o outputs
		for name, text := range map[string]string{"new": "one", "old": "two"} {
			if err := o.write(t.Context(), at(name), 0o640, false, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		return &o
	}
	write(t, at("old"), []byte("before"))
	o := begin(t)
	if err := o.discard(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"old"}, ls(t, dir)); diff != "" || fileText(t, at("old")) != "before" {
		t.Errorf("after discard (-want +got):\n%s", diff)
	}
	o = begin(t)
	if _, err := os.Stat(at("new")); err == nil {
		t.Error("an output is there before it is complete")
	}
	if err := errors.Join(o.commit(), o.discard()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"new", "old"}, ls(t, dir)); diff != "" || fileText(t, at("old")) != "two" ||
		fileText(t, at("new")) != "one" {
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
	for _, name := range []string{".nodisk-1.part", ".nodisk-2.part", ".nodisk-3.part", ".nodisk-pxe",
		".nodisk-4.partial", "nodisk-5.part", ".image.123"} {
		write(t, at(name), []byte("x"))
	}
	mkdir(t, at(".nodisk-6.part"))
	symlink(t, "nodisk-5.part", at(".nodisk-7.part"))
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
	var o outputs
	if _, err := o.open(t.Context(), at("image"), imageMode, false); err != nil {
		t.Fatal(err)
	}
	if err := o.discard(); err != nil {
		t.Fatal(err)
	}
	want := []string{".image.123", ".nodisk-2.part", ".nodisk-3.part", ".nodisk-4.partial", ".nodisk-6.part",
		".nodisk-7.part", ".nodisk-pxe", "nodisk-5.part"}
	if diff := cmp.Diff(want, ls(t, dir)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestOutputFull(t *testing.T) {
	s := testSpec(t, testTree(t))
	s.Out = "/dev/full"
	_, err := Image(t.Context(), s, nil)
	if err == nil || err.Error() != "write image: /dev/full: no space left on device" {
		t.Errorf("error %v", err)
	}
}

// All that a build writes is there, or nothing: also when it is the list, which comes last, that fails.
func TestImageWithoutItsList(t *testing.T) {
	s := testSpec(t, testTree(t))
	write(t, s.Out, []byte("old"))
	key := filepath.Join(t.TempDir(), "key")
	write(t, key, []byte("x"))
	s.Secrets = []Secret{{Source: key, Destination: "k"}}
	s.SecretOut, s.SBOM = s.Out+".secret", "/dev/full"
	_, err := Image(t.Context(), s, nil)
	if err == nil || err.Error() != "write SBOM: /dev/full: no space left on device" {
		t.Errorf("error %v", err)
	}
	if got := fileText(t, s.Out); got != "old" {
		t.Errorf("the old image became %d bytes", len(got))
	}
	if diff := cmp.Diff([]string{filepath.Base(s.Out)}, ls(t, filepath.Dir(s.Out))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
