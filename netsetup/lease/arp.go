package lease

import (
	"encoding/binary"
	"net/netip"

	"github.com/nodisk/nodisk/netsetup/link"
)

// Operations of ARP (RFC 826) and RARP (RFC 903).
const (
	ARPRequest  = 1
	ARPReply    = 2
	RARPRequest = 3
	RARPReply   = 4
)

// An ARPPacket is an ARP or RARP packet for IPv4. github.com/mdlayher/arp has had no release and
// no change since 2022, and does not support RARP.
type ARPPacket struct {
	HwType uint16 // hwEthernet or hwInfiniBand
	Op     uint16
	// Sender and target are hardware addresses of 6 or 20 bytes, as the type
	// wants (RFC 4391 section 9.1.1 has that of InfiniBand). The target may be
	// left out when a packet is made.
	Sender, Target     link.HardwareAddr
	SenderIP, TargetIP netip.Addr // invalid is 0.0.0.0
}

const (
	arpHeaderLen  = 8
	arpTypeIPv4   = 0x0800
	ethernetLen   = 6
	infiniBandLen = 20
)

// ARPAddrLen is the length of a hardware address in ARP, 0 for a link that
// has none or another.
func ARPAddrLen(hwType uint16) int {
	switch hwType {
	case link.HwEthernet:
		return ethernetLen
	case link.HwInfiniBand:
		return infiniBandLen
	default:
		return 0
	}
}

// Probe reports whether it asks who has an address, without saying that the
// sender does (RFC 5227 section 1.1).
func (a *ARPPacket) Probe() bool { return a.Op == ARPRequest && !a.SenderIP.IsValid() }

// Bytes is the packet without a link-layer header: type and length of the
// hardware address, the same of IPv4, operation, sender, target.
func (a *ARPPacket) Bytes() []byte {
	n := ARPAddrLen(a.HwType)
	b := make([]byte, arpHeaderLen+2*(n+4))
	binary.BigEndian.PutUint16(b, a.HwType)
	binary.BigEndian.PutUint16(b[2:], arpTypeIPv4)
	b[4], b[5] = byte(n), 4
	binary.BigEndian.PutUint16(b[6:], a.Op)
	copy(b[arpHeaderLen:arpHeaderLen+n], a.Sender)
	copy(b[arpHeaderLen+n:], a.SenderIP.AsSlice())
	copy(b[arpHeaderLen+n+4:arpHeaderLen+2*n+4], a.Target)
	copy(b[arpHeaderLen+2*n+4:], a.TargetIP.AsSlice())
	return b
}

// ParseARP reads a packet of a link of that type; Ethernet pads it. It reports whether it is one.
func ParseARP(b []byte, hwType uint16) (a ARPPacket, ok bool) {
	n := ARPAddrLen(hwType)
	if n == 0 || len(b) < arpHeaderLen+2*(n+4) || binary.BigEndian.Uint16(b) != hwType ||
		binary.BigEndian.Uint16(b[2:]) != arpTypeIPv4 || int(b[4]) != n || b[5] != 4 {
		return ARPPacket{}, false
	}
	a = ARPPacket{HwType: hwType, Op: binary.BigEndian.Uint16(b[6:])}
	b = b[arpHeaderLen:]
	a.Sender, a.SenderIP = link.HardwareAddr(b[:n]), arpIP(b[n:])
	a.Target, a.TargetIP = link.HardwareAddr(b[n+4:2*n+4]), arpIP(b[2*n+4:])
	return a, true
}

func arpIP(b []byte) netip.Addr {
	if a := netip.AddrFrom4([4]byte(b)); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}
