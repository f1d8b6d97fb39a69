package build

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
	"github.com/nodisk/nodisk/internal/testenv"
)

// otherKernelDir is the directory of a kernel whose symbols have other versions.
func otherKernelDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("NODISK_OTHER_KERNEL_DIR")
	if dir == "" {
		dir = filepath.Join("..", ".cache", "kernel-other")
	}
	_, err := os.Stat(filepath.Join(dir, "vmlinuz"))
	testenv.Needs(t, err == nil, "another kernel in NODISK_OTHER_KERNEL_DIR or .cache/kernel-other "+
		"(scripts/fetch-kernel .cache/kernel-other other)")
	return dir
}

// A lab is a root with some real modules of the distribution's kernel.
type lab struct {
	root    string
	kernel  string // the kernel's file
	release string
	source  string // where all its modules are
}

// newLab copies modules and what they depend on.
func newLab(t *testing.T, names ...string) lab {
	t.Helper()
	dir := buildtest.KernelDir(t)
	file := filepath.Join(dir, "vmlinuz")
	k, err := kernel.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	l := lab{root: t.TempDir(), kernel: likeness(t, file, k), release: k.Release, source: filepath.Join(dir, initramfs.ModulesDir,
		k.Release)}
	dep, err := os.ReadFile(filepath.Join(l.source, "modules.dep"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(dep)) {
		module, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !slices.Contains(names, ko.ModuleName(module)) {
			continue
		}
		for _, path := range append(strings.Fields(needs), module) {
			l.put(t, path, l.real(t, path))
		}
	}
	for _, name := range []string{"modules.order", "modules.builtin", "modules.builtin.modinfo"} {
		data, err := os.ReadFile(filepath.Join(l.source, name))
		if err != nil {
			t.Fatal(err)
		}
		l.put(t, name, data)
	}
	return l
}

// likeness makes a small vmlinux that tells what the kernel does: unpacking the
// whole for each check would take most of the time of the tests.
func likeness(t *testing.T, file string, k kernel.Image) string {
	t.Helper()
	small, known := likenesses.Load(k.Release)
	if !known {
		facts, _, err := kernel.Source{File: file}.Facts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text := "Linux version " + k.Release + " (a@b)\x00" + facts.Vermagic + "\x00"
		small, _ = likenesses.LoadOrStore(k.Release, kotest.Kernel{Exports: facts.Exports, Text: []byte(text)}.Bytes())
	}
	at := filepath.Join(t.TempDir(), "vmlinux")
	buildtest.Write(t, at, small.([]byte))
	return at
}

// likenesses are made once, by release.
var likenesses sync.Map

func (l lab) real(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(l.source, path))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (l lab) put(t *testing.T, path string, data []byte) {
	t.Helper()
	buildtest.Write(t, filepath.Join(l.root, initramfs.ModulesDir, l.release, path), data)
}

// check runs depmod, and the check.
func (l lab) check(t *testing.T) []string {
	t.Helper()
	l.depmod(t)
	return l.findings(t, CheckSpec{Kernel: l.kernel, Modules: l.root})
}

func (l lab) depmod(t *testing.T) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), buildtest.Tool(t, "depmod"), "-b", l.root,
		l.release).CombinedOutput(); err != nil {
		t.Fatalf("depmod: %v: %s", err, out)
	}
}

func (l lab) findings(t *testing.T, s CheckSpec) []string {
	t.Helper()
	reports, err := Check(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, r := range reports {
		for _, f := range r.Findings {
			list = append(list, f.Severity.String()+": "+f.String())
		}
	}
	return list
}

// expect compares findings with what they begin with.
func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	ok := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		ok = ok && strings.HasPrefix(got[i], want[i])
	}
	if !ok {
		t.Errorf("findings %s", cmp.Diff(want, got))
	}
}

// place is where a section lies in an ELF file.
func place(t *testing.T, data []byte, name string) (offset, size int) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	s := f.Section(name)
	if s == nil {
		t.Fatalf("no section %s", name)
	}
	return int(s.Offset), int(s.Size)
}

// flipVersion changes what a module wants of a symbol: the CRC in __versions.
func flipVersion(t *testing.T, module []byte, symbol string) []byte {
	t.Helper()
	data := bytes.Clone(module)
	offset, size := place(t, data, "__versions")
	for at := offset; at < offset+size; at += 64 {
		if bytes.HasPrefix(data[at+8:], append([]byte(symbol), 0)) {
			data[at] ^= 1
			return data
		}
	}
	t.Fatalf("it does not import %s", symbol)
	return nil
}

// flipExports changes the CRC of all that a module exports to GPL modules.
func flipExports(t *testing.T, module []byte) []byte {
	t.Helper()
	data := bytes.Clone(module)
	offset, size := place(t, data, "__kcrctab")
	for at := offset; at < offset+size; at += 4 {
		binary.LittleEndian.PutUint32(data[at:], ^binary.LittleEndian.Uint32(data[at:]))
	}
	return data
}

// another is the release with its last digit changed.
func another(release string) string {
	out := []byte(release)
	i := bytes.LastIndexAny(out, "0123456789-")
	i = bytes.LastIndexAny(out[:i], "0123456789")
	out[i] = '0' + (out[i]-'0'+1)%10
	return string(out)
}

func otherRelease(module []byte, release string) []byte {
	return bytes.Replace(module, []byte("vermagic="+release), []byte("vermagic="+another(release)), 1)
}
