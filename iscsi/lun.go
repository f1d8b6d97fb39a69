package iscsi

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A LUN is the eight-byte logical unit number of SAM-5 section 4.7 as a
// big-endian integer: LUN 1 is 0x0001000000000000.
type LUN uint64

// SimpleLUN is the LUN that tools call by a small number (peripheral device
// addressing, SAM-5 section 4.7.7.2).
func SimpleLUN(n uint8) LUN {
	return LUN(n) << 48
}

// ParseLUN reads the form of RFC 4173 section 5: up to four groups of up to
// four hexadecimal digits separated by "-", leading zeros of a group and
// trailing zero groups left out. Empty is LUN 0.
func ParseLUN(s string) (LUN, error) {
	if s == "" {
		return 0, nil
	}
	groups := strings.Split(s, "-")
	if len(groups) > 4 {
		return 0, errors.New("more than four groups")
	}
	var l LUN
	for i, g := range groups {
		if g == "" || len(g) > 4 {
			return 0, fmt.Errorf("group %q is not one to four hexadecimal digits", g)
		}
		n, err := strconv.ParseUint(g, 16, 16)
		if err != nil {
			return 0, fmt.Errorf("group %q is not hexadecimal", g)
		}
		l |= LUN(n) << (48 - 16*i)
	}
	return l, nil
}

// String is the shortest form that ParseLUN reads.
func (l LUN) String() string {
	b := strconv.AppendUint(nil, uint64(l>>48), 16)
	for l <<= 16; l != 0; l <<= 16 {
		b = strconv.AppendUint(append(b, '-'), uint64(l>>48), 16)
	}
	return string(b)
}

// Kernel is the number Linux prints and reads for the LUN: the groups in
// reverse order of weight (scsilun_to_int in drivers/scsi/scsi_common.c).
func (l LUN) Kernel() uint64 {
	return uint64(l>>48 | l>>16&0xffff0000 | l<<16&0xffff00000000 | l<<48)
}

// lunFromKernel undoes Kernel; the permutation is its own inverse.
func lunFromKernel(n uint64) LUN {
	return LUN(LUN(n).Kernel())
}
