package outfile

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Of several who write a file at once each writes all of it, and nothing else is left in the directory.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	at := filepath.Join(dir, "page")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 20 {
				if err := Replace(at, bytes.Repeat([]byte{'a' + byte(i)}, 10_000*(i+1)), 0o640); err != nil {
					t.Error(err)
				}
				text, err := os.ReadFile(at)
				if err != nil || len(text) == 0 || len(bytes.Trim(text, string(text[:1]))) > 0 ||
					len(text) != 10_000*int(text[0]-'a'+1) {
					t.Errorf("%d bytes, %v", len(text), err)
				}
			}
		})
	}
	all.Wait()
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if info, err := list[0].Info(); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(filepath.Join(dir, "taken"), nil, 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	if list, err = os.ReadDir(dir); err != nil || len(list) != 2 {
		t.Errorf("left behind: %v, %v", list, err)
	}
}
