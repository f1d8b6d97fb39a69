package modload

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// tree makes the index files of release "r".
func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m["lib/modules/r/modules."+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func open1(tb testing.TB, files map[string]string) *Index {
	tb.Helper()
	x, err := Open(tree(files), "r")
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

var small = map[string]string{
	"dep": "kernel/drivers/virtio/virtio.ko:\n" +
		"kernel/drivers/virtio/virtio_ring.ko:\n" +
		"kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko\n" +
		"kernel/arch/x86/crypto/crc32c-intel.ko.xz:\n" +
		"kernel/crypto/crc32c_generic.ko.zst:\n" +
		"kernel/fs/jbd2/jbd2.ko.gz:\n" +
		"kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko.gz\n" +
		"updates/dkms/mlx5_core.ko:\n" +
		"/lib/modules/r/old.ko:\n" +
		"kernel/a.ko:\nkernel/b.ko:\nkernel/c.ko:\n" +
		"kernel/broken.ko: kernel/gone.ko\n" +
		"kernel/dep-on-builtin.ko: kernel/virtio-blk.ko\n",
	"alias": "# Aliases extracted from modules themselves.\n" +
		"alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci\n" +
		"alias pci:v000015B3d0000101Bsv*sd*bc*sc*i* mlx5_core\n" +
		"alias crypto-crc32c crc32c_intel\n" +
		"alias cpu:type:x86,ven*fam*mod*:feature:*0094* crc32c_intel\n" +
		"alias crypto-crc32c crc32c-generic\n" +
		"alias acpi*:PNP0A0[38]:* a\n" +
		"alias * none\n" +
		"junk\nalias one\nalias  \nalias x y z\n",
	"softdep": "# Soft dependencies extracted from modules themselves.\n" +
		"softdep ext4 pre: crypto-crc32c nothing-has-this\n" +
		"softdep a pre: b post: c\nsoftdep b pre: a\nsoftdep a post: old\nsoftdep c junk\n",
	"builtin":         "kernel/drivers/block/virtio-blk.ko\nkernel/fs/nls/nls_base.ko\n",
	"builtin.modinfo": "virtio_blk.alias=virtio:d00000002v*\x00hmac.license=GPL\x00hmac.alias=crypto-hmac\x00",
}

func TestOpen(t *testing.T) {
	x := open1(t, small)
	var files []string
	for name, path := range x.Files() {
		files = append(files, name+" "+path)
	}
	for _, want := range []string{
		"crc32c_intel lib/modules/r/kernel/arch/x86/crypto/crc32c-intel.ko.xz",
		"crc32c_generic lib/modules/r/kernel/crypto/crc32c_generic.ko.zst",
		"mlx5_core lib/modules/r/updates/dkms/mlx5_core.ko",
		"old lib/modules/r/old.ko",
	} {
		if !slices.Contains(files, want) {
			t.Errorf("no %q in %q", want, files)
		}
	}
	for name, want := range map[string]bool{
		"virtio_blk": true, "virtio-blk": true, "nls_base": true, "crypto_hmac": true, "crypto-hmac": true,
		"virtio:d00000002v00001AF4": true, "ext4": false, "blk": false, "": false,
	} {
		if got := x.Builtin(name); got != want {
			t.Errorf("Builtin(%q) = %v", name, got)
		}
	}
	if !x.Has("crc32c-intel") || x.Has("virtio_blk") || x.Release() != "r" {
		t.Error("Has or Release is wrong")
	}
}

func TestOpenErrors(t *testing.T) {
	_, err := Open(fstest.MapFS{}, "6.1")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "lib/modules/6.1/modules.dep") {
		t.Errorf("without modules.dep: %v", err)
	}
	_, err = Open(tree(map[string]string{"dep": "kernel/a.ko:\nkernel/b.k"}), "r")
	if err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a line cut short: %v", err)
	}
	if _, err := Open(tree(map[string]string{"dep": ""}), "r"); err != nil {
		t.Errorf("a kernel without modules: %v", err)
	}
}

func TestMatch(t *testing.T) {
	x := open1(t, small)
	for alias, want := range map[string][]string{
		"pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00": {"virtio_pci", "none"},
		"pci:v000015B3d0000101Bsv0sd0bc02sc00i00":               {"mlx5_core", "none"},
		"crypto-crc32c": {"crc32c_intel", "crc32c_generic", "none"},
		"crypto_crc32c": {"crc32c_intel", "crc32c_generic", "none"},
		"acpi:PNP0A08:": {"a", "none"},
		"acpi:PNP0A05:": {"none"},
		"x y":           {"none", "z"},
		"pci:":          {"none"},
		"":              {"none"},
		"cpu:type:x86,ven0000fam0006mod0086:feature:,0000,0094,00": {"crc32c_intel", "none"},
	} {
		if diff := cmp.Diff(want, x.Match(alias)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", alias, diff)
		}
	}
}

func TestResolve(t *testing.T) {
	x := open1(t, small)
	const dir = "lib/modules/r/kernel/"
	for name, tt := range map[string]struct {
		ask  []string
		want []Module
	}{
		"dependencies, the last first": {
			[]string{"virtio-pci"},
			[]Module{
				{Name: "virtio", Path: dir + "drivers/virtio/virtio.ko"},
				{Name: "virtio_ring", Path: dir + "drivers/virtio/virtio_ring.ko"},
				{Name: "virtio_pci", Path: dir + "drivers/virtio/virtio_pci.ko",
					Deps: []string{"virtio", "virtio_ring"}},
			},
		},
		"softdeps by alias, a missing one is left out": {
			[]string{"ext4"},
			[]Module{
				{Name: "jbd2", Path: dir + "fs/jbd2/jbd2.ko.gz"},
				{Name: "crc32c_intel", Path: dir + "arch/x86/crypto/crc32c-intel.ko.xz", Optional: true},
				{Name: "crc32c_generic", Path: dir + "crypto/crc32c_generic.ko.zst", Optional: true},
				{Name: "ext4", Path: dir + "fs/ext4/ext4.ko", Deps: []string{"jbd2"},
					After: []string{"crc32c_intel", "crc32c_generic"}},
			},
		},
		"a cycle of softdeps, and post": {
			[]string{"a"},
			[]Module{
				{Name: "b", Path: dir + "b.ko", Optional: true},
				{Name: "a", Path: dir + "a.ko", After: []string{"b"}},
				{Name: "c", Path: dir + "c.ko", Optional: true, After: []string{"a"}},
				{Name: "old", Path: "lib/modules/r/old.ko", Optional: true, After: []string{"a"}},
			},
		},
		"built in": {[]string{"virtio_blk", "crypto-hmac"}, []Module{}},
		"dependency on a built-in": {[]string{"dep_on_builtin"},
			[]Module{{Name: "dep_on_builtin", Path: dir + "dep-on-builtin.ko"}}},
		"twice": {[]string{"virtio", "virtio"},
			[]Module{{Name: "virtio", Path: dir + "drivers/virtio/virtio.ko"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := x.Resolve(tt.ask...)
			if err != nil {
				t.Fatal(err)
			}
			deps := func(m Module) Module { // nil and empty are the same
				if len(m.Deps) == 0 {
					m.Deps = nil
				}
				return m
			}
			for i := range got {
				got[i] = deps(got[i])
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestResolveMissing(t *testing.T) {
	// Without the alias "*", which matches any name.
	files := map[string]string{"dep": small["dep"], "builtin": small["builtin"]}
	x := open1(t, files)
	mods, err := x.Resolve("virtio_pcl", "broken", "virtio", "entirely_unknown")
	if len(mods) != 1 || mods[0].Name != "virtio" {
		t.Errorf("what exists is not returned: %+v", mods)
	}
	var missing []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var m *MissingError
		if !errors.As(e, &m) {
			t.Fatalf("%v is not a MissingError", e)
		}
		missing = append(missing, m.Error())
	}
	want := []string{
		`find module "virtio_pcl": neither in lib/modules/r, nor in a directory beside it, nor built into that kernel; the nearest name there is "virtio_pci"`,
		`find module "gone", needed by "broken": neither in lib/modules/r, nor in a directory beside it, nor built into that kernel`,
		`find module "entirely_unknown": neither in lib/modules/r, nor in a directory beside it, nor built into that kernel`,
	}
	if diff := cmp.Diff(want, missing); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"a*", "a", true},
		{"a*b*c", "axxbyyc", true},
		{"a*b*c", "axxbyy", false},
		{"*ab", "aab", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a-b", "a_b", true},
		{"[a-c]x", "bx", true},
		{"[a-c]x", "dx", false},
		{"[!a-c]x", "dx", true},
		{"[^a-c]x", "bx", false},
		{"[]a]x", "]x", true},
		{"[!]a]x", "]x", false},
		{"[a", "[a", true},
		{"[a", "a", false},
		{"[a-]x", "ax", true},
		{`\*x`, "*x", true},
		{`\*x`, "ax", false},
		{`\`, `\`, true},
		{"*[0-9]*z", "ab7cz", true},
		{"****", "abc", true},
	} {
		if got := match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("match(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
	// The time is bounded by the product of the lengths.
	if match(strings.Repeat("*a", 200)+"b", strings.Repeat("a", 4000)) {
		t.Error("matched without a b")
	}
}

func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"pci:v00008086d*sv*", "pci:v00008086d0000100Esv0"}, {"[a-", "["}, {"a[!b]*?", "acd"}, {`\`, `\`},
		{"*-*", "a_b"}, {"", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern)*len(s) > 1<<20 {
			return
		}
		s = normal(s)
		ok := match(pattern, s)
		if !strings.ContainsAny(pattern, `*?[\`) && ok != (normal(pattern) == s) {
			t.Errorf("match(%q, %q) = %v, and there is no wildcard", pattern, s, ok)
		}
		if ok && !strings.Contains(pattern, `\`) && !match("*"+pattern+"*", "x"+s+"y") {
			t.Errorf("%q matches %q but not amid other text", pattern, s)
		}
		// The table finds what a plain comparison finds.
		if strings.ContainsAny(pattern, " \n") || pattern == "" {
			return
		}
		found := parseAliases("alias " + pattern + " m\n").lookup(s)
		if (found != nil) != ok {
			t.Errorf("lookup of %q in %q: %q, match says %v", s, pattern, found, ok)
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add(small["dep"], small["alias"], small["softdep"], small["builtin"], small["builtin.modinfo"])
	f.Add("a:\nb: a\n", "alias a* b", "softdep a pre: b post: b\nsoftdep b pre: a", "", ".alias=")
	f.Add("a: b\nb: a\n", "alias b a", "softdep a pre: a", "a", "\x00.alias=\x00")
	f.Fuzz(func(t *testing.T, dep, alias, softdep, builtin, modinfo string) {
		x, err := Open(tree(map[string]string{
			"dep": dep, "alias": alias, "softdep": softdep, "builtin": builtin, "builtin.modinfo": modinfo,
		}), "r")
		if err != nil {
			return
		}
		names := []string{"a", "b"}
		for name, path := range x.Files() {
			if name != nameOf(path) {
				t.Errorf("module %q in file %q", name, path)
			}
			names = append(names, name)
		}
		if len(names) > 32 {
			names = names[:32]
		}
		mods, err := x.Resolve(names...)
		if (err == nil) == slices.ContainsFunc(names, func(n string) bool { _, _, ok := x.find(n); return !ok }) &&
			err == nil {
			t.Errorf("a name is missing and Resolve(%q) has no error", names)
		}
		rank := make(map[string]int)
		for i, m := range mods {
			if _, twice := rank[m.Name]; twice {
				t.Errorf("%q is in the order twice", m.Name)
			}
			rank[m.Name] = i
			for _, before := range m.After {
				if at, ok := rank[before]; !ok || at >= i {
					t.Errorf("%q comes after %q, which is not before it", m.Name, before)
				}
			}
		}
	})
}

// An image without modules boots a kernel that needs none. One with the modules of
// another kernel is a mistake.
func TestOpenImage(t *testing.T) {
	other := fstest.MapFS{"lib/modules/other/modules.dep": {Data: []byte("kernel/a.ko:\n")}}
	for name, c := range map[string]struct {
		fsys       fstest.MapFS
		monolithic bool
		modules    int // -1: refused
	}{
		"none":                         {fstest.MapFS{"init": {}}, false, 0},
		"an empty directory":           {fstest.MapFS{"lib/modules": {Mode: fs.ModeDir}}, false, 0},
		"of another release":           {other, false, -1},
		"of another, none can be used": {other, true, 0},
		"of this": {fstest.MapFS{"lib/modules/r/modules.dep": {Data: []byte("kernel/a.ko:\n")}},
			false, 1},
		"flat": {fstest.MapFS{"lib/modules/ib/b.ko": {}}, false, 1},
	} {
		x, err := OpenImage(c.fsys, "r", !c.monolithic)
		if c.modules < 0 {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: not refused: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n := 0
		for range x.Files() {
			n++
		}
		if n != c.modules || x.Empty() != (n == 0) {
			t.Errorf("%s: %d modules, empty %v", name, n, x.Empty())
		}
		if x.Empty() && (x.Match("pci:v1") != nil || x.Has("a")) {
			t.Errorf("%s: the empty index knows something", name)
		}
	}
}
