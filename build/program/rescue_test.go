package program

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
)

// What is in the cache is not compiled again; what is not a program there is not taken.
func TestRescueCache(t *testing.T) {
	gomod, err := os.ReadFile("../../go.mod")
	if err != nil || !strings.Contains(string(gomod), "\t"+urootModule+" "+urootVersion+"\n") {
		t.Errorf("%v; go.mod has another version of %s than %s", err, urootModule, urootVersion)
	}
	cache := filepath.Join(t.TempDir(), "nodisk")
	kept := filepath.Join(cache, rescueName("amd64"))
	if err := keep(t.Context(), kept, buildtest.ELFStub(buildtest.MachineAMD64, "")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "/nowhere")
	got, err := CompileRescue(t.Context(), cache, "amd64")
	if err != nil || !bytes.Equal(got, buildtest.ELFStub(buildtest.MachineAMD64, "")) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	const want = "compile the rescue shell: no go command in PATH; install Go, or give a static busybox by " +
		"--rescue=FILE"
	if _, err := CompileRescue(t.Context(), cache, "arm64"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := keep(t.Context(), kept, []byte("half")); err != nil {
		t.Fatal(err)
	}
	if _, err := CompileRescue(t.Context(), cache, "amd64"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	left, err := os.ReadDir(cache)
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left, %v; want 1", len(left), err)
	}
}
