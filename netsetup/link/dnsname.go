package link

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Host6 reports whether a node can have the address.
func Host6(a netip.Addr) bool {
	return Usable(netip.PrefixFrom(a, 128)) && !a.IsLinkLocalUnicast()
}

// Addrs6 appends those addresses of a list that a server can have.
func Addrs6(all []netip.Addr, v []byte) []netip.Addr {
	for ; len(v) >= 16; v = v[16:] {
		if a := netip.AddrFrom16([16]byte(v)); Serves(a) && len(all) < MostNames {
			all = append(all, a)
		}
	}
	return all
}

// ValidName takes the name of a host or a domain: labels of 1 to 63 letters, digits and hyphens,
// neither first nor last a hyphen, at most 253 bytes in all. Underscores, which the RFC does not
// have but networks do, are accepted as well, and so is a dot at the end.
func ValidName(s string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			letter := (c|0x20) >= 'a' && (c|0x20) <= 'z'
			if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return len(s) <= 253
}

// Serves reports whether a server can have the address: one of a host, of which
// the network is not known.
func Serves(a netip.Addr) bool {
	return Usable(netip.PrefixFrom(a, a.BitLen()))
}

// MostNames bounds the servers and the search domains that are taken of one list. Resolvers use
// three servers (resolv.conf(5)); compression makes many names out of few bytes.
const MostNames = 16

// readName reads the name that begins at b[at], and returns where the next one does. Compressed
// names may end in pointers to earlier ones (RFC 1035 section 4.1.4), also in chains; since each
// leads further back than the one before, these end. A name that does not end with the root is
// taken as it is (RFC 4704 section 4.2).
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

// ReadNames reads a list of names up to the first that cannot be read, which is the error. Zeros
// between them are padding (RFC 8106 section 5.2).
func ReadNames(b []byte, compressed bool) (names []string, err error) {
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

// ParseNames appends names that are written as labels and never compressed (RFC
// 8415 section 10), up to the first that cannot be read. Those that no domain
// can have are left out.
func ParseNames(names []string, b []byte) []string {
	more, _ := ReadNames(b, false)
	for _, name := range more {
		if ValidName(name) && len(names) < MostNames {
			names = append(names, name)
		}
	}
	return names
}

// Labels6 writes a name as labels (RFC 8415 section 10), none for what is not a
// name. Without a dot it is only a part of one, and does not end with the root
// (RFC 4704 section 4.2).
func Labels6(name string) string {
	if !ValidName(name) {
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
