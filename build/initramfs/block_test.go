package initramfs

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nodisk/nodisk/build/compress"
)

// blockFiles are files of all kinds and sizes, and unlike each other.
func blockFiles(t *testing.T) []Entry {
	t.Helper()
	random := rand.NewChaCha8([32]byte{7})
	content := func(size int) []byte {
		half := make([]byte, size/2)
		_, _ = random.Read(half)
		return append(half, make([]byte, size-len(half))...)
	}
	files := append(Skeleton(),
		Entry{Name: ConfigPath, Mode: TypeFile | 0o600, Data: []byte("nodisk.profile=virt\n"), Part: PartConfig},
		Entry{Name: "etc/added", Mode: TypeFile | 0o644, Data: content(blockFile + 1), Part: PartAdded},
		Entry{
			Name: "lib/modules/1.0/kernel/small.ko", Mode: TypeFile | 0o644, Data: content(blockFile - 1),
			Part: PartModules,
		},
		Entry{Name: "lib/modules/1.0/kernel/a.ko", Mode: TypeFile | 0o644, Data: content(blockFile), Part: PartModules},
		Entry{
			Name: "lib/modules/1.0/kernel/b.ko", Mode: TypeFile | 0o644, Data: content(3*blockFile + 3),
			Part: PartModules,
		},
		Entry{
			Name: "lib/modules/1.0/kernel/huge.ko", Mode: TypeFile | 0o644, Data: content(compress.LZ4LegacyBlock + 5),
			Part: PartModules,
		},
		Entry{Name: InitPath, Mode: TypeFile | 0o755, Data: content(4 * blockFile), Part: PartInit},
	)
	files, err := LayOut(files)
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
	for _, c := range compress.Compressions() {
		for _, part := range split(files, c) {
			var want bytes.Buffer
			if err := WriteCPIO(&want, part, time.Unix(0, 0)); err != nil {
				t.Fatal(err)
			}
			blocks, err := blocksOf(part, c, time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			for _, b := range blocks {
				if c == compress.LZ4 && b.size() > compress.LZ4LegacyBlock {
					t.Errorf("a block of %d bytes, the kernel takes %d", b.size(), compress.LZ4LegacyBlock)
				}
				got = append(got, loaded(t, b)...)
			}
			if !bytes.Equal(got, want.Bytes()) {
				t.Errorf("%v: the blocks are not the archive", c)
			}
		}
	}
	blocks, err := blocksOf(files, compress.LZ4, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if len(f.Data) < blockFile {
			continue
		}
		whole := f.Data[:min(len(f.Data), compress.LZ4LegacyBlock)]
		found := false
		for _, b := range blocks {
			found = found || bytes.Equal(loaded(t, b), whole) && b.part == f.Part
		}
		if !found {
			t.Errorf("/%s is not a block of its own", f.Name)
		}
	}
}

// Nothing that an administrator gave is kept: no config, no added file.
func TestSharedBlocks(t *testing.T) {
	files := blockFiles(t)
	for _, c := range compress.Compressions() {
		for _, part := range split(files, c) {
			blocks, err := blocksOf(part, c, time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range blocks {
				for _, f := range files {
					private := f.Part == PartConfig || f.Part == PartAdded
					if private && b.shared() && len(f.Data) > 0 && bytes.Contains(loaded(t, b), f.Data) {
						t.Errorf("%v: the block with /%s would be kept", c, f.Name)
					}
				}
			}
		}
	}
}
