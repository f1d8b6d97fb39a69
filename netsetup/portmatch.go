package netsetup

import (
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/link"
)

// BootDevice is what bootdev= means, zero without it.
func (c Config) BootDevice() link.PortMatch { return link.DeviceMatch(c.BootDev) }

// deviceWord reads an argument that may call a device by any name, and returns it as
// deviceMatch reads it.
func (p *problems) deviceWord(a cmdline.Arg, s string) string {
	m, err := p.portMatch(a, s)
	switch {
	case err != nil && link.ResemblesAddress(s):
		p.bad(a, strconv.Quote(s)+" "+err.Error(), addressFix)
	case err != nil:
		p.bad(a, strconv.Quote(s)+" names no device", deviceFix)
	}
	return m.String()
}

const (
	deviceFix = "write its name, 1 to 15 characters without slash, colon or space, its address with dashes, or " +
		"driver= and the name of its driver"
	addressFix = "write 52-54-00-12-34-56 for Ethernet, the port GUID for InfiniBand (00-02-c9-03-00-00-10-39 or " +
		"0x0002c90300001039), or the name of the interface"
)

// portMatch reads one port; it may be the device of BOOTIF=.
func (p *problems) portMatch(a cmdline.Arg, s string) (link.PortMatch, error) {
	if s == bootIFWord {
		if p.boot == "" {
			p.bad(a, noBootIF, noBootIFFix)
		}
		return link.PortMatch{Addr: p.boot}, nil
	}
	return link.ParsePortMatch(s)
}

// ports reads the list of ports.
func (p *problems) ports(a cmdline.Arg, s, fix string) []link.PortMatch {
	var ports []link.PortMatch
	for name := range strings.SplitSeq(s, ",") {
		m, err := p.portMatch(a, name)
		switch {
		case err == nil && strings.ContainsAny(m.Name, "+;"):
			p.bad(a, "names one port: "+strconv.Quote(name)+" is one name", "write commas between the ports")
		case err != nil && link.ResemblesAddress(name):
			p.bad(a, "names no port: "+strconv.Quote(name)+" "+err.Error(), addressFix)
		case err != nil:
			p.bad(
				a,
				"names no port: "+strconv.Quote(
					name,
				)+" is not an interface name, a hardware address, or driver= and the name of a driver",
				fix,
			)
		}
		ports = append(ports, m)
	}
	return ports
}
