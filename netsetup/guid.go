package netsetup

import (
	"encoding/hex"
	"errors"
	"strings"
)

// A GUID is the identity of an InfiniBand port: its EUI-64, the one thing that
// stays the same across boots, firmware and operating systems. The other
// spellings contain it or are made of it:
//
//   - the 20 bytes of an IPoIB address (RFC 4391 section 9.1.1): flags, queue
//     pair number and subnet prefix, which all may change, then the GUID;
//   - the GID, subnet prefix and GUID, as sysfs shows it;
//   - 6 bytes, the GUID without bytes 4 and 5, which is what firmware shows
//     where an Ethernet address is expected. Some firmware clears the bit 0x02
//     of the first byte in it.
//
// GUIDs are compared by Is. The zero value is no GUID.
type GUID struct {
	b [8]byte
	// short: of six bytes. Bytes 4 and 5 are then 03 00, which is what
	// Mellanox puts there, but not certain.
	short bool
}

// localBit is the universal/local bit of an EUI-48 or EUI-64.
const localBit = 0x02

var errGUID = errors.New("is not an InfiniBand identity: a GUID of 8 bytes, an address of 20, a GID, or 6 bytes")

// ParseGUID reads any spelling, in hexadecimal of any case. Bytes are separated
// by colons or dashes; a GUID may be written without separators, with or without
// 0x, or in groups of four digits, like the GIDs of sysfs
// (fe80:0000:0000:0000:0002:c903:0000:1039).
func ParseGUID(s string) (GUID, error) {
	digits := strings.TrimPrefix(strings.ToLower(s), "0x")
	fields := strings.FieldsFunc(digits, func(r rune) bool { return r == ':' || r == '-' })
	width := len(digits)
	if len(fields) > 0 {
		width = len(fields[0])
	}
	if strings.Count(digits, ":")+strings.Count(digits, "-") != len(fields)-1 {
		return GUID{}, errGUID
	}
	for _, f := range fields {
		if len(f) != width {
			return GUID{}, errGUID
		}
	}
	b, err := hex.DecodeString(strings.Join(fields, ""))
	if err != nil {
		return GUID{}, errGUID
	}
	// Bytes; groups of a GUID or GID; a GUID in one piece.
	if width != 2 && (width != 4 || len(b) < 8) && (width != 16 || len(b) != 8) {
		return GUID{}, errGUID
	}
	g, ok := HardwareAddr(b).GUID()
	if !ok {
		return GUID{}, errGUID
	}
	return g, nil
}

// GUID returns the identity in the raw bytes of an address: 20 of IPoIB, 16 of
// a GID, 8 of a GUID or 6. Of anything else, and of zeros, there is none.
func (a HardwareAddr) GUID() (GUID, bool) {
	var g GUID
	switch len(a) {
	case 6:
		g.short = true
		copy(g.b[:], a[:3])
		g.b[3] = 0x03
		copy(g.b[5:], a[3:])
		if a[0]|a[1]|a[2]|a[3]|a[4]|a[5] == 0 {
			return GUID{}, false
		}
	case 8, 16, 20:
		copy(g.b[:], a[len(a)-8:])
	}
	return g, g.b != [8]byte{}
}

// Is tells whether both can be the same port: where one of them is of six
// bytes, what both have of it decides.
func (g GUID) Is(o GUID) bool {
	if g.b == [8]byte{} || o.b == [8]byte{} {
		return false
	}
	if g.short || o.short {
		return g.MAC()[0]|localBit == o.MAC()[0]|localBit && g.MAC()[1:] == o.MAC()[1:]
	}
	return g.b == o.b
}

// MAC is the address of six bytes that firmware makes of a GUID.
func (g GUID) MAC() HardwareAddr {
	return HardwareAddr(g.b[:3]) + HardwareAddr(g.b[5:])
}

// String writes 00:02:c9:03:00:00:10:39, or the six bytes that are known.
func (g GUID) String() string {
	switch {
	case g.b == [8]byte{}:
		return ""
	case g.short:
		return g.MAC().String()
	default:
		return HardwareAddr(g.b[:]).String()
	}
}

// The values of DHCP option 61 that are made of a GUID.

// FlexBoot is what Mellanox FlexBoot sends: an identifier of RFC 4361 (255) with
// IAID 0 and a DUID of type 2 of the enterprise 0x2c9, which holds the GUID.
func (g GUID) FlexBoot() []byte {
	return append([]byte{0xff, 0, 0, 0, 0, 0, 2, 0, 0, 0x02, 0xc9, 0}, g.b[:]...)
}

// Typed is hardware type 32 and the GUID.
func (g GUID) Typed() []byte {
	return append([]byte{hwInfiniBand}, g.b[:]...)
}

// RFC4361 is 255, an IAID, and a DUID-LL (RFC 8415 section 11.4) of hardware
// type 32. Its address is the GUID, the part that stays; the IAID is the last
// four bytes of that.
func (g GUID) RFC4361() []byte {
	return append(append([]byte{0xff}, g.b[4:]...), append([]byte{0, 3, 0, hwInfiniBand}, g.b[:]...)...)
}
