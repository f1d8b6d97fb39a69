package link

import (
	"math/bits"
	"net/netip"
)

// MinMTU6 is the least MTU of IPv6 (RFC 8200 section 5): with less the kernel removes IPv6 from
// the interface.
const MinMTU6 = 1280

// MinMTU is the least MTU of IPv4 hosts (RFC 791, RFC 2132 section 5.1).
const MinMTU = 68

// MaskBits returns the number of leading ones, if nothing but zeros follows.
func MaskBits(m [4]byte) (length int, ok bool) {
	v := uint32(m[0])<<24 | uint32(m[1])<<16 | uint32(m[2])<<8 | uint32(m[3])
	length = bits.LeadingZeros32(^v)
	return length, v<<length == 0
}

// UsualBits is the prefix length of an address that is given without one: by its class (RFC 791),
// as in the kernel; for IPv6 64 (RFC 4291 section 2.5.4).
func UsualBits(a netip.Addr) int {
	if a.Is6() {
		return 64
	}
	switch b := a.As4()[0]; {
	case b < 128:
		return 8
	case b < 192:
		return 16
	default:
		return 24
	}
}

// Usable reports whether a host can have the address.
func Usable(p netip.Prefix) bool {
	a := p.Addr()
	switch {
	case !p.IsValid() || p.Bits() == 0 || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast():
		return false
	case a.Is6():
		return !a.Is4In6()
	case a.As4()[0] == 0 || a.As4()[0] >= 240:
		return false
	}
	// RFC 3021: both addresses of a /31 are hosts.
	return p.Bits() >= 31 || (a != p.Masked().Addr() && a != broadcast(p))
}

// broadcast is the last address of a prefix of IPv4.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
