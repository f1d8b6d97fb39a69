package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// kernelDir is the folder with vmlinuz and lib/modules/RELEASE.
func kernelDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("NODISK_KERNEL_DIR")
	if dir == "" {
		dir = "../.cache/kernel"
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "vmlinuz")); err != nil {
		lacks(t, "no kernel: run make kernel, or set NODISK_KERNEL_DIR to a folder with vmlinuz and lib/modules/RELEASE")
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
		lacks(t, "no bin/nodisk: run make build, or set NODISK_BIN")
	}
	return path
}

// buildImage makes an image with "nodisk build" and returns its path.
func buildImage(t *testing.T, profiles string, args ...string) string {
	t.Helper()
	kernel := kernelDir(t)
	out := filepath.Join(t.TempDir(), "image")
	nodiskRun(t, append([]string{"build", "--kernel", filepath.Join(kernel, "vmlinuz"), "--modules", kernel, "--profile", profiles, "--out", out}, args...)...)
	return out
}

// nodiskRun runs nodisk and returns what it wrote.
func nodiskRun(t *testing.T, args ...string) string {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), nodisk(t), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("nodisk %v: %v\n%s", args, err, text)
	}
	return string(text)
}
