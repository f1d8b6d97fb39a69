package depmod

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
)

const testRelease = "6.6.6-test"

// crcOf is the CRC that all made modules agree on.
func crcOf(symbol string) uint32 { return crc32.ChecksumIEEE([]byte(symbol)) }

func exports(names ...string) []ko.Symbol {
	var list []ko.Symbol
	for i, name := range names {
		list = append(list, ko.Symbol{Name: name, CRC: crcOf(name), HasCRC: true, GPL: i%2 == 1})
	}
	return list
}

func imports(names ...string) []ko.Import {
	list := []ko.Import{{Name: "module_layout", CRC: 1, HasCRC: true}}
	for _, name := range names {
		list = append(list, ko.Import{Name: name, CRC: crcOf(name), HasCRC: true})
	}
	return list
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// pack compresses as the name's ending says.
func pack(t *testing.T, name string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	switch filepath.Ext(name) {
	case ".xz":
		w, err := xz.WriterConfig{CheckSum: xz.CRC32, DictCap: 1 << 16}.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	case ".zst":
		w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(1<<16))
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll(data, nil)
	case ".gz":
		w := gzip.NewWriter(&b)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	default:
		return data
	}
	return b.Bytes()
}

// madeTree writes a tree of some hundred modules below root. Modules use those
// of lower numbers; some have a second file in another place of the search
// order, of other content, so that the choice is seen in every index.
func madeTree(t *testing.T, root string, seed uint64, endings []string) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	dir := filepath.Join(root, "lib", "modules", testRelease)
	const count = 80
	var order []string
	put := func(folder string, i int) {
		name := fmt.Sprintf("m%d-x_%d", i, i*7%13)
		m := kotest.Module{
			Name: strings.ReplaceAll(name, "-", "_"), Vermagic: testRelease + " SMP mod_unload modversions ",
			OutOfTree: folder != "kernel/drivers",
			Exports: exports(fmt.Sprintf("sym_%d_a", i), fmt.Sprintf("sym_%d_b", i), fmt.Sprintf("sym_%s_%d",
				strings.ReplaceAll(folder, "/", "_"), i)),
		}
		var uses []string
		for range r.IntN(4) {
			if i > 0 {
				uses = append(uses, fmt.Sprintf("sym_%d_%c", r.IntN(i), 'a'+rune(r.IntN(2))))
			}
		}
		slices.Sort(uses)
		m.Imports = append(imports(slices.Compact(uses)...), ko.Import{Name: "maybe_there", Weak: true},
			ko.Import{Name: "kernel_symbol", CRC: 3, HasCRC: true})
		for n := range r.IntN(3) {
			m.Info = append(m.Info,
				ko.Field{Key: "alias", Value: fmt.Sprintf("pci:v0000%04Xd0000%04Xsv*sd*bc*sc*i[0-%d]*",
					i, r.IntN(1<<16), n+1)})
		}
		switch r.IntN(10) {
		case 0:
			m.Info = append(m.Info, ko.Field{Key: "softdep", Value: "pre: crc32c"}, ko.Field{Key: "softdep",
				Value: "post: a b"})
		case 1:
			m.Info = append(m.Info, ko.Field{Key: "alias", Value: "devname:dev/" + name}, ko.Field{Key: "alias",
				Value: fmt.Sprintf("char-major-10-%d", i)})
		case 2:
			m.Info = append(m.Info, ko.Field{Key: "alias", Value: fmt.Sprintf("block-major-%d-*", i)},
				ko.Field{Key: "alias", Value: "devname:" + name})
		}
		file := folder + "/" + name + ".ko"
		if strings.HasPrefix(folder, "kernel") && r.IntN(5) > 0 {
			order = append(order, file)
		}
		packed := file + endings[r.IntN(len(endings))]
		write(t, filepath.Join(dir, packed), pack(t, packed, m.Bytes()))
	}
	for i := range count {
		put("kernel/drivers", i)
		for _, folder := range []string{"updates/dkms", "extra", "weak-updates", "special/deep/er"} {
			if r.IntN(12) == 0 {
				put(folder, i)
			}
		}
	}
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	write(t, filepath.Join(dir, "modules.order"), []byte(strings.Join(order, "\n")+"\n"))
	write(t, filepath.Join(dir, "modules.builtin"), []byte("kernel/lib/crc32.ko\n"))
	write(t, filepath.Join(dir, "modules.builtin.modinfo"), []byte("crc32.license=GPL\x00"))
	// Links into another release's tree, as weak-modules makes them.
	other := filepath.Join(root, "lib", "modules", "6.6.5-test", "extra", "linked.ko")
	write(t, other, kotest.Module{Name: "linked", Exports: exports("linked_symbol"),
		Imports: imports("sym_3_a")}.Bytes())
	if err := os.MkdirAll(filepath.Join(dir, "weak-updates", "pkg"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../6.6.5-test/extra/linked.ko", filepath.Join(dir, "weak-updates", "pkg",
		"linked.ko")); err != nil {
		t.Fatal(err)
	}
	// depmod lists what it cannot read.
	write(t, filepath.Join(dir, "kernel", "broken.ko"), []byte("no module"))
	write(t, filepath.Join(dir, "kernel", "empty.ko"), nil)
	// Nothing in these counts.
	write(t, filepath.Join(dir, "build", "scripts", "m0-x_0.ko"), []byte("no module"))
	write(t, filepath.Join(dir, "kernel", "README.ko.txt"), []byte("no module"))
	write(t, filepath.Join(dir, "passed-over", "m1-x_7.ko"), kotest.Module{Name: "m1_x_7"}.Bytes())
}

// Texts of made trees are depmod's under every search order.
func TestRunMadeTrees(t *testing.T) {
	t.Parallel()
	// kmod here may know fewer compressions than we do.
	endings := []string{"", ""}
	version, _ := exec.CommandContext(t.Context(), "depmod", "--version").Output()
	for name, ending := range map[string]string{"+ZSTD": ".zst", "+XZ": ".xz", "+ZLIB": ".gz"} {
		if strings.Contains(string(version), name) {
			endings = append(endings, ending)
		}
	}
	slices.Sort(endings)
	for name, conf := range map[string]map[string]string{
		"RHEL": {"dist.conf": "#\n# depmod.conf\n#\n\nsearch updates extra built-in weak-updates special\n" +
			"exclude passed-over\n"},
		"Ubuntu": {"ubuntu.conf": "search updates ubuntu built-in extra special weak-updates\n" +
			"exclude passed-over other\n"},
		"two lines": {"b.conf": "search weak-updates built-in\n", "a.conf": "exclude passed-over\n" +
			"search special\textra updates/dkms\n"},
		"override": {"z.conf": "search updates extra special built-in weak-updates\nexclude passed-over\n" +
			"override m3-x_8 * special/deep/er\noverride m10-x_5 6\\.6\\..* kernel/drivers\noverride m11-x_12 ^5\\. " +
			"weak-updates\n" + overrides()},
		"external": {"e.conf": "external * ROOT/opt/first\nexternal 6.6.6 ROOT/opt/second\nexternal 7.* " +
			"ROOT/opt/third\nexclude passed-over\nsearch updates external built-in extra special weak-updates\n"},
		"external last": {"e.conf": "external * ROOT/opt/first\nexternal * ROOT/opt/second\nexclude passed-over\n" +
			"search updates special extra weak-updates \\\n built-in external\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			madeTree(t, root, uint64(len(name)), endings)
			for i, dir := range []string{"first", "second", "third"} {
				for n := range 4 {
					name := fmt.Sprintf("m%d-x_%d", n+i, (n+i)*7%13)
					m := kotest.Module{Name: strings.ReplaceAll(name, "-", "_"), Exports: exports(dir + "_symbol"),
						Imports: imports("sym_20_a")}
					write(t, filepath.Join(root, "opt", dir, name+".ko"), m.Bytes())
				}
			}
			theirs := t.TempDir()
			for name, text := range conf {
				write(t, filepath.Join(theirs, name), []byte(strings.ReplaceAll(text, "ROOT", root)))
				write(t, filepath.Join(root, "etc", "depmod.d", name), []byte(strings.ReplaceAll(text, "ROOT", "")))
			}
			for line := range strings.Lines(realDepmod(t, root, theirs, testRelease)) {
				// Modules without a number, and the damaged ones.
				if !strings.Contains(line, " has devname ") && !strings.Contains(line, "broken.ko") &&
					!strings.Contains(line, "empty.ko") {
					t.Errorf("depmod says: %s", line)
				}
			}
			c, err := ReadConfig(os.DirFS(root))
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(root, "lib", "modules", testRelease)
			x, err := Run(Tree(dir, testRelease), testRelease, c)
			if err != nil {
				t.Fatal(err)
			}
			sameIndexes(t, x, dir, root)
			if said := strings.Contains(strings.Join(x.Warnings, "\n"),
				"there is an override for it"); said != (name == "override") {
				t.Errorf("an override decided: %v", said)
			}
			for _, w := range x.Warnings {
				if !strings.Contains(w, " is taken, not ") && !strings.HasPrefix(w, "symbol ") && !strings.HasPrefix(w,
					"module broken: ") && !strings.HasPrefix(w, "module empty: ") {
					t.Errorf("unexpected warning: %s", w)
				}
			}
			if !strings.Contains(string(x.Dep), "weak-updates/pkg/linked.ko:") {
				t.Error("the link of weak-updates is not in modules.dep")
			}
			if stale, err := Stale(Tree(dir, testRelease), testRelease, c); err != nil ||
				(stale != nil && !strings.HasPrefix(name, "external")) {
				t.Errorf("Stale of what depmod wrote: %v, %v", stale, err)
			}
		})
	}
}

// overrides names every module in the place that loses most.
func overrides() string {
	var text strings.Builder
	for i := 30; i < 80; i += 2 {
		fmt.Fprintf(&text, "override m%d-x_%d * weak-updates\n", i, i*7%13)
	}
	return text.String()
}

// The tree of a small node, with all that can be wrong in one.
func wrongTree(t *testing.T) (root, dir string) {
	t.Helper()
	root = t.TempDir()
	dir = filepath.Join(root, "lib", "modules", testRelease)
	for path, m := range map[string]kotest.Module{
		"kernel/a.ko":         {Name: "a", Exports: exports("a1"), Imports: imports("printk")},
		"kernel/b.ko":         {Name: "b", Exports: exports("b1"), Imports: imports("a1", "nowhere", "c1")},
		"kernel/c.ko":         {Name: "c", Exports: exports("c1"), Imports: imports("d1")},
		"kernel/d.ko":         {Name: "d", Exports: exports("d1"), Imports: imports("b1")},
		"kernel/e.ko":         {Name: "e", Exports: exports("a1", "kmalloc")},
		"kernel/crc32.ko":     {Name: "crc32"},
		"updates/a.ko":        {Name: "a", Exports: exports("a1")},
		"extra/one/twice.ko":  {Name: "twice"},
		"extra/two/twice.ko":  {Name: "twice"},
		"../other/extra/f.ko": {Name: "f", Imports: imports("a1")},
	} {
		write(t, filepath.Join(dir, path), m.Bytes())
	}
	write(t, filepath.Join(dir, "modules.builtin"), []byte("kernel/lib/crc32.ko\n"))
	for name, target := range map[string]string{
		"f.ko": "/lib/modules/other/extra/f.ko", "gone.ko": "/lib/modules/other/extra/gone.ko", "self": "..",
	} {
		if err := os.MkdirAll(filepath.Join(dir, "weak-updates"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, "weak-updates", name)); err != nil {
			t.Fatal(err)
		}
	}
	return root, dir
}

func TestRunWarnings(t *testing.T) {
	_, dir := wrongTree(t)
	// The second is not in its place: links lead beside it.
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.CopyFS(filepath.Join(filepath.Dir(moved), "other"),
		os.DirFS(filepath.Join(filepath.Dir(dir), "other"))); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{dir, moved} {
		if at == moved {
			if err := os.Rename(dir, moved); err != nil {
				t.Fatal(err)
			}
		}
		x, err := Run(Tree(at, testRelease), testRelease, Config{Kernel: exports("printk", "module_layout", "kmalloc")})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			`module twice: extra/two/twice.ko is taken, not extra/one/twice.ko: both are in the same place of the search order, so depmod's choice is a chance: remove one`,
			`module a: updates/a.ko is taken, not kernel/a.ko: "updates" is before "built-in" in the search order`,
			`weak-updates/gone.ko is a link to /lib/modules/other/extra/gone.ko, which is not there: the module is left out; remove the link or install the package that it belongs to`,
			`module crc32: the kernel has it built in, so kernel/crc32.ko cannot be loaded`,
			`symbol a1: updates/a.ko and kernel/e.ko both export it: the kernel refuses the one that is loaded second`,
			`symbol kmalloc: the kernel and kernel/e.ko both export it: the kernel refuses the one that is loaded second`,
			`module b: neither the kernel nor a module exports nowhere: kernel/b.ko cannot be loaded; it was built for another kernel, or a package is missing`,
			`dependency cycle c -> d -> b -> c: none of these modules can be loaded`,
		}
		slices.Sort(want)
		slices.Sort(x.Warnings)
		if diff := cmp.Diff(want, x.Warnings); diff != "" {
			t.Errorf("%s (-want +got):\n%s", at, diff)
		}
		if !strings.Contains(string(x.Dep), "weak-updates/f.ko: kernel/e.ko") {
			t.Errorf("modules.dep lacks what the absolute link leads to:\n%s", x.Dep)
		}
	}
}

func TestStale(t *testing.T) {
	root, dir := wrongTree(t)
	stale := func() []string {
		t.Helper()
		list, err := Stale(os.DirFS(root), testRelease, Config{})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if diff := cmp.Diff([]string{"there is no modules.dep: run depmod " + testRelease}, stale()); diff != "" {
		t.Errorf("without modules.dep (-want +got):\n%s", diff)
	}
	x, err := Run(os.DirFS(root), testRelease, Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range x.Texts() {
		write(t, filepath.Join(dir, name), text)
	}
	if list := stale(); list != nil {
		t.Errorf("fresh modules.dep: %q", list)
	}
	write(t, filepath.Join(dir, "updates", "c.ko.xz"), nil)
	write(t, filepath.Join(dir, "extra", "new-one.ko"), nil)
	if err := os.Remove(filepath.Join(dir, "kernel", "d.ko")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"module c: modules.dep names kernel/c.ko, but updates/c.ko.xz should be taken",
		"module d: modules.dep names kernel/d.ko, which is not there",
		"module new_one: modules.dep lacks extra/new-one.ko",
	}
	if diff := cmp.Diff(want, stale()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRunErrors(t *testing.T) {
	root, dir := wrongTree(t)
	write(t, filepath.Join(dir, "kernel", "bad.ko.xz"), []byte("no xz"))
	x, err := Run(os.DirFS(root), testRelease, Config{})
	if err != nil || !strings.Contains(strings.Join(x.Warnings, "\n"), "module bad: kernel/bad.ko.xz: ") ||
		!strings.Contains(string(x.Dep), "kernel/bad.ko.xz:\n") {
		t.Errorf("a damaged file: %v, %+v", err, x)
	}
	if _, err := Run(os.DirFS(root), "1.2.3", Config{}); err == nil ||
		!strings.Contains(err.Error(), "lib/modules/1.2.3") {
		t.Errorf("error %v does not name the directory", err)
	}
}
