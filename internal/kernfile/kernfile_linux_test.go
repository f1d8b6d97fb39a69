package kernfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

// What is read, and how it fails, is as with package os.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	for _, size := range []int{0, 1, first - 1, first, first + 1, 3*first + 7} {
		want := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
	}
	for _, path := range []string{filepath.Join(dir, "none"), dir, "/proc/self/mem"} {
		got, err := ReadFile(path)
		_, want := os.ReadFile(path)
		if err == nil || want == nil || err.Error() != want.Error() || len(got) != 0 {
			t.Errorf("%s: %q, %v, want %v", path, got, err, want)
		}
		if errors.Is(want, fs.ErrNotExist) != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v is not of the kind of %v", path, err, want)
		}
	}
	if got, err := ReadFile("/proc/self/status"); err != nil || !bytes.HasPrefix(got, []byte("Name:")) {
		t.Errorf("a file of proc, whose size is 0: %q, %v", got, err)
	}
}

func TestDirFS(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/b/c", "a/d", "e"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a/d", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(DirFS(dir), "a/b/c", "a/d", "e", "link"); err != nil {
		t.Error(err)
	}
	if target, err := fs.ReadLink(DirFS(dir), "link"); err != nil || target != "a/d" {
		t.Errorf("link: %q, %v", target, err)
	}
	for _, name := range []string{"../x", "/etc/passwd", "none"} {
		if f, err := DirFS(dir).Open(name); err == nil || f != nil {
			t.Errorf("open %s: %v, %v", name, f, err)
		}
	}
}
