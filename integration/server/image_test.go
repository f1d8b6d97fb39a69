package server

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/u-root/u-root/pkg/cpio"
)

// What the kernel unpacks: directories before their files, one path for both
// spellings of a merged /usr.
func TestArchive(t *testing.T) {
	a := NewArchive()
	a.Put("/lib/x86_64-linux-gnu/libx.so.1", []byte("library"), 0o644)
	a.Put("/usr/sbin/daemon", []byte("program"), 0o755)
	file := filepath.Join(t.TempDir(), "image")
	if err := a.Write(file); err != nil {
		t.Fatal(err)
	}
	var names []string
	seen := map[string]bool{".": true}
	readCPIO(t, file, func(r cpio.Record) {
		if dir := filepath.Dir(r.Name); !seen[dir] {
			t.Errorf("%s comes before %s", r.Name, dir)
		}
		seen[r.Name] = true
		if r.Mode&cpio.S_IFMT == cpio.S_IFREG {
			names = append(names, r.Name)
		}
	})
	if diff := cmp.Diff([]string{"usr/lib/x86_64-linux-gnu/libx.so.1", "usr/sbin/daemon"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, name := range []string{"lib", "bin", "sbin", "lib64", "proc", "dev"} {
		if !seen[name] {
			t.Errorf("there is no /%s", name)
		}
	}
}

func readCPIO(t *testing.T, file string, f func(cpio.Record)) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := cpio.ForEachRecord(cpio.Newc.Reader(bytes.NewReader(data)),
		func(r cpio.Record) error { f(r); return nil }); err != nil {
		t.Fatal(err)
	}
}
