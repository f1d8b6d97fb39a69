package netsetup

import (
	"encoding/hex"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/init/cmdline"
)

// minMTU is the least MTU of IPv4 hosts (RFC 791, RFC 2132 section 5.1).
const minMTU = 68

// problems collects what is wrong with the command line.
type problems struct {
	errs []error
}

func (p *problems) add(key, value, problem, fix string) {
	p.errs = append(p.errs, &cmdline.ValueError{Key: key, Value: value, Problem: problem, Fix: fix})
}

func (p *problems) bad(a cmdline.Arg, problem, fix string) {
	p.add(a.Key, a.Value, problem, fix)
}

func (p *problems) flag(args cmdline.Args, key string, def bool) bool {
	on, err := args.Bool(key, def)
	if err != nil {
		p.errs = append(p.errs, err)
	}
	return on
}

// addr reads an IPv4 address; what names the field in the report.
func (p *problems) addr(a cmdline.Arg, what, s string) netip.Addr {
	if what != "" {
		what += " "
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	switch {
	case err != nil:
		p.bad(a, what+strconv.Quote(s)+" is not an address", "write it as 10.0.0.1")
		return netip.Addr{}
	case !addr.Is4():
		p.bad(a, what+"IPv6 is not built yet", "write an IPv4 address")
		return netip.Addr{}
	}
	return addr
}

// optionalAddr is addr, where empty and 0.0.0.0 (pxelinux writes that for a
// gateway that does not exist) are no address.
func (p *problems) optionalAddr(a cmdline.Arg, what, s string) netip.Addr {
	if s == "" || s == "0.0.0.0" {
		return netip.Addr{}
	}
	return p.addr(a, what, s)
}

func (p *problems) number(a cmdline.Arg, s string, least, most int) int {
	v, err := strconv.Atoi(s)
	if err != nil || !isDigits(s) || v < least || v > most {
		p.bad(a, strconv.Quote(s)+" is not a number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most), "write digits only")
		return 0
	}
	return v
}

func (p *problems) deviceName(a cmdline.Arg, s string) string {
	if !validDeviceName(s) {
		p.bad(a, strconv.Quote(s)+" is not an interface name", "write 1 to 15 characters without slash, colon or space")
	}
	return s
}

// bootIF reads BOOTIF: the hardware type and the address, as pxelinux writes
// them for IPAPPEND 2 (01-aa-bb-cc-dd-ee-ff, 20-... for InfiniBand); GRUB's
// users often write colons. The type may be left out. What follows 20 is six
// bytes, a GUID, or a whole address, whatever the firmware calls its address;
// or nothing, where it has none in its DHCP header (RFC 4390), and then nothing
// is known of the interface.
func (p *problems) bootIF(a cmdline.Arg) HardwareAddr {
	const fix = "write 01-aa-bb-cc-dd-ee-ff, with the hardware type 01 for Ethernet, or 20- and the port GUID for InfiniBand"
	s := strings.ToLower(strings.ReplaceAll(a.Value, ":", "-"))
	hw, rest, _ := strings.Cut(s, "-")
	addr, err := parseAddress(s)
	switch {
	case err == nil: // no type
	case hw == "20" && rest == "":
		return ""
	case hw == "20":
		addr, err = parseAddress(rest)
	case hw == "01":
		addr, err = ParseHardwareAddr(rest)
	default:
		p.bad(a, "has no hardware type 01 or 20", fix)
		return ""
	}
	switch {
	case err != nil:
		p.bad(a, err.Error(), fix)
	case addr[0]&1 != 0:
		p.bad(a, addr.String()+" is not the address of an interface but of a group", fix)
	}
	return addr
}

// clientID reads nodisk.dhcp.clientid.
func (p *problems) clientID(a cmdline.Arg) ClientID {
	const fix = "write auto, flexboot, guid, hwaddr, mac, rfc4361, none or hex: and 2 to 254 bytes"
	switch a.Value {
	case "auto", "flexboot", "guid", "hwaddr", "mac", "rfc4361", "none":
		return ClientID(a.Value)
	}
	text, ok := strings.CutPrefix(a.Value, "hex:")
	text = strings.ReplaceAll(text, ":", "")
	b, err := hex.DecodeString(text)
	// RFC 2132 section 9.14: the least length is 2.
	if !ok || err != nil || len(b) < 2 || len(b) > 254 {
		p.bad(a, "is not a client identifier", fix)
		return ""
	}
	return ClientID("hex:" + strings.ToLower(text))
}

// method reads the autoconf word.
func (p *problems) method(a cmdline.Arg, word string) (m Method, ok bool) {
	switch word {
	case "dhcp", "on", "any", "single-dhcp", "":
		return MethodDHCP, true
	case "none", "off", "static":
		return MethodStatic, true
	case "both", "bootp", "rarp", "dhcp6", "auto6", "either6", "link6", "ibft":
		p.bad(a, word+" is not built yet", "write dhcp, or none with a client address")
	default:
		p.bad(a, strconv.Quote(word)+" is not a method", ipFix)
	}
	return 0, false
}

// splitFields splits at colons outside brackets.
func splitFields(s string) (fields []string, ok bool) {
	depth, start := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ':':
			if depth == 0 {
				fields = append(fields, s[start:i])
				start = i + 1
			}
		}
	}
	return append(fields, s[start:]), depth == 0
}

// parsePrefix reads an IPv4 address with or without /bits; without, the prefix
// is 32 bits.
func parsePrefix(s string) (netip.Prefix, bool) {
	text, mask, hasMask := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is4() {
		return netip.Prefix{}, false
	}
	length := 32
	if hasMask {
		var ok bool
		if length, ok = parseMask(mask); !ok {
			return netip.Prefix{}, false
		}
	}
	return netip.PrefixFrom(addr, length), true
}

// parseMask reads 255.255.255.0 or 24.
func parseMask(s string) (length int, ok bool) {
	if isDigits(s) && len(s) <= 2 {
		length, _ = strconv.Atoi(s)
		return length, length <= 32
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return 0, false
	}
	return maskBits(a.As4())
}

// maskBits returns the number of leading ones, if nothing but zeros follows.
func maskBits(m [4]byte) (length int, ok bool) {
	v := uint32(m[0])<<24 | uint32(m[1])<<16 | uint32(m[2])<<8 | uint32(m[3])
	length = bits.LeadingZeros32(^v)
	return length, v<<length == 0
}

// classBits is the prefix length of an address by its class (RFC 791).
func classBits(a netip.Addr) int {
	switch b := a.As4()[0]; {
	case b < 128:
		return 8
	case b < 192:
		return 16
	default:
		return 24
	}
}

// usable tells whether a host can have the address.
func usable(p netip.Prefix) bool {
	a := p.Addr()
	if !p.IsValid() || p.Bits() == 0 || !a.Is4() || a.As4()[0] == 0 || a.IsLoopback() || a.IsMulticast() || a.As4()[0] >= 240 {
		return false
	}
	// RFC 3021: both addresses of a /31 are hosts.
	return p.Bits() >= 31 || (a != p.Masked().Addr() && a != broadcast(p))
}

// broadcast is the last address of the prefix.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// validDeviceName follows dev_valid_name of net/core/dev.c.
func validDeviceName(s string) bool {
	return s != "" && len(s) < 16 && s != "." && s != ".." && !strings.ContainsAny(s, "/: \t\n\v\f\r[]") && printable(s)
}

// validHostname takes what sethostname(2) and resolv.conf(5) can hold without
// harm: the text comes from the network.
func validHostname(s string) bool {
	if s == "" || len(s) > 64 || strings.HasPrefix(s, "-") || strings.HasPrefix(s, ".") {
		return false
	}
	return validName(s)
}

// validName allows the characters of a host or domain name.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := (c|0x20) >= 'a' && (c|0x20) <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 253
}

// printable tells whether the text has no control characters.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
