package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/nodisk/nodisk/internal/testenv"
)

// kernelDir is the directory with vmlinuz and lib/modules/RELEASE.
func kernelDir(t *testing.T) string {
	t.Helper()
	return kernelOf(t, "kernel", "NODISK_KERNEL_DIR")
}

// kernelOf is the directory of a kernel that a make target of that name fetches; env names
// another directory.
func kernelOf(t *testing.T, target, env string) string {
	t.Helper()
	dir := os.Getenv(env)
	if dir == "" {
		dir = "../.cache/" + target
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "vmlinuz")); err != nil {
		testenv.Missing(t, "no kernel: run make "+target+", or set "+env+" to a folder with vmlinuz and lib/modules/RELEASE")
	}
	return dir
}

// nodisk is the program under test, the one users run.
func nodisk(t *testing.T) string {
	t.Helper()
	path := os.Getenv("NODISK_BIN")
	if path == "" {
		path = "../bin/nodisk"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		testenv.Missing(t, "no bin/nodisk: run make build, or set NODISK_BIN")
	}
	return path
}

// buildImage makes an image with "nodisk build" and returns its path.
func buildImage(t *testing.T, profiles string, args ...string) string {
	t.Helper()
	return buildImageOf(t, kernelDir(t), profiles, args...)
}

// buildImageOf is buildImage with a kernel of another directory, and its modules.
func buildImageOf(t *testing.T, kernel, profiles string, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "image")
	nodiskRun(t, append([]string{"build", "--kernel", filepath.Join(kernel, "vmlinuz"), "--modules",
		kernel, "--profile", profiles, "--out", out}, args...)...)
	return out
}

// nodiskRun runs nodisk, when there is a place on the machine, and returns what it
// wrote.
func nodiskRun(t *testing.T, args ...string) string {
	t.Helper()
	defer takePlace(t, busy)()
	text, err := exec.CommandContext(t.Context(), nodisk(t), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("nodisk %v: %v\n%s", args, err, text)
	}
	return string(text)
}

// copyTo copies a file.
func copyTo(from, to string, mode os.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, mode)
}
