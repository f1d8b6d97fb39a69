package integration

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// renewalOf reads a frame of softib's as far as it is a DHCP message from an address
// that the client has: the REQUEST by which it prolongs its lease. unicast is how the
// link carries it: to the queue pair of one node, and not to the broadcast group.
//
// The headers are those of the InfiniBand specification, volume 1, chapters 7 to 9:
// LRH, GRH if its LNH says so, BTH, DETH; then IPoIB's own (RFC 4391 section 6), IPv4
// and UDP.
func renewalOf(frame []byte) (client netip.Addr, unicast, ok bool) {
	const (
		lrh, grh, bth, deth, ipoib, udp = 8, 40, 12, 8, 4, 8
		bootRequest                     = 1
		ciaddr                          = 12
	)
	at := lrh
	switch {
	case len(frame) < lrh+grh+bth:
		return netip.Addr{}, false, false
	case frame[1]&3 == 3:
		at += grh
	}
	unicast = binary.BigEndian.Uint32(frame[at+4:])&0xffffff != 0xffffff
	at += bth + deth
	if len(frame) < at+ipoib+20 || binary.BigEndian.Uint16(frame[at:]) != 0x0800 || frame[at+ipoib+9] != 17 {
		return netip.Addr{}, false, false
	}
	at += ipoib + int(frame[at+ipoib]&15)*4
	if len(frame) < at+udp+ciaddr+4 || binary.BigEndian.Uint16(frame[at+2:]) != 67 || frame[at+udp] != bootRequest {
		return netip.Addr{}, false, false
	}
	client = netip.AddrFrom4([4]byte(frame[at+udp+ciaddr:]))
	return client, unicast, !client.IsUnspecified()
}

func TestRenewalOf(t *testing.T) {
	frame := func(global bool, qpn uint32, kind uint16, port uint16, client string) []byte {
		b := make([]byte, 8)
		b[1] = 2
		if global {
			b[1] = 3
			b = append(b, make([]byte, 40)...)
		}
		b = append(b, 0x64, 0, 0xff, 0xff)
		b = binary.BigEndian.AppendUint32(b, qpn)
		b = append(b, make([]byte, 4+8)...)
		b = binary.BigEndian.AppendUint16(b, kind)
		b = append(b, 0, 0, 0x45)
		b = append(b, make([]byte, 8)...)
		b = append(b, 17)
		b = append(b, make([]byte, 10)...)
		b = binary.BigEndian.AppendUint16(b, 68)
		b = binary.BigEndian.AppendUint16(b, port)
		b = append(b, 0, 0, 0, 0, 1, 32, 20, 0)
		b = append(b, make([]byte, 8)...)
		b = append(b, netip.MustParseAddr(client).AsSlice()...)
		return append(b, make([]byte, 40)...)
	}
	for name, tt := range map[string]struct {
		frame       []byte
		unicast, ok bool
	}{
		"to the server":       {frame(false, 0x47, 0x0800, 67, "10.77.0.5"), true, true},
		"to it, with a GRH":   {frame(true, 0x47, 0x0800, 67, "10.77.0.5"), true, true},
		"to everybody":        {frame(true, 0xffffff, 0x0800, 67, "10.77.0.5"), false, true},
		"without an address":  {frame(true, 0xffffff, 0x0800, 67, "0.0.0.0"), false, false},
		"to the client":       {frame(false, 0x47, 0x0800, 68, "10.77.0.5"), true, false},
		"ARP":                 {frame(false, 0x47, 0x0806, 67, "10.77.0.5"), true, false},
		"nothing":             {nil, false, false},
		"cut off in the UDP":  {frame(true, 0x47, 0x0800, 67, "10.77.0.5")[:98], true, false},
		"cut off in the IPv4": {frame(true, 0x47, 0x0800, 67, "10.77.0.5")[:80], true, false},
	} {
		client, unicast, ok := renewalOf(tt.frame)
		if ok != tt.ok || ok && (unicast != tt.unicast || client != netip.MustParseAddr("10.77.0.5")) {
			t.Errorf("%s: %v, %v, %v", name, client, unicast, ok)
		}
	}
}
