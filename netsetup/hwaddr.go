package netsetup

import (
	"encoding/hex"
	"errors"
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

// parseAddress reads what names an interface by its address: six bytes, or any
// spelling of an InfiniBand identity, of which the GUID is returned.
func parseAddress(s string) (HardwareAddr, error) {
	if a, err := ParseHardwareAddr(s); err == nil {
		return a, nil
	}
	g, err := ParseGUID(s)
	if err != nil {
		return "", errors.New("is neither an Ethernet address nor an InfiniBand identity")
	}
	return HardwareAddr(g.b[:]), nil
}

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
