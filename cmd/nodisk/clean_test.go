package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/site"
)

// An image goes when the root that its kernel came from no longer has that kernel, whatever
// other roots have. A root without any kernel says nothing about its images.
func TestCleanRoots(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	kernel := func(root, release string) string {
		t.Helper()
		at := filepath.Join(dir, root, "lib/modules", release)
		if err := os.MkdirAll(filepath.Join(at, "kernel"), 0o700); err != nil {
			t.Fatal(err)
		}
		return at
	}
	image := func(name, release, root string) {
		t.Helper()
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (site.Record{Dir: state, Root: root}).Add(t.Context(), release, at); err != nil {
			t.Fatal(err)
		}
	}
	images := func() (names []string) {
		t.Helper()
		there, err := filepath.Glob(filepath.Join(dir, "*.img"))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range there {
			names = append(names, filepath.Base(at))
		}
		return names
	}
	nodes, other := filepath.Join(dir, "nodes"), filepath.Join(dir, "other")
	kernel("nodes", "6.1-nodisk-test")
	kernel("other", "6.2-nodisk-test")
	image("there.img", "6.1-nodisk-test", nodes)
	image("gone.img", "6.1-nodisk-test", other) // the same release, in a root that lacks it
	image("unknown.img", "6.1-nodisk-test", filepath.Join(dir, "unmounted"))

	status, stdout, stderr := nodisk("clean", "--state", state)
	if status != exitFailed || !strings.Contains(stdout, "gone.img, of 6.1-nodisk-test: removed\n") ||
		strings.Count(stdout, "removed") != 1 ||
		!strings.Contains(stderr, "clean: no kernel is installed in "+filepath.Join(dir, "unmounted")+
			": its images stay: give --kver") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	if diff := cmp.Diff([]string{"there.img", "unknown.img"}, images()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// --sysroot looks only at one root, by whatever name.
	t.Chdir(dir)
	if status, stdout, stderr = nodisk("clean", "--state", state, "--sysroot", "nodes/"); status != 0 ||
		stdout+stderr != "" {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	if err := os.RemoveAll(kernel("nodes", "6.1-nodisk-test")); err != nil {
		t.Fatal(err)
	}
	kernel("nodes", "6.3-nodisk-test")
	// As the hook of this machine: a kernel of the same release is not its own.
	if status, stdout, stderr = nodisk("clean", "--state", state, "--sysroot", "/", "--kver",
		"6.1-nodisk-test"); status != 0 || stdout+stderr != "" {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	if status, stdout, stderr = nodisk("clean", "--state", state, "--sysroot", "nodes"); status != 0 ||
		!strings.Contains(stdout, "there.img") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	if diff := cmp.Diff([]string{"unknown.img"}, images()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// By a link as well, whichever of the names was recorded.
	if err := os.Symlink("nodes", "link"); err != nil {
		t.Fatal(err)
	}
	image("byname.img", "6.1-nodisk-test", nodes)
	image("bylink.img", "6.1-nodisk-test", filepath.Join(dir, "link"))
	for _, args := range [][]string{{"--dry-run"}, {"--dry-run", "--kver", "6.1-nodisk-test"}, nil} {
		for _, root := range []string{"link", "nodes"} {
			status, stdout, stderr = nodisk(append([]string{"clean", "--state", state, "--sysroot", root}, args...)...)
			if args == nil && root == "nodes" {
				break // the first has removed them
			}
			for _, name := range []string{"byname.img", "bylink.img"} {
				if status != 0 || strings.Count(stdout, name) != 1 {
					t.Errorf("--sysroot %s %q: status %d: %s%s lacks %s, or has it twice",
						root, args, status, stdout, stderr, name)
				}
			}
		}
	}
	if diff := cmp.Diff([]string{"unknown.img"}, images()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if status, _, stderr = nodisk("clean", "--state", state, "--kver", "6.1-nodisk-test"); status != 0 ||
		images() != nil {
		t.Errorf("status %d: %s, %v stay", status, stderr, images())
	}
}
