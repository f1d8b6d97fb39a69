package build

import (
	"bytes"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
)

func TestWriteTree(t *testing.T) {
	c := initramfs.Contents{Files: []initramfs.File{
		{Name: "etc", Mode: initramfs.TypeDir | 0o755, Size: 0, Packed: 10},
		{Name: "etc/nodisk/nodisk.conf", Mode: initramfs.TypeFile | 0o600, Size: 31, Packed: 30},
		{Name: "lib/modules/1.0/kernel/fs/ext4/ext4.ko", Mode: initramfs.TypeFile | 0o644, Size: 20000, Packed: 6000},
		{Name: "lib/modules/1.0/kernel/fs/mbcache.ko", Mode: initramfs.TypeFile | 0o644, Size: 100, Packed: 50},
		{Name: "lib/modules/1.0/kernel/fs/nls/nls_utf8.ko", Mode: initramfs.TypeFile | 0o644, Size: 100, Packed: 50},
		{Name: "lib/modules/1.0/kernel/net.ko", Mode: initramfs.TypeFile | 0o644, Size: 3000, Packed: 1000},
		{Name: "init", Mode: initramfs.TypeFile | 0o755, Size: 30000, Packed: 10000},
	}}
	var out strings.Builder
	if err := c.WriteTree(&out); err != nil {
		t.Fatal(err)
	}
	buildtest.Golden(t, "tree.txt", out.String())
}

// The shares of the files are what the image takes, whatever it is packed with.
func TestPackedSizes(t *testing.T) {
	for _, c := range []compress.Compression{compress.LZ4, compress.Zstd, compress.None} {
		s := testSpec(t, buildtest.KernelDir(t))
		s.Profiles = []string{"virt"}
		s.Compress = c
		r, image := makeImage(t, s)
		contents, err := initramfs.Inspect(bytes.NewReader(image))
		if err != nil {
			t.Fatal(err)
		}
		sum := int64(0)
		for _, f := range contents.Files {
			sum += f.Packed
			if f.Packed > f.Size+4096 {
				t.Errorf("%v: /%s of %d bytes takes %d", c, f.Name, f.Size, f.Packed)
			}
		}
		// What is missing are the ends of the archives.
		if sum > r.Bytes || sum < r.Bytes-r.Bytes/200-2048 {
			t.Errorf("%v: the files take %d of %d bytes", c, sum, r.Bytes)
		}
	}
}
