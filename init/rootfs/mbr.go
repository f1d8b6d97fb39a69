package rootfs

import (
	"encoding/binary"
	"fmt"
	"slices"
)

const (
	mbrProtective = 0xee // covers the disk of a GPT
	maxLogical    = 100  // links of the chain of extended tables; the kernel's bound
)

// An mbrEntry is one of the four slots of a DOS partition table.
type mbrEntry struct {
	kind        byte
	start, size uint32 // sectors
}

func (e mbrEntry) extended() bool {
	return e.kind == 0x05 || e.kind == 0x0f || e.kind == 0x85
}

// mbrEntries reads a sector's four slots. It is not a table without the signature, or when an
// entry is neither active nor inactive: boot sectors of FAT end in the same signature
// (block/partitions/msdos.c).
func mbrEntries(sector []byte) ([]mbrEntry, bool) {
	if sector[510] != 0x55 || sector[511] != 0xaa {
		return nil, false
	}
	entries := make([]mbrEntry, 4)
	for i := range entries {
		b := sector[446+16*i:]
		if b[0]&0x7f != 0 {
			return nil, false
		}
		entries[i] = mbrEntry{
			kind:  b[4],
			start: binary.LittleEndian.Uint32(b[8:]),
			size:  binary.LittleEndian.Uint32(b[12:]),
		}
	}
	return entries, true
}

// mbr returns the four primary partitions and the logical ones, which count from 5. A chain that
// breaks off or forms a loop ends there, as in the kernel.
func (d disk) mbr(sector []byte, entries []mbrEntry) []Partition {
	signature := binary.LittleEndian.Uint32(sector[440:])
	var parts []Partition
	add := func(number int, start int64, e mbrEntry) {
		p := Partition{
			Number: number, Type: fmt.Sprintf("0x%02x", e.kind),
			Start: start * d.sector, Size: int64(e.size) * d.sector,
		}
		if signature != 0 {
			p.UUID = fmt.Sprintf("%08x-%02x", signature, number)
		}
		parts = append(parts, p)
	}
	var extended int64
	for i, e := range entries {
		if e.size == 0 {
			continue
		}
		add(i+1, int64(e.start), e)
		if e.extended() && extended == 0 {
			extended = int64(e.start)
		}
	}
	number := 5
	var seen []int64
	for at := extended; at != 0 && len(seen) < maxLogical && !slices.Contains(seen, at); {
		seen = append(seen, at)
		b, err := d.read(at, 512)
		if err != nil {
			break
		}
		chain, ok := mbrEntries(b)
		if !ok {
			break
		}
		next := int64(0)
		for _, e := range chain[:2] {
			switch {
			case e.size == 0:
			case e.extended():
				next = extended + int64(e.start)
			default:
				add(number, at+int64(e.start), e)
				number++
			}
		}
		at = next
	}
	return parts
}
