package depmod

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFollow(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "usr", "lib", "x", "file"), nil)
	for at, target := range map[string]string{
		"lib": "usr/lib", "usr/lib/abs": "/lib/x", "usr/lib/up": "../../../../../usr/lib/abs/file", "loop": "loop2",
		"loop2": "/loop", "gone": "/etc/hostname-that-is-outside",
	} {
		if err := os.Symlink(target, filepath.Join(root, at)); err != nil {
			t.Fatal(err)
		}
	}
	fsys := os.DirFS(root)
	for name, want := range map[string]string{
		"lib/x/file": "usr/lib/x/file", "lib/abs/file": "usr/lib/x/file", "lib/up": "usr/lib/x/file",
		"lib/abs/..": "usr/lib", "lib/../..": ".",
	} {
		if got, err := follow(fsys, name); err != nil || got != want {
			t.Errorf("follow(%s) = %s, %v, want %s", name, got, err, want)
		}
	}
	for name, want := range map[string]string{"loop/x": "too many links", "gone": "no such file",
		"lib/x/none": "no such file"} {
		if got, err := follow(fsys, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("follow(%s) = %s, %v, want an error with %q", name, got, err, want)
		}
	}
}

// What would have to be waited for is not opened.
func TestOpenFIFO(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tree")
	write(t, filepath.Join(dir, "file.ko"), nil)
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo.ko"), 0o600); err != nil {
		t.Fatal(err)
	}
	tree := Tree(dir, testRelease)
	for name, want := range map[string]string{"file.ko": "", "fifo.ko": "it is neither a file nor a directory"} {
		f, err := Open(tree, "lib/modules/"+testRelease+"/"+name)
		if err == nil {
			err = f.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), name+": "+want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// A tree is found wherever it lies; the root is the one with /lib.
func TestTree(t *testing.T) {
	for at, links := range map[string]map[string]string{
		"usr/lib/modules/" + testRelease: {"lib": "usr/lib"},
		"lib/modules/" + testRelease:     nil,
		"somewhere":                      nil,
	} {
		root := t.TempDir()
		dir := filepath.Join(root, at)
		write(t, filepath.Join(dir, "kernel", "a.ko"), nil)
		write(t, filepath.Join(dir, "extra", "a.ko"), nil)
		write(t, filepath.Join(root, "etc", "depmod.d", "x.conf"), []byte("search built-in extra\n"))
		for name, target := range links {
			if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
		}
		fsys := Tree(dir, testRelease)
		conf, err := ReadConfig(fsys)
		if err != nil {
			t.Fatal(err)
		}
		want := "kernel/a.ko"
		if at == "somewhere" { // no depmod.d belongs to it
			want = "extra/a.ko"
		}
		files, _, err := Files(fsys, testRelease, conf)
		if err != nil || len(files) != 1 || files[0].Path != want {
			t.Errorf("%s: %v, %v, want %s", at, files, err, want)
		}
	}
}
