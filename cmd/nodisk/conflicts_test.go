package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// No flag is passed over: what another one keeps from being done is refused, and nothing is written.
func TestConflicts(t *testing.T) {
	dir, kernel := t.TempDir(), kernelDir(t)
	t.Chdir(dir)
	if err := os.WriteFile("key", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	secrets := []string{"build", "--site", "none", "--secret", "key", "--secret-out", "secrets.img", "--secret-only"}
	plain := []string{"build", "--site", "none", "--kernel", filepath.Join(kernel, "vmlinuz"), "--modules",
		kernel, "--profile", "virt"}
	profiles := []string{"build", "--site", "none", "--list-profiles"}
	with := func(args []string, more ...string) []string { return append(slices.Clip(args), more...) }
	for want, args := range map[string][]string{
		"--secret-only decides nothing that --dry-run could tell":        with(secrets, "--dry-run"),
		"--secret-only makes no image of which --tree":                   with(secrets, "--tree"),
		"--secret-only makes no image of which --sbom":                   with(secrets, "--sbom", "sbom.json"),
		"--secret-only makes no image that could be written to --out":    with(secrets, "-o", "out.img"),
		"--dry-run writes no image of which --tree":                      with(plain, "--dry-run", "--tree"),
		"--json prints one document, and --tree is for people":           with(plain, "--json", "--tree"),
		"--quiet prints warnings and errors only, and --tree is neither": with(plain, "-q", "--tree"),
		"--list-profiles makes nothing that --tree could be for":         with(profiles, "--tree"),
		"--list-profiles makes nothing that --sbom could be for":         with(profiles, "--sbom", "sbom.json"),
		"--list-profiles makes nothing that --all could be for":          with(profiles, "--all"),
		"inspect: --no-files leaves them out of the summary": {"inspect", "--no-files", "--tree",
			"key"},
		"--no-files leaves them out of the summary, which --tree, --file, --unp": {"inspect", "--no-files", "--json",
			"key"},
	} {
		status, stdout, stderr := nodisk(args...)
		if status != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%q: status %d, %q, %q lacks %q", args, status, stdout, stderr, want)
		}
	}
	if there, err := filepath.Glob("*"); err != nil || len(there) != 1 {
		t.Errorf("%q are there, %v", there, err)
	}
	// A switch that is turned off asks for nothing.
	if status, _, stderr := nodisk(with(secrets, "--tree=false")...); status != 0 {
		t.Errorf("--tree=false: status %d: %s", status, stderr)
	}
}
