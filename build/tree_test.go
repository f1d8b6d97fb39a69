package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/modtree"
)

// A link to a tree stands for the tree: its own name says nothing of the release.
func TestFindTreeByLink(t *testing.T) {
	root := buildtest.Tree(t)
	own := filepath.Join(root, "lib", "modules", buildtest.Release)
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
		for _, release := range []string{"", buildtest.Release} {
			if got, err := modtree.Find(dir, release); err != nil || got.Release != buildtest.Release {
				t.Errorf("%s, release %q: %+v, %v", name, release, got.Release, err)
			}
		}
		_, err := modtree.Find(dir, "6.1.0-56-amd64")
		if mismatch, ok := errors.AsType[*modtree.MismatchError](err); !ok || mismatch.Modules[0] != buildtest.Release {
			t.Errorf("%s, another kernel: %v", name, err)
		}
	}
	// Two names of one tree are one.
	if err := os.Symlink(buildtest.Release, filepath.Join(root, "lib", "modules", "current")); err != nil {
		t.Fatal(err)
	}
	if got, err := modtree.Find(root, ""); err != nil || got.Release != buildtest.Release {
		t.Errorf("with a link beside it: %+v, %v", got, err)
	}
	// The image is that of the tree itself.
	s := testSpec(t, filepath.Join(elsewhere, "lnk"))
	r, err := Image(t.Context(), s, nil)
	if err != nil || r.Release != buildtest.Release {
		t.Errorf("image: %q, %v", r.Release, err)
	}
}

// The link of a root to its modules leads to where it leads in the root.
func TestImageOfRootWithLinks(t *testing.T) {
	root := buildtest.Tree(t)
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
