package netsetup

import (
	"strconv"

	"github.com/nodisk/nodisk/init/cmdline"
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

// methodWords are the words of ip=, by method; the first of a method is the one
// that is written back.
var methodWords = [...]struct {
	word   string
	method Method
}{
	{"dhcp", MethodDHCP},
	{"on", MethodDHCP},
	{"any", MethodDHCP},
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

// method reads the autoconf word.
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
