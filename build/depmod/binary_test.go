package depmod

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// kmod's indexes of a distribution's tree are depmod's, byte for byte.
func TestBinaryAsDepmod(t *testing.T) {
	dir, release := kernelTree(t)
	root, copied := mirror(t, dir, release)
	realDepmod(t, root, t.TempDir(), release)
	text := func(name string) string {
		data, err := os.ReadFile(filepath.Join(copied, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	made := Binary(text("modules.dep"), text("modules.alias"), text("modules.builtin"), text("modules.builtin.modinfo"))
	for name, got := range made {
		if name == "modules.symbols.bin" {
			continue // is empty: nobody loads by symbol
		}
		if want := text(name); !bytes.Equal(got, []byte(want)) {
			at := 0
			for at < len(got) && at < len(want) && got[at] == want[at] {
				at++
			}
			t.Errorf("%s: %d bytes, want %d; the first that differs is %d: %q, want %q", name, len(got), len(want), at,
				got[max(at-40, 0):min(at+40, len(got))], want[max(at-40, 0):min(at+40, len(want))])
		}
	}
}
