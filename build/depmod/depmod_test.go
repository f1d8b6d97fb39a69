package depmod

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/testenv"
)

// kernelTree returns lib/modules/RELEASE of a distribution's kernel, and the
// release.
func kernelTree(tb testing.TB) (dir, release string) {
	tb.Helper()
	root := os.Getenv("NODISK_KERNEL_DIR")
	if root == "" {
		root = filepath.Join("..", "..", ".cache", "kernel")
	}
	found, err := filepath.Glob(filepath.Join(root, "lib", "modules", "*", "modules.order"))
	if err != nil || len(found) == 0 {
		testenv.Missing(tb, "a kernel's modules in "+root+"/lib/modules (NODISK_KERNEL_DIR)")
	}
	dir, err = filepath.Abs(filepath.Dir(found[0]))
	if err != nil {
		tb.Fatal(err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		tb.Fatal(err)
	}
	return dir, filepath.Base(dir)
}

// realDepmod runs kmod's depmod on a root, with the config files of a directory.
func realDepmod(tb testing.TB, root, conf, release string) string {
	tb.Helper()
	tool, err := exec.LookPath("depmod")
	if err != nil {
		tool = "/sbin/depmod"
		if _, err := os.Stat(tool); err != nil {
			testenv.Missing(tb, "depmod (package kmod)")
		}
	}
	out, err := exec.CommandContext(tb.Context(), tool, "-b", root, "-C", conf, release).CombinedOutput()
	if err != nil {
		tb.Fatalf("depmod: %v\n%s", err, out)
	}
	return string(out)
}

// sameIndexes compares what Run made with the files that depmod wrote. root is
// taken away from what it wrote of external directories.
func sameIndexes(t *testing.T, x *Indexes, dir, root string) {
	t.Helper()
	for name, got := range map[string][]byte{
		"modules.dep": x.Dep, "modules.alias": x.Alias, "modules.softdep": x.Softdep, "modules.symbols": x.Symbols,
		"modules.devname": x.Devname,
	} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		text := strings.ReplaceAll(string(want), root, "")
		if string(got) == text {
			continue
		}
		a, b := strings.Split(text, "\n"), strings.Split(string(got), "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Errorf("%s differs from line %d on (-depmod +Run):\n%s", name, i+1,
					cmp.Diff(a[i:min(i+5, len(a))], b[i:min(i+5, len(b))]))
				break
			}
		}
		if len(a) != len(b) {
			t.Errorf("%s has %d lines, depmod's has %d", name, len(b), len(a))
		}
	}
}

// mirror makes a root whose lib/modules/RELEASE is a distribution's tree, with
// room for depmod's files.
func mirror(t *testing.T, dir, release string) (root, copied string) {
	t.Helper()
	root = t.TempDir()
	copied = filepath.Join(root, "lib", "modules", release)
	if err := os.MkdirAll(copied, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kernel", "modules.order", "modules.builtin", "modules.builtin.modinfo"} {
		if err := os.Symlink(filepath.Join(dir, name), filepath.Join(copied, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root, copied
}

// All texts of a distribution's tree are depmod's, byte for byte.
func TestRunAsDepmod(t *testing.T) {
	dir, release := kernelTree(t)
	root, copied := mirror(t, dir, release)
	conf := t.TempDir()
	start := time.Now()
	realDepmod(t, root, conf, release)
	theirs := time.Since(start)

	start = time.Now()
	x, err := Run(Tree(dir, release), release, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d modules: depmod %v, Run %v", strings.Count(string(x.Dep), "\n"), theirs, time.Since(start))
	sameIndexes(t, x, copied, root)
	if x.Warnings != nil {
		t.Errorf("warnings about a distribution's tree: %q", x.Warnings)
	}
}

func BenchmarkRun(b *testing.B) {
	dir, release := kernelTree(b)
	for b.Loop() {
		if _, err := Run(Tree(dir, release), release, Config{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStale(b *testing.B) {
	dir, release := kernelTree(b)
	for b.Loop() {
		if _, err := Stale(Tree(dir, release), release, Config{}); err != nil {
			b.Fatal(err)
		}
	}
}
