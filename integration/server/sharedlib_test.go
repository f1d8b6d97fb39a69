package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/testenv"
)

func TestSharedLibraries(t *testing.T) {
	shell, err := filepath.EvalSymlinks("/bin/sh")
	testenv.Needs(t, err == nil, "/bin/sh")
	libs, err := SharedLibraries(shell)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range libs {
		names = append(names, filepath.Base(l))
	}
	got := strings.Join(names, " ")
	if !strings.Contains(got, "libc.so.6") || !strings.Contains(got, "ld-linux-x86-64.so.2") {
		t.Errorf("%s needs %q, want C library and loader among it", shell, got)
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if libs, err := SharedLibraries(script); err != nil || len(libs) > 0 {
		t.Errorf("a script needs %v, %v", libs, err)
	}
}
