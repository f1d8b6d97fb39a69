package rootfs

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const testUUID = "0fc63daf-8483-4772-8e79-3d69d8477de4"

// A recipe makes a filesystem image; IMG stands for the file, DIR for a folder
// with one file in it.
type recipe struct {
	size    int64
	command string
	want    Filesystem
	keep    int64 // bytes that Probe reads; 0: headSize
}

func recipes() map[string]recipe {
	const mib = 1 << 20
	fs := func(typ, label string) Filesystem { return Filesystem{Type: typ, Label: label, UUID: testUUID} }
	return map[string]recipe{
		"ext2":       {size: 2 * mib, command: "mke2fs -q -t ext2 -L two -U " + testUUID + " IMG", want: fs("ext2", "two")},
		"ext3":       {size: 8 * mib, command: "mke2fs -q -t ext3 -L three -U " + testUUID + " IMG", want: fs("ext3", "three")},
		"ext4":       {size: 8 * mib, command: "mke2fs -q -t ext4 -L root -U " + testUUID + " IMG", want: fs("ext4", "root")},
		"ext4-nojnl": {size: 8 * mib, command: "mke2fs -q -t ext4 -O ^has_journal -U " + testUUID + " IMG", want: fs("ext4", "")},
		"ext4-1k":    {size: 8 * mib, command: "mke2fs -q -t ext4 -b 1024 -L sixteen_letters_ -U " + testUUID + " IMG", want: fs("ext4", "sixteen_letters_")},
		"jbd":        {size: 8 * mib, command: "mke2fs -q -O journal_dev -L jnl -U " + testUUID + " IMG", want: fs("jbd", "jnl")},
		"xfs":        {size: 512 * mib, command: "mkfs.xfs -q -L data -m uuid=" + testUUID + " IMG", want: fs("xfs", "data")},
		"btrfs":      {size: 128 * mib, command: "mkfs.btrfs -q -L pool -U " + testUUID + " IMG", want: fs("btrfs", "pool")},
		"squashfs":   {command: "mksquashfs DIR IMG -noappend -quiet -no-progress", want: Filesystem{Type: "squashfs"}},
		"erofs":      {command: "mkfs.erofs -U " + testUUID + " IMG DIR", want: fs("erofs", "")},
		"vfat12": {
			size: 2 * mib, command: "mkfs.vfat -F 12 -n BOOT -i 1a2b3c4d IMG",
			want: Filesystem{Type: "vfat", Label: "BOOT", UUID: "1A2B-3C4D"},
		},
		"vfat16": {
			size: 16 * mib, command: "mkfs.vfat -F 16 -n ESP -i 0a0b0c0d IMG", keep: 128 << 10,
			want: Filesystem{Type: "vfat", Label: "ESP", UUID: "0A0B-0C0D"},
		},
		"vfat16-nolabel": {
			size: 16 * mib, command: "mkfs.vfat -F 16 -i 0a0b0c0d IMG", keep: 128 << 10,
			want: Filesystem{Type: "vfat", UUID: "0A0B-0C0D"},
		},
		"vfat32": {
			size: 64 * mib, command: "mkfs.vfat -F 32 -n THIRTYTWO -i deadbeef IMG", keep: 2 * mib,
			want: Filesystem{Type: "vfat", Label: "THIRTYTWO", UUID: "DEAD-BEEF"},
		},
		"swap": {size: mib, command: "mkswap -q -L swp -U " + testUUID + " IMG", want: fs("swap", "swp")},
	}
}

// make makes the image with the tool of this machine.
func (r recipe) make(t *testing.T, dir string) (image string) {
	t.Helper()
	image = filepath.Join(dir, "image")
	folder := filepath.Join(dir, "folder")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "file"), []byte("content\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r.size > 0 {
		writeImage(t, image, nil, r.size)
	}
	words := strings.Fields(r.command)
	for i, w := range words {
		switch w {
		case "IMG":
			words[i] = image
		case "DIR":
			words[i] = folder
		}
	}
	needsTools(t, words[0])
	run(t, words[0], words[1:]...)
	return image
}

func writeImage(t *testing.T, path string, content []byte, size int64) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, max(size, int64(len(content)))); err != nil {
		t.Fatal(err)
	}
}

// blkid asks the reference. It prints nothing and ends with 2 when it knows
// nothing.
func blkid(t *testing.T, image string) Filesystem {
	t.Helper()
	needsTools(t, "blkid")
	out, err := exec.CommandContext(t.Context(), "blkid", "-p", "-o", "export", image).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 2) {
		t.Fatalf("blkid %s: %v", image, err)
	}
	var f Filesystem
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		value = strings.ReplaceAll(value, `\ `, " ")
		switch key {
		case "TYPE":
			f.Type = value
		case "LABEL":
			f.Label = value
		case "UUID":
			f.UUID = value
		}
	}
	return f
}

// texts compares what blkid tells as well.
func texts() cmp.Option {
	return cmpopts.IgnoreFields(Filesystem{}, "Size", "Devices", "Device", "AtEnd")
}

// What the real tools write is recognised in blkid's words.
func TestProbeLikeBlkid(t *testing.T) {
	for name, r := range recipes() {
		t.Run(name, func(t *testing.T) {
			image := r.make(t, t.TempDir())
			file, err := os.Open(image)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			info, err := file.Stat()
			if err != nil {
				t.Fatal(err)
			}
			got, err := Probe(file, info.Size(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(blkid(t, image), got, texts()); diff != "" {
				t.Errorf("Probe differs from blkid (-blkid +Probe):\n%s", diff)
			}
			if diff := cmp.Diff(r.want, got, texts()); diff != "" {
				t.Errorf("Probe (-want +got):\n%s", diff)
			}
			if *update {
				capture(t, name, file, r.keep)
			}
		})
	}
}

func capture(t *testing.T, name string, r io.ReaderAt, keep int64) {
	t.Helper()
	if keep == 0 {
		keep = headSize
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(z, io.NewSectionReader(r, 0, keep)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(capturedPath(name), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func capturedPath(name string) string {
	return filepath.Join("testdata", "superblock", name+".gz")
}

func captured(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.Open(capturedPath(name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The same superblocks as captured: what this package knows does not depend on
// the tools that a machine has.
func TestProbeCaptured(t *testing.T) {
	for name, r := range recipes() {
		t.Run(name, func(t *testing.T) {
			got, err := Probe(bytes.NewReader(captured(t, name)), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r.want, got, texts()); diff != "" {
				t.Errorf("Probe (-want +got):\n%s", diff)
			}
		})
	}
}

// synthetic are headers that no tool at hand writes, made after the format
// specifications; blkid is asked about them where it is there.
func synthetic() map[string]struct {
	image []byte
	want  Filesystem
} {
	id := []byte{0x0f, 0xc6, 0x3d, 0xaf, 0x84, 0x83, 0x47, 0x72, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4}
	image := func(parts map[int]string) []byte {
		b := make([]byte, 1<<20)
		for at, s := range parts {
			copy(b[at:], s)
		}
		return b
	}
	lvm := image(map[int]string{
		512: "LABELONE\x01\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x20\x00\x00\x00" + "LVM2 001", 544: "abcdefghijklmnopqrstuvwxyz012345",
	})
	binary.LittleEndian.PutUint32(lvm[512+16:], lvmChecksum(lvm[512+20:1024]))
	raid := func(at int, name string) []byte {
		b := image(map[int]string{at: "\xfc\x4e\x2b\xa9\x01\x00\x00\x00", at + 16: string(id), at + 32: name})
		b[at+144] = byte(at / 512)
		var sum uint64 // calc_sb_1_csum in drivers/md/md.c
		for i := 0; i < 256; i += 4 {
			sum += uint64(binary.LittleEndian.Uint32(b[at+i:]))
		}
		binary.LittleEndian.PutUint32(b[at+216:], uint32(sum)+uint32(sum>>32))
		return b
	}
	erofs := image(map[int]string{1024: "\xe2\xe1\xf5\xe0", 1024 + 12: "\x0c", 1024 + 48: string(id), 1024 + 64: "image 7"})
	return map[string]struct {
		image []byte
		want  Filesystem
	}{
		"nothing": {make([]byte, 1<<20), Filesystem{}},
		"luks1": {
			image(map[int]string{0: "LUKS\xba\xbe\x00\x01aes", 168: testUUID}),
			Filesystem{Type: "crypto_LUKS", UUID: testUUID},
		},
		"luks2": {
			image(map[int]string{0: "LUKS\xba\xbe\x00\x02\x00\x00\x00\x00\x00\x00\x40\x00", 24: "secret", 168: testUUID}),
			Filesystem{Type: "crypto_LUKS", Label: "secret", UUID: testUUID},
		},
		"lvm":              {lvm, Filesystem{Type: "LVM2_member", UUID: "abcdef-ghij-klmn-opqr-stuv-wxyz-012345"}},
		"mdraid 1.2":       {raid(4096, "host:0"), Filesystem{Type: "linux_raid_member", Label: "host:0", UUID: testUUID}},
		"mdraid 1.1":       {raid(0, "host:1"), Filesystem{Type: "linux_raid_member", Label: "host:1", UUID: testUUID}},
		"erofs with label": {erofs, Filesystem{Type: "erofs", Label: "image 7", UUID: testUUID}},
		"iso9660": {
			image(map[int]string{
				32 << 10: "\x01CD001\x01", 32<<10 + 40: "RESCUE_CD                       ",
				32<<10 + 813: "2026013112304500", 32<<10 + 830: "0000000000000000",
			}),
			Filesystem{Type: "iso9660", Label: "RESCUE_CD", UUID: "2026-01-31-12-30-45-00"},
		},
	}
}

// lvmChecksum is CRC-32 without the final inversion, from LVM2's own start.
func lvmChecksum(b []byte) uint32 {
	crc := uint32(0xf597a6cf)
	for _, c := range b {
		crc ^= uint32(c)
		for range 8 {
			crc = crc>>1 ^ 0xedb88320*(crc&1)
		}
	}
	return crc
}

func TestProbeSynthetic(t *testing.T) {
	for name, tt := range synthetic() {
		t.Run(name, func(t *testing.T) {
			got, err := Probe(bytes.NewReader(tt.image), int64(len(tt.image)), 0)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, texts()); diff != "" {
				t.Errorf("Probe (-want +got):\n%s", diff)
			}
		})
		if name == "lvm damaged" {
			continue // blkid wants its checksum right
		}
		t.Run(name+" by blkid", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image")
			writeImage(t, path, tt.image, 2<<20) // blkid looks for no RAID below 1.44 MB
			if diff := cmp.Diff(blkid(t, path), tt.want, texts()); diff != "" {
				t.Errorf("the header is not what blkid reads (-blkid +test):\n%s", diff)
			}
		})
	}
}

func TestProbeFATLabel(t *testing.T) {
	fat := captured(t, "vfat12")
	h, err := readHead(bytes.NewReader(fat))
	if err != nil {
		t.Fatal(err)
	}
	root := (int64(h.u16(14)) + int64(h.data[16])*int64(h.u16(22))) * int64(h.u16(11))
	entry := func(name string, attr byte, cluster byte) []byte {
		e := make([]byte, 32)
		copy(e, name)
		e[11], e[26] = attr, cluster
		return e
	}
	dir := bytes.Join([][]byte{
		entry("A long name", 0x0f, 0), entry("\xe5LDLABEL   ", 0x08, 0), entry("FILE    TXT", 0x20, 5), entry("NEW NAME   ", 0x08, 0),
	}, nil)
	copy(fat[root:], dir)
	got, err := Probe(bytes.NewReader(fat), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got.Label != "NEW NAME" {
		t.Errorf("label %q, want the one behind a long name, a deleted entry and a file", got.Label)
	}
}

// Every read may be a round trip to a server.
func TestProbeReadsOnce(t *testing.T) {
	for name := range recipes() {
		c := &countingReader{r: bytes.NewReader(captured(t, name))}
		h, err := readHead(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Probe(h, 0, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := ParsePartitions(h, 512); err != nil {
			t.Fatal(err)
		}
		limit := 1
		if name == "vfat32" { // its root directory is far behind
			limit = 2
		}
		if c.reads > limit {
			t.Errorf("%s: %d reads, want %d", name, c.reads, limit)
		}
	}
}

type countingReader struct {
	r     io.ReaderAt
	reads int
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.r.ReadAt(p, off)
}

func TestProbeTellsReadErrors(t *testing.T) {
	_, err := Probe(brokenReader{}, 0, 0)
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Probe: %v", err)
	}
}

type brokenReader struct{}

func (brokenReader) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

// The input is a change to one of the images, not an image: the fuzzer spends
// its time on minimising large inputs otherwise, and hardly runs.
func FuzzProbe(f *testing.F) {
	var images [][]byte
	for _, name := range slices.Sorted(maps.Keys(recipes())) {
		images = append(images, append(captured(f, name), make([]byte, headSize)...)) // some are shorter
	}
	made := synthetic()
	for _, name := range slices.Sorted(maps.Keys(made)) {
		images = append(images, made[name].image)
	}
	for i := range images {
		f.Add(uint8(i), uint32(0), []byte{})
		f.Add(uint8(i), uint32(544), []byte("\x00\xff\x1b"))
		f.Add(uint8(i), uint32(1024), []byte{0xff, 0xff, 0xff, 0xff})
	}
	f.Fuzz(func(t *testing.T, which uint8, at uint32, change []byte) {
		image := bytes.Clone(images[int(which)%len(images)][:headSize])
		copy(image[at%headSize:], change)
		got, err := Probe(bytes.NewReader(image), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got.Type == "" && got != (Filesystem{}) {
			t.Errorf("no type but %+v", got)
		}
		if strings.ContainsRune(got.Label, 0) || strings.ContainsAny(got.UUID, "\x00\x1b\n") {
			t.Errorf("control characters in %+v", got)
		}
		if s := (Block{Name: "sda", Filesystem: got}).describe(ByUUID); strings.ContainsAny(s, "\x00\x1b\n") {
			t.Errorf("%q", s)
		}
		// A device of any length is read the same way.
		if _, err := Probe(bytes.NewReader(image[:at%headSize]), int64(at%headSize), 0); err != nil {
			t.Errorf("%d bytes: %v", at%headSize, err)
		}
	})
}
