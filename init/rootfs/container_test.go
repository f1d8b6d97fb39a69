package rootfs

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A sample is a device with one superblock, made after its specification.
type sample struct {
	image []byte
	want  Filesystem
	size  int64 // of the device that blkid is asked about; 0: that of the image
}

const sampleSize = 2 * mib

// testID are the bytes of testUUID.
func testID() []byte {
	return []byte{0x0f, 0xc6, 0x3d, 0xaf, 0x84, 0x83, 0x47, 0x72, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4}
}

func sampleOf(parts map[int][]byte) []byte {
	b := make([]byte, sampleSize)
	for at, s := range parts {
		copy(b[at:], s)
	}
	return b
}

// raid09 is md 0.90 of an array that uses 1 MiB of the device, in either byte
// order.
func raid09(order binary.ByteOrder) []byte {
	const at = sampleSize - 64<<10
	b := make([]byte, sampleSize)
	for word, v := range map[int]uint32{
		0: mdMagic, 8: 90, 20: 0x0fc63daf, 28: 1, 32: 1 << 10, 36: 2, 40: 2, 52: 0x84834772, 56: 0x8e793d69, 60: 0xd8477de4,
	} {
		order.PutUint32(b[at+word:], v)
	}
	return b
}

// raid1 is a version 1 superblock of the array host:7.
func raid1(at int) []byte {
	b := sampleOf(map[int][]byte{at: []byte("\xfc\x4e\x2b\xa9\x01\x00\x00\x00"), at + 16: testID(), at + 32: []byte("host:7")})
	binary.LittleEndian.PutUint64(b[at+144:], uint64(at/512))
	var sum uint64 // calc_sb_1_csum in drivers/md/md.c
	for i := 0; i < 256; i += 4 {
		sum += uint64(binary.LittleEndian.Uint32(b[at+i:]))
	}
	binary.LittleEndian.PutUint32(b[at+216:], uint32(sum)+uint32(sum>>32))
	return b
}

// drbd is internal metadata: the magic of a version and where it has the id.
func drbd(magic uint32, id int) []byte {
	const at = sampleSize - 4096
	b := sampleOf(map[int][]byte{at + id: {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0}})
	binary.BigEndian.PutUint32(b[at+60:], magic)
	return b
}

func ddf(at int) []byte {
	return sampleOf(map[int][]byte{at: []byte("\xde\x11\xde\x11\x00\x00\x00\x00LSI     1234567890abcdef01.02.00")})
}

func stratis() []byte {
	const at = 512
	b := sampleOf(map[int][]byte{
		at + 4: []byte("!Stra0tis\x86\xff\x02^\x41rh"), at + 32: []byte(strings.Repeat("a", 32)),
		at + 64: []byte(strings.ReplaceAll(testUUID, "-", "")),
	})
	binary.LittleEndian.PutUint32(b[at:], crc32.Checksum(b[at+4:at+512], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// zfs has the configuration and the uberblocks of the first label.
func zfs() []byte {
	pair := func(name string, kind uint32, value []byte) []byte {
		b := appendOpaque(appendUint32(nil, 64), name)
		b = append(appendUint32(appendUint32(b, kind), 1), value...)
		return append(appendUint32(nil, uint32(len(b)+4)), b...)
	}
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	list := []byte{1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}
	list = append(list, pair("version", 8, number(5000))...)
	list = append(list, pair("name", 9, appendOpaque(nil, "tank"))...)
	list = append(list, pair("state", 8, number(0))...)
	list = append(list, pair("pool_guid", 8, number(1234567890123456789))...)
	b := sampleOf(map[int][]byte{16 << 10: list})
	for i := range 8 {
		binary.LittleEndian.PutUint64(b[128<<10+i<<10:], 0x00bab10c)
	}
	return b
}

func containers() map[string]sample {
	vista := []byte("\xeb\x52\x90-FVE-FS-")
	toGo := sampleOf(map[int][]byte{
		0: []byte("\xeb\x58\x90MSWIN4.1"), 64 << 10: []byte("-FVE-FS-"),
		424: {0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01},
	})
	binary.LittleEndian.PutUint64(toGo[440:], 64<<10)
	asm := sampleOf(map[int][]byte{32: []byte("ORCLDISK"), 40: []byte("DATA01")})
	bcache := sampleOf(map[int][]byte{
		4096 + 8: {8}, 4096 + 24: []byte("\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"), 4096 + 40: testID(),
	})
	isw := func(at int) []byte { return sampleOf(map[int][]byte{at: []byte("Intel Raid ISM Cfg Sig. 1.1.00")}) }
	raid := Filesystem{Type: "linux_raid_member", UUID: testUUID, AtEnd: true}
	named := raid
	named.Label = "host:7"
	vendor := Filesystem{Type: "ddf_raid_member", UUID: "LSI     1234567890abcdef", AtEnd: true}
	device := Filesystem{Type: "drbd", UUID: "123456789abcdef0", AtEnd: true}
	intel := Filesystem{Type: "isw_raid_member", AtEnd: true}
	return map[string]sample{
		"bitlocker":           {image: sampleOf(map[int][]byte{0: vista}), want: Filesystem{Type: "BitLocker"}},
		"bitlocker to go":     {image: toGo, want: Filesystem{Type: "BitLocker"}},
		"bcache":              {image: bcache, want: Filesystem{Type: "bcache", UUID: testUUID}},
		"vdo":                 {image: sampleOf(map[int][]byte{0: []byte("dmvdo001"), 40: testID()}), want: Filesystem{Type: "vdo", UUID: testUUID}},
		"stratis":             {image: stratis(), want: Filesystem{Type: "stratis", UUID: testUUID}},
		"asm":                 {image: asm, want: Filesystem{Type: "oracleasm", Label: "DATA01"}},
		"zfs":                 {image: zfs(), size: 64 * mib, want: Filesystem{Type: "zfs_member", Label: "tank", UUID: "1234567890123456789"}},
		"mdraid 0.90":         {image: raid09(binary.LittleEndian), want: raid},
		"mdraid 0.90, BE":     {image: raid09(binary.BigEndian), want: raid},
		"mdraid 1.0":          {image: raid1(sampleSize - 8<<10), want: named},
		"intel":               {image: isw(sampleSize - 1024), want: intel},
		"intel, 4Kn":          {image: isw(sampleSize - 8192), want: intel},
		"ddf":                 {image: ddf(sampleSize - 512), want: vendor},
		"ddf, 4Kn":            {image: ddf(sampleSize - 4096), want: vendor},
		"drbd 8":              {image: drbd(0x8374026b, 40), want: device},
		"drbd 8.4, unclean":   {image: drbd(0x8374026c, 40), want: device},
		"drbd 9":              {image: drbd(0x8374026d, 48), want: device},
		"mdraid 1.2 on 2 MiB": {image: raid1(4096), want: Filesystem{Type: "linux_raid_member", UUID: testUUID, Label: "host:7"}},
	}
}

// Containers are named at whichever end they are, in blkid's words.
func TestProbeContainers(t *testing.T) {
	for name, tt := range containers() {
		t.Run(name, func(t *testing.T) {
			got, err := Probe(bytes.NewReader(tt.image), int64(len(tt.image)), 0)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Probe (-want +got):\n%s", diff)
			}
			if got.mountable() || (Block{Name: "sda", Filesystem: got}).usable() == nil {
				t.Errorf("%+v is taken for a filesystem", got)
			}
			if strings.Contains(name, "4Kn") {
				return // blkid looks where a disk of 512 has it
			}
			path := filepath.Join(t.TempDir(), "image")
			writeImage(t, path, tt.image, tt.size)
			if diff := cmp.Diff(blkid(t, path), tt.want, texts()); diff != "" {
				t.Errorf("the header is not what blkid reads (-blkid +test):\n%s", diff)
			}
		})
	}
}

// What a filesystem or a partition covers is left from before; what lies behind
// it is a mirror of which this is one half.
func TestProbeLeftover(t *testing.T) {
	mirror := raid1(sampleSize - 8<<10)
	ext := captured(t, "ext4")
	half := bytes.Clone(mirror)
	copy(half, ext)
	setExtSize(half, sampleSize-64<<10)
	over := bytes.Clone(mirror)
	copy(over, ext)
	setExtSize(over, sampleSize)
	for name, tt := range map[string]struct {
		image []byte
		used  int64
		want  string
	}{
		"half a mirror":         {half, 0, "linux_raid_member"},
		"filesystem over it":    {over, 0, "ext4"},
		"partition over it":     {mirror, sampleSize - 512, ""},
		"partition beside it":   {mirror, sampleSize - 64<<10, "linux_raid_member"},
		"LUKS in half a mirror": {append([]byte("LUKS\xba\xbe\x00\x01"), mirror[8:]...), 0, "crypto_LUKS"},
	} {
		got, err := Probe(bytes.NewReader(tt.image), int64(len(tt.image)), tt.used)
		if err != nil || got.Type != tt.want {
			t.Errorf("%s: %+v, %v, want %q", name, got, err, tt.want)
		}
	}
}

// setExtSize changes how many blocks of 1 KiB an ext4 superblock claims.
func setExtSize(image []byte, size int64) {
	unit := int64(1024) << binary.LittleEndian.Uint32(image[1024+24:])
	binary.LittleEndian.PutUint32(image[1024+4:], uint32(size/unit))
}

// The end is read only when it may hold something: every read may be a round
// trip to a server.
func TestProbeReadsTheEndOnce(t *testing.T) {
	ext := make([]byte, 8*mib)
	copy(ext, captured(t, "ext4"))
	for name, tt := range map[string]struct {
		image []byte
		used  int64
		want  int
	}{
		"filesystem of the whole device": {ext, 0, 1},
		"partitions up to the end":       {make([]byte, 8*mib), 8 * mib, 1},
		"nothing":                        {make([]byte, 8*mib), 0, 2},
		"a short device":                 {make([]byte, headSize), 0, 1},
	} {
		c := &countingReader{r: bytes.NewReader(tt.image)}
		if _, err := Probe(c, int64(len(tt.image)), tt.used); err != nil {
			t.Fatal(err)
		}
		if c.reads != tt.want {
			t.Errorf("%s: %d reads, want %d", name, c.reads, tt.want)
		}
	}
}

// A GPT made for this disk uses it to the end, one inside of an array does not.
func TestTableEnd(t *testing.T) {
	whole := newGPT(8*mib, 512, gptParts())
	for name, tt := range map[string]struct {
		image []byte
		want  int64
	}{
		"GPT":              {whole, 8 * mib},
		"GPT in an array":  {append(bytes.Clone(whole), make([]byte, mib)...), 8 * mib},
		"MBR":              {mbrDisk(), (6144 + 8192) * 512},
		"nothing":          {make([]byte, mib), 0},
		"absurd alternate": {absurdGPT(whole), 6 * mib},
	} {
		h, err := readHead(bytes.NewReader(tt.image))
		if err != nil {
			t.Fatal(err)
		}
		parts, err := ParsePartitions(bytes.NewReader(tt.image), 512)
		if err != nil {
			t.Fatal(err)
		}
		if got := tableEnd(h, 512, parts); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

func absurdGPT(whole []byte) []byte {
	d := bytes.Clone(whole)
	binary.LittleEndian.PutUint64(d[512+32:], 1<<63)
	resum(d)
	return d
}

// Sizes are those of the devices that mkfs was given, less what does not fill a
// block.
func TestProbeSizes(t *testing.T) {
	want := map[string]int64{
		"squashfs": -1, "erofs": -1, "swap": 0, "jbd": 8 * mib, // of an archive: that of its content
	}
	for name, r := range recipes() {
		f, err := Probe(bytes.NewReader(captured(t, name)), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		expect, special := want[name]
		if !special {
			expect = r.size
		}
		if expect >= 0 && f.Size != expect || expect < 0 && (f.Size < 100 || f.Size > mib) {
			t.Errorf("%s: %d bytes, want %d", name, f.Size, expect)
		}
	}
}

// The input is a change to one of the samples, at their end too (see FuzzProbe).
func FuzzProbeEnds(f *testing.F) {
	made := containers()
	names := slices.Sorted(maps.Keys(made))
	for i := range names {
		f.Add(uint8(i), uint32(32), []byte{0xff, 0xff, 0xff, 0x7f}, int64(0))
		f.Add(uint8(i), uint32(sampleSize-64<<10+32), []byte{0xff, 0xff, 0xff, 0xff}, int64(4096))
		f.Add(uint8(i), uint32(16<<10+12), []byte{0xff, 0xff, 0xff, 0xff}, int64(-1))
		f.Add(uint8(i), uint32(16<<10+12), []byte{0, 0, 0, 12, 0, 0, 0, 0}, int64(1<<62))
	}
	f.Fuzz(func(t *testing.T, which uint8, at uint32, change []byte, used int64) {
		image := bytes.Clone(made[names[int(which)%len(names)]].image)
		copy(image[int(at)%len(image):], change)
		for _, size := range []int64{int64(len(image)), int64(len(image)) - int64(at%8192), int64(at)} {
			got, err := Probe(bytes.NewReader(image), size, used)
			if err != nil {
				t.Fatal(err)
			}
			if got.Type == "" && got != (Filesystem{}) || got.Size < 0 {
				t.Errorf("%+v", got)
			}
			if strings.ContainsRune(got.Label, 0) || strings.ContainsAny(got.UUID, "\x00\x1b\n") {
				t.Errorf("control characters in %+v", got)
			}
		}
	})
}
