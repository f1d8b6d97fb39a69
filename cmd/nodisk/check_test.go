package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckUsage(t *testing.T) {
	for name, tt := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"no such kernel": {[]string{"check", "--kernel", "nowhere"}, exitUsage, "nowhere"},
		"no kernel":      {[]string{"check", "--kernel", "main_test.go", "--modules", "."}, exitFailed, "not a kernel"},
		"no modules":     {[]string{"check", "--modules", "."}, exitFailed, "neither modules.dep nor lib/modules"},
		"help":           {[]string{"check", "--help"}, 0, "Exit status 0"},
		"not an image":   {[]string{"check", "--image", "main_test.go"}, exitFailed, "main_test.go: read image"},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := nodisk(tt.args...)
			if status != tt.status || !strings.Contains(stdout+stderr, tt.want) {
				t.Errorf("status %d, want %d and %q in:\n%s%s", status, tt.status, tt.want, stdout, stderr)
			}
		})
	}
}

// One damaged module: the exit status says so, and --all is not needed to see it.
func TestCheckStatus(t *testing.T) {
	kernel := kernelDir(t)
	trees, err := filepath.Glob(filepath.Join(kernel, "lib/modules/*"))
	if err != nil || len(trees) != 1 {
		t.Fatal(trees, err)
	}
	dir := filepath.Join(t.TempDir(), "mine")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(trees[0], "kernel/fs/mbcache.ko"))
	if err != nil {
		t.Fatal(err)
	}
	put := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "mbcache.ko"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"check", "--modules", trees[0], "--module-dir", dir}
	put(data)
	status, stdout, stderr := nodisk(args...)
	if status != 0 || !strings.Contains(stdout, "warning: mbcache of mine are not checked") ||
		!strings.Contains(stdout, ": no fault, 1 warning\n") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	// Alone it needs no other module.
	args = []string{"check", "--kernel", filepath.Join(kernel, "config"), "--module-dir", dir}
	if status, _, stderr := nodisk(args...); status != exitFailed || !strings.Contains(stderr, "not a kernel") {
		t.Errorf("status %d: %s", status, stderr)
	}
	put(data[:len(data)/2])
	args = []string{"check", "--modules", trees[0], "--module-dir", dir}
	if status, stdout, _ := nodisk(args...); !strings.Contains(stdout, "mbcache (mine/mbcache.ko)") {
		t.Errorf("status %d: %s", status, stdout)
	}
}

func TestRefusal(t *testing.T) {
	for n, want := range map[int]string{
		1: "check: the kernel refuses modules: 1 fault",
		2: "check: the kernel refuses modules: 2 faults",
	} {
		if got := refusal(n).Error(); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
