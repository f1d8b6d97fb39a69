package build

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
	"github.com/nodisk/nodisk/modload"
)

// packedTree makes a tree of some modules of a distribution's kernel, packed with xz as Debian packs them today,
// with depmod's indexes.
func packedTree(t *testing.T) (root, dir string) {
	t.Helper()
	tree, err := findTree(kernelDir(t), "")
	if err != nil {
		t.Fatal(err)
	}
	x, err := modload.Open(tree, tree.release)
	if err != nil {
		t.Fatal(err)
	}
	mods, err := x.Resolve("virtio_net", "virtio_pci", "iscsi_tcp", "sd_mod", "ext4", "crypto-crc32c", "igb", "e1000e",
		"bonding")
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	dir = filepath.Join(root, "lib", "modules", tree.release)
	var packed []string
	for _, m := range mods {
		in, _ := strings.CutPrefix(m.Path, modulesDir+"/"+tree.release+"/")
		data, err := os.ReadFile(filepath.Join(tree.dir, in))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, in), data)
		packed = append(packed, filepath.Join(dir, in))
	}
	for _, name := range []string{"modules.order", "modules.builtin", "modules.builtin.modinfo"} {
		data, err := os.ReadFile(filepath.Join(tree.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), data)
	}
	for _, command := range [][]string{append([]string{tool(t, "xz"), "-1", "--check=crc32", "-T0"}, packed...),
		{tool(t, "depmod"), "-b", root, tree.release}} {
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
		s.Profiles, s.Compress = []string{"virt", "e1000", "iscsi", "ext4", "bond"}, None
		s.ExtraModules = []string{"igb"}
		s.Cache = NewCache(kept)
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
	for _, name := range []string{"dep", "alias", "softdep", "symbols", "devname", "dep.bin", "alias.bin",
		"symbols.bin", "builtin.bin", "builtin.alias.bin", "weakdep"} {
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

// What a vendor's module uses, its symbols say, whatever "depends=" does.
func TestIndexesOfVendors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lib", "modules", testRelease)
	for name, m := range map[string]kotest.Module{
		"kernel/a.ko":  {Name: "a", Exports: []ko.Symbol{{Name: "a_get"}}},
		"updates/v.ko": {Name: "v", OutOfTree: true, Imports: []ko.Import{{Name: "a_get"}}},
	} {
		m.Vermagic = testRelease + " SMP "
		write(t, filepath.Join(dir, name), m.Bytes())
	}
	tr, _, _, err := tree{dir: dir, release: testRelease}.indexed(nil)
	if err != nil || !strings.Contains(string(tr.made["modules.dep"]), "updates/v.ko: kernel/a.ko\n") {
		t.Errorf("%v: %q", err, tr.made["modules.dep"])
	}
}

// Indexes are out of the cache while no file of the tree was touched; a damaged cache is none.
func TestIndexesOfCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lib", "modules", testRelease)
	at := filepath.Join(dir, "kernel", "a.ko")
	put := func(name string, m kotest.Module) {
		m.Vermagic, m.Pad = testRelease+" SMP ", 4000
		write(t, filepath.Join(dir, "kernel", name), m.Bytes())
	}
	put("a.ko", kotest.Module{Name: "a", Depends: "b", Info: []ko.Field{{Key: "alias", Value: "one"}}})
	put("b.ko", kotest.Module{Name: "b"})
	kept := t.TempDir()
	list := func() map[string]fs.FileInfo {
		entries, err := os.ReadDir(kept)
		if err != nil {
			t.Fatal(err)
		}
		files := make(map[string]fs.FileInfo)
		for _, e := range entries {
			if files[e.Name()], err = e.Info(); err != nil {
				t.Fatal(err)
			}
		}
		return files
	}
	// text is an index as a run of nodisk sees it, and whether it was in the cache: else a file is new there.
	text := func(name string) (string, bool) {
		before := list()
		tr, notes, _, err := tree{dir: dir, release: testRelease}.indexed(NewCache(kept))
		if err != nil || len(notes) != 1 {
			t.Fatalf("%v, notes %q", err, notes)
		}
		found := true
		for name, info := range list() {
			found = found && before[name] != nil && os.SameFile(before[name], info)
		}
		return string(tr.made[name]), found
	}
	check := func(when, want string, cached bool) {
		t.Helper()
		if got, was := text("modules.alias"); !strings.Contains(got, "alias "+want+" a\n") || was != cached {
			t.Errorf("%s: from the cache %v, want %v, and %s:\n%s", when, was, cached, want, got)
		}
	}
	check("first", "one", false)
	check("again", "one", true)
	info, err := os.Stat(at)
	if err != nil {
		t.Fatal(err)
	}
	put("a.ko", kotest.Module{Name: "a", Depends: "b", Info: []ko.Field{{Key: "alias", Value: "two"}}})
	if err := os.Chtimes(at, info.ModTime(), info.ModTime()); err != nil { // as cp -p: the same size and time
		t.Fatal(err)
	}
	check("another file", "two", false)
	check("again", "two", true)
	put("c.ko", kotest.Module{Name: "c"})
	check("one more", "two", false)
	entries, err := os.ReadDir(kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := filepath.Join(kept, e.Name())
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 0xff
		write(t, name, data)
	}
	check("damaged", "two", false)
	for _, e := range entries {
		write(t, filepath.Join(kept, e.Name()), nil)
	}
	check("empty", "two", false)
	check("mended", "two", true)
	old := time.Now().Add(-time.Hour)
	for _, e := range entries { // as old as it looks, so the first to go
		if err := os.Chtimes(filepath.Join(kept, e.Name()), old, old); err != nil {
			t.Fatal(err)
		}
	}
	check("used", "two", true)
	if fresh := slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		info, err := os.Stat(filepath.Join(kept, e.Name()))
		return err == nil && info.ModTime().After(old)
	}); !fresh {
		t.Error("use does not keep it from being trimmed")
	}
}
