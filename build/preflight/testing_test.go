package preflight

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/internal/testenv"
	"github.com/nodisk/nodisk/modload"
)

var update = flag.Bool("update", false, "write golden files")

// kernelDir is a folder with vmlinuz and lib/modules/RELEASE.
func kernelDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("NODISK_KERNEL_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", ".cache", "kernel")
	}
	_, err := os.Stat(filepath.Join(dir, "vmlinuz"))
	testenv.Needs(t, err == nil, "a kernel in NODISK_KERNEL_DIR or .cache/kernel (scripts/fetch-kernel makes it)")
	return dir
}

// stub is the least that passes for a program of amd64.
func stub() []byte {
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[16:], 2)  // ET_EXEC
	le.PutUint16(b[18:], 62) // EM_X86_64
	le.PutUint32(b[20:], 1)
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[58:], 64)
	return b
}

// makeImage builds an image of some profiles and returns its bytes.
func makeImage(t *testing.T, profiles string, change func(*build.Spec)) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "image")
	s := build.Spec{
		Modules: kernelDir(t), Profiles: strings.Split(profiles, ","), Out: out, Compress: compress.None,
		Init: func(context.Context, string) ([]byte, error) { return stub(), nil },
	}
	if change != nil {
		change(&s)
	}
	if _, err := build.Image(t.Context(), s, nil); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// openImage reads images as a boot loader puts them together.
func openImage(t *testing.T, parts ...[]byte) *Image {
	t.Helper()
	var list []Part
	for i, data := range parts {
		list = append(list, Part{Name: []string{"node.img", "secret.img"}[i], Reader: bytes.NewReader(data)})
	}
	i, err := ReadImage(t.Context(), list...)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func inventoryOf(t *testing.T, text string) *inventory.List {
	t.Helper()
	if text == "" {
		return nil
	}
	if name, ok := strings.CutPrefix(text, "file:"); ok {
		data, err := os.ReadFile(filepath.Join("..", "inventory", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		text = string(data)
	}
	v, err := inventory.Parse("node.txt", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return &v
}

// cpioFile is a file of an archive to be made.
// Types of files in st_mode, inode(7).
const (
	typeDir  = 0o040000
	typeFile = 0o100000
	typeLink = 0o120000
)

type cpioFile struct {
	name, data string
	mode       int
}

// archive makes a newc archive as others would.
func archive(files ...cpioFile) []byte {
	return newc(withFolders(files))
}

// withFolders puts the folders that files lie in before each, as every archive has them: the
// kernel makes none by itself.
func withFolders(files []cpioFile) []cpioFile {
	have := make(map[string]bool)
	var all []cpioFile
	var add func(name string)
	add = func(name string) {
		if dir := path.Dir(name); dir != "." && !have[dir] {
			add(dir)
			have[dir] = true
			all = append(all, cpioFile{dir, "", typeDir | 0o755})
		}
	}
	for _, f := range files {
		add(f.name)
		have[f.name] = true
		all = append(all, f)
	}
	return all
}

func newc(files []cpioFile) []byte {
	var out bytes.Buffer
	hex := func(n int) { fmt.Fprintf(&out, "%08X", n) }
	for _, f := range append(files, cpioFile{name: "TRAILER!!!"}) {
		out.WriteString("070701")
		for _, n := range []int{1, f.mode, 0, 0, 1, 0, len(f.data), 0, 0, 0, 0, len(f.name) + 1, 0} {
			hex(n)
		}
		out.WriteString(f.name + "\x00")
		out.Write(make([]byte, -out.Len()&3))
		out.WriteString(f.data)
		out.Write(make([]byte, -out.Len()&3))
	}
	return out.Bytes()
}

// flatFolder makes a folder of modules of the kernel.
func flatFolder(t *testing.T, names ...string) string {
	t.Helper()
	tree, err := modtree.Open(kernelDir(t), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := modload.Open(tree.FS, tree.Release)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "flat")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, at := range x.Files() {
		if !slices.Contains(names, name) {
			continue
		}
		data, err := fs.ReadFile(tree.FS, at)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(at)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A Part is one of the files that a boot loader puts one behind the other.
type Part struct {
	Name string
	io.Reader
}

// ReadImage is OpenImage of what is at hand.
func ReadImage(ctx context.Context, parts ...Part) (*Image, error) {
	var (
		sources []*initramfs.Source
		names   []string
	)
	for _, p := range parts {
		s, err := initramfs.NewSource(ctx, p.Reader)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read image %s: %w", p.Name, err), initramfs.JoinSources(sources...).Close())
		}
		sources = append(sources, s)
		names = append(names, p.Name)
	}
	return readImage(ctx, names, initramfs.JoinSources(sources...))
}
