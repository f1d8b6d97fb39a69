package lab

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/testenv"
)

// What is mounted below a tree, as in a chroot that is in use, is neither measured nor copied nor exported: what it
// hides is.
func TestTreeWithMounts(t *testing.T) {
	if !inNamespaces(t, BootSpec{Root: RootISCSI, Tree: "x"}) {
		return
	}
	tree := t.TempDir()
	for _, dir := range []string{"proc", "etc/deep", "bound"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	other := t.TempDir()
	for name, text := range map[string]string{
		filepath.Join(tree, "etc/hosts"): "own", filepath.Join(tree, "etc/deep/hidden"): "own",
		filepath.Join(other, "hosts"): "others'",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"proc", "proc", "proc", 0},
		{"none", "etc/deep", "tmpfs", 0},
		{other, "bound", "", syscall.MS_BIND}, // of the same device
		{filepath.Join(other, "hosts"), "etc/hosts", "", syscall.MS_BIND},
	} {
		at := filepath.Join(tree, m.target)
		if err := syscall.Mount(m.source, at, m.kind, m.flags, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(at, 0); err != nil {
				t.Error(err)
			}
		})
	}
	if err := os.WriteFile(filepath.Join(tree, "etc/deep/mounted"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	notes, err := Notes(BootSpec{Tree: tree})
	if diff := cmp.Diff([]string{"what is mounted below " + tree + " is left out, directories stay, empty: bound, " +
		"etc/deep, etc/hosts, proc"}, notes); err != nil || diff != "" {
		t.Errorf("%v, notes (-want +got):\n%s", err, diff)
	}

	t.Run("copy", func(t *testing.T) {
		l := Lab{logger: slog.New(slog.DiscardHandler)}
		disk, err := l.treeLUN(t.Context(), tree)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := disk.lose(); err != nil {
				t.Error(err)
			}
		}()
		debugfs := func(command string) string {
			out, err := exec.CommandContext(t.Context(), "/usr/sbin/debugfs", "-R",
				command, disk.path).Output() //nolint:gosec // of this test
			if err != nil {
				t.Fatal(err)
			}
			return string(out)
		}
		if got := debugfs("cat /etc/hosts"); got != "own" {
			t.Errorf("etc/hosts is %q", got)
		}
		if got := debugfs("ls -p /etc/deep"); !strings.Contains(got, "/hidden/") || strings.Contains(got, "/mounted/") {
			t.Errorf("etc/deep has %s", got)
		}
		for _, dir := range []string{"proc", "bound"} {
			if got := debugfs("ls -p /" + dir); strings.Count(got, "\n") != 3 { // ".", "..", and an empty line
				t.Errorf("%s has %s", dir, got)
			}
		}
	})
	t.Run("overlay", func(t *testing.T) {
		testenv.Needs(t, rootOutside(), "root, who alone exports by NFS")
		merged, unmount, err := overlay(tree)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := unmount(); err != nil {
				t.Error(err)
			}
		}()
		hosts, err := os.ReadFile(filepath.Join(merged, "etc/hosts"))
		if string(hosts) != "own" {
			t.Errorf("etc/hosts is %q, %v", hosts, err)
		}
		for _, dir := range []string{"proc", "bound"} {
			if entries, err := os.ReadDir(filepath.Join(merged, dir)); err != nil || len(entries) != 0 {
				t.Errorf("%s has %d, %v", dir, len(entries), err)
			}
		}
	})
}
