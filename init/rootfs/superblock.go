package rootfs

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// headSize covers every superblock that is looked at: the one that begins last
// is btrfs's, 4 KiB at 64 KiB. A GPT with 128 entries fits in too.
const headSize = 68 << 10

// A Filesystem is what a superblock says. The texts are spelled as blkid(8)
// spells them; the zero value is "nothing recognised".
type Filesystem struct {
	Type  string // ext2, ext3, ext4, xfs, btrfs, squashfs, erofs, vfat, iso9660; swap, crypto_LUKS, ...
	Label string // without trailing white space
	UUID  string // "1b2c3d4e-...", vfat "1A2B-3C4D", iso9660 "2026-01-31-..."

	// Size is how many bytes from the start of the device are the filesystem's; 0 when the
	// superblock does not say.
	Size int64
	// Devices is how many devices a btrfs consists of; Device tells them apart.
	Devices, Device uint64
	// AtEnd: the superblock is at the device's end, and what seems to be at its
	// start, a partition table even, is inside of the volume.
	AtEnd bool
}

// mountable reports whether it is a filesystem, not a container such as LUKS or
// an LVM physical volume.
func (f Filesystem) mountable() bool {
	return f.Type != "" && f.container() == container{}
}

// filesystems are the types that Probe recognises and a kernel can mount.
func filesystems() []string {
	return []string{"ext2", "ext3", "ext4", "xfs", "btrfs", "squashfs", "erofs", "vfat", "iso9660", "ntfs", "exfat"}
}

// Probe recognises what is on a device of size bytes, 0 when that is not known.
// It reads once, 68 KiB, for vfat once more for the label in the root directory,
// and once more, 128 KiB, at the end when the end is not in use: by the
// filesystem found, or, up to the byte used, by a partition. A device that holds
// nothing known gives the zero Filesystem and no error; only a read that fails
// is an error.
func Probe(r io.ReaderAt, size, used int64) (Filesystem, error) {
	h, err := readHead(r)
	if err != nil {
		return Filesystem{}, err
	}
	f := probeHead(h)
	used = max(used, f.Size)
	// Whatever has its superblock at the end keeps more than a page there. The
	// end of a CD may be unreadable, and belongs to no array.
	const page = 4 << 10
	if !f.outermost() && f.Type != "iso9660" && size > headSize+tailSize && used < size&^(page-1) {
		t, err := readTail(r, size)
		if err != nil {
			return Filesystem{}, err
		}
		if outer := t.probe(used); outer.Type != "" {
			outer.AtEnd = true
			return outer, nil
		}
	}
	return f, nil
}

// outermost reports whether the start of the device already decides what to do first.
func (f Filesystem) outermost() bool {
	c := f.container()
	return c.what != "" && !c.aside && f.Type != typeSquash3
}

// probeHead looks at the start. Containers come first: what is inside a LUKS or
// RAID member can look like a filesystem. vfat is last: its signature is the
// weakest.
func probeHead(h *head) Filesystem {
	for _, probe := range []func(*head) Filesystem{
		probeLUKS, probeBitLocker, probeLVM, probeRAID, probeBcache, probeVDO, probeStratis, probeASM,
		probeXFS, probeSquashfs, probeBtrfs, probeExt, probeErofs, probeISO9660, probeSwap, probeZFS, probeFAT,
	} {
		if f := probe(h); f.Type != "" {
			return f
		}
	}
	return Filesystem{}
}

// extent is count units in bytes, 0 when a superblock claims more than any
// device has.
func extent(count uint64, unit int64) int64 {
	const most = 1 << 62
	if unit <= 0 || count > uint64(most/unit) {
		return 0
	}
	return int64(count) * unit
}

// head is a device of which the first 68 KiB are in memory. A shorter device is
// filled up with zeros in data, so that all probes may index it freely.
type head struct {
	data []byte
	r    io.ReaderAt
}

func readHead(r io.ReaderAt) (*head, error) {
	if h, ok := r.(*head); ok {
		return h, nil
	}
	h := &head{data: make([]byte, headSize), r: r}
	if n, err := r.ReadAt(h.data, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the first %d KiB, got %d bytes: %w", headSize>>10, n, err)
	}
	return h, nil
}

// ReadAt serves what is in memory from there. It reads zeros, not EOF, after the end of a device
// shorter than 68 KiB.
func (h *head) ReadAt(p []byte, off int64) (int, error) {
	if off >= 0 && off+int64(len(p)) <= int64(len(h.data)) {
		return copy(p, h.data[off:]), nil
	}
	return h.r.ReadAt(p, off)
}

func (h *head) has(off int, magic string) bool {
	return string(h.data[off:off+len(magic)]) == magic
}

func (h *head) u16(off int) uint16 { return binary.LittleEndian.Uint16(h.data[off:]) }
func (h *head) u32(off int) uint32 { return binary.LittleEndian.Uint32(h.data[off:]) }
func (h *head) u64(off int) uint64 { return binary.LittleEndian.Uint64(h.data[off:]) }

func (h *head) label(off, size int) string { return label(h.data[off : off+size]) }
func (h *head) uuid(off int) string        { return uuid(h.data[off : off+16]) }

// label ends at the first NUL and loses trailing white space, as in blkid.
func label(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return strings.TrimRight(string(b), " \t\r\n\v\f")
}

// uuid renders 16 bytes in the order they are stored; all zero is none.
func uuid(b []byte) string {
	if bytes.Count(b, []byte{0}) == len(b) {
		return ""
	}
	s := hex.EncodeToString(b)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// probeExt follows fs/ext4/ext4.h. Which of the three it is, is decided by the
// features, as blkid does: ext2 and ext3 are what their old drivers could mount.
func probeExt(h *head) Filesystem {
	const (
		sb               = 1024
		hasJournal       = 0x4 // compat
		filetype         = 0x2 // incompat, as the next three
		recovery         = 0x4
		journalDev       = 0x8
		metaBG           = 0x10
		is64bit          = 0x80
		ext2ROCompat     = 0x1 | 0x2 | 0x4 // sparse_super, large_file, btree_dir
		ext2Incompat     = filetype | metaBG
		ext3Incompat     = ext2Incompat | recovery
		maxBlockSizeLog2 = 6 // 64 KiB: 10 + 6
	)
	if h.u16(sb+56) != 0xef53 || h.u32(sb+4) == 0 || h.u32(sb+24) > maxBlockSizeLog2 {
		return Filesystem{}
	}
	f := Filesystem{Type: "ext4", Label: h.label(sb+120, 16), UUID: h.uuid(sb + 104)}
	compat, incompat, roCompat := h.u32(sb+92), h.u32(sb+96), h.u32(sb+100)
	blocks := uint64(h.u32(sb + 4))
	if incompat&is64bit != 0 {
		blocks |= uint64(h.u32(sb+336)) << 32
	}
	f.Size = extent(blocks, 1024<<h.u32(sb+24))
	journal := compat&hasJournal != 0
	switch {
	case incompat&journalDev != 0:
		f.Type = typeJournal
	case roCompat&^ext2ROCompat != 0:
	case !journal && incompat&^ext2Incompat == 0:
		f.Type = "ext2"
	case journal && incompat&^ext3Incompat == 0:
		f.Type = "ext3"
	}
	return f
}

// probeXFS follows fs/xfs/libxfs/xfs_format.h.
func probeXFS(h *head) Filesystem {
	if !h.has(0, "XFSB") {
		return Filesystem{}
	}
	be := binary.BigEndian
	size := extent(be.Uint64(h.data[8:]), int64(be.Uint32(h.data[4:])))
	return Filesystem{Type: "xfs", Label: h.label(108, 12), UUID: h.uuid(32), Size: size}
}

// probeBtrfs follows include/uapi/linux/btrfs_tree.h. The UUID is the
// filesystem's, not the device's: all devices of one filesystem share it.
func probeBtrfs(h *head) Filesystem {
	const sb = 64 << 10
	if !h.has(sb+64, "_BHRfS_M") {
		return Filesystem{}
	}
	return Filesystem{
		Type: "btrfs", Label: h.label(sb+299, 256), UUID: h.uuid(sb + 32),
		Size: extent(h.u64(sb+209), 1), Devices: h.u64(sb + 136), Device: h.u64(sb + 201),
	}
}

// probeSquashfs follows fs/squashfs/squashfs_fs.h: neither label nor UUID.
func probeSquashfs(h *head) Filesystem {
	switch {
	case h.has(0, "hsqs") && h.u16(28) >= 4:
		return Filesystem{Type: "squashfs", Size: extent(h.u64(40), 1)}
	case h.has(0, "hsqs"), h.has(0, "sqsh"):
		return Filesystem{Type: typeSquash3}
	}
	return Filesystem{}
}

// probeErofs follows fs/erofs/erofs_fs.h.
func probeErofs(h *head) Filesystem {
	const sb = 1024
	if h.u32(sb) != 0xe0f5e1e2 {
		return Filesystem{}
	}
	size := int64(0)
	if bits := h.data[sb+12]; bits < 32 {
		size = extent(uint64(h.u32(sb+36)), 1<<bits)
	}
	return Filesystem{Type: "erofs", Label: h.label(sb+64, 16), UUID: h.uuid(sb + 48), Size: size}
}

// probeISO9660 follows ECMA-119 8.4, the primary volume descriptor. The UUID is
// the modification time, else the creation time, as in blkid. The label of a
// Joliet descriptor is not looked at.
func probeISO9660(h *head) Filesystem {
	const (
		pvd      = 32 << 10
		created  = pvd + 813
		modified = pvd + 830
	)
	if !h.has(pvd, "\x01CD001") {
		return Filesystem{}
	}
	f := Filesystem{
		Type: "iso9660", Label: h.label(pvd+40, 32),
		Size: extent(uint64(h.u32(pvd+80)), int64(h.u16(pvd+128))),
	}
	for _, at := range []int{modified, created} {
		d := h.data[at : at+16]
		digits := strings.Trim(string(d), "0123456789") == ""
		if digits && strings.Trim(string(d), "0") != "" {
			s := string(d)
			f.UUID = strings.Join([]string{s[:4], s[4:6], s[6:8], s[8:10], s[10:12], s[12:14], s[14:16]}, "-")
			break
		}
	}
	return f
}
