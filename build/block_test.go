package build

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/cache"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/program"
)

// Where an image is made, on how many cores, from files of what time, and with
// what cache, does not show in it.
func TestReproducible(t *testing.T) {
	kernel := buildtest.KernelDir(t)
	store := t.TempDir()
	for _, c := range []compress.Compression{compress.LZ4, compress.Zstd} {
		var (
			want  string
			image []byte
		)
		for i, env := range []struct {
			cores int
			cache *cache.Cache
			copy  bool
		}{{1, nil, false}, {4, cache.New(store), true}, {2, cache.New(store), false}} {
			root := kernel
			if env.copy {
				root = copyTree(t, kernel, image)
			}
			s := testSpec(t, root)
			s.Profiles = []string{"virt"}
			s.Compress, s.Cache, s.SBOM = c, env.cache, filepath.Join(t.TempDir(), "sbom")
			before := runtime.GOMAXPROCS(env.cores)
			r, made := makeImage(t, s)
			image = made
			runtime.GOMAXPROCS(before)
			list, err := os.ReadFile(s.SBOM)
			if err != nil {
				t.Fatal(err)
			}
			got := r.SHA256 + sum256(list)
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%v: image or SBOM %d differs from the first", c, i+1)
			}
		}
	}
}

// copyTree copies the modules of an image out of the kernel's tree, and its indexes,
// in another order and with another time.
func copyTree(t *testing.T, kernel string, image []byte) string {
	t.Helper()
	c, err := initramfs.Inspect(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	indexes, err := fs.Glob(os.DirFS(kernel), "lib/modules/*/modules.*")
	if err != nil {
		t.Fatal(err)
	}
	names := indexes
	for _, f := range slices.Backward(c.Files) {
		if f.Part == initramfs.PartModules && f.Mode&initramfs.TypeMask == initramfs.TypeFile {
			names = append(names, f.Name)
		}
	}
	root := t.TempDir()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(kernel, name))
		if err != nil {
			t.Fatal(err)
		}
		buildtest.Write(t, filepath.Join(root, name), data)
	}
	return root
}

// /init as make build packs it is what an image has.
func TestPackProgram(t *testing.T) {
	binary := append(buildtest.ELFStub(buildtest.MachineAMD64, ""), bytes.Repeat([]byte("what /init does "), 96<<10/16)...)
	for i := range binary[64:] {
		binary[64+i] ^= byte(i >> 8)
	}
	frame, err := program.PackProgram(t.Context(), binary)
	if err != nil {
		t.Fatal(err)
	}
	s := testSpec(t, buildtest.Tree(t))
	s.Init = func(context.Context, string) ([]byte, error) { return binary, nil }
	_, image := makeImage(t, s)
	if !bytes.Contains(image, frame[4:]) {
		t.Error("the image has other blocks")
	}
	if !compress.UnpacksTo(compress.LZ4, frame[4:], binary) {
		t.Error("the block does not unpack to the program")
	}
}

// Another program may pack the same block in another way.
// Of thirty images that differ in their config every block but the one with the
// config is compressed once: the cache compresses each of its blocks once.
func TestCacheSharesBlocks(t *testing.T) {
	root := buildtest.Tree(t)
	c := cache.New("")
	var blocks []int
	for i := range 30 {
		s := testSpec(t, root)
		s.Cache, s.Config = c, fmt.Appendf(nil, "nodisk.hostname=node%d\n", i)
		makeImage(t, s)
		blocks = append(blocks, c.Len())
	}
	if blocks[0] < 2 || blocks[29]-blocks[0] > 29 {
		t.Errorf("blocks compressed after each image: %v, want one more for each", blocks)
	}
}
