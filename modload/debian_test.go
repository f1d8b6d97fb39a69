package modload

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// needs ends a test that cannot run here: a skip on a desk, a failure where
// everything is expected to be there (NODISK_TEST_STRICT=1).
func needs(tb testing.TB, what string) {
	tb.Helper()
	if os.Getenv("NODISK_TEST_STRICT") == "1" {
		tb.Fatalf("needs %s", what)
	}
	tb.Skipf("needs %s", what)
}

// kernelTree returns a folder with lib/modules/RELEASE of a distribution's
// kernel, and the release.
func kernelTree(tb testing.TB) (root, release string) {
	tb.Helper()
	root = os.Getenv("NODISK_KERNEL_DIR")
	if root == "" {
		root = filepath.Join("..", ".cache", "kernel")
	}
	found, err := filepath.Glob(filepath.Join(root, "lib", "modules", "*", "modules.dep"))
	if err != nil || len(found) == 0 {
		needs(tb, "a kernel's modules in "+root+"/lib/modules (NODISK_KERNEL_DIR), with depmod done")
	}
	return root, filepath.Base(filepath.Dir(found[0]))
}

// A oneSoftdep shows modprobe's view of modules.softdep: the first line of
// each module. Open joins all lines, on purpose.
type oneSoftdep struct{ fs.FS }

func (o oneSoftdep) Open(name string) (fs.File, error) {
	if !strings.HasSuffix(name, "/modules.softdep") {
		return o.FS.Open(name)
	}
	data, err := fs.ReadFile(o.FS, name)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	seen := make(map[string]bool)
	for line := range strings.Lines(string(data)) {
		if words := strings.Fields(line); len(words) > 1 && !seen[words[1]] {
			seen[words[1]] = true
			text.WriteString(line)
		}
	}
	return fstest.MapFS{name: {Data: []byte(text.String())}}.Open(name)
}

func modprobe(t *testing.T, root, release string, args ...string) []string {
	t.Helper()
	path, err := exec.LookPath("modprobe")
	if err != nil {
		path = "/sbin/modprobe"
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-C", "/dev/null", "-d", abs, "-S", release}, args...)
	out, err := exec.CommandContext(t.Context(), path, args...).Output()
	if err != nil {
		return []string{"modprobe: " + err.Error()}
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "insmod "); ok {
			file, _, _ := strings.Cut(rest, " ")
			line = nameOf(file)
		} else if strings.HasPrefix(line, "builtin ") {
			continue
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

func haveModprobe(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("modprobe"); err != nil {
		if _, err := os.Stat("/sbin/modprobe"); err != nil {
			needs(t, "modprobe (package kmod)")
		}
	}
}

// The load order of modules is the same as modprobe's, name by name.
func TestResolveAsModprobe(t *testing.T) {
	haveModprobe(t)
	root, release := kernelTree(t)
	x, err := Open(oneSoftdep{os.DirFS(root)}, release)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Collect(x.names)[:len(x.mods)]
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"ext4", "btrfs", "xfs", "iscsi_tcp", "nfsv4", "sd_mod", "r8169", "cifs", "vfio", "mlx5_ib", "virtio_net", "ipmi_msghandler"}
	for range 300 {
		names = append(names, all[r.IntN(len(all))])
	}
	for name := range x.softs {
		if x.Has(name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		mods, err := x.Resolve(name)
		if err != nil {
			t.Error(err)
			continue
		}
		var got []string
		for _, m := range mods {
			got = append(got, m.Name)
		}
		if diff := cmp.Diff(modprobe(t, root, release, "--show-depends", name), got); diff != "" {
			t.Errorf("%s (-modprobe +Resolve):\n%s", name, diff)
		}
	}
	t.Logf("%d modules compared", len(names))
}

// Aliases lead to the same modules in the same order as with modprobe -R.
func TestMatchAsModprobe(t *testing.T) {
	haveModprobe(t)
	root, release := kernelTree(t)
	x, err := Open(os.DirFS(root), release)
	if err != nil {
		t.Fatal(err)
	}
	aliases := []string{
		"virtio:d00000001v00001AF4", "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00", "crypto-crc32c", "crypto-sha256",
		"acpi:PNP0C0A:", "acpi:VMBUS:", "usb:v0B95p1790d0100dc00dsc00dp00icFFiscFFip00in00", "fs-ext4", "rtnl-link-bond",
		"cpu:type:x86,ven0000fam0006mod008E:feature:,0000,0001,0081,0094,0099,009A", "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00",
		"platform:nothing-has-this", "of:NethernetT(null)Cvirtio,mmio",
	}
	r := rand.New(rand.NewPCG(3, 4))
	entries := x.aliases().entries
	for range 400 {
		aliases = append(aliases, instance(entries[r.IntN(len(entries))].pattern, r))
	}
	compared := 0
	for _, alias := range aliases {
		want := modprobe(t, root, release, "-R", alias)
		if len(want) == 1 && strings.HasPrefix(want[0], "modprobe: ") {
			want = nil
		}
		if x.Has(alias) || len(want) == 1 && x.Builtin(want[0]) {
			continue // modprobe answers with the module of that name or the built-in one
		}
		compared++
		if diff := cmp.Diff(want, x.Match(alias)); diff != "" {
			t.Errorf("%s (-modprobe +Match):\n%s", alias, diff)
		}
	}
	t.Logf("%d aliases compared", compared)
	if compared < 300 {
		t.Errorf("only %d aliases compared", compared)
	}
}

// instance makes a modalias that a pattern matches.
func instance(pattern string, r *rand.Rand) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			b.WriteString([]string{"", "0", "00001AF4", "zz"}[r.IntN(4)])
		case '?':
			b.WriteByte('7')
		case '[':
			b.WriteByte(pattern[i+1])
			i += strings.IndexByte(pattern[i:], ']')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Every profile resolves on a distribution's kernel.
func TestProfilesExist(t *testing.T) {
	root, release := kernelTree(t)
	x, err := Open(os.DirFS(root), release)
	if err != nil {
		t.Fatal(err)
	}
	for _, listed := range Profiles() {
		p, ok := LookupProfile(listed.Name)
		if !ok {
			t.Errorf("LookupProfile(%q) finds nothing", listed.Name)
		}
		mods, err := x.Select(p)
		if err != nil {
			t.Errorf("profile %s: %v", p.Name, err)
		}
		var size int64
		for _, m := range mods {
			info, err := os.Stat(filepath.Join(root, m.Path))
			if err != nil {
				t.Fatal(err)
			}
			size += info.Size()
		}
		t.Logf("%-9s %3d modules %6d KiB", p.Name, len(mods), size>>10)
	}
}

func BenchmarkOpen(b *testing.B) {
	root, release := kernelTree(b)
	for b.Loop() {
		x, err := Open(os.DirFS(root), release)
		if err != nil {
			b.Fatal(err)
		}
		x.aliases()
	}
}

func BenchmarkMatch(b *testing.B) {
	root, release := kernelTree(b)
	x, err := Open(os.DirFS(root), release)
	if err != nil {
		b.Fatal(err)
	}
	for _, alias := range []string{
		"pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00", "acpi:PNP0C0A:", "virtio:d00000001v00001AF4",
		"cpu:type:x86,ven0000fam0006mod008E:feature:,0000,0001,0081,0094,0099,009A",
	} {
		b.Run(alias[:strings.IndexByte(alias, ':')], func(b *testing.B) {
			for b.Loop() {
				x.Match(alias)
			}
		})
	}
}
