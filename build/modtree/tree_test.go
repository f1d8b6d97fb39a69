package modtree

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
)

func TestFindTreeMissing(t *testing.T) {
	_, err := Find(t.TempDir(), "6.12.1-amd64")
	if err == nil || !strings.Contains(err.Error(), "has no modules of Linux 6.12.1-amd64: there is no "+
		"lib/modules/6.12.1-amd64 below it; install the package of that kernel") ||
		!strings.Contains(err.Error(), "--modules") {
		t.Errorf("%v", err)
	}
	if _, err = Find(t.TempDir(), ""); err == nil ||
		!strings.Contains(err.Error(), "neither modules.dep nor lib/modules/RELEASE; give the directory of the "+
			"modules by --modules") {
		t.Errorf("%v", err)
	}
}

// A tree is found from every directory above it, and its parts are none: a directory "kernel"
// makes no tree, /usr/lib has one too (kernel-install).
func TestFindTreeFromAbove(t *testing.T) {
	for _, place := range []string{"lib", "usr/lib"} {
		root := t.TempDir()
		own := filepath.Join(root, place, "modules", buildtest.Release)
		if err := os.CopyFS(own, os.DirFS(filepath.Join(buildtest.Tree(t), "lib", "modules", buildtest.Release))); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{
			filepath.Join(root, place, "kernel", "install.d"),
			filepath.Join(root, place, "modules-load.d"),
		} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, dir := range []string{
			root, filepath.Dir(filepath.Join(root, place)), filepath.Join(root, place) + "/",
			filepath.Dir(own), own,
		} {
			for _, release := range []string{"", buildtest.Release} {
				if got, err := Find(dir, release); err != nil || got.Path != own || got.Release != buildtest.Release {
					t.Errorf("%s, release %q: %s, %v", dir, release, got.Path, err)
				}
			}
		}
		for _, part := range []string{"kernel", "kernel/drivers"} {
			dir := filepath.Join(own, part)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if _, err := Find(dir, buildtest.Release); err == nil ||
				!strings.Contains(err.Error(), "is a part of a tree of modules: give "+own) {
				t.Errorf("%s: %v", dir, err)
			}
		}
	}
}
