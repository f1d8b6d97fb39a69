package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// With --json every kind of nodisk build prints a document.
func TestBuildJSONOfOthers(t *testing.T) {
	dir := t.TempDir()
	secret, out := filepath.Join(dir, "chap"), filepath.Join(dir, "out")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := nodisk("build", "--site", "none", "--secret-only", "--secret", secret, "--secret-out",
		out, "--json")
	var secrets secretsJSON
	if err := json.Unmarshal([]byte(stdout), &secrets); status != 0 || err != nil {
		t.Fatalf("status %d, %v: %s%s", status, err, stdout, stderr)
	}
	if diff := cmp.Diff(secretsJSON{Secrets: []string{"/etc/nodisk/chap"}, SecretFile: out}, secrets); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	status, stdout, stderr = nodisk("build", "--site", "none", "--list-profiles", "--modules", kernelDir(t), "--json")
	var profiles profilesJSON
	if err := json.Unmarshal([]byte(stdout), &profiles); status != 0 || err != nil {
		t.Fatalf("status %d, %v: %s%s", status, err, stdout, stderr)
	}
	if p := profiles.Profiles; profiles.Kernel == "" || len(p) == 0 || p[0].Name != "virt" || p[0].Modules == 0 ||
		p[0].Bytes == 0 || p[0].Doc == "" {
		t.Errorf("%+v", profiles)
	}
}
