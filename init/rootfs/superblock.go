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

// A Filesystem is what a superblock says. All fields are spelled as blkid(8)
// spells them; the zero value is "nothing recognised".
type Filesystem struct {
	Type  string // ext2, ext3, ext4, xfs, btrfs, squashfs, erofs, vfat, iso9660; swap, crypto_LUKS, ...
	Label string // without trailing white space
	UUID  string // "1b2c3d4e-...", vfat "1A2B-3C4D", iso9660 "2026-01-31-..."
}

// Mountable tells whether it is a filesystem, not a container such as LUKS or
// an LVM physical volume.
func (f Filesystem) Mountable() bool {
	return f.Type != "" && f.container() == ""
}

// container says in words what a device holds that cannot be mounted.
func (f Filesystem) container() string {
	switch f.Type {
	case typeLUKS:
		return "an encrypted LUKS volume"
	case typeLVM:
		return "an LVM2 physical volume"
	case typeRAID:
		return "a member of a Linux software RAID"
	case typeSwap:
		return "swap space"
	case typeJournal:
		return "the external journal of an ext4 filesystem"
	case typeSquash3:
		return "a squashfs older than version 4, which Linux no longer reads"
	}
	return ""
}

// The types that are not filesystems, in blkid's words.
const (
	typeLUKS    = "crypto_LUKS"
	typeLVM     = "LVM2_member"
	typeRAID    = "linux_raid_member"
	typeSwap    = "swap"
	typeJournal = "jbd"
	typeSquash3 = "squashfs3"
)

// Probe recognises the filesystem at the start of r. It reads once, 68 KiB, and
// for vfat once more for the label in the root directory. A device that holds
// nothing known gives the zero Filesystem and no error; only a read that fails
// is an error. A software RAID member is recognised by metadata 1.1 and 1.2,
// which are at the start; 0.90 and 1.0 are at the device's end and not read.
func Probe(r io.ReaderAt) (Filesystem, error) {
	h, err := readHead(r)
	if err != nil {
		return Filesystem{}, err
	}
	// Containers first: what is inside a LUKS or RAID member can look like a
	// filesystem. vfat last: its signature is the weakest.
	for _, probe := range []func(*head) Filesystem{
		probeLUKS, probeLVM, probeRAID, probeXFS, probeSquashfs, probeBtrfs, probeExt, probeErofs,
		probeISO9660, probeSwap, probeFAT,
	} {
		if f := probe(h); f.Type != "" {
			return f, nil
		}
	}
	return Filesystem{}, nil
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

// ReadAt serves what is in memory from there. It reads zeros, not EOF, behind
// the end of a device shorter than 68 KiB.
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
	return Filesystem{Type: "xfs", Label: h.label(108, 12), UUID: h.uuid(32)}
}

// probeBtrfs follows include/uapi/linux/btrfs_tree.h. The UUID is the
// filesystem's, not the device's: all devices of one filesystem share it.
func probeBtrfs(h *head) Filesystem {
	const sb = 64 << 10
	if !h.has(sb+64, "_BHRfS_M") {
		return Filesystem{}
	}
	return Filesystem{Type: "btrfs", Label: h.label(sb+299, 256), UUID: h.uuid(sb + 32)}
}

// probeSquashfs follows fs/squashfs/squashfs_fs.h: neither label nor UUID.
func probeSquashfs(h *head) Filesystem {
	switch {
	case h.has(0, "hsqs") && h.u16(28) >= 4:
		return Filesystem{Type: "squashfs"}
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
	return Filesystem{Type: "erofs", Label: h.label(sb+64, 16), UUID: h.uuid(sb + 48)}
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
	f := Filesystem{Type: "iso9660", Label: h.label(pvd+40, 32)}
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
