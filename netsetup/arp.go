package netsetup

import (
	"encoding/binary"
	"net/netip"
)

// Operations of ARP (RFC 826) and RARP (RFC 903).
const (
	arpRequest  = 1
	arpReply    = 2
	rarpRequest = 3
	rarpReply   = 4
)

// An arpPacket is one of ARP or RARP for IPv4.
type arpPacket struct {
	hwType uint16 // hwEthernet or hwInfiniBand
	op     uint16
	// sender and target are hardware addresses of 6 or 20 bytes, as the type
	// wants (RFC 4391 section 9.1.1 has that of InfiniBand). The target may be
	// left out when a packet is made.
	sender, target     HardwareAddr
	senderIP, targetIP netip.Addr // invalid is 0.0.0.0
}

const (
	arpHeaderLen  = 8
	arpTypeIPv4   = 0x0800
	ethernetLen   = 6
	infiniBandLen = 20
)

// arpAddrLen is the length of a hardware address in ARP, 0 for a link that
// has none or another.
func arpAddrLen(hwType uint16) int {
	switch hwType {
	case hwEthernet:
		return ethernetLen
	case hwInfiniBand:
		return infiniBandLen
	default:
		return 0
	}
}

// probe tells whether it asks who has an address, without saying that the
// sender does (RFC 5227 section 1.1).
func (a *arpPacket) probe() bool { return a.op == arpRequest && !a.senderIP.IsValid() }

// bytes is the packet without a link-layer header: type and length of the
// hardware address, the same of IPv4, operation, sender, target.
func (a *arpPacket) bytes() []byte {
	n := arpAddrLen(a.hwType)
	b := make([]byte, arpHeaderLen+2*(n+4))
	binary.BigEndian.PutUint16(b, a.hwType)
	binary.BigEndian.PutUint16(b[2:], arpTypeIPv4)
	b[4], b[5] = byte(n), 4
	binary.BigEndian.PutUint16(b[6:], a.op)
	copy(b[arpHeaderLen:arpHeaderLen+n], a.sender)
	copy(b[arpHeaderLen+n:], a.senderIP.AsSlice())
	copy(b[arpHeaderLen+n+4:arpHeaderLen+2*n+4], a.target)
	copy(b[arpHeaderLen+2*n+4:], a.targetIP.AsSlice())
	return b
}

// parseARP reads a packet of a link of that type; Ethernet pads it. It tells
// whether it is one.
func parseARP(b []byte, hwType uint16) (a arpPacket, ok bool) {
	n := arpAddrLen(hwType)
	if n == 0 || len(b) < arpHeaderLen+2*(n+4) || binary.BigEndian.Uint16(b) != hwType ||
		binary.BigEndian.Uint16(b[2:]) != arpTypeIPv4 || int(b[4]) != n || b[5] != 4 {
		return arpPacket{}, false
	}
	a = arpPacket{hwType: hwType, op: binary.BigEndian.Uint16(b[6:])}
	b = b[arpHeaderLen:]
	a.sender, a.senderIP = HardwareAddr(b[:n]), arpIP(b[n:])
	a.target, a.targetIP = HardwareAddr(b[n+4:2*n+4]), arpIP(b[2*n+4:])
	return a, true
}

func arpIP(b []byte) netip.Addr {
	if a := netip.AddrFrom4([4]byte(b)); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}
