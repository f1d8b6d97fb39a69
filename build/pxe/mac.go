package pxe

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/nodisk/nodisk/netsetup/link"
)

// ParseMAC reads the address of an Ethernet port in any of the spellings that
// switches, firmware and operating systems print, upper case or lower:
//
//	52:54:00:12:34:57  52-54-00-12-34-57  52 54 00 12 34 57   bytes
//	0:25:90:1:2:3                                             bytes, of Solaris and BSD
//	5254.0012.3457  5254-0012-3457  5254:0012:3457            Cisco, Huawei
//	525400-123457  525400:123457                              HP
//	525400123457  0x525400123457                              bare
//
// Errors say what the text is instead.
func ParseMAC(s string) (link.HardwareAddr, error) {
	digits := strings.ToLower(strings.TrimSpace(s))
	bare := strings.TrimPrefix(digits, "0x")
	fields := strings.FieldsFunc(bare, func(c rune) bool { return strings.ContainsRune(":-. ", c) })
	separators := strings.Map(func(c rune) rune {
		if strings.ContainsRune(":-. ", c) {
			return c
		}
		return -1
	}, bare)
	switch {
	case strings.Trim(separators, separators[:min(1, len(separators))]) != "" ||
		len(separators) != max(len(fields)-1, 0):
		return "", errors.New("has separators that do not match")
	case strings.Trim(strings.Join(fields, ""), "0123456789abcdef") != "":
		return "", errors.New("is not of hexadecimal digits")
	}
	for i, f := range fields {
		// Only bytes may lack their leading zero.
		if len(fields) == 6 && len(f) == 1 {
			fields[i] = "0" + f
		}
		if len(fields[i]) != len(fields[0]) {
			return "", errors.New("has groups that are not equally long")
		}
	}
	b, err := hex.DecodeString(strings.Join(fields, ""))
	switch {
	case err == nil && len(b) == 6:
		return link.HardwareAddr(b), nil
	case err == nil && len(b) == 8:
		return "", errors.New("has eight bytes: that is an EUI-64, or the GUID of an InfiniBand port")
	case err == nil && len(b) == 20:
		return "", errors.New("has twenty bytes: that is an InfiniBand port")
	}
	return "", fmt.Errorf("is not six bytes")
}

// port refuses addresses that no port has: those of groups, and zeros.
func port(a link.HardwareAddr) error {
	if a[0]&1 != 0 || strings.Trim(string(a), "\x00") == "" {
		return errors.New("is not the address of a port")
	}
	return nil
}
