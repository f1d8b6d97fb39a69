package pxe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// contents are all files of a directory but the list of own ones and its lock.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	have := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == manifest || d.Name() == lockName {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		have[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return have
}

func files(pairs ...string) []File {
	var list []File
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, File{Path: pairs[i], Data: []byte(pairs[i+1])})
	}
	return list
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	step := func(name string, want Changes, wanted ...string) {
		t.Helper()
		got, err := Write(t.Context(), dir, files(wanted...), false, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("vmlinuz", "kernel")
	step("first", Changes{Written: []string{"c", "p/a", "p/b"}}, "p/a", "1", "p/b", "2", "c", "3")
	before, err := os.Stat(filepath.Join(dir, "p", "a"))
	if err != nil {
		t.Fatal(err)
	}
	if before.Mode().Perm() != 0o644 {
		t.Errorf("mode %v: a TFTP server must be able to read it", before.Mode())
	}
	step("again", Changes{Unchanged: 3}, "p/a", "1", "p/b", "2", "c", "3")
	step("one changed, one stale", Changes{Written: []string{"p/b"}, Removed: []string{"c"}, Unchanged: 1}, "p/a", "1",
		"p/b", "22")
	after, err := os.Stat(filepath.Join(dir, "p", "a"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("an unchanged file was written again (%v)", err)
	}
	put("p/b", "by hand")
	step("a stale one of somebody's", Changes{Kept: []string{"p/b"}, Unchanged: 1}, "p/a", "1")
	put("d", "4")
	step("the same from elsewhere", Changes{Unchanged: 2}, "p/a", "1", "d", "4")
	want := map[string]string{"vmlinuz": "kernel", "p/a": "1", "p/b": "by hand", "d": "4"}
	if diff := cmp.Diff(want, contents(t, dir)); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
}

// Files of somebody else: all are named, nothing is written, unless forced.
func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Write(t.Context(), dir, files("a", "1"), false, nil); err != nil {
		t.Fatal(err)
	}
	mine := map[string]string{"a": "mine", "b": "mine"}
	for name, text := range mine {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wanted := files("a", "2", "b", "2", "c", "2")
	_, err := Write(t.Context(), dir, wanted, false, nil)
	if err == nil || !strings.Contains(err.Error(), "write a:") || !strings.Contains(err.Error(), "write b:") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(mine, contents(t, dir)); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
	if _, err := Write(t.Context(), dir, wanted, true, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "2", "b": "2", "c": "2"}, contents(t, dir)); diff != "" {
		t.Errorf("directory, forced (-want +got):\n%s", diff)
	}
}

// A run that ended between list and files is taken up where it ended.
func TestWriteResumes(t *testing.T) {
	dir := t.TempDir()
	if _, err := Write(t.Context(), dir, files("a", "1", "b", "1"), false, nil); err != nil {
		t.Fatal(err)
	}
	both := string(manifestText(map[string][]string{"a": {sumOf([]byte("1")), sumOf([]byte("2"))},
		"b": {sumOf([]byte("1"))}, "c": {sumOf([]byte("2"))}}))
	if err := os.WriteFile(filepath.Join(dir, manifest), []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Write(t.Context(), dir, files("a", "2", "c", "2"), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Changes{Written: []string{"a", "c"}, Removed: []string{"b"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Nothing outside the directory is touched.
func TestWriteStays(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "pxelinux.cfg")); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), dir, files("pxelinux.cfg/default", "1"), true, nil); err == nil {
		t.Error("a link leads out, and it was followed")
	}
	if have := contents(t, outside); len(have) > 0 {
		t.Errorf("written outside: %v", have)
	}
	for _, list := range []string{"x\n", strings.Repeat("0", 64) + "  ../a\n", strings.Repeat("0", 64) + "  /a\n"} {
		if err := os.WriteFile(filepath.Join(dir, manifest), []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Write(t.Context(), dir, files("a", "1"), false, nil); err == nil ||
			!strings.Contains(err.Error(), "list of own files") {
			t.Errorf("list %q: %v", list, err)
		}
	}
}

// A call that is interrupted leaves whole files and no temporary one; the next
// goes on where it ended.
func TestWriteInterrupted(t *testing.T) {
	dir := t.TempDir()
	wanted := files("p/a", "1", "p/b", "2", "p/c", "3")
	got, err := Write(&countedContext{Context: t.Context(), left: 5}, dir, wanted, false, nil)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "2 of 3 files are as they should be, each "+
		"whole: run it again to go on") {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff(Changes{Written: []string{"p/a", "p/b"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"p/a": "1", "p/b": "2"}, contents(t, dir)); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
	// As a call that was killed, or a power cut, leaves it.
	for name, text := range map[string]string{"p/" + temporary: "half", "p/" + temporary + "-0123456789abcdef": "half",
		temporary + "-0123456789abcdef": "", "p/a": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err = Write(t.Context(), dir, wanted, false, nil)
	if diff := cmp.Diff(Changes{Written: []string{"p/a", "p/c"}, Unchanged: 1}, got); diff != "" || err != nil {
		t.Errorf("again: %v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(map[string]string{"p/a": "1", "p/b": "2", "p/c": "3"}, contents(t, dir)); diff != "" {
		t.Errorf("directory, again (-want +got):\n%s", diff)
	}
}

// A countedContext ends after some looks at it.
type countedContext struct {
	context.Context
	left int
}

func (c *countedContext) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}
