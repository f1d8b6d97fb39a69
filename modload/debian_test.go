package modload

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nodisk/nodisk/internal/testenv"
)

// kernelTree returns a directory with lib/modules/RELEASE of a distribution's
// kernel, and the release.
func kernelTree(tb testing.TB) (root, release string) {
	tb.Helper()
	root = os.Getenv("NODISK_KERNEL_DIR")
	if root == "" {
		root = filepath.Join("..", ".cache", "kernel")
	}
	found, err := filepath.Glob(filepath.Join(root, "lib", "modules", "*", "modules.dep"))
	if err != nil || len(found) == 0 {
		testenv.Missing(tb, "a kernel's modules in "+root+"/lib/modules (NODISK_KERNEL_DIR), with depmod done")
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

func haveModprobe(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("modprobe"); err != nil {
		if _, err := os.Stat("/sbin/modprobe"); err != nil {
			testenv.Missing(t, "modprobe (package kmod)")
		}
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
