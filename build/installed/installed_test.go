package installed

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// plant makes empty files below a new root.
func plant(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// Where distributions have the file of a kernel.
func TestFind(t *testing.T) {
	const r = "6.1.0-1-test"
	for _, file := range []string{
		"boot/vmlinuz-" + r, "lib/modules/" + r + "/vmlinuz", "usr/lib/modules/" + r + "/vmlinuz",
		"boot/vmlinux-" + r, "boot/Image-" + r,
		"boot/kernel-" + r, "boot/0123456789abcdef0123456789abcdef/" + r + "/linux", "efi/debian/" + r + "/linux",
		"boot/efi/fedora/" + r + "/linux",
	} {
		modules := "lib/modules/" + r
		if strings.HasPrefix(file, "usr/") {
			modules = "usr/" + modules
		}
		root := plant(t, modules+"/modules.dep", file, "boot/vmlinuz-6.1.0-2-test")
		got, err := Find(root, r)
		want := Kernel{Release: r, Modules: filepath.Join(root, modules), File: filepath.Join(root, file)}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", file, err, diff)
		}
	}
}

func TestFindErrors(t *testing.T) {
	root := plant(t, "lib/modules/6.1-a/modules.dep", "lib/modules/6.2-b/modules.dep", "boot/vmlinuz-6.3-c")
	if k, err := Find(root, "6.1-a"); err != nil || k.File != "" {
		t.Errorf("without a file: %v, %v", k, err)
	}
	for release, want := range map[string]string{
		"6.3-c": "lib/modules/6.3-c; there are 6.1-a, 6.2-b", "": "is not a release", "..": "is not a release",
		"a/b": "is not a release",
	} {
		if _, err := Find(root, release); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", release, err, want)
		}
	}
}

func TestList(t *testing.T) {
	root := plant(t, "lib/modules/6.2-b/modules.dep", "lib/modules/6.1-a/modules.order", "boot/vmlinuz-6.1-a",
		"lib/modules/6.0-removed/build",
		"usr/lib/modules/6.2-b/modules.dep", "usr/lib/modules/6.4-d/kernel/x.ko", "usr/lib/modules/6.4-d/vmlinuz")
	got, err := List(root)
	want := []Kernel{
		{"6.1-a", filepath.Join(root, "lib/modules/6.1-a"), filepath.Join(root, "boot/vmlinuz-6.1-a")},
		{"6.2-b", filepath.Join(root, "lib/modules/6.2-b"), ""},
		{"6.4-d", filepath.Join(root, "usr/lib/modules/6.4-d"), filepath.Join(root, "usr/lib/modules/6.4-d/vmlinuz")},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := List(filepath.Join(root, "nowhere")); err != nil || got != nil {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}

// Links of a root lead to where they lead in it, absolute ones too, and never to this machine's files.
func TestLinksInside(t *testing.T) {
	const r = "6.1.0-1-test"
	root := plant(t, "data/modules/"+r+"/modules.dep", "data/boot/vmlinuz-"+r)
	outside := plant(t, "modules/6.2-host/modules.dep", "vmlinuz-6.2-host")
	link := func(target, name string) {
		t.Helper()
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, at); err != nil {
			t.Fatal(err)
		}
	}
	link("/data/modules", "lib/modules")
	link("/data/boot", "boot")
	link(outside+"/modules", "usr/lib/modules")
	want := Kernel{Release: r, Modules: filepath.Join(root, "data/modules", r),
		File: filepath.Join(root, "data/boot/vmlinuz-"+r)}
	got, err := Find(root, r)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	list, err := List(root)
	if diff := cmp.Diff([]Kernel{want}, list); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	_, err = Find(root, "6.2-host")
	if want := "; there is " + r + "; " + root + "/usr/lib/modules is a link to " + outside +
		"/modules, which is not there in " + root; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
