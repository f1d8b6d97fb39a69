package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/internal/testenv"
)

// kernelARM64 is the directory with Debian's kernel for arm64.
func kernelARM64(t *testing.T) string {
	t.Helper()
	return kernelOf(t, "kernel-arm64", "NODISK_KERNEL_ARM64_DIR")
}

// rootARM64 makes the tree of a root whose init is a program for arm64.
func rootARM64(t *testing.T) string {
	t.Helper()
	tree := t.TempDir()
	for _, d := range []string{"sbin", "dev", "proc", "sys", "run"} {
		if err := os.Mkdir(filepath.Join(tree, d), 0o755); err != nil { //nolint:gosec // a root
			t.Fatal(err)
		}
	}
	gobin, err := exec.LookPath("go")
	if err != nil {
		testenv.Missing(t, "no go command in PATH, which makes the root's init")
	}
	compile := exec.CommandContext(t.Context(), gobin, "build", "-o", filepath.Join(tree, "sbin/init"), "./rootinit")
	compile.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return tree
}

// A node of another architecture than that of the machine that made its image: the
// kernel that nodisk build is given says which /init is the right one.
func TestBootARM64(t *testing.T) {
	t.Parallel()
	spec := lab.BootSpec{Arch: "arm64", Root: lab.RootISCSI}
	needs(t, spec)
	kernel := kernelARM64(t)
	s := spec
	s.Name, s.Kernel, s.Image, s.Tree = "arm64", filepath.Join(kernel, "vmlinuz"), buildImageOf(t, kernel,
		"virt,iscsi,ext4"), rootARM64(t)
	s.CPUs, s.Timeout = 2, 90*time.Second
	s.Log = testLogFile("arm64")
	takePlace(t, busy)
	res, err := sharedLab(t).Boot(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	bootCase{spec: s, expect: []string{byDHCP, mounted}, fs: "ext4"}.check(t, res)
	if got := said(res, "machine"); !slices.Equal(got, []string{"arm64"}) {
		t.Errorf("the root runs on %v, want arm64", got)
	}
}
