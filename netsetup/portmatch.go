package netsetup

import (
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/init/cmdline"
)

// A PortMatch says which interfaces are ports of a bond or bridge, or which one
// a VLAN is on. One of the fields is set.
type PortMatch struct {
	// Name is that of an interface, or with * and ? that of adapters.
	Name string
	// Driver is the kernel's name of their driver, with * and ?.
	Driver string
	// Addr is the hardware address of an adapter, of InfiniBand the GUID.
	Addr HardwareAddr
}

// selects tells whether the match is about the device. Only an exact name is
// about one that has no hardware behind it.
func (m PortMatch) selects(d Device) bool {
	switch {
	case d.Type == hwLoopback:
		return false
	case m.Addr != "":
		return d.hardware() && m.Addr.identifies(d)
	case m.Driver != "":
		return d.hardware() && glob(m.Driver, d.Driver)
	case m.glob():
		return d.hardware() && glob(m.Name, d.Name)
	default:
		return m.Name == d.Name
	}
}

// glob tells whether the match can be about several devices.
func (m PortMatch) glob() bool {
	return m.Driver != "" || strings.ContainsAny(m.Name, "*?")
}

// infiniBand tells whether the match can only mean InfiniBand.
func (m PortMatch) infiniBand() bool {
	return len(m.Addr) == 8 || infiniBandName(m.Name)
}

// infiniBandName tells whether the name is one that the kernel (ib0) or udev
// (ibo1, ibs2, ibp65s0f0, ibP2p1s0, ibx and an address;
// systemd.net-naming-scheme(7)) gives to InfiniBand. People call other things
// ibmc or ibnet0, and dracut calls the interface of an iBFT ibft0.
func infiniBandName(name string) bool {
	rest, ok := strings.CutPrefix(name, "ib")
	switch {
	case !ok || rest == "":
		return false
	case strings.ContainsRune("ospP", rune(rest[0])):
		rest = rest[1:]
	case rest[0] == 'x':
		return len(rest) > 1 && strings.Trim(rest[1:], "0123456789abcdef") == ""
	case rest[0] == '*' || rest[0] == '?':
		return true // as ports
	}
	return rest != "" && rest[0] >= '0' && rest[0] <= '9'
}

// String writes the match as on the command line.
func (m PortMatch) String() string {
	switch {
	case m.Addr != "":
		return strings.ReplaceAll(m.Addr.String(), ":", "-")
	case m.Driver != "":
		return "driver=" + m.Driver
	default:
		return m.Name
	}
}

// glob tells whether the text is as the pattern says, in which * stands for any
// characters and ? for one.
func glob(pattern, s string) bool {
	// Where to go on when what follows the last star does not fit here.
	star, rest := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, rest = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			rest++
			p, i = star+1, rest
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func parsePortMatch(s string) (PortMatch, bool) {
	if driver, ok := strings.CutPrefix(s, "driver="); ok {
		return PortMatch{Driver: driver}, driver != "" && printable(driver) && !strings.ContainsAny(driver, "/ []")
	}
	if addr, err := parseAddress(s); err == nil {
		return PortMatch{Addr: addr}, true
	}
	return PortMatch{Name: s}, validDeviceName(s)
}

// ports reads the list of ports.
func (p *problems) ports(a cmdline.Arg, s, fix string) []PortMatch {
	var ports []PortMatch
	for name := range strings.SplitSeq(s, ",") {
		m, ok := parsePortMatch(name)
		if !ok {
			p.bad(a, "names no port: "+strconv.Quote(name)+" is not an interface name, a hardware address, or driver= and the name of a driver", fix)
		}
		ports = append(ports, m)
	}
	return ports
}
