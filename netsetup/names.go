package netsetup

import (
	"errors"
	"fmt"
	"strings"
)

// Names as they go over the wire: labels with their lengths before them (RFC
// 1035 section 3.1). The library's decoder gives a whole list up where one
// pointer leads to another, and golang.org/x/net/dns/dnsmessage reads names of
// whole DNS messages only.

// readName reads the name that begins at b[at], and returns where the next one
// does. Compressed names may end in pointers to what is before them (RFC 1035
// section 4.1.4), also one after the other; since each leads further back than
// the one before, that ends. A name that does not end with the root is taken as
// it is (RFC 4704 section 4.2).
func readName(b []byte, at int, compressed bool) (name string, next int, err error) {
	begin := at // of the part at hand
	for at < len(b) {
		n := int(b[at])
		switch {
		case n == 0:
			return name, max(next, at+1), nil
		case n >= 0xc0 && compressed && at+1 < len(b):
			to := n&0x3f<<8 | int(b[at+1])
			if to >= begin {
				return "", 0, fmt.Errorf("the pointer at byte %d leads to %d, which is not before it", at, to)
			}
			if next == 0 {
				next = at + 2
			}
			at, begin = to, to
			continue
		case n > 63:
			return "", 0, fmt.Errorf("byte %d is not the length of a label", at)
		case at+1+n > len(b):
			return "", 0, errors.New("a label is cut off")
		}
		if name != "" {
			name += "."
		}
		if name += string(b[at+1 : at+1+n]); len(name) > 253 {
			return "", 0, errors.New("a name is longer than 253 bytes")
		}
		at += 1 + n
	}
	return name, max(next, at), nil
}

// readNames reads a list of names up to the first that cannot be read, which is
// the error. Zeros between them fill up (RFC 8106 section 5.2).
func readNames(b []byte, compressed bool) (names []string, err error) {
	for at := 0; at < len(b); {
		name, next, err := readName(b, at, compressed)
		if err != nil {
			return names, err
		}
		if name != "" {
			names = append(names, name)
		}
		at = next
	}
	return names, nil
}

// parseNames appends names that are written as labels and never compressed (RFC
// 8415 section 10), up to the first that cannot be read. Those that no domain
// can have are left out.
func parseNames(names []string, b []byte) []string {
	more, _ := readNames(b, false)
	for _, name := range more {
		if validName(name) && len(names) < mostNames {
			names = append(names, name)
		}
	}
	return names
}

// labels6 writes a name as labels (RFC 8415 section 10), none for what is not a
// name. Without a dot it is only a part of one, and does not end with the root
// (RFC 4704 section 4.2).
func labels6(name string) string {
	if !validName(name) {
		return ""
	}
	var b strings.Builder
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		b.WriteString(string(rune(len(label))) + label) // at most 63
	}
	if strings.Contains(name, ".") {
		b.WriteByte(0)
	}
	return b.String()
}
