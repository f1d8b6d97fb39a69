package rootfs

import (
	"encoding/binary"
	"strings"
)

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
			f.UUID = id[:6] + "-" + id[6:10] + "-" + id[10:14] + "-" + id[14:18] + "-" + id[18:22] + "-" + id[22:26] + "-" + id[26:]
		}
		return f
	}
	return Filesystem{}
}

// probeRAID follows include/uapi/linux/raid/md_p.h: version 1.1 is at the
// start, 1.2 at 4 KiB. Each says at which sector it is.
func probeRAID(h *head) Filesystem {
	for _, at := range []int{0, 4096} {
		sector := binary.LittleEndian.Uint64(h.data[at+144:])
		if h.u32(at) == 0xa92b4efc && h.u32(at+4) == 1 && sector == uint64(at/512) {
			return Filesystem{Type: typeRAID, Label: h.label(at+32, 32), UUID: h.uuid(at + 16)}
		}
	}
	return Filesystem{}
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
