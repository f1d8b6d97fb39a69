package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A link to a tree stands for the tree: its own name says nothing of the release.
func TestFindTreeByLink(t *testing.T) {
	root := testTree(t)
	own := filepath.Join(root, "lib", "modules", testRelease)
	elsewhere := t.TempDir()
	link := func(name, target string) string {
		at := filepath.Join(elsewhere, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	moved := filepath.Join(t.TempDir(), "srv", "modules")
	if err := os.CopyFS(moved, os.DirFS(own)); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{
		"link":                   link("lnk", own),
		"link of a release":      link("6.1.0-other", own),
		"link to a link":         link("again", filepath.Join(elsewhere, "lnk")),
		"link in lib/modules":    filepath.Dir(filepath.Dir(filepath.Dir(link("r/lib/modules/current", own)))),
		"name without a release": moved,
		"link to such a name":    link("moved", moved),
	} {
		for _, release := range []string{"", testRelease} {
			if got, err := findTree(dir, release); err != nil || got.release != testRelease {
				t.Errorf("%s, release %q: %+v, %v", name, release, got.release, err)
			}
		}
		_, err := findTree(dir, "6.1.0-56-amd64")
		if mismatch, ok := errors.AsType[*MismatchError](err); !ok || mismatch.Modules[0] != testRelease {
			t.Errorf("%s, another kernel: %v", name, err)
		}
	}
	// Two names of one tree are one.
	if err := os.Symlink(testRelease, filepath.Join(root, "lib", "modules", "current")); err != nil {
		t.Fatal(err)
	}
	if got, err := findTree(root, ""); err != nil || got.release != testRelease {
		t.Errorf("with a link beside it: %+v, %v", got, err)
	}
	// The image is that of the tree itself.
	s := testSpec(t, filepath.Join(elsewhere, "lnk"))
	r, err := Image(t.Context(), s, nil)
	if err != nil || r.Release != testRelease {
		t.Errorf("image: %q, %v", r.Release, err)
	}
}

func TestFindTreeMissing(t *testing.T) {
	_, err := findTree(t.TempDir(), "6.12.1-amd64")
	if err == nil || !strings.Contains(err.Error(), "has no modules of Linux 6.12.1-amd64: there is no "+
		"lib/modules/6.12.1-amd64 below it; install the package of that kernel") ||
		!strings.Contains(err.Error(), "--modules") {
		t.Errorf("%v", err)
	}
	if _, err = findTree(t.TempDir(), ""); err == nil ||
		!strings.Contains(err.Error(), "neither modules.dep nor lib/modules/RELEASE; give the directory of the "+
			"modules by --modules") {
		t.Errorf("%v", err)
	}
}

// The link of a root to its modules leads to where it leads in the root.
func TestImageOfRootWithLinks(t *testing.T) {
	root := testTree(t)
	if err := os.Rename(filepath.Join(root, "lib", "modules"), filepath.Join(root, "data")); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(root, "lib", "modules")
	if err := os.Symlink("/data", at); err != nil {
		t.Fatal(err)
	}
	if _, err := Image(t.Context(), testSpec(t, root), nil); err != nil {
		t.Errorf("%v", err)
	}
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	if err := os.Symlink(elsewhere, at); err != nil {
		t.Fatal(err)
	}
	_, err := Image(t.Context(), testSpec(t, root), nil)
	if want := at + " is a link to " + elsewhere + ", which is not there in " + root; err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// A tree is found from every directory above it, and its parts are none: a directory "kernel"
// makes no tree, /usr/lib has one too (kernel-install).
func TestFindTreeFromAbove(t *testing.T) {
	for _, place := range []string{"lib", "usr/lib"} {
		root := t.TempDir()
		own := filepath.Join(root, place, "modules", testRelease)
		if err := os.CopyFS(own, os.DirFS(filepath.Join(testTree(t), "lib", "modules", testRelease))); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{filepath.Join(root, place, "kernel", "install.d"),
			filepath.Join(root, place, "modules-load.d")} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, dir := range []string{root, filepath.Dir(filepath.Join(root, place)), filepath.Join(root, place) + "/",
			filepath.Dir(own), own} {
			for _, release := range []string{"", testRelease} {
				if got, err := findTree(dir, release); err != nil || got.dir != own || got.release != testRelease {
					t.Errorf("%s, release %q: %s, %v", dir, release, got.dir, err)
				}
			}
		}
		for _, part := range []string{"kernel", "kernel/drivers"} {
			dir := filepath.Join(own, part)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if _, err := findTree(dir, testRelease); err == nil ||
				!strings.Contains(err.Error(), "is a part of a tree of modules: give "+own) {
				t.Errorf("%s: %v", dir, err)
			}
		}
	}
}
