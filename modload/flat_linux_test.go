package modload

import (
	"bytes"
	"compress/gzip"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload/unpack"
)

func flatTree(files map[string]string) fstest.MapFS {
	fsys := tree(files)
	for _, name := range []string{
		"ib/ib_core.ko", "ib/hca.ko.xz", "ib/ib-ipoib.ko", "ib/base.ko", "ib/loop.ko", "ib/README", "ib/.ko",
		"ib/below/x.ko",
		"zz/hca.ko", "zz/last.ko.gz", "r.old/kernel/old.ko", "file.ko",
	} {
		fsys["lib/modules/"+name] = &fstest.MapFile{}
	}
	return fsys
}

func openFlat(t *testing.T, fsys fstest.MapFS) *Index {
	t.Helper()
	x, err := Open(fsys, "r")
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// The index comes first, then what is built in, then directories by name.
func TestFlat(t *testing.T) {
	x := openFlat(t, flatTree(map[string]string{
		"dep":     "kernel/base.ko:\nkernel/mid.ko: kernel/base.ko\nkernel/other.ko:\n",
		"builtin": "kernel/drivers/block/loop.ko\n",
	}))
	mods, err := x.Resolve("mid", "other", "ib_core", "hca", "base", "ib-ipoib", "last", "loop")
	if err != nil {
		t.Fatal(err)
	}
	want := []Module{
		{Name: "base", Path: "lib/modules/r/kernel/base.ko"},
		{Name: "mid", Path: "lib/modules/r/kernel/mid.ko", Deps: []string{"base"}},
		{Name: "other", Path: "lib/modules/r/kernel/other.ko"},
		{Name: "ib_core", Path: "lib/modules/ib/ib_core.ko", Flat: true, After: []string{"base", "mid", "other"}},
		{Name: "hca", Path: "lib/modules/ib/hca.ko.xz", Flat: true, After: []string{"ib_core"}},
		{Name: "ib_ipoib", Path: "lib/modules/ib/ib-ipoib.ko", Flat: true, After: []string{"hca"}},
		{Name: "last", Path: "lib/modules/zz/last.ko.gz", Flat: true, After: []string{"ib_ipoib"}},
	}
	if diff := cmp.Diff(want, mods); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range []string{"x", "README", "old", "file"} {
		if _, err := x.Resolve(name); err == nil {
			t.Errorf("%s is found", name)
		}
	}
}

func TestFlatWithoutIndex(t *testing.T) {
	fsys := flatTree(nil) // not even modules.dep
	x := openFlat(t, fsys)
	if mods, err := x.Resolve("ib_core"); err != nil || len(mods) != 1 || mods[0].Path != "lib/modules/ib/ib_core.ko" {
		t.Errorf("%+v, %v", mods, err)
	}
	if got := x.Match("pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00"); got != nil {
		t.Errorf("a device leads to %v", got)
	}
	// With another kernel's tree beside them the directories are its own.
	fsys["lib/modules/6.0/modules.dep"] = &fstest.MapFile{}
	if _, err := Open(fsys, "r"); err == nil || !strings.Contains(err.Error(), "lib/modules/r/modules.dep") {
		t.Errorf("another kernel's directories pass: %v", err)
	}
}

// Side by side, and yet in the order given.
func TestLoadFlat(t *testing.T) {
	_, k, _ := newTestLoader(t, diamond, LoaderConfig{})
	params, _ := ParseParams(cmdline.Parse("hca.netdev=eth0 hca.lid=7"))
	l := newLoader(openFlat(t, flatTree(diamond)), LoaderConfig{Workers: 4, Params: params}, k, nil)
	for range 50 {
		if err := l.Load(t.Context(), "left", "right", "ib_core", "hca", "ib_ipoib", "slow"); err != nil {
			t.Fatal(err)
		}
		if want := []string{"ib_core", "hca", "ib_ipoib", "slow"}; !slices.Equal(k.order[3:], want) {
			t.Fatalf("order %q, want %q at the end", k.order, want)
		}
		clear(k.living)
		k.order = nil
		l = newLoader(l.index, l.conf, k, nil)
	}
	if k.params["hca"] != "netdev=eth0 lid=7" {
		t.Errorf("hca got %q", k.params["hca"])
	}
}

func TestLoadFlatErrors(t *testing.T) {
	_, k, _ := newTestLoader(t, diamond, LoaderConfig{})
	k.depends = map[string][]string{"hca": {"base", "ib_core", "ib_cm"}}
	k.living["base"] = true
	k.inserted = func(name string) ([]string, error) {
		if name == "hca" {
			return []string{"hca: Unknown symbol ib_register_device (err -2)"}, unix.ENOENT
		}
		return nil, unix.EEXIST
	}
	l := newLoader(openFlat(t, flatTree(diamond)), LoaderConfig{}, k, nil)
	if err := l.Load(t.Context(), "ib_ipoib"); err != nil {
		t.Errorf("EEXIST: %v", err)
	}
	err := l.Load(t.Context(), "hca")
	want := `load module "hca": no such file or directory; the kernel says "hca: Unknown symbol ib_register_device (err -2)"; ` +
		"lib/modules/ib/hca.ko.xz lies in a directory without an index, so nothing is loaded for it: name ib_core, " +
		"ib_cm before it"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	k.living["ib_core"], k.living["ib_cm"] = true, true
	if err := l.Load(t.Context(), "hca"); err == nil || !strings.Contains(err.Error(), "of another build") {
		t.Errorf("all is loaded, and yet %v", err)
	}
}

const modinfo = "\x7fELF....\x00\x00license=GPL\x00depends=ib-core,mlx4_core\x00name=hca\x00"

func TestNeeds(t *testing.T) {
	root := t.TempDir()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(modinfo)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"a.ko": []byte(modinfo), "b.ko.gz": packed.Bytes(),
		"c.ko.gz": []byte("rubbish")} {
		if err := os.WriteFile(filepath.Join(root, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := newMachine(LoaderConfig{Root: root, Decompress: unpack.Module})
	for name, want := range map[string][]string{"a.ko": {"ib_core", "mlx4_core"}, "b.ko.gz": {"ib_core", "mlx4_core"},
		"c.ko.gz": nil, "d.ko": nil} {
		if diff := cmp.Diff(want, m.needs(name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What modinfo(8) prints of real modules.
func TestDependsOfDebian(t *testing.T) {
	root, release := kernelTree(t)
	for name, want := range map[string][]string{
		"drivers/infiniband/ulp/ipoib/ib_ipoib.ko": {"ib_core", "ib_cm"}, "drivers/infiniband/core/ib_core.ko": nil,
	} {
		data, err := os.ReadFile(filepath.Join(root, "lib/modules", release, "kernel", name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, depends(data)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func FuzzDepends(f *testing.F) {
	f.Add([]byte(modinfo))
	f.Add([]byte("\x00depends=\x00"))
	f.Add([]byte("\x00depends=,a,\x00b"))
	f.Add([]byte("\x00depends=a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range depends(data) {
			if name == "" || strings.ContainsAny(name, ",\x00-") {
				t.Errorf("a module called %q", name)
			}
		}
	})
}

// Without an index a profile's module may be built in for all one knows; what
// the administrator names must be there.
func TestOnTrust(t *testing.T) {
	_, k, log := newTestLoader(t, diamond, LoaderConfig{})
	l := newLoader(openFlat(t, flatTree(nil)), LoaderConfig{}, k, slog.New(slog.NewTextHandler(log, nil)))
	if err := l.Request(t.Context(), Request{Name: "sd_mod", Stage: StageStorage},
		Request{Name: "ib_core", Stage: StageDrivers}); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "module=sd_mod") || !k.living["ib_core"] {
		t.Errorf("loaded %v, the log is %s", k.order, log)
	}
	if err := l.Load(t.Context(), "sd_mod"); err == nil {
		t.Error("a module asked for by name is missing, and that is not an error")
	}
}
