package link

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ARP hardware types, include/uapi/linux/if_arp.h; the first two are also the
// htype of DHCP (RFC 2131, RFC 4390).
const (
	HwEthernet   = 1
	HwInfiniBand = 32
	HwLoopback   = 772
)

// A HardwareAddr holds the raw bytes of a link-layer address: 6 for Ethernet, 20 for IPoIB, of
// which the last 8 are the GUID and may stand for it. It is a string so that it compares and
// serves as a map key; the zero value is not an address.
type HardwareAddr string

// ParseHardwareAddr reads six bytes in hexadecimal, each of two digits, in any
// case, with dashes or colons between them.
func ParseHardwareAddr(s string) (HardwareAddr, error) {
	digits := strings.Map(func(r rune) rune {
		if r == ':' {
			return '-'
		}
		return r
	}, s)
	fields := strings.Split(digits, "-")
	if len(fields) != 6 {
		return "", errors.New("is not six bytes")
	}
	var b []byte
	for _, f := range fields {
		v, err := hex.DecodeString(f)
		if err != nil || len(v) != 1 {
			return "", errors.New("is not bytes of two hexadecimal digits")
		}
		b = append(b, v...)
	}
	return HardwareAddr(b), nil
}

// ParseAddress reads what names an interface by its address, wherever one is named: six bytes,
// also after the hardware type 01 of Ethernet as loaders write them, or any spelling of an
// InfiniBand identity, of which the GUID is returned.
func ParseAddress(s string) (HardwareAddr, error) {
	bytes := s
	if len(s) == len("01-52-54-00-12-34-56") && (strings.HasPrefix(s, "01-") || strings.HasPrefix(s, "01:")) {
		bytes = s[3:]
	}
	if a, err := ParseHardwareAddr(bytes); err == nil {
		if a == zeroMAC {
			return "", ErrZero
		}
		return a, nil
	}
	a, err := ParsePort(s)
	switch {
	case errors.Is(err, errGUID):
		return "", ErrAddress
	case len(a) == 20:
		return a[12:], nil
	default:
		return a, err
	}
}

const zeroMAC = HardwareAddr("\x00\x00\x00\x00\x00\x00")

// ResemblesAddress reports whether a text is meant as an address, even a wrong one: something
// after 0x, or hexadecimal digits, as many as an address has, or in as many groups. If such an
// argument were the name of an interface, a node would wait for one in vain.
//
// Twelve or more digits without any separator are not an address in the grammar, but what
// inventories and switches print for one, or a GUID without its zeros; a name such as
// cafe00000001 has to give way to them. Of names with dashes only those count whose groups are as
// in an address: e0-1-2-3 is a name.
func ResemblesAddress(s string) bool {
	text := strings.ToLower(s)
	if strings.HasPrefix(text, "0x") {
		return true
	}
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == '-' })
	if dots := strings.Split(text, "."); len(dots) == 3 && len(text) == len("5254.0012.3457") {
		fields = dots
	}
	digits := strings.Join(fields, "")
	if strings.Trim(digits, hexDigits) != "" || !strings.ContainsAny(digits, "0123456789") {
		return false
	}
	least, most := len(digits), 0
	for _, f := range fields {
		least, most = min(least, len(f)), max(most, len(f))
	}
	switch n := len(fields); {
	case n == 1:
		return most >= len("525400123456")
	case least == most:
		return least == 2 && n > 3 || least == 4 && n > 2
	case strings.Contains(text, ":"): // no name has one
		return most <= 4 && n > 3
	default: // bytes, some of one digit
		return most <= 2 && n > 5
	}
}

// ErrName says what is wrong with a text that may be the name of an interface; nil if nothing is.
func ErrName(s string) error {
	if _, err := ParseAddress(s); err != nil && ResemblesAddress(s) {
		return fmt.Errorf("looks like a hardware address and %w", err)
	}
	if !ValidDeviceName(s) {
		return ErrNoName
	}
	return nil
}

// ErrNewName says what is wrong with a name that a link or an adapter is to get: errName
// does, and that it would be taken for an address wherever it is written.
func ErrNewName(s string) error {
	if addr, err := ParseAddress(s); err == nil {
		return fmt.Errorf("is the address %s, not a name", addr)
	}
	return ErrName(s)
}

// What is wrong with an address.
var (
	ErrAddress = errors.New("is neither an Ethernet address nor an InfiniBand identity")
	ErrNoName  = errors.New("is not an interface name")
)

// Identifies reports whether the address is that of the device. Of InfiniBand
// ports any spelling of the identity is.
func (a HardwareAddr) Identifies(d Device) bool {
	if d.Type != HwInfiniBand {
		return a == d.Perm || d.Perm == "" && a == d.Addr
	}
	want, _ := a.GUID()
	have, _ := d.Addr.GUID()
	return want.Is(have)
}

// String writes aa:bb:cc:dd:ee:ff.
func (a HardwareAddr) String() string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 3*len(a))
	for i := range len(a) {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[a[i]>>4], digits[a[i]&15])
	}
	return string(b)
}
