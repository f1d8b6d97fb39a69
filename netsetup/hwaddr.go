package netsetup

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ARP hardware types, include/uapi/linux/if_arp.h; the first two are also the
// htype of DHCP (RFC 2131, RFC 4390).
const (
	hwEthernet   = 1
	hwInfiniBand = 32
	hwLoopback   = 772
)

// A HardwareAddr holds the raw bytes of a link-layer address: 6 for Ethernet,
// 20 for IPoIB, of which the last 8 are the GUID and may stand for it. It is a string so that it compares and serves as a map key;
// the zero value is no address.
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

// parseAddress reads what names an interface by its address, wherever one is named: six
// bytes, also after the hardware type 01 of Ethernet as loaders write them, or any
// spelling of an InfiniBand identity, of which the GUID is returned.
func parseAddress(s string) (HardwareAddr, error) {
	bytes := s
	if len(s) == len("01-52-54-00-12-34-56") && (strings.HasPrefix(s, "01-") || strings.HasPrefix(s, "01:")) {
		bytes = s[3:]
	}
	if a, err := ParseHardwareAddr(bytes); err == nil {
		if a == zeroMAC {
			return "", errZero
		}
		return a, nil
	}
	a, err := ParsePort(s)
	switch {
	case errors.Is(err, errGUID):
		return "", errAddress
	case len(a) == 20:
		return a[12:], nil
	default:
		return a, err
	}
}

const zeroMAC = HardwareAddr("\x00\x00\x00\x00\x00\x00")

// resemblesAddress reports whether a text is meant as an address, be it a wrong one:
// something after 0x, or nothing but hexadecimal digits, as many as an address has, or
// in as many groups. Nobody calls an interface so; if such a word were the name of one,
// a node would wait for it forever.
func resemblesAddress(s string) bool {
	text := strings.ToLower(s)
	if strings.HasPrefix(text, "0x") {
		return true
	}
	separator := func(r rune) bool { return r == ':' || r == '-' }
	fields := strings.FieldsFunc(text, separator)
	if dots := strings.Split(text, "."); len(dots) == 3 && len(text) == len("5254.0012.3457") {
		fields = dots
	}
	digits := strings.Join(fields, "")
	if strings.Trim(digits, hexDigits) != "" || !strings.ContainsAny(digits, "0123456789") {
		return false
	}
	for _, f := range fields {
		if len(fields) > 1 && len(f) > 4 {
			return false
		}
	}
	return len(fields) > 3 || len(digits) >= len("525400123456")
}

// errName says of a name, which may be that of an interface, what is wrong with it;
// nil if nothing is.
func errName(s string) error {
	if _, err := parseAddress(s); err != nil && resemblesAddress(s) {
		return fmt.Errorf("looks like a hardware address and %w", err)
	}
	if !validDeviceName(s) {
		return errNoName
	}
	return nil
}

var (
	errAddress = errors.New("is neither an Ethernet address nor an InfiniBand identity")
	errNoName  = errors.New("is not an interface name")
)

// identifies tells whether the address is that of the device. Of InfiniBand
// ports any spelling of the identity is.
func (a HardwareAddr) identifies(d Device) bool {
	if d.Type != hwInfiniBand {
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
