package lease

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Lengths in bytes, without options (RFC 791, RFC 768), and numbers.
const (
	IPHeaderLen  = 20
	UDPHeaderLen = 8
	ProtocolUDP  = 17
	ServerPort   = 67
	ClientPort   = 68
)

// AppendUDP appends an IPv4 packet with a UDP datagram, both checksums set
// (RFC 791, RFC 768).
func AppendUDP(b []byte, src, dst netip.AddrPort, payload []byte) []byte {
	at := len(b)
	length := IPHeaderLen + UDPHeaderLen + len(payload)
	b = append(b, 0x45, 0) // version 4, five words; type of service
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, 0, 0, 0x40, 0, // identification, don't fragment
		64, ProtocolUDP, // time to live
		0, 0) // checksum
	s, d := src.Addr().As4(), dst.Addr().As4()
	b = append(b, s[:]...)
	b = append(b, d[:]...)
	binary.BigEndian.PutUint16(b[at+10:], Checksum(0, b[at:]))

	udp := len(b)
	b = binary.BigEndian.AppendUint16(b, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(length-IPHeaderLen))
	b = append(b, 0, 0)
	b = append(b, payload...)
	sum := Checksum(pseudoHeader(b[at:], length-IPHeaderLen), b[udp:])
	if sum == 0 {
		sum = 0xffff // zero would say that there is none
	}
	binary.BigEndian.PutUint16(b[udp+6:], sum)
	return b
}

// ParseUDP takes a datagram out of an IPv4 packet. sumReady says that the UDP checksum is
// complete: a packet of a virtual machine on the same host, or of this host, has only the part
// over the pseudo header.
func ParseUDP(p []byte, sumReady bool) (src, dst netip.AddrPort, payload []byte, err error) {
	fail := func(s string) (netip.AddrPort, netip.AddrPort, []byte, error) {
		return netip.AddrPort{}, netip.AddrPort{}, nil, errors.New(s)
	}
	if len(p) < IPHeaderLen || p[0]>>4 != 4 {
		return fail("not an IPv4 packet")
	}
	header, total := int(p[0]&15)*4, int(binary.BigEndian.Uint16(p[2:]))
	if header < IPHeaderLen || total > len(p) || total < header+UDPHeaderLen {
		return fail("IPv4 packet cut short")
	}
	p = p[:total] // Ethernet pads to 60 bytes
	switch {
	case Checksum(0, p[:header]) != 0:
		return fail("IPv4 header checksum is wrong")
	case p[9] != ProtocolUDP:
		return fail("not UDP")
	case binary.BigEndian.Uint16(p[6:])&0x3fff != 0:
		return fail("fragment")
	}
	udp := p[header:]
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if length < UDPHeaderLen || length > len(udp) {
		return fail("UDP datagram cut short")
	}
	udp = udp[:length]
	if sumReady && binary.BigEndian.Uint16(udp[6:]) != 0 && Checksum(pseudoHeader(p, length), udp) != 0 {
		return fail("UDP checksum is wrong")
	}
	src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(p[12:16])), binary.BigEndian.Uint16(udp))
	dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(p[16:20])), binary.BigEndian.Uint16(udp[2:]))
	return src, dst, udp[UDPHeaderLen:], nil
}

// pseudoHeader sums what RFC 768 puts before the datagram.
func pseudoHeader(ip []byte, length int) uint32 {
	sum := uint32(ProtocolUDP) + uint32(length)
	for i := 12; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	return sum
}

// Checksum is the Internet checksum (RFC 1071) over b and what is in sum.
func Checksum(sum uint32, b []byte) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
