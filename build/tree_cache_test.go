package build

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/cache"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/modload"
)

// packedTree makes a tree of some modules of a distribution's kernel, packed with xz as Debian packs them today,
// with depmod's indexes.
func packedTree(t *testing.T) (root, dir string) {
	t.Helper()
	tree, err := modtree.Find(buildtest.KernelDir(t), "")
	if err != nil {
		t.Fatal(err)
	}
	x, err := modload.Open(tree, tree.Release)
	if err != nil {
		t.Fatal(err)
	}
	mods, err := x.Resolve("virtio_net", "virtio_pci", "iscsi_tcp", "sd_mod", "ext4", "crypto-crc32c", "igb", "e1000e",
		"bonding")
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	dir = filepath.Join(root, "lib", "modules", tree.Release)
	var packed []string
	for _, m := range mods {
		in, _ := strings.CutPrefix(m.Path, initramfs.ModulesDir+"/"+tree.Release+"/")
		data, err := os.ReadFile(filepath.Join(tree.Path, in))
		if err != nil {
			t.Fatal(err)
		}
		buildtest.Write(t, filepath.Join(dir, in), data)
		packed = append(packed, filepath.Join(dir, in))
	}
	for _, name := range []string{"modules.order", "modules.builtin", "modules.builtin.modinfo"} {
		data, err := os.ReadFile(filepath.Join(tree.Path, name))
		if err != nil {
			t.Fatal(err)
		}
		buildtest.Write(t, filepath.Join(dir, name), data)
	}
	for _, command := range [][]string{
		append([]string{buildtest.Tool(t, "xz"), "-1", "--check=crc32", "-T0"}, packed...),
		{buildtest.Tool(t, "depmod"), "-b", root, tree.Release},
	} {
		if out, err := exec.CommandContext(t.Context(), command[0],
			command[1:]...).CombinedOutput(); err != nil { //nolint:gosec // of this test
			t.Fatalf("%s: %v: %s", command[0], err, out)
		}
	}
	return root, dir
}

// With depmod's indexes and without, the first time and again, the image is the same, bit for bit.
func TestImageIsTheSameWithoutIndexes(t *testing.T) {
	root, dir := packedTree(t)
	kept := t.TempDir()
	build := func() []byte {
		s := testSpec(t, root)
		s.Profiles, s.Compress = []string{"virt", "e1000", "iscsi", "ext4", "bond"}, compress.None
		s.ExtraModules = []string{"igb"}
		s.Cache = cache.New(kept)
		if _, err := Image(t.Context(), s, nil); err != nil {
			t.Fatal(err)
		}
		image, err := os.ReadFile(s.Out)
		if err != nil {
			t.Fatal(err)
		}
		return image
	}
	want := build()
	for _, name := range []string{
		"dep", "alias", "softdep", "symbols", "devname", "dep.bin", "alias.bin",
		"symbols.bin", "builtin.bin", "builtin.alias.bin", "weakdep",
	} {
		if err := os.RemoveAll(filepath.Join(dir, "modules."+name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range []string{"first", "again"} {
		if got := build(); !bytes.Equal(got, want) {
			t.Errorf("%s: the image is another than with depmod's indexes", run)
		}
	}
}
