package ibft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// The structures of the table: everything is packed and little-endian, and
// offsets count from the beginning of the table (struct ibft_* of
// drivers/firmware/iscsi_ibft.c).
const (
	headerLen = 48 // of ACPI 36, and 12 reserved
	blockLen  = 6  // the head of each structure

	controlOffsets = blockLen + 2 // after the extensions

	idControl   = 1
	idInitiator = 2
	idNIC       = 3
	idTarget    = 4

	initiatorLen = 74
	nicLen       = 102
	targetLen    = 54
)

// Bits of the flags of a structure.
const (
	flagValid    = 1 << iota // in use
	flagSelected             // the firmware boots from it
)

// originDHCP is the origin of an address that a DHCP server gave
// (NL_PREFIX_ORIGIN of Windows).
const originDHCP = 3

// mostBlocks bounds the structures: the control structure has room for an
// initiator, two NICs and two targets, and may be longer.
const mostBlocks = 64

// Parse reads a whole table, with its ACPI header. An error says what is wrong, and with which
// structure; the content of a structure may still be nonsense.
func Parse(b []byte) (Table, error) {
	if len(b) < headerLen {
		return Table{}, fmt.Errorf("has %d bytes, less than a header", len(b))
	}
	if s := string(b[:4]); s != "iBFT" && s != "IBFT" {
		return Table{}, fmt.Errorf("begins with %q, not with iBFT", s)
	}
	length := binary.LittleEndian.Uint32(b[4:])
	if length < headerLen || uint64(length) > uint64(len(b)) {
		return Table{}, fmt.Errorf("has %d bytes and says that it has %d", len(b), length)
	}
	b = b[:length]
	sum := byte(0)
	for _, c := range b {
		sum += c
	}
	if sum != 0 {
		return Table{}, errors.New("has a wrong checksum")
	}
	control, _, err := block(b, headerLen, idControl, controlOffsets)
	if err != nil {
		return Table{}, err
	}
	var t Table
	offsets := control.raw[controlOffsets:]
	for i := 0; i+2 <= len(offsets) && i/2 < mostBlocks; i += 2 {
		at := int(binary.LittleEndian.Uint16(offsets[i:]))
		if at == 0 {
			continue
		}
		if err := t.add(b, at); err != nil {
			return Table{}, err
		}
	}
	return t, nil
}

// add takes the structure at an offset, if it is valid and one that is known.
func (t *Table) add(b []byte, at int) error {
	s, id, err := block(b, at, 0, blockLen)
	if err != nil || s.raw[5]&flagValid == 0 {
		return err
	}
	switch id {
	case idInitiator:
		if s, _, err = block(b, at, id, initiatorLen); err == nil {
			t.Initiator = s.text("name of the initiator", 70)
		}
	case idNIC:
		if s, _, err = block(b, at, id, nicLen); err == nil {
			t.NICs = append(t.NICs, s.nic())
		}
	case idTarget:
		if s, _, err = block(b, at, id, targetLen); err == nil {
			t.Targets = append(t.Targets, s.target())
		}
	}
	return errors.Join(err, s.err)
}

// A structure is one of the table; the first error stays.
type structure struct {
	table, raw []byte
	err        error
}

// block returns the structure at an offset, which must be of the given kind unless that is 0, and
// at least least bytes long.
func block(b []byte, at, id, least int) (s structure, is int, err error) {
	if at < headerLen || at+blockLen > len(b) {
		return s, 0, fmt.Errorf("has a structure at byte %d of %d", at, len(b))
	}
	is, length := int(b[at]), int(binary.LittleEndian.Uint16(b[at+2:]))
	switch {
	case id != 0 && is != id:
		return s, 0, fmt.Errorf("has a structure of kind %d at byte %d, not of kind %d", is, at, id)
	case length < least || at+length > len(b):
		return s, 0, fmt.Errorf("has a structure of kind %d with %d bytes at byte %d of %d, at least %d are needed",
			is, length, at, len(b), least)
	}
	return structure{table: b, raw: b[at : at+length]}, is, nil
}

func (s *structure) uint16(at int) int { return int(binary.LittleEndian.Uint16(s.raw[at:])) }

func (s *structure) addr(at int) [16]byte { return [16]byte(s.raw[at:]) }

// text is a text whose length and offset are at a given place of the structure. Some firmware
// counts the NUL after it.
func (s *structure) text(what string, at int) string {
	length, offset := s.uint16(at), s.uint16(at+2)
	if length == 0 {
		return ""
	}
	if offset < headerLen || offset+length > len(s.table) {
		if s.err == nil {
			s.err = fmt.Errorf("has the %s at byte %d of %d, with %d bytes", what, offset, len(s.table), length)
		}
		return ""
	}
	return strings.TrimRight(string(s.table[offset:offset+length]), "\x00")
}

// nic is struct ibft_nic: ip[16], prefix, origin, gateway[16], two DNS [16],
// DHCP [16], vlan u16, mac[6], PCI address u16, host name.
func (s *structure) nic() NIC {
	n := NIC{
		Index: int(s.raw[4]), Selected: s.raw[5]&flagSelected != 0,
		Addr: host(s.addr(6)), Bits: int(s.raw[22]), Gateway: host(s.addr(24)),
		VLAN: s.uint16(88), MAC: [6]byte(s.raw[90:]), Hostname: s.text("host name", 98),
	}
	n.DHCP = s.raw[23] == originDHCP || host(s.addr(72)).IsValid()
	for _, at := range []int{40, 56} {
		if a := host(s.addr(at)); a.IsValid() {
			n.DNS = append(n.DNS, a)
		}
	}
	return n
}

// target is struct ibft_tgt: ip[16], port u16, lun[8], CHAP, NIC, name, and name
// and secret of CHAP in both directions.
func (s *structure) target() Target {
	return Target{
		Index: int(s.raw[4]), Selected: s.raw[5]&flagSelected != 0,
		Addr: host(s.addr(6)), Port: uint16(s.uint16(22)), LUN: binary.BigEndian.Uint64(s.raw[24:]),
		CHAP: CHAP(s.raw[32]), NIC: int(s.raw[33]),
		Name: s.text("name of the target", 34), User: s.text("name of CHAP", 38),
	}
}
