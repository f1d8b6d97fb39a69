package iscsi

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// A textKey is one key=value pair of a login or text PDU.
type textKey struct{ key, value string }

const (
	maxKey  = 63  // RFC 7143 section 6.1
	maxKeys = 256 // of one exchange; a login has about 25
)

// appendText writes pairs as RFC 7143 section 6.1 wants them, each ended by NUL.
func appendText(b []byte, keys []textKey) []byte {
	for _, k := range keys {
		b = append(b, k.key...)
		b = append(b, '=')
		b = append(b, k.value...)
		b = append(b, 0)
	}
	return b
}

// parseText reads what appendText writes. Empty pairs (padding that a target
// counted as data) and a missing last NUL are forgiven.
func parseText(data []byte) ([]textKey, error) {
	var keys []textKey
	for len(data) > 0 {
		var pair []byte
		pair, data, _ = bytes.Cut(data, []byte{0})
		if len(pair) == 0 {
			continue
		}
		key, value, ok := strings.Cut(string(pair), "=")
		switch {
		case !ok:
			return nil, fmt.Errorf("text %q is not key=value", clip(key))
		case key == "" || len(key) > maxKey || strings.ContainsFunc(key, badKeyRune):
			return nil, fmt.Errorf("text key %q is not a key", clip(key))
		case len(keys) == maxKeys:
			return nil, fmt.Errorf("more than %d text keys", maxKeys)
		}
		keys = append(keys, textKey{key, value})
	}
	return keys, nil
}

func badKeyRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-+@_", r)
}

func clip(s string) string {
	return s[:min(len(s), maxKey)]
}

// parseNumber reads a numerical value, decimal or 0x hexadecimal (RFC 7143
// section 6.1), within the range of its key.
func parseNumber(s string, low, high uint32) (uint32, error) {
	digits, base := s, 10
	if rest, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		digits, base = rest, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", clip(s))
	}
	if uint32(n) < low || uint32(n) > high {
		return 0, fmt.Errorf("%d is not within %d and %d", n, low, high)
	}
	return uint32(n), nil
}

func parseYesNo(s string) (bool, error) {
	switch s {
	case "Yes":
		return true, nil
	case "No":
		return false, nil
	default:
		return false, fmt.Errorf("%q is neither Yes nor No", clip(s))
	}
}

func yesNo(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}
