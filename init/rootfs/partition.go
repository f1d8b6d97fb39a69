package rootfs

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
)

// A Partition is one entry of a partition table.
type Partition struct {
	Number int    // as in sda1
	UUID   string // PARTUUID: a lower-case GUID, or the MBR's "1a2b3c4d-01"
	Label  string // PARTLABEL; empty in an MBR
	Type   string // a lower-case GUID, or the MBR's "0x83"
	Start  int64  // bytes from the start of the disk
	Size   int64  // bytes
}

// espType is the GUID of an EFI system partition (UEFI specification 5.3.3).
const espType = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"

// boots reports whether a partition holds boot loaders or kernels and never a root.
func (p Partition) boots() bool {
	switch p.Type {
	case espType, "0xef",
		"bc13c2ff-59e6-4262-a352-b275fd6f7172", "0xea", // XBOOTLDR (UAPI group, boot loader specification)
		"21686148-6449-6e6f-744e-656564454649",         // BIOS boot of GRUB
		"9e1a2d38-c612-4316-aa26-8b49521e5a8b", "0x41", // PReP
		"e3c9e316-0b5c-4db8-817d-f92df00215ae": // Microsoft reserved
		return true
	}
	return false
}

// extended reports whether this is the MBR partition that only holds the logical ones.
func (p Partition) extended() bool {
	return p.Type == "0x05" || p.Type == "0x0f" || p.Type == "0x85"
}

// tableEnd is the byte up to which a disk is in use according to its table: the end of its last
// partition, or of the GPT's alternate header (UEFI specification 5.3.2), which is in the last
// sector of the disk that the table was made for.
func tableEnd(h *head, sector int, table []Partition) int64 {
	var end int64
	for _, p := range table {
		end = max(end, p.Start+p.Size)
	}
	if sector >= 512 && 2*sector <= headSize && h.has(sector, "EFI PART") {
		end = max(end, extent(h.u64(sector+32)+1, int64(sector)))
	}
	return end
}

// ParsePartitions reads the GPT or MBR of a disk, in the order of the partition
// numbers. SectorSize is the disk's logical one in bytes, 0 means 512. A disk
// without a table gives none and no error; a GPT whose checksum is wrong is an
// error, because the kernel makes no partitions from it either
// (block/partitions/efi.c, as long as "gpt" is not on the command line).
func ParsePartitions(r io.ReaderAt, sectorSize int) ([]Partition, error) {
	if sectorSize == 0 {
		sectorSize = 512
	}
	if sectorSize < 512 || sectorSize > 64<<10 || sectorSize&(sectorSize-1) != 0 {
		return nil, fmt.Errorf(
			"parse partition table: sector size %d is not a power of two from 512 to 65536",
			sectorSize,
		)
	}
	d := disk{r: r, sector: int64(sectorSize)}
	mbr, err := d.read(0, 512)
	if err != nil {
		return nil, fmt.Errorf("read partition table: %w", err)
	}
	entries, ok := mbrEntries(mbr)
	if !ok {
		return nil, nil
	}
	if slices.ContainsFunc(entries, func(e mbrEntry) bool { return e.kind == mbrProtective }) {
		return d.gpt()
	}
	return d.mbr(mbr, entries), nil
}

type disk struct {
	r      io.ReaderAt
	sector int64
}

// read returns size bytes from the sector on. A disk that ends before is an error.
func (d disk) read(sector int64, size int) ([]byte, error) {
	buf := make([]byte, size)
	if n, err := d.r.ReadAt(buf, sector*d.sector); n < size {
		return nil, fmt.Errorf("sector %d: %w", sector, err)
	}
	return buf, nil
}

const (
	gptEntrySize  = 128 // the only size that the kernel takes
	gptMaxEntries = 1024
	maxSector     = 1 << 47 // so that bytes fit in int64 for every sector size
)

// gpt follows the UEFI specification, 5.3.2 and 5.3.3.
func (d disk) gpt() ([]Partition, error) {
	const minHeader = 92
	h, err := d.read(1, int(d.sector))
	if err != nil {
		return nil, fmt.Errorf("read GPT header: %w", err)
	}
	if string(h[:8]) != "EFI PART" {
		return nil, fmt.Errorf("parse GPT: the MBR announces one, but sector 1 (of %d bytes) holds none", d.sector)
	}
	size := binary.LittleEndian.Uint32(h[12:])
	if size < minHeader || int64(size) > d.sector {
		return nil, fmt.Errorf("parse GPT: header of %d bytes", size)
	}
	sum := binary.LittleEndian.Uint32(h[16:])
	clear(h[16:20])
	if got := crc32.ChecksumIEEE(h[:size]); got != sum {
		return nil, fmt.Errorf(
			"parse GPT: header checksum is %08x, should be %08x: repair it with sgdisk -e or parted",
			sum,
			got,
		)
	}
	first, count, each := binary.LittleEndian.Uint64(
		h[72:],
	), binary.LittleEndian.Uint32(
		h[80:],
	), binary.LittleEndian.Uint32(
		h[84:],
	)
	if each != gptEntrySize || count > gptMaxEntries || first < 2 || first > maxSector {
		return nil, fmt.Errorf("parse GPT: %d entries of %d bytes at sector %d", count, each, first)
	}
	table, err := d.read(int64(first), int(count*each))
	if err != nil {
		return nil, fmt.Errorf("read GPT entries: %w", err)
	}
	sum = binary.LittleEndian.Uint32(h[88:])
	if got := crc32.ChecksumIEEE(table); got != sum {
		return nil, fmt.Errorf(
			"parse GPT: checksum of the entries is %08x, should be %08x: repair it with sgdisk -e or parted",
			sum,
			got,
		)
	}
	var parts []Partition
	for n := 1; len(table) > 0; n, table = n+1, table[gptEntrySize:] {
		typ := guid(table[:16])
		start, end := binary.LittleEndian.Uint64(table[32:]), binary.LittleEndian.Uint64(table[40:])
		if typ == "" || start > end || end > maxSector {
			continue
		}
		parts = append(parts, Partition{
			Number: n, UUID: guid(table[16:32]), Label: gptName(table[56:gptEntrySize]), Type: typ,
			Start: int64(start) * d.sector, Size: int64(end-start+1) * d.sector,
		})
	}
	return parts, nil
}

// guid renders a GUID, whose first three fields are little-endian.
func guid(b []byte) string {
	g := [16]byte(b)
	slices.Reverse(g[:4])
	slices.Reverse(g[4:6])
	slices.Reverse(g[6:8])
	return uuid(g[:])
}

func gptName(b []byte) string {
	var units []uint16
	for ; len(b) >= 2; b = b[2:] {
		u := binary.LittleEndian.Uint16(b)
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return strings.TrimRight(string(utf16.Decode(units)), " ")
}
