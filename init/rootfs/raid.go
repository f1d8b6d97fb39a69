package rootfs

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// tailSize covers what is looked for at the end of a device: the superblock that
// begins first is that of md 0.90, less than 128 KiB before the end.
const tailSize = 128 << 10

// mdMagic is MD_SB_MAGIC of include/uapi/linux/raid/md_p.h.
const mdMagic = 0xa92b4efc

// probeRAID follows include/uapi/linux/raid/md_p.h: version 1.1 is at the
// start, 1.2 at 4 KiB. Each says at which sector it is.
func probeRAID(h *head) Filesystem {
	for _, at := range []int{0, 4096} {
		if f := mdOne(h.data[at:], int64(at)); f.Type != "" {
			return f
		}
	}
	return Filesystem{}
}

// mdOne reads struct mdp_superblock_1, which b begins with, at a place in bytes
// from the device's start.
func mdOne(b []byte, at int64) Filesystem {
	le := binary.LittleEndian
	if le.Uint32(b) != mdMagic || le.Uint32(b[4:]) != 1 || le.Uint64(b[144:]) != uint64(at/512) {
		return Filesystem{}
	}
	return Filesystem{Type: typeRAID, Label: label(b[32:64]), UUID: uuid(b[16:32])}
}

// mdZero reads mdp_super_t, version 0.90, which is written in the byte order of
// its machine; the UUID is words, not bytes.
func mdZero(b []byte, at int64) Filesystem {
	var order binary.ByteOrder = binary.LittleEndian
	if order.Uint32(b) != mdMagic {
		order = binary.BigEndian
	}
	size := int64(order.Uint32(b[32:])) << 10 // how much of the device the array uses
	if order.Uint32(b) != mdMagic || order.Uint32(b[4:]) != 0 || size > at {
		return Filesystem{}
	}
	var id []byte
	for _, word := range []int{20, 52, 56, 60} {
		id = binary.BigEndian.AppendUint32(id, order.Uint32(b[word:]))
	}
	return Filesystem{Type: typeRAID, UUID: uuid(id)}
}

// A tail is the end of a device: data begins at the byte from.
type tail struct {
	data []byte
	from int64
	size int64 // of the device
}

// readTail reads the end of a device of size bytes.
func readTail(r io.ReaderAt, size int64) (tail, error) {
	t := tail{data: make([]byte, tailSize), from: size - tailSize, size: size}
	if n, err := r.ReadAt(t.data, t.from); err != nil && !errors.Is(err, io.EOF) {
		return tail{}, fmt.Errorf("read the last %d KiB, got %d bytes: %w", tailSize>>10, n, err)
	}
	return t, nil
}

// at returns what follows the byte off of the device, at least size bytes.
func (t tail) at(off int64, size int) ([]byte, bool) {
	i := off - t.from
	if i < 0 || i+int64(size) > int64(len(t.data)) {
		return nil, false
	}
	return t.data[i:], true
}

// probe recognises the superblocks that are at the end of a device, so that the
// beginning looks like the filesystem that is inside. One that begins before
// used, the end of what the device is used for now, is a leftover: mkfs does not
// look so far.
func (t tail) probe(used int64) Filesystem {
	for _, place := range t.places() {
		b, ok := t.at(place.off, place.need)
		if !ok || place.off < used {
			continue
		}
		if f := place.parse(b); f.Type != "" {
			return f
		}
	}
	return Filesystem{}
}

type place struct {
	off   int64 // from the start of the device
	need  int   // bytes that parse looks at
	parse func(b []byte) Filesystem
}

func (t tail) places() []place {
	const (
		// MD_RESERVED_BYTES of md_p.h, and super_1_load of drivers/md/md.c.
		reserved = 64 << 10
		page     = 4 << 10
	)
	zero := t.size&^(reserved-1) - reserved
	one := t.size&^(page-1) - 2*page
	places := []place{
		{zero, 64, func(b []byte) Filesystem { return mdZero(b, zero) }},
		{one, 256, func(b []byte) Filesystem { return mdOne(b, one) }},
		// drbd_md_ss of drivers/block/drbd/drbd_int.h.
		{t.size&^(page-1) - page, 64, parseDRBD},
	}
	for _, sector := range []int64{512, 4096} {
		places = append(places,
			// super-intel.c of mdadm: the sector before the last.
			place{t.size - 2*sector, 32, parseIntelRAID},
			// SNIA DDF 2.0, 5.3: the anchor header is in the last block.
			place{t.size - sector, 32, parseDDF},
		)
	}
	return places
}

// parseDRBD reads struct meta_data_on_disk of drivers/block/drbd/drbd_main.c: the
// magic is at the same place in versions 8 and 9, the id of the device is not.
func parseDRBD(b []byte) Filesystem {
	const magic = 0x83740267
	id := b[40:48]
	switch binary.BigEndian.Uint32(b[60:]) {
	case magic + 4, magic + 5:
	case magic + 6:
		id = b[48:56]
	default:
		return Filesystem{}
	}
	return Filesystem{Type: typeDRBD, UUID: strings.TrimLeft(hex.EncodeToString(id), "0")}
}

func parseIntelRAID(b []byte) Filesystem {
	if !strings.HasPrefix(string(b[:32]), "Intel Raid ISM Cfg Sig. ") {
		return Filesystem{}
	}
	return Filesystem{Type: typeIntelRAID}
}

// parseDDF reads the signature and the GUID of a DDF header, which is written in
// either byte order. The GUID begins with the vendor's name.
func parseDDF(b []byte) Filesystem {
	const magic = 0xde11de11
	if binary.BigEndian.Uint32(b) != magic && binary.LittleEndian.Uint32(b) != magic {
		return Filesystem{}
	}
	return Filesystem{Type: typeDDF, UUID: printable([]byte(label(b[8:32])))}
}
