package wol

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/nodisk/nodisk/netsetup/link"
)

// etherType is that of wake-on-LAN frames.
const etherType = 0x0842

// A Target is a machine to wake.
type Target struct {
	Name     string
	MAC      link.HardwareAddr // six bytes
	Password []byte            // of SecureOn, 4 or 6 bytes; empty for none
	To       netip.AddrPort    // of UDP: a broadcast address; Ethernet ignores it
}

// broadcast is the Ethernet address of all stations.
func broadcast() []byte { return bytes.Repeat([]byte{0xff}, 6) }

// Packet is the magic packet: 102 bytes, and the password.
func (t Target) Packet() []byte {
	b := append(broadcast(), bytes.Repeat([]byte(t.MAC), 16)...)
	return append(b, t.Password...)
}

// frame is the Ethernet frame with the magic packet. It goes to all stations: a
// switch has forgotten the port of a machine that is off.
func (t Target) frame(source link.HardwareAddr) []byte {
	b := append(broadcast(), source...)
	b = binary.BigEndian.AppendUint16(b, etherType)
	return append(b, t.Packet()...)
}
