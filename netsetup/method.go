package netsetup

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A Method is how an interface gets its address. The zero value is invalid.
type Method int

// The methods of ip=.
const (
	MethodDHCP    Method = iota + 1 // dhcp, on, any or nothing
	MethodStatic                    // an address is given
	MethodNone                      // the link is set up, no address
	MethodBOOTP                     // BOOTP (RFC 951)
	MethodRARP                      // RARP (RFC 903)
	MethodBoth                      // BOOTP and RARP side by side
	MethodAuto6                     // router advertisements; DHCPv6 for the rest if their O flag says so
	MethodDHCP6                     // stateful DHCPv6; the route by router advertisement
	MethodEither6                   // what the router advertisement says, or comes first
	MethodLink6                     // a link-local address only
	MethodIBFT                      // what the firmware left; see Config.WithIBFT
	MethodSingle                    // single-dhcp: DHCP, of whose answers the first counts, whatever the Needs
)

type methodRow struct {
	word   string
	method Method
}

// methodWords are the words of ip=, by method; the first of a method is the one
// that is written back.
var methodWords = [...]methodRow{
	{"dhcp", MethodDHCP},
	{"on", MethodDHCP},
	{"any", MethodDHCP},
	{"all", MethodDHCP}, // klibc's
	{"single-dhcp", MethodSingle},
	{"", MethodDHCP},
	{"static", MethodStatic},
	{"none", MethodNone},
	{"off", MethodNone},
	{"bootp", MethodBOOTP},
	{"rarp", MethodRARP},
	{"both", MethodBoth},
	{"auto6", MethodAuto6},
	{"dhcp6", MethodDHCP6},
	{"either6", MethodEither6},
	{"link6", MethodLink6},
	{"ibft", MethodIBFT},
}

// String returns the word of ip=.
func (m Method) String() string {
	for _, w := range methodWords {
		if w.method == m {
			return w.word
		}
	}
	return "Method(" + strconv.Itoa(int(m)) + ")"
}

// six tells whether the method gives IPv6 addresses.
func (m Method) six() bool {
	return m >= MethodAuto6 && m <= MethodLink6
}

// six tells whether the word is about IPv6. One of each family may be about the
// same interface.
func (n Interface) six() bool {
	return n.Method.six() || n.Address.Addr().Is6()
}

// methods reads the autoconf word: a method; one of IPv4 and one of IPv6
// (dhcp,dhcp6, as nm-initrd-generator(8) has it); or dhcp with what the kernel puts
// into option 61: dhcp,TYPE,TEXT (nfsroot.rst). It is empty if the word is wrong.
func (p *problems) methods(a cmdline.Arg, word string) ([]Method, ClientID) {
	first, rest, more := strings.Cut(word, ",")
	m, ok := p.method(a, first)
	if !ok {
		return nil, ""
	}
	if !more {
		return []Method{m}, ""
	}
	if kind, text, _ := strings.Cut(rest, ","); m == MethodDHCP && isDigits(kind) {
		return []Method{m}, p.kernelID(a, kind, text)
	}
	other, ok := p.method(a, rest)
	switch {
	case !ok:
	case rest == "" || !m.leases() || !other.leases() || m.six() == other.six():
		p.bad(a, word+" is not a method of IPv4 and one of IPv6", "write dhcp,dhcp6 or dhcp,auto6, or an ip= for each family")
	default:
		return []Method{m, other}, ""
	}
	return nil, ""
}

// leases reports whether the method asks a server or a router for an address.
func (m Method) leases() bool {
	return m != MethodStatic && m != MethodNone && m != MethodIBFT
}

// maxKernelID is what dhcp_client_identifier of net/ipv4/ipconfig.c holds behind the
// type.
const maxKernelID = 251

// kernelID reads the client identifier of ip=dhcp,TYPE,TEXT: a byte, then the text as
// it is written.
func (p *problems) kernelID(a cmdline.Arg, kind, text string) ClientID {
	v, err := strconv.ParseUint(kind, 10, 8)
	if err != nil || text == "" || len(text) > maxKernelID || strings.ContainsFunc(text, oddInID) {
		p.bad(a, "dhcp,"+kind+","+text+" has no client identifier", "write dhcp,TYPE,TEXT with a type from 0 to 255 and 1 to 251 characters, or nodisk.dhcp.clientid=hex: and its bytes")
		return ""
	}
	return ClientID("hex:" + hex.EncodeToString(append([]byte{byte(v)}, text...)))
}

// oddInID tells what cannot be written in the text of ip=dhcp,TYPE,TEXT.
func oddInID(r rune) bool { return r <= ' ' || r > '~' || r == '"' }

// word is the method as ip= has it, with the client identifier if the kernel's form can
// have it.
func (n Interface) word() string {
	id := n.ClientID.bytes()
	if len(id) < 2 || strings.ContainsFunc(string(id[1:]), oddInID) {
		return n.Method.String()
	}
	return n.Method.String() + "," + strconv.Itoa(int(id[0])) + "," + string(id[1:])
}

// method reads one method.
func (p *problems) method(a cmdline.Arg, word string) (m Method, ok bool) {
	for _, w := range methodWords {
		if w.word == word {
			return w.method, true
		}
	}
	fix := ipFix
	if word == "link-local" {
		// dracut's, for a link-local address of either family.
		fix = "write link6 for the link-local address of IPv6; those of IPv4 (169.254.0.0/16) are not given out"
	}
	p.bad(a, strconv.Quote(word)+" is not a method", fix)
	return 0, false
}
