package acpi

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// A SoftOff is how an ACPI machine is switched off by its registers: SLP_TYP and
// SLP_EN into the PM1 control registers (ACPI specification, 4.8.4.2.1 and 16.1.7).
type SoftOff struct {
	Ports  []uint16 // PM1a_CNT and, if there is one, PM1b_CNT
	Values []uint16 // for each
}

// Offsets in the FADT (ACPI specification, table 5.9).
const (
	fadtPM1a     = 64
	fadtPM1b     = 68
	fadtFlags    = 112
	fadtReduced  = 1 << 20 // HW_REDUCED_ACPI: there are no such registers
	fadtShortest = 116
)

// ParseSoftOff reads the FADT for the registers, and the DSDT for the values.
func ParseSoftOff(fadt, dsdt []byte) (SoftOff, error) {
	if len(fadt) < fadtShortest || string(fadt[:4]) != "FACP" {
		return SoftOff{}, errors.New("read ACPI's FADT: it is not one")
	}
	if binary.LittleEndian.Uint32(fadt[fadtFlags:])&fadtReduced != 0 {
		return SoftOff{}, errors.New("read ACPI's FADT: the machine has no PM1 registers")
	}
	types, err := parseS5(dsdt)
	if err != nil {
		return SoftOff{}, err
	}
	var off SoftOff
	for i, at := range []int{fadtPM1a, fadtPM1b} {
		port := binary.LittleEndian.Uint32(fadt[at:])
		if port == 0 || port >= 1<<16-1 {
			continue
		}
		// SCI_EN is bit 0, SLP_TYP bits 10 to 12, SLP_EN bit 13.
		off.Ports = append(off.Ports, uint16(port))
		off.Values = append(off.Values, 1|uint16(types[i])<<10|1<<13)
	}
	if off.Ports == nil {
		return SoftOff{}, errors.New("read ACPI's FADT: the machine has no PM1 registers")
	}
	return off, nil
}

// parseS5 finds the package \_S5 in AML, which holds SLP_TYPa and SLP_TYPb (ACPI specification,
// 7.4.2 and 20.2): NameOp, the name, PackageOp, its length in one to four
// bytes, the number of elements, elements.
func parseS5(aml []byte) (types [2]byte, err error) {
	const nameOp, zeroOp, oneOp, bytePrefix = 0x08, 0x00, 0x01, 0x0a
	rest := aml
	for {
		_, behind, ok := bytes.Cut(rest, []byte("_S5_\x12"))
		if !ok {
			return types, errors.New(`read ACPI's DSDT: it has no \_S5`)
		}
		before := aml[:len(aml)-len(behind)-len("_S5_\x12")]
		rest = behind
		before = bytes.TrimSuffix(before, []byte(`\`))
		if len(before) == 0 || before[len(before)-1] != nameOp || len(behind) < 2 {
			continue
		}
		lead := int(behind[0] >> 6)
		body := behind[1:]
		if len(body) < lead+1 || body[lead] < 2 {
			continue
		}
		body = body[lead+1:]
		found := 0
		for found < len(types) && len(body) > 0 {
			op := body[0]
			body = body[1:]
			switch {
			case op == zeroOp || op == oneOp:
				types[found] = op
			case op == bytePrefix && len(body) > 0:
				types[found] = body[0] & 7
				body = body[1:]
			default:
				body = nil
				continue
			}
			found++
		}
		if found == len(types) {
			return types, nil
		}
	}
}
