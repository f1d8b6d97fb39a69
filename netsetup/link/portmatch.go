package link

import (
	"errors"
	"strings"

	"github.com/nodisk/nodisk/internal/phrase"
)

// A PortMatch says which interfaces an argument is about: that of ip= or bootdev=, the
// ports of a bond or bridge, or the one a VLAN is on. One of the fields is set; Name
// is set besides Addr when Up has seen the device, and is the name that it has.
type PortMatch struct {
	// Name is that of an interface, or with * and ? that of adapters.
	Name string
	// Driver is the kernel's name of their driver, with * and ?.
	Driver string
	// Addr is the hardware address of an adapter, of InfiniBand the GUID.
	Addr HardwareAddr
}

// Selects reports whether the match is about the device. Only an exact name matches one that has
// no hardware behind it.
func (m PortMatch) Selects(d Device) bool {
	switch {
	case d.Type == HwLoopback:
		return false
	case m.Addr != "":
		return d.Hardware() && m.Addr.Identifies(d)
	case m.Driver != "":
		return d.Hardware() && glob(m.Driver, d.Driver)
	case m.Glob():
		return d.Hardware() && glob(m.Name, d.Name)
	default:
		return m.Name == d.Name
	}
}

// Glob reports whether the match may be about several devices.
func (m PortMatch) Glob() bool {
	return m.Driver != "" || strings.ContainsAny(m.Name, "*?")
}

// One reports whether the match is about one certain device.
func (m PortMatch) One() bool {
	return m != PortMatch{} && !m.Glob()
}

// Key is what two matches for one device have in common: its name, once that is known.
func (m PortMatch) Key() PortMatch {
	if m.Name != "" {
		m.Addr = ""
	}
	return m
}

// InfiniBand reports whether the match can only mean InfiniBand.
func (m PortMatch) InfiniBand() bool {
	return len(m.Addr) == 8 || InfiniBandName(m.Name)
}

// InfiniBandName reports whether a name, or a pattern of names, is one that the
// kernel (ib0, its children ib0.8001) or udev (ibo1, ibs2, ibp65s0f0, ibP2p1s0, ibx
// and an address; systemd.net-naming-scheme(7)) gives to InfiniBand. Others begin with
// the same letters: a bmc's network that somebody called ibmc, or ibft0, dracut's name
// for the interface of an iBFT.
func InfiniBandName(name string) bool {
	const digits, glob = "0123456789", "*?"
	rest, ok := strings.CutPrefix(name, "ib")
	if addr, x := strings.CutPrefix(rest, "x"); ok && x {
		return addr != "" && strings.Trim(addr, digits+"abcdef"+glob) == ""
	}
	if ok && strings.IndexAny(rest, "ospP") == 0 { // onboard, slot, path, domain
		rest = rest[1:]
	}
	return ok && strings.IndexAny(rest, digits+glob) == 0
}

// Ethernet reports whether the match can only mean Ethernet: its name, or pattern of names,
// is one that the kernel (eth0) or udev (eno1, enp0s3) gives to that.
func (m PortMatch) Ethernet() bool {
	digits, ok := strings.CutPrefix(m.Name, "eth")
	return ok && digits != "" && strings.Trim(digits, "0123456789*?") == "" ||
		strings.HasPrefix(m.Name, "en") && IsUdevName(m.Name)
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

// glob reports whether the text matches the pattern, in which * stands for any characters and ?
// for one.
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

// ParsePortMatch reads what calls a device by its name or address, or describes some. The error
// is to follow the argument.
func ParsePortMatch(s string) (PortMatch, error) {
	if driver, ok := strings.CutPrefix(s, "driver="); ok {
		if driver == "" || !phrase.Printable(driver) || strings.ContainsAny(driver, "/ []:") {
			return PortMatch{Driver: driver}, errors.New("is not driver= and the name of a driver")
		}
		return PortMatch{Driver: driver}, nil
	}
	if addr, err := ParseAddress(s); err == nil {
		return PortMatch{Addr: addr}, nil
	}
	return PortMatch{Name: s}, ErrName(s)
}

// DeviceMatch is what an argument means that calls a device by its name or address, or
// describes some.
func DeviceMatch(word string) PortMatch {
	m, _ := ParsePortMatch(word)
	return m
}
