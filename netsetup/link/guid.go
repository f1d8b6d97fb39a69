package link

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strconv"
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
// GUIDs are compared by Is. The zero value is not a GUID.
type GUID struct {
	B [8]byte
	// short: of six bytes. Bytes 4 and 5 are then 03 00, which is what
	// Mellanox puts there, but not certain.
	short bool
}

// localBit is the universal/local bit of an EUI-48 or EUI-64.
const localBit = 0x02

// Why a text is not the identity of a port.
var (
	errGUID   = errors.New("is not an InfiniBand identity: a GUID of 8 bytes, an address of 20, a GID, or 6 bytes")
	errNumber = errors.New("is not a GUID: after 0x it has 1 to 16 hexadecimal digits")
	ErrZero   = errors.New("is zero, which is the address of no port")
	ErrCut    = errors.New("is an InfiniBand address of 20 bytes that was cut off, and has no GUID left")
	errNo0x   = errors.New("is not a GUID, which without 0x has all of its 16 digits")
)

// ParseGUID reads any spelling, in hexadecimal of any case:
//
//	00:02:c9:03:00:00:10:39  0002:c903:0000:1039          bytes, groups of four digits (rdma, sysfs)
//	0x0002c90300001039  0002c90300001039                  one number (ibstat, saquery, opensm)
//	0x2c90300001039                                       without its leading zeros (sminfo, ibnetdiscover)
//	20:00:02:c9:03:00:00:10:39                            after the hardware type of DHCP (EFI, xCAT)
//	fe80:0000:0000:0000:0002:c903:0000:1039               the GID (sysfs), or as
//	fe80::2:c903:0:1039                                   inet_ntop(3) writes it (ibaddr, saquery)
//	80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:...   the 20 bytes of an IPoIB address (ip link)
//	00:02:c9:00:10:39                                     6 bytes
//
// Dashes may stand for the colons, but not for "::", and the hardware type before the
// last two as well.
func ParseGUID(s string) (GUID, error) {
	a, err := ParsePort(s)
	if err != nil {
		return GUID{}, err
	}
	g, _ := a.GUID()
	return g, nil
}

// ParsePort reads what ParseGUID does, and returns the bytes: the 8 of the GUID, or
// the 20 or 6 that are written. They are not zero.
func ParsePort(s string) (HardwareAddr, error) {
	b, err := addressBytes(strings.ToLower(s))
	if err != nil {
		return "", err
	}
	a := HardwareAddr(b)
	if n := len(a); a[0] == HwInfiniBand && (n == 7 || n == 9 || n == 21 || a[1:].cut()) {
		a = a[1:]
	}
	switch {
	case a.cut():
		return "", ErrCut
	case len(a) == 16:
		a = a[8:]
	case len(a) != 6 && len(a) != 8 && len(a) != 20:
		return "", errGUID
	}
	if _, ok := a.GUID(); !ok {
		return "", ErrZero
	}
	return a, nil
}

// addressBytes reads the bytes of an address in lower case. What inet_ntop(3) has
// shortened has colons: fe80--1 is as good a name of an interface as any.
func addressBytes(text string) ([]byte, error) {
	shortened := strings.Contains(text, "::")
	if !shortened {
		text = strings.ReplaceAll(text, "-", ":")
	}
	if digits, ok := strings.CutPrefix(text, "0x"); ok {
		v, err := strconv.ParseUint(digits, 16, 64)
		if err != nil || len(digits) > 16 {
			return nil, errNumber
		}
		return binary.BigEndian.AppendUint64(nil, v), nil
	}
	if shortened || strings.HasPrefix(text, "fe80:") && !strings.Contains(text, "::") {
		gid, err := netip.ParseAddr(text)
		if err != nil || gid.Zone() != "" || gid.As16()[0]|gid.As16()[1] == 0 { // no subnet prefix
			return nil, errGUID
		}
		return gid.AsSlice()[8:], nil
	}
	fields := strings.Split(text, ":")
	width := len(fields[0])
	digits := strings.Join(fields, "")
	for _, f := range fields {
		if len(f) != width {
			return nil, errGUID
		}
	}
	one := len(fields) == 1
	switch b, err := hex.DecodeString(digits); {
	case strings.Trim(digits, hexDigits) != "":
		return nil, errGUID
	case one && width > 12 && width < 16:
		return nil, errNo0x
	case err != nil || one && width != 16 || !one && width != 2 && (width != 4 || len(b) < 8):
		return nil, errGUID
	case width == 4 && len(b) == 16:
		return b[8:], nil
	default:
		return b, nil
	}
}

// linkLocal begins a GID whose subnet prefix is fe80::/64, the default unless the subnet manager
// has another.
const linkLocal = "\xfe\x80"

// cut reports whether these are the first bytes of the 20 of an IPoIB address: as many
// as a DHCP header has room for, which are 16, or fewer. They are flags and queue pair,
// then the GID. A GID alone is not written as bytes, except for one that says so itself.
func (a HardwareAddr) cut() bool {
	return len(a) == 16 && a[:2] != linkLocal || len(a) > 8 && len(a) < 20 && a[4:6] == linkLocal
}

const hexDigits = "0123456789abcdef"

// GUID returns the identity in the raw bytes of an address: 20 of IPoIB, 16 of a GID, 8 of a GUID
// or 6. Anything else, and zeros, have none.
func (a HardwareAddr) GUID() (GUID, bool) {
	var g GUID
	switch len(a) {
	case 6:
		g.short = true
		copy(g.B[:], a[:3])
		g.B[3] = 0x03
		copy(g.B[5:], a[3:])
		if a[0]|a[1]|a[2]|a[3]|a[4]|a[5] == 0 {
			return GUID{}, false
		}
	case 8, 16, 20:
		copy(g.B[:], a[len(a)-8:])
	}
	return g, g.B != [8]byte{}
}

// Is reports whether both can be the same port: if one of them has six bytes, the bytes that both
// have decide.
func (g GUID) Is(o GUID) bool {
	if g.B == [8]byte{} || o.B == [8]byte{} {
		return false
	}
	if g.short || o.short {
		return g.MAC()[0]|localBit == o.MAC()[0]|localBit && g.MAC()[1:] == o.MAC()[1:]
	}
	return g.B == o.B
}

// MAC is the address of six bytes that firmware makes of a GUID.
func (g GUID) MAC() HardwareAddr {
	return HardwareAddr(g.B[:3]) + HardwareAddr(g.B[5:])
}

// String writes 00:02:c9:03:00:00:10:39, or the six bytes that are known.
func (g GUID) String() string {
	switch {
	case g.B == [8]byte{}:
		return ""
	case g.short:
		return g.MAC().String()
	default:
		return HardwareAddr(g.B[:]).String()
	}
}

// The values of DHCP option 61 that are made of a GUID.

// FlexBoot is what Mellanox FlexBoot sends: an identifier of RFC 4361 (255) with
// IAID 0 and a DUID of type 2 of the enterprise 0x2c9, which holds the GUID.
func (g GUID) FlexBoot() []byte {
	return append([]byte{0xff, 0, 0, 0, 0, 0, 2, 0, 0, 0x02, 0xc9, 0}, g.B[:]...)
}

// Typed is hardware type 32 and the GUID.
func (g GUID) Typed() []byte {
	return append([]byte{HwInfiniBand}, g.B[:]...)
}

// RFC4361 is 255, an IAID, and a DUID-LL (RFC 8415 section 11.4) of hardware
// type 32. Its address is the GUID, the part that stays; the IAID is the last
// four bytes of that.
func (g GUID) RFC4361() []byte {
	return append(append([]byte{0xff}, g.B[4:]...), append([]byte{0, 3, 0, HwInfiniBand}, g.B[:]...)...)
}
