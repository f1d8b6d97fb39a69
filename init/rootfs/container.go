package rootfs

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// The types that are not filesystems, in blkid's words.
const (
	typeLUKS      = "crypto_LUKS"
	typeBitLocker = "BitLocker"
	typeLVM       = "LVM2_member"
	typeRAID      = "linux_raid_member"
	typeIntelRAID = "isw_raid_member"
	typeDDF       = "ddf_raid_member"
	typeDRBD      = "drbd"
	typeBcache    = "bcache"
	typeVDO       = "vdo"
	typeStratis   = "stratis"
	typeZFS       = "zfs_member"
	typeASM       = "oracleasm"
	typeSwap      = "swap"
	typeJournal   = "jbd"
	typeSquash3   = "squashfs3"
)

// A container is what a device holds that cannot be mounted.
type container struct {
	what string // in words: "an LVM2 physical volume"
	why  string // what would have to be done first, and is not
	// aside is true for what cannot hold a root: it does not stand in the way of another
	// partition.
	aside bool
}

// container returns the zero value for a filesystem, and for nothing known.
func (f Filesystem) container() container {
	const assemble = "nodisk does not assemble it"
	switch f.Type {
	case typeLUKS:
		return container{what: "an encrypted LUKS volume", why: "nodisk does not open encrypted volumes"}
	case typeBitLocker:
		return container{what: "a volume encrypted by BitLocker", why: "nodisk does not open encrypted volumes"}
	case typeLVM:
		return container{what: "an LVM2 physical volume", why: "nodisk does not assemble volume groups"}
	case typeRAID:
		return container{what: "a member of a Linux software RAID", why: assemble}
	case typeIntelRAID:
		return container{what: "a member of an Intel firmware RAID", why: assemble}
	case typeDDF:
		return container{what: "a member of a firmware RAID (DDF)", why: assemble}
	case typeDRBD:
		return container{what: "the backing device of a DRBD volume", why: "nodisk does not start DRBD"}
	case typeBcache:
		return container{what: "a bcache device", why: assemble}
	case typeVDO:
		return container{what: "a VDO volume", why: assemble}
	case typeStratis:
		return container{what: "a member of a Stratis pool", why: assemble}
	case typeZFS:
		return container{what: "a member of a ZFS pool", why: "nodisk does not import pools"}
	case typeASM:
		return container{what: "an Oracle ASM disk", why: "it holds a database"}
	case typeSquash3:
		return container{what: "a squashfs older than version 4", why: "Linux no longer reads it: make it again"}
	case typeSwap:
		return container{what: "swap space", why: "it holds no files", aside: true}
	case typeJournal:
		return container{what: "the external journal of an ext4 filesystem", why: "it holds no files", aside: true}
	}
	return container{}
}

// probeLUKS follows the LUKS1 and LUKS2 on-disk format specifications: both
// keep the UUID as text at 168; only LUKS2 has a label.
func probeLUKS(h *head) Filesystem {
	if !h.has(0, "LUKS\xba\xbe") {
		return Filesystem{}
	}
	f := Filesystem{Type: typeLUKS, UUID: printable([]byte(h.label(168, 40)))}
	if binary.BigEndian.Uint16(h.data[6:]) == 2 {
		f.Label = h.label(24, 48)
	}
	return f
}

// probeBitLocker follows libbde's "BitLocker Drive Encryption (BDE) format":
// "-FVE-FS-" stands where FAT and NTFS have their name. BitLocker To Go keeps
// the boot sector of FAT, with a GUID of its own at 424.
func probeBitLocker(h *head) Filesystem {
	const toGo = "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01"
	if h.has(3, "-FVE-FS-") || h.has(3, "MSWIN4.1") && h.has(424, toGo) {
		return Filesystem{Type: typeBitLocker}
	}
	return Filesystem{}
}

// probeLVM looks for the physical volume's label in the first four sectors, as
// lib/label/label.c of LVM2 does.
func probeLVM(h *head) Filesystem {
	const sectors, idSize = 4, 32
	for at := 0; at < sectors*512; at += 512 {
		if !h.has(at, "LABELONE") || !h.has(at+24, "LVM2 001") {
			continue
		}
		f := Filesystem{Type: typeLVM}
		if off := h.u32(at + 20); off <= 512-idSize {
			id := string(h.data[at+int(off) : at+int(off)+idSize])
			if strings.ContainsFunc(id, func(c rune) bool { return !isAlphanumeric(c) }) {
				return f // damaged
			}
			f.UUID = id[:6] + "-" + id[6:10] + "-" + id[10:14] + "-" + id[14:18] + "-" +
				id[18:22] + "-" + id[22:26] + "-" + id[26:]
		}
		return f
	}
	return Filesystem{}
}

// probeBcache follows struct cache_sb_disk of drivers/md/bcache: backing and cache devices have
// it alike, at 4 KiB. The superblock says at which sector it is.
func probeBcache(h *head) Filesystem {
	const sb = 4096
	const magic = "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"
	if !h.has(sb+24, magic) || binary.LittleEndian.Uint64(h.data[sb+8:]) != sb/512 {
		return Filesystem{}
	}
	return Filesystem{Type: typeBcache, UUID: h.uuid(sb + 40)}
}

// probeVDO follows struct geometry_block of drivers/md/dm-vdo/encodings.c.
func probeVDO(h *head) Filesystem {
	if !h.has(0, "dmvdo001") {
		return Filesystem{}
	}
	return Filesystem{Type: typeVDO, UUID: h.uuid(40)}
}

// probeStratis follows "Stratis Software Design", section 6.4: the static header
// is in the sectors 1 and 9. The UUID is the device's.
func probeStratis(h *head) Filesystem {
	for _, at := range []int{1 * 512, 9 * 512} {
		if !h.has(at+4, "!Stra0tis\x86\xff\x02^\x41rh") {
			continue
		}
		f := Filesystem{Type: typeStratis}
		if id, err := hex.DecodeString(string(h.data[at+64 : at+64+32])); err == nil {
			f.UUID = uuid(id)
		}
		return f
	}
	return Filesystem{}
}

// probeASM follows the label that Oracle's ASMLib writes after its 32 bytes of block header.
func probeASM(h *head) Filesystem {
	if !h.has(32, "ORCLDISK") {
		return Filesystem{}
	}
	return Filesystem{Type: typeASM, Label: h.label(40, 24)}
}

// probeZFS looks for the configuration in the first vdev label, 16 KiB into the
// device (ZFS On-Disk Specification, 1.2.1 and 1.3.3): a list of pairs in XDR,
// which begins with the version. The labels at the device's end are not looked
// at: they outlive mkfs of something else. Label and UUID are those of the pool;
// spares and cache devices have neither.
func probeZFS(h *head) Filesystem {
	const (
		at         = 16 << 10
		size       = 16 << 10
		typeUint64 = 8
		typeString = 9
	)
	r := xdrReader{b: h.data[at : at+size]}
	// NV_ENCODE_XDR, the byte order of the host, two bytes reserved; the
	// version of the list, 0, and its flags.
	if head := r.uint32(); head != 0x01000000 && head != 0x01010000 || r.uint32() != 0 {
		return Filesystem{}
	}
	r.uint32()
	f, first := Filesystem{}, true
	for r.err == nil {
		encoded := r.uint32()
		if encoded == 0 || encoded < 12 || int64(encoded)-4 > int64(len(r.b)) || r.err != nil {
			break
		}
		pair := xdrReader{b: r.b[:encoded-4]}
		r.b = r.b[encoded-4:]
		pair.uint32() // the size in memory
		name := string(pair.opaque(256))
		kind, count := pair.uint32(), pair.uint32()
		if pair.err != nil || first && name != "version" {
			break
		}
		f.Type, first = typeZFS, false
		switch {
		case name == "name" && kind == typeString && count == 1:
			f.Label = label(pair.opaque(256))
		case name == "pool_guid" && kind == typeUint64 && count == 1:
			high, low := pair.uint32(), pair.uint32()
			f.UUID = strconv.FormatUint(uint64(high)<<32|uint64(low), 10)
		}
	}
	return f
}

// probeSwap follows include/linux/swap.h: the magic ends the first page, whose
// size is that of the machine that made it.
func probeSwap(h *head) Filesystem {
	for page := 4 << 10; page <= 64<<10; page *= 2 {
		switch {
		case h.has(page-10, "SWAPSPACE2"):
			return Filesystem{Type: typeSwap, Label: h.label(1052, 16), UUID: h.uuid(1036)}
		case h.has(page-10, "SWAP-SPACE"):
			return Filesystem{Type: typeSwap}
		}
	}
	return Filesystem{}
}
