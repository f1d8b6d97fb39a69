// Package ibfttest writes tables as firmware does, for tests.
package ibfttest

import (
	"encoding/binary"
	"net/netip"

	"github.com/nodisk/nodisk/netsetup/ibft"
)

// HeaderLen is the length of the ACPI header, which QEMU's -acpitable data= writes
// itself.
const HeaderLen = 36

// Secret is the CHAP secret of every target that has one.
const Secret = "insecret12345"

// Write returns a table in the layout of the kernel's
// drivers/firmware/iscsi_ibft.c: the structures behind each other, then the
// texts.
func Write(t ibft.Table) []byte {
	const (
		control                                 = 48 // behind the header and 12 reserved bytes
		initiatorLen, nicLen, targetLen         = 74, 102, 54
		idControl, idInitiator, idNIC, idTarget = 1, 2, 3, 4
	)
	w := writer{}
	pairs := max(len(t.NICs), len(t.Targets), 2)
	controlLen := 6 + 2 + 2 + 4*pairs
	w.b = append(make([]byte, control), make([]byte, controlLen)...)
	w.head(control, idControl, controlLen, 0, 0)
	entry := control + 8
	next := func(present bool) {
		if present {
			binary.LittleEndian.PutUint16(w.b[entry:], uint16(len(w.b)))
		}
		entry += 2
	}
	const selected = 2
	flags := func(is bool) byte {
		if is {
			return 1 | selected
		}
		return 1
	}
	next(t.Initiator != "")
	if t.Initiator != "" {
		at := w.grow(initiatorLen)
		w.head(at, idInitiator, initiatorLen, 0, 1|selected)
		w.text(at+70, t.Initiator)
	}
	for i := range pairs {
		next(i < len(t.NICs))
		if i < len(t.NICs) {
			n := t.NICs[i]
			at := w.grow(nicLen)
			w.head(at, idNIC, nicLen, n.Index, flags(n.Selected))
			w.addr(at+6, n.Addr)
			w.b[at+22], w.b[at+23] = byte(n.Bits), 1
			if n.DHCP {
				w.b[at+23] = 3
			}
			w.addr(at+24, n.Gateway)
			for j, a := range n.DNS {
				w.addr(at+40+16*j, a)
			}
			binary.LittleEndian.PutUint16(w.b[at+88:], uint16(n.VLAN))
			copy(w.b[at+90:], n.MAC[:])
			w.text(at+98, n.Hostname)
		}
		next(i < len(t.Targets))
		if i < len(t.Targets) {
			g := t.Targets[i]
			at := w.grow(targetLen)
			w.head(at, idTarget, targetLen, g.Index, flags(g.Selected))
			w.addr(at+6, g.Addr)
			binary.LittleEndian.PutUint16(w.b[at+22:], g.Port)
			binary.BigEndian.PutUint64(w.b[at+24:], g.LUN)
			w.b[at+32], w.b[at+33] = byte(g.CHAP), byte(g.NIC)
			w.text(at+34, g.Name)
			w.text(at+38, g.User)
			if g.CHAP != ibft.CHAPNone {
				w.text(at+42, Secret)
			}
		}
	}
	return w.finish()
}

type writer struct {
	b     []byte
	texts []struct {
		at   int
		text string
	}
}

func (w *writer) grow(n int) (at int) {
	at = len(w.b)
	w.b = append(w.b, make([]byte, n)...)
	return at
}

func (w *writer) head(at, id, length, index int, flags byte) {
	w.b[at], w.b[at+1] = byte(id), 1
	binary.LittleEndian.PutUint16(w.b[at+2:], uint16(length))
	w.b[at+4], w.b[at+5] = byte(index), flags
}

// addr writes IPv4 as ::ffff:10.0.0.1.
func (w *writer) addr(at int, a netip.Addr) {
	if a.IsValid() {
		raw := a.As16()
		copy(w.b[at:], raw[:])
	}
}

// text has a text written behind the structures, and its place at at.
func (w *writer) text(at int, text string) {
	w.texts = append(w.texts, struct {
		at   int
		text string
	}{at, text})
}

func (w *writer) finish() []byte {
	for _, t := range w.texts {
		if t.text == "" {
			continue
		}
		binary.LittleEndian.PutUint16(w.b[t.at:], uint16(len(t.text)))
		binary.LittleEndian.PutUint16(w.b[t.at+2:], uint16(len(w.b)))
		w.b = append(append(w.b, t.text...), 0)
	}
	// The kernel's module takes only structures that begin 48 bytes before the end.
	w.b = append(w.b, make([]byte, 48)...)
	Seal(w.b)
	return w.b
}

// Seal writes signature, length, revision and checksum of a table.
func Seal(b []byte) {
	copy(b, "iBFT")
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	const revision, checksum = 8, 9
	b[revision], b[checksum] = 1, 0
	sum := byte(0)
	for _, c := range b {
		sum += c
	}
	b[checksum] = -sum
}
