package lease

import (
	"strconv"
)

// Static reports whether the argument means a static address where there is one: all but
// those of the other family, or of somewhere else.
func (m Method) Static(ipv6 bool) bool {
	switch m {
	case MethodDHCP, MethodSingle, MethodStatic, MethodNone:
		return true
	case MethodBOOTP, MethodRARP, MethodBoth:
		return !ipv6
	case MethodAuto6, MethodDHCP6, MethodEither6, MethodLink6, MethodIBFT:
	}
	return false
}

// A Method is how an interface gets its address. The zero value is invalid.
type Method int

// The methods of ip=.
const (
	MethodDHCP    Method = iota + 1 // dhcp, on, any or nothing
	MethodStatic                    // an address is given
	MethodNone                      // the link is set up, no address
	MethodBOOTP                     // BOOTP (RFC 951)
	MethodRARP                      // RARP (RFC 903)
	MethodBoth                      // BOOTP and RARP in parallel
	MethodAuto6                     // router advertisements; DHCPv6 for the rest if their O flag says so
	MethodDHCP6                     // stateful DHCPv6; the route by router advertisement
	MethodEither6                   // what the router advertisement says, or comes first
	MethodLink6                     // a link-local address only
	MethodIBFT                      // what the firmware left; see Config.WithIBFT
	MethodSingle                    // single-dhcp: DHCP, of whose answers the first counts, whatever the Needs
)

// MethodRow is a method and its spellings.
type MethodRow struct {
	Word   string
	Method Method
}

// MethodWords are the words that ip= has for a method; the first of a method is the one that is
// written back.
var MethodWords = [...]MethodRow{
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

// String returns the word that ip= has for it.
func (m Method) String() string {
	for _, w := range MethodWords {
		if w.Method == m {
			return w.Word
		}
	}
	return "Method(" + strconv.Itoa(int(m)) + ")"
}

// IPv6 reports whether the method gives IPv6 addresses.
func (m Method) IPv6() bool {
	return m >= MethodAuto6 && m <= MethodLink6
}

// Leases reports whether the method asks a server or a router for an address.
func (m Method) Leases() bool {
	return m != MethodStatic && m != MethodNone && m != MethodIBFT
}

// Asks reports whether the answer of a server decides what the argument gets.
func (m Method) Asks() bool {
	return m == MethodDHCP || m >= MethodBOOTP && m <= MethodEither6
}
