package build

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
)

// What a unified kernel image brings is told by build and check.
func TestUnifiedKernel(t *testing.T) {
	root := buildtest.Tree(t)
	file := filepath.Join(t.TempDir(), "node.efi")
	buildtest.Write(t, file, buildtest.UnifiedKernel(t, map[string][]byte{
		".linux": buildtest.BzImage(buildtest.Release), ".initrd": []byte("070701"),
		".cmdline": []byte("quiet\x1b[2J"),
	}))
	s := testSpec(t, root)
	s.Kernel = file
	r, err := Image(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = "a unified kernel image: it brings an initramfs of its own, which systemd-stub hands to the kernel " +
		"before any other, and a command line of its own (quiet\\x1b[2J)"
	if !strings.Contains(strings.Join(r.Warnings, "\n"), want) {
		t.Errorf("warnings %q", r.Warnings)
	}
	reports, err := Check(t.Context(), CheckSpec{Kernel: file, Modules: root})
	if err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	if err := reports[0].WriteText(&told, 0, 0); err != nil || !strings.Contains(told.String(), want) {
		t.Errorf("check: %v\n%s", err, told.String())
	}
}
