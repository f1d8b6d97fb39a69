package link

import (
	"encoding/binary"
	"strconv"
)

// Connected is the IPoIB transport of reliable connections, with an MTU of up
// to 65520 bytes. The other is datagram.
const Connected = "connected"

// A Child is the interface of a second partition on an InfiniBand port:
// ib.pkey=parent.pkey. Its name is the argument itself.
type Child struct {
	Name, Parent string
	// PKey is the partition with the membership bit 0x8000 set, as IPoIB
	// always has it.
	PKey uint16
}

// A PortSelector is nodisk.ib.port=: which InfiniBand ports are candidates.
// The zero value takes all.
type PortSelector struct {
	HCA    string       // mlx4_0, empty for any
	Number int          // from 1, 0 for any
	GUID   HardwareAddr // of the port, empty for any
}

// String writes the selector as on the command line.
func (s PortSelector) String() string {
	switch {
	case s.GUID != "":
		return Dashed(s.GUID)
	case s.Number == 0:
		return s.HCA
	case s.HCA == "":
		return strconv.Itoa(s.Number)
	default:
		return s.HCA + ":" + strconv.Itoa(s.Number)
	}
}

// Selects reports whether a port is among those of the selector.
func (s PortSelector) Selects(d Device) bool {
	return (s.HCA == "" || s.HCA == d.HCA) && (s.Number == 0 || s.Number == d.Port) &&
		(s.GUID == "" || s.GUID.Identifies(d))
}

// FullMember is the membership bit of a P_Key.
const FullMember = 0x8000

// PKey returns the partition of an IPoIB interface, which its broadcast address
// holds (RFC 4391 section 4: 00:ff:ff:ff:ff:12:40:1b and then the P_Key), 0 if it is none.
func (d Device) PKey() uint16 {
	if d.Type != HwInfiniBand || len(d.Broadcast) != 20 {
		return 0
	}
	return binary.BigEndian.Uint16([]byte(d.Broadcast[8:10]))
}

// Dashed writes an address with dashes, as BOOTIF= has it: colons separate the fields of ip=.
func Dashed(a HardwareAddr) string { return PortMatch{Addr: a}.String() }
