package rootfs

import (
	"fmt"
	"math/bits"
)

// maxFATDirectory bounds the read of a FAT root directory: 1024 entries.
const maxFATDirectory = 32 << 10

// probeFAT follows Microsoft's FAT specification and include/uapi/linux/msdos_fs.h. The boot
// sector has no magic number of its own, so every field that has a narrow range must be inside
// it. NTFS and exFAT have similar boot sectors and are recognised by their names.
func probeFAT(h *head) Filesystem {
	switch {
	case h.has(3, "NTFS    "): // the last sector, a copy of the first, is not counted
		return Filesystem{Type: "ntfs", Size: extent(h.u64(40)+1, int64(h.u16(11)))}
	case h.has(3, "EXFAT   "):
		return Filesystem{Type: "exfat"}
	}
	var (
		sector   = int64(h.u16(11))
		cluster  = int64(h.data[13]) * sector
		reserved = int64(h.u16(14))
		fats     = int64(h.data[16])
		entries  = int64(h.u16(17))
		media    = h.data[21]
		fatSize  = int64(h.u16(22))
		jump     = h.data[0] == 0xeb || h.data[0] == 0xe9
	)
	switch {
	case !h.has(510, "\x55\xaa"), !jump,
		sector < 512 || sector > 4096 || bits.OnesCount64(uint64(sector)) != 1,
		bits.OnesCount8(h.data[13]) != 1,
		reserved == 0, fats < 1 || fats > 2,
		media != 0xf0 && media < 0xf8,
		h.u16(19) == 0 && h.u32(32) == 0:
		return Filesystem{}
	}

	sectors := uint64(h.u16(19))
	if sectors == 0 {
		sectors = uint64(h.u32(32))
	}
	f := Filesystem{Type: "vfat", Size: extent(sectors, sector)}
	if fatSize != 0 { // FAT12 and FAT16: the root directory follows the tables
		if entries == 0 {
			return Filesystem{}
		}
		if sig := h.data[38]; sig == 0x28 || sig == 0x29 {
			f.UUID = fatSerial(h.u32(39))
		}
		f.Label = h.fatLabel((reserved+fats*fatSize)*sector, entries*32)
		return f
	}
	// FAT32: the root directory is a chain of clusters, the first is 2 or more.
	// Its label is nearly always the first entry: the chain is not followed.
	root := int64(h.u32(44))
	fatSize = int64(h.u32(36))
	if entries != 0 || fatSize == 0 || root < 2 {
		return Filesystem{}
	}
	if sig := h.data[66]; sig == 0x28 || sig == 0x29 {
		f.UUID = fatSerial(h.u32(67))
	}
	f.Label = h.fatLabel((reserved+fats*fatSize)*sector+(root-2)*cluster, cluster)
	return f
}

func fatSerial(n uint32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%04X-%04X", n>>16, n&0xffff)
}

// fatLabel looks for the volume's entry in the root directory, which is what blkid and the
// kernel's tools call the label; the copy in the boot sector goes stale. A directory that cannot
// be read has no label: the mount will report it.
func (h *head) fatLabel(off, size int64) string {
	const (
		entrySize = 32
		volume    = 0x08
		directory = 0x10
		longName  = 0x0f
		deleted   = 0xe5
	)
	dir := make([]byte, min(size, maxFATDirectory))
	n, _ := h.ReadAt(dir, off)
	for dir = dir[:n]; len(dir) >= entrySize; dir = dir[entrySize:] {
		attr := dir[11]
		switch {
		case dir[0] == 0:
			return ""
		case dir[0] == deleted || attr&0x3f == longName:
		case attr&(volume|directory) == volume && dir[20]|dir[21]|dir[26]|dir[27] == 0:
			name := [11]byte(dir)
			if name[0] == 0x05 { // stands for a first byte of 0xe5
				name[0] = deleted
			}
			return label(name[:])
		}
	}
	return ""
}
