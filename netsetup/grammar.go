package netsetup

import (
	"errors"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// problems collects what is wrong with the command line.
type problems struct {
	errs []error
	boot link.HardwareAddr // of BOOTIF=, for arguments that name that device
	// bootWord: an ip= names it.
	bootWord bool
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

func (p *problems) number(a cmdline.Arg, s string, least, most int) int {
	v, err := strconv.Atoi(s)
	if err != nil || !link.IsDigits(s) || v < least || v > most {
		p.bad(
			a,
			strconv.Quote(s)+" is not a number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most),
			"write digits only",
		)
		return 0
	}
	return v
}

func (p *problems) deviceName(a cmdline.Arg, s string) string {
	if err := link.ErrNewName(s); err != nil {
		p.bad(a, strconv.Quote(s)+" "+err.Error(), "write 1 to 15 characters without slash, colon or space")
	}
	return s
}

// bootIF reads BOOTIF: the hardware type and the address, as pxelinux writes them for IPAPPEND 2
// (01-aa-bb-cc-dd-ee-ff, 20-... for InfiniBand); GRUB's users often write colons. The type may be
// left out. What follows 20 is six bytes, a GUID, or a whole address, whatever the firmware calls
// its address; or nothing, where it has none in its DHCP header (RFC 4390), and then nothing is
// known about the interface. The same holds where the firmware has put zeros there, or as much of
// the 20 bytes as the header holds, or where a loader's variable was empty: told is what was made
// of it. Type 06 (IEEE 802) has Ethernet addresses.
func (p *problems) bootIF(a cmdline.Arg) (addr link.HardwareAddr, told string) {
	const fix = "write 01-aa-bb-cc-dd-ee-ff, with the hardware type 01 for Ethernet, or 20- and the port GUID " +
		"for InfiniBand"
	s := strings.ToLower(a.Value)
	hw, rest := s, ""
	if i := strings.IndexAny(s, "-:"); i >= 0 {
		hw, rest = s[:i], s[i+1:]
	}
	addr, err := link.ParseAddress(s)
	switch typed := hw == "01" || hw == "06" || hw == "20"; {
	case hw == "20" && rest == "":
		return "", ""
	case s == "", typed && rest == "":
		err = errNoAddress
	case strings.Trim(s, "0-:") == "", typed && strings.Trim(rest, "0-:") == "":
		err = link.ErrZero
	case err != nil && hw == "20":
		addr, err = link.ParseAddress(rest)
	case errors.Is(err, link.ErrAddress) && (hw == "01" || hw == "06"):
		addr, err = link.ParseHardwareAddr(rest)
	}
	switch {
	case errors.Is(err, link.ErrZero), errors.Is(err, link.ErrCut), errors.Is(err, errNoAddress):
		return "", a.Key + "=" + a.Value + " names no interface, as a bare " + a.Key + "=20 does not: it " + err.Error()
	case errors.Is(err, link.ErrAddress) && hw != "20":
		p.bad(a, "has no hardware type 01 or 20", fix)
	case err != nil:
		p.bad(a, err.Error(), fix)
	case addr[0]&1 != 0:
		p.bad(a, addr.String()+" is not the address of an interface but of a group", fix)
	}
	return addr, ""
}

// errNoAddress is the problem of a BOOTIF= that has at most a hardware type.
var errNoAddress = errors.New("has no address")

// clientID reads nodisk.dhcp.clientid.
func (p *problems) clientID(a cmdline.Arg) lease.ClientID {
	id, err := lease.ParseClientID(a.Value)
	if err != nil {
		p.bad(a, "is not a client identifier", err.Error())
	}
	return id
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

// ValidHostname accepts the name of a host by RFC 1123 section 2.1, which may be fully qualified:
// the node's name is its first label, whose 63 bytes fit sethostname(2). The text comes from the
// network, and ends up in files and in other names.
func ValidHostname(s string) bool {
	return link.ValidName(s)
}
