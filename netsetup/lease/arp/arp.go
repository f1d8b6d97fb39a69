package arp

import (
	"encoding/binary"
	"net/netip"

	"github.com/nodisk/nodisk/netsetup/link"
)

// Operations of ARP (RFC 826) and RARP (RFC 903).
const (
	Request     = 1
	Reply       = 2
	RARPRequest = 3
	RARPReply   = 4
)

// A Packet is an ARP or RARP packet for IPv4. github.com/mdlayher/arp has had no release and
// no change since 2022, and does not support RARP.
type Packet struct {
	HwType uint16 // link.HwEthernet or link.HwInfiniBand
	Op     uint16
	// Sender and target are hardware addresses of 6 or 20 bytes, as the type
	// wants (RFC 4391 section 9.1.1 has that of InfiniBand). The target may be
	// left out when a packet is made.
	Sender, Target     link.HardwareAddr
	SenderIP, TargetIP netip.Addr // invalid is 0.0.0.0
}

const (
	headerLen     = 8
	typeIPv4      = 0x0800
	ethernetLen   = 6
	infiniBandLen = 20
)

// AddrLen is the length of a hardware address in ARP, 0 for a link that
// has none or another.
func AddrLen(hwType uint16) int {
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
func (a *Packet) Probe() bool { return a.Op == Request && !a.SenderIP.IsValid() }

// Bytes is the packet without a link-layer header: type and length of the
// hardware address, the same of IPv4, operation, sender, target.
func (a *Packet) Bytes() []byte {
	n := AddrLen(a.HwType)
	b := make([]byte, headerLen+2*(n+4))
	binary.BigEndian.PutUint16(b, a.HwType)
	binary.BigEndian.PutUint16(b[2:], typeIPv4)
	b[4], b[5] = byte(n), 4
	binary.BigEndian.PutUint16(b[6:], a.Op)
	copy(b[headerLen:headerLen+n], a.Sender)
	copy(b[headerLen+n:], a.SenderIP.AsSlice())
	copy(b[headerLen+n+4:headerLen+2*n+4], a.Target)
	copy(b[headerLen+2*n+4:], a.TargetIP.AsSlice())
	return b
}

// Parse reads a packet of a link of that type; Ethernet pads it. It reports whether it is one.
func Parse(b []byte, hwType uint16) (a Packet, ok bool) {
	n := AddrLen(hwType)
	if n == 0 || len(b) < headerLen+2*(n+4) || binary.BigEndian.Uint16(b) != hwType ||
		binary.BigEndian.Uint16(b[2:]) != typeIPv4 || int(b[4]) != n || b[5] != 4 {
		return Packet{}, false
	}
	a = Packet{HwType: hwType, Op: binary.BigEndian.Uint16(b[6:])}
	b = b[headerLen:]
	a.Sender, a.SenderIP = link.HardwareAddr(b[:n]), ipv4(b[n:])
	a.Target, a.TargetIP = link.HardwareAddr(b[n+4:2*n+4]), ipv4(b[2*n+4:])
	return a, true
}

func ipv4(b []byte) netip.Addr {
	if a := netip.AddrFrom4([4]byte(b)); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}
