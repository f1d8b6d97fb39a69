package rootfs

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

const (
	linuxType = "0fc63daf-8483-4772-8e79-3d69d8477de4"
	uuidOne   = "11111111-2222-3333-4444-5555555555aa"
	uuidTwo   = "22222222-3333-4444-5555-6666666666bb"
)

// rawGUID is the inverse of guid.
func rawGUID(s string) []byte {
	g, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(g) != 16 {
		return make([]byte, 16)
	}
	slices.Reverse(g[:4])
	slices.Reverse(g[4:6])
	slices.Reverse(g[6:8])
	return g
}

// newGPT makes a disk with a protective MBR and a primary GPT after the UEFI
// specification, with the alternate one at the end.
func newGPT(size int64, sector int, parts []Partition) []byte {
	d := make([]byte, size)
	last := uint64(size)/uint64(sector) - 1
	putMBREntry(d, 0, 0xee, 1, uint32(last))
	table := make([]byte, 128*128)
	for _, p := range parts {
		e := table[128*(p.Number-1):]
		copy(e, rawGUID(p.Type))
		copy(e[16:], rawGUID(p.UUID))
		binary.LittleEndian.PutUint64(e[32:], uint64(p.Start)/uint64(sector))
		binary.LittleEndian.PutUint64(e[40:], uint64(p.Start+p.Size)/uint64(sector)-1)
		for i, u := range utf16.Encode([]rune(p.Label)) {
			binary.LittleEndian.PutUint16(e[56+2*i:], u)
		}
	}
	entrySectors := uint64(len(table) / sector)
	header := func(here, there, entries uint64) {
		h := d[here*uint64(sector):]
		copy(h, "EFI PART\x00\x00\x01\x00")
		binary.LittleEndian.PutUint32(h[12:], 92)
		binary.LittleEndian.PutUint64(h[24:], here)
		binary.LittleEndian.PutUint64(h[32:], there)
		binary.LittleEndian.PutUint64(h[40:], 2+entrySectors)
		binary.LittleEndian.PutUint64(h[48:], last-1-entrySectors)
		copy(h[56:], rawGUID(uuidOne))
		binary.LittleEndian.PutUint64(h[72:], entries)
		binary.LittleEndian.PutUint32(h[80:], 128)
		binary.LittleEndian.PutUint32(h[84:], 128)
		binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(table))
		binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:92]))
		copy(d[entries*uint64(sector):], table)
	}
	header(1, last, 2)
	header(last, 1, last-entrySectors)
	return d
}

func putMBREntry(sector []byte, slot int, kind byte, start, size uint32) {
	e := sector[446+16*slot:]
	e[4] = kind
	binary.LittleEndian.PutUint32(e[8:], start)
	binary.LittleEndian.PutUint32(e[12:], size)
	sector[510], sector[511] = 0x55, 0xaa
}

const mib = 1 << 20

func gptParts() []Partition {
	return []Partition{
		{Number: 1, UUID: uuidOne, Label: "EFI system", Type: espType, Start: mib, Size: mib},
		{Number: 3, UUID: uuidTwo, Label: "größe 36", Type: linuxType, Start: 2 * mib, Size: 4 * mib},
	}
}

func TestParseGPT(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		d := newGPT(8*mib, sector, gptParts())
		got, err := ParsePartitions(bytes.NewReader(d), sector)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(gptParts(), got); diff != "" {
			t.Errorf("sectors of %d bytes (-want +got):\n%s", sector, diff)
		}
	}
}

func TestParseGPTRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		mend func(d []byte)
		want string
	}{
		"header changed":  {func(d []byte) { d[512+40]++ }, "header checksum"},
		"entry changed":   {func(d []byte) { d[1024+60]++ }, "checksum of the entries"},
		"no header":       {func(d []byte) { d[512] = 0 }, "holds none"},
		"long header":     {func(d []byte) { binary.LittleEndian.PutUint32(d[512+12:], 513) }, "header of 513 bytes"},
		"too many":        {func(d []byte) { binary.LittleEndian.PutUint32(d[512+80:], 1<<31); resum(d) }, "2147483648 entries"},
		"entries far out": {func(d []byte) { binary.LittleEndian.PutUint64(d[512+72:], 1<<46); resum(d) }, "read GPT entries"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newGPT(8*mib, 512, gptParts())
			tt.mend(d)
			got, err := ParsePartitions(bytes.NewReader(d), 0)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %v, want an error with %q", got, err, tt.want)
			}
		})
	}
	if _, err := ParsePartitions(bytes.NewReader(make([]byte, mib)), 520); err == nil {
		t.Error("a sector of 520 bytes is accepted")
	}
}

func resum(d []byte) {
	clear(d[512+16 : 512+20])
	binary.LittleEndian.PutUint32(d[512+16:], crc32.ChecksumIEEE(d[512:512+92]))
}

// mbrDisk has two primary partitions, and an extended one with two logical.
func mbrDisk() []byte {
	d := make([]byte, 8*mib)
	binary.LittleEndian.PutUint32(d[440:], 0x1a2b3c4d)
	putMBREntry(d, 0, 0x83, 2048, 2048)
	d[446] = 0x80
	putMBREntry(d, 1, 0xef, 4096, 2048)
	putMBREntry(d, 3, 0x05, 6144, 8192)
	first := d[6144*512:]
	putMBREntry(first, 0, 0x83, 64, 1000)
	putMBREntry(first, 1, 0x05, 2048, 2048)
	second := d[(6144+2048)*512:]
	putMBREntry(second, 0, 0x82, 64, 1500)
	return d
}

func TestParseMBR(t *testing.T) {
	got, err := ParsePartitions(bytes.NewReader(mbrDisk()), 512)
	if err != nil {
		t.Fatal(err)
	}
	want := []Partition{
		{Number: 1, UUID: "1a2b3c4d-01", Type: "0x83", Start: 2048 * 512, Size: 2048 * 512},
		{Number: 2, UUID: "1a2b3c4d-02", Type: "0xef", Start: 4096 * 512, Size: 2048 * 512},
		{Number: 4, UUID: "1a2b3c4d-04", Type: "0x05", Start: 6144 * 512, Size: 8192 * 512},
		{Number: 5, UUID: "1a2b3c4d-05", Type: "0x83", Start: (6144 + 64) * 512, Size: 1000 * 512},
		{Number: 6, UUID: "1a2b3c4d-06", Type: "0x82", Start: (6144 + 2048 + 64) * 512, Size: 1500 * 512},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseMBRCircle(t *testing.T) {
	d := mbrDisk()
	putMBREntry(d[(6144+2048)*512:], 1, 0x05, 0, 2048) // back to the first
	got, err := ParsePartitions(bytes.NewReader(d), 512)
	if err != nil || len(got) != 5 {
		t.Errorf("%d partitions, %v; want the 5 before the circle", len(got), err)
	}
}

// A FAT boot sector ends in the MBR's signature and is not a partition table.
func TestParsePartitionsOfFilesystem(t *testing.T) {
	for name := range recipes() {
		got, err := ParsePartitions(bytes.NewReader(captured(t, name)), 512)
		if err != nil || len(got) > 0 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// The input is a change to a disk (see FuzzProbe). With mend the checksums of a
// GPT are made right again, so that the fuzzer comes past them.
func FuzzParsePartitions(f *testing.F) {
	disks := [][]byte{newGPT(mib, 512, gptParts()), newGPT(mib, 4096, gptParts()), mbrDisk()}
	for i := range disks {
		f.Add(uint8(i), uint32(446), []byte{0x80}, 512, false)
		f.Add(uint8(i), uint32(512+72), []byte{0xff, 0xff}, 512, true)
		f.Add(uint8(i), uint32(1024+32), bytes.Repeat([]byte{0xff}, 16), 0, true)
		f.Add(uint8(i), uint32(6144*512+446+16), []byte{0, 0, 0, 0, 5}, 4096, true)
	}
	f.Fuzz(func(t *testing.T, which uint8, at uint32, change []byte, sector int, mend bool) {
		image := bytes.Clone(disks[int(which)%len(disks)])
		copy(image[int(at)%len(image):], change)
		if mend {
			mendGPT(image, sector)
		}
		c := &countingReader{r: bytes.NewReader(image)}
		parts, err := ParsePartitions(c, sector)
		if c.reads > maxLogical+3 {
			t.Errorf("%d reads", c.reads)
		}
		if err != nil && parts != nil {
			t.Errorf("both %v and %v", parts, err)
		}
		for _, p := range parts {
			if p.Number < 1 || p.Start < 0 || p.Size < 0 {
				t.Errorf("%+v", p)
			}
		}
	})
}

// mendGPT writes the checksums that fit to what is there, where it can.
func mendGPT(d []byte, sector int) {
	if sector == 0 {
		sector = 512
	}
	if sector < 512 || sector > 4096 {
		return
	}
	h := d[sector : 2*sector]
	first, count, each := binary.LittleEndian.Uint64(h[72:]), binary.LittleEndian.Uint32(h[80:]), binary.LittleEndian.Uint32(h[84:])
	size := uint64(count) * uint64(each)
	if from := first * uint64(sector); first < 1<<20 && size < 1<<20 && from+size <= uint64(len(d)) {
		binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(d[from:from+size]))
	}
	clear(h[16:20])
	if n := binary.LittleEndian.Uint32(h[12:]); int64(n) <= int64(sector) {
		binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:n]))
	}
}
