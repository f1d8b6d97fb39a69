package build

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// blockFiles are files of all kinds and sizes, and unlike each other.
func blockFiles(t *testing.T) []file {
	t.Helper()
	random := rand.NewChaCha8([32]byte{7})
	content := func(size int) []byte {
		half := make([]byte, size/2)
		_, _ = random.Read(half)
		return append(half, make([]byte, size-len(half))...)
	}
	files := append(skeleton(),
		file{name: configPath, mode: typeFile | 0o600, data: []byte("nodisk.profile=virt\n"), part: PartConfig},
		file{name: "etc/added", mode: typeFile | 0o644, data: content(blockFile + 1), part: PartAdded},
		file{name: "lib/modules/1.0/kernel/small.ko", mode: typeFile | 0o644, data: content(blockFile - 1),
			part: PartModules},
		file{name: "lib/modules/1.0/kernel/a.ko", mode: typeFile | 0o644, data: content(blockFile), part: PartModules},
		file{name: "lib/modules/1.0/kernel/b.ko", mode: typeFile | 0o644, data: content(3*blockFile + 3),
			part: PartModules},
		file{name: "lib/modules/1.0/kernel/huge.ko", mode: typeFile | 0o644, data: content(lz4LegacyBlock + 5),
			part: PartModules},
		file{name: initPath, mode: typeFile | 0o755, data: content(4 * blockFile), part: PartInit},
	)
	files, err := layout(files)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// loaded is the content of a block.
func loaded(t *testing.T, b *block) []byte {
	t.Helper()
	raw, err := b.load()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Blocks put one after the other are the archive, and a file's content is the same block
// wherever it lies.
func TestBlocksOf(t *testing.T) {
	files := blockFiles(t)
	for _, c := range Compressions() {
		for _, part := range split(files, c) {
			var want bytes.Buffer
			if err := writeCPIO(&want, part, time.Unix(0, 0)); err != nil {
				t.Fatal(err)
			}
			blocks, err := blocksOf(part, c, time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			for _, b := range blocks {
				if c == LZ4 && b.size() > lz4LegacyBlock {
					t.Errorf("a block of %d bytes, the kernel takes %d", b.size(), lz4LegacyBlock)
				}
				got = append(got, loaded(t, b)...)
			}
			if !bytes.Equal(got, want.Bytes()) {
				t.Errorf("%v: the blocks are not the archive", c)
			}
		}
	}
	blocks, err := blocksOf(files, LZ4, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if len(f.data) < blockFile {
			continue
		}
		whole := f.data[:min(len(f.data), lz4LegacyBlock)]
		found := false
		for _, b := range blocks {
			found = found || bytes.Equal(loaded(t, b), whole) && b.part == f.part
		}
		if !found {
			t.Errorf("/%s is not a block of its own", f.name)
		}
	}
}

// Nothing that an administrator gave is kept: no config, no added file.
func TestSharedBlocks(t *testing.T) {
	files := blockFiles(t)
	for _, c := range Compressions() {
		for _, part := range split(files, c) {
			blocks, err := blocksOf(part, c, time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range blocks {
				for _, f := range files {
					private := f.part == PartConfig || f.part == PartAdded
					if private && b.shared() && len(f.data) > 0 && bytes.Contains(loaded(t, b), f.data) {
						t.Errorf("%v: the block with /%s would be kept", c, f.name)
					}
				}
			}
		}
	}
}

// Where an image is made, on how many cores, from files of what time, and with
// what cache, does not show in it.
func TestReproducible(t *testing.T) {
	kernel := kernelDir(t)
	cache := t.TempDir()
	for _, c := range []Compression{LZ4, Zstd} {
		var (
			want  string
			image []byte
		)
		for i, env := range []struct {
			cores int
			cache *Cache
			copy  bool
		}{{1, nil, false}, {4, NewCache(cache), true}, {2, NewCache(cache), false}} {
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
	c, err := Inspect(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	indexes, err := fs.Glob(os.DirFS(kernel), "lib/modules/*/modules.*")
	if err != nil {
		t.Fatal(err)
	}
	names := indexes
	for _, f := range slices.Backward(c.Files) {
		if f.Part == PartModules && f.Mode&typeMask == typeFile {
			names = append(names, f.Name)
		}
	}
	root := t.TempDir()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(kernel, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, name), data)
	}
	return root
}

// /init as make build packs it is what an image has.
func TestPackProgram(t *testing.T) {
	program := append(elfStub(machineAMD64, ""), bytes.Repeat([]byte("what /init does "), 96<<10/16)...)
	for i := range program[64:] {
		program[64+i] ^= byte(i >> 8)
	}
	frame, err := PackProgram(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	s := testSpec(t, testTree(t))
	s.Init = func(context.Context, string) ([]byte, error) { return program, nil }
	_, image := makeImage(t, s)
	if !bytes.Contains(image, frame[4:]) {
		t.Error("the image has other blocks")
	}
	if !unpacksTo(LZ4, frame[4:], program) {
		t.Error("the block does not unpack to the program")
	}
}

func TestCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	raw := bytes.Repeat([]byte("a module of its own "), 1000)
	made := 0
	ask := func(c *Cache) []byte {
		t.Helper()
		packed, err := c.packed(LZ4, raw, true, func() ([]byte, error) {
			made++
			return lz4Sized(t.Context(), raw, func(int) {})
		})
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
	first := ask(NewCache(dir))
	for range 2 {
		if again := ask(NewCache(dir)); !bytes.Equal(first, again) || made != 1 {
			t.Fatalf("made %d times, want once", made)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("the directory has %v, %v", entries, err)
	}
	at := filepath.Join(dir, entries[0].Name())
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory %v, %v; want it for its owner alone", info, err)
	}
	other, err := lz4Sized(t.Context(), bytes.Repeat([]byte("something else here "), 1000), func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for name, planted := range map[string][]byte{
		"damaged": append(bytes.Clone(first[:len(first)-1]), first[len(first)-1]^1), "empty": {},
		"cut off": first[:len(first)/2], "another": other,
	} {
		made = 0
		write(t, at, planted)
		if got := ask(NewCache(dir)); !bytes.Equal(got, first) || made != 1 {
			t.Errorf("%s: made %d times, the right block: %v", name, made, bytes.Equal(got, first))
		}
	}
}

// Another program may pack the same block in another way.
// Of thirty images that differ in their config every block but the one with the
// config is compressed once: the cache compresses each of its blocks once.
func TestCacheSharesBlocks(t *testing.T) {
	root := testTree(t)
	c := NewCache("")
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

func TestCacheMaker(t *testing.T) {
	dir := t.TempDir()
	raw := []byte("070701")
	for _, want := range []string{"one", "two"} {
		c := NewCache(dir)
		c.maker = want
		asked := false
		if _, err := c.packed(LZ4, raw, true, func() ([]byte, error) {
			asked = true
			return lz4Sized(t.Context(), raw, func(int) {})
		}); err != nil || !asked {
			t.Errorf("%s takes what another program left: %v", want, err)
		}
	}
}

func TestCacheTrim(t *testing.T) {
	dir := t.TempDir()
	c := NewCache(dir)
	c.limit = 2500
	for i := range 5 {
		raw := fmt.Appendf(nil, "%d", i)
		if _, err := c.packed(LZ4, raw, true, func() ([]byte, error) { return make([]byte, 1000), nil }); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries { // the first are the oldest
		when := time.Unix(int64(1000+i), 0)
		if err := os.Chtimes(filepath.Join(dir, e.Name()), when, when); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Trim(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := func(list []os.DirEntry) (names []string) {
		for _, e := range list {
			names = append(names, e.Name())
		}
		return names
	}
	if diff := cmp.Diff(names(entries[3:]), names(left)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
