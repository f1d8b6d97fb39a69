package netsetup

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// IPv6 reports whether the argument is about IPv6. One argument of each family may be about the
// same interface.
func (n Addressing) IPv6() bool {
	return n.Method.IPv6() || n.Address.Addr().Is6()
}

// methods reads the autoconf field: a method; one of IPv4 and one of IPv6 (dhcp,dhcp6, as
// nm-initrd-generator(8) has it); or dhcp with what the kernel puts into option 61:
// dhcp,TYPE,TEXT (nfsroot.rst). It is empty if the argument is wrong.
func (p *problems) methods(a cmdline.Arg, word string) ([]lease.Method, lease.ClientID) {
	first, rest, more := strings.Cut(word, ",")
	m, ok := p.method(a, first)
	if !ok {
		return nil, ""
	}
	if !more {
		return []lease.Method{m}, ""
	}
	if kind, text, _ := strings.Cut(rest, ","); m == lease.MethodDHCP && link.IsDigits(kind) {
		return []lease.Method{m}, p.kernelID(a, kind, text)
	}
	other, ok := p.method(a, rest)
	switch {
	case !ok:
	case rest == "" || !m.Leases() || !other.Leases() || m.IPv6() == other.IPv6():
		p.bad(
			a,
			word+" is not a method of IPv4 and one of IPv6",
			"write dhcp,dhcp6 or dhcp,auto6, or an ip= for each family",
		)
	default:
		return []lease.Method{m, other}, ""
	}
	return nil, ""
}

// maxKernelID is what dhcp_client_identifier of net/ipv4/ipconfig.c holds after the type.
const maxKernelID = 251

// kernelID reads the client identifier of ip=dhcp,TYPE,TEXT: a byte, then the text as
// it is written.
func (p *problems) kernelID(a cmdline.Arg, kind, text string) lease.ClientID {
	v, err := strconv.ParseUint(kind, 10, 8)
	if err != nil || text == "" || len(text) > maxKernelID || strings.ContainsFunc(text, oddInID) {
		p.bad(
			a,
			"dhcp,"+kind+","+text+" has no client identifier",
			"write dhcp,TYPE,TEXT with a type from 0 to 255 and 1 to 251 characters, or nodisk.dhcp.clientid=hex: "+
				"and its bytes",
		)
		return ""
	}
	return lease.ClientID("hex:" + hex.EncodeToString(append([]byte{byte(v)}, text...)))
}

// oddInID says what cannot be written in the text of ip=dhcp,TYPE,TEXT.
func oddInID(r rune) bool { return r <= ' ' || r > '~' || r == '"' }

// word is the method as written in ip=, with the client identifier if the kernel's form can
// express it.
func (n Addressing) word() string {
	id := n.ClientID.Bytes()
	if len(id) < 2 || strings.ContainsFunc(string(id[1:]), oddInID) {
		return n.Method.String()
	}
	return n.Method.String() + "," + strconv.Itoa(int(id[0])) + "," + string(id[1:])
}

// method reads one method.
func (p *problems) method(a cmdline.Arg, word string) (m lease.Method, ok bool) {
	for _, w := range lease.MethodWords {
		if w.Word == word {
			return w.Method, true
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
