package netsetup

import (
	"errors"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A PortMatch says which interfaces a word is about: that of ip= or bootdev=, the
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

// one tells whether the match is about one certain device.
func (m PortMatch) one() bool {
	return m != PortMatch{} && !m.glob()
}

// key is what two matches of one device have in common: its name, once that is known.
func (m PortMatch) key() PortMatch {
	if m.Name != "" {
		m.Addr = ""
	}
	return m
}

// infiniBand tells whether the match can only mean InfiniBand.
func (m PortMatch) infiniBand() bool {
	return len(m.Addr) == 8 || infiniBandName(m.Name)
}

// infiniBandName reports whether a name, or a pattern of names, is one that the
// kernel (ib0, its children ib0.8001) or udev (ibo1, ibs2, ibp65s0f0, ibP2p1s0, ibx
// and an address; systemd.net-naming-scheme(7)) gives to InfiniBand. Others begin with
// the same letters: a bmc's network that somebody called ibmc, or ibft0, dracut's name
// for the interface of an iBFT.
func infiniBandName(name string) bool {
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

// ethernet tells whether the match can only mean Ethernet: its name, or pattern of names,
// is one that the kernel (eth0) or udev (eno1, enp0s3) gives to that.
func (m PortMatch) ethernet() bool {
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

// parsePortMatch reads what calls a device by its name or address, or describes some. The
// error goes after the word.
func parsePortMatch(s string) (PortMatch, error) {
	if driver, ok := strings.CutPrefix(s, "driver="); ok {
		if driver == "" || !printable(driver) || strings.ContainsAny(driver, "/ []:") {
			return PortMatch{Driver: driver}, errors.New("is not driver= and the name of a driver")
		}
		return PortMatch{Driver: driver}, nil
	}
	if addr, err := parseAddress(s); err == nil {
		return PortMatch{Addr: addr}, nil
	}
	return PortMatch{Name: s}, errName(s)
}

// deviceMatch is what a word means that calls a device by its name or address, or
// describes some.
func deviceMatch(word string) PortMatch {
	m, _ := parsePortMatch(word)
	return m
}

// BootDevice is what bootdev= means, zero without it.
func (c Config) BootDevice() PortMatch { return deviceMatch(c.BootDev) }

// deviceWord reads a word that may call a device by any name, and returns it as
// deviceMatch reads it.
func (p *problems) deviceWord(a cmdline.Arg, s string) string {
	m, err := p.portMatch(a, s)
	switch {
	case err != nil && resemblesAddress(s):
		p.bad(a, strconv.Quote(s)+" "+err.Error(), addressFix)
	case err != nil:
		p.bad(a, strconv.Quote(s)+" names no device", deviceFix)
	}
	return m.String()
}

const (
	deviceFix  = "write its name, 1 to 15 characters without slash, colon or space, its address with dashes, or driver= and the name of its driver"
	addressFix = "write 52-54-00-12-34-56 for Ethernet, the port GUID for InfiniBand (00-02-c9-03-00-00-10-39 or 0x0002c90300001039), or the name of the interface"
)

// portMatch reads one port, which may be the device of BOOTIF=.
func (p *problems) portMatch(a cmdline.Arg, s string) (PortMatch, error) {
	if s == bootIFWord {
		if p.boot == "" {
			p.bad(a, noBootIF, noBootIFFix)
		}
		return PortMatch{Addr: p.boot}, nil
	}
	return parsePortMatch(s)
}

// ports reads the list of ports.
func (p *problems) ports(a cmdline.Arg, s, fix string) []PortMatch {
	var ports []PortMatch
	for name := range strings.SplitSeq(s, ",") {
		m, err := p.portMatch(a, name)
		switch {
		case err == nil && strings.ContainsAny(m.Name, "+;"):
			p.bad(a, "names one port: "+strconv.Quote(name)+" is one name", "write commas between the ports")
		case err != nil && resemblesAddress(name):
			p.bad(a, "names no port: "+strconv.Quote(name)+" "+err.Error(), addressFix)
		case err != nil:
			p.bad(a, "names no port: "+strconv.Quote(name)+" is not an interface name, a hardware address, or driver= and the name of a driver", fix)
		}
		ports = append(ports, m)
	}
	return ports
}
