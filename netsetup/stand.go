package netsetup

import (
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/sets"
	"github.com/nodisk/nodisk/netsetup/link"
)

// own returns the position of the ip= argument of that family that names the device.
func (c Config) own(d link.Device, ipv6 bool) (int, bool) {
	i := slices.IndexFunc(c.AddressingsOrDefault(), func(n Addressing) bool {
		return n.IPv6() == ipv6 && n.Named() && n.PortMatch().Selects(d)
	})
	return i, i >= 0
}

// deputies are the links made of the device, directly or by way of others, that take the address
// in its place where an argument names no device: those that have no argument of their own and
// are no ports. With none left the device itself takes the address: a VLAN with a argument
// carries the tagged network, and the other argument is about the untagged one.
func (c Config) deputies(d link.Device, ipv6 bool) []string {
	return slices.DeleteFunc(c.Over(d), func(name string) bool {
		link := link.Device{Name: name, Type: d.Type}
		_, own := c.own(link, ipv6)
		return own || c.port(link)
	})
}

// bare reports whether the argument leaves the choice of device to BOOTIF=.
func (c Config) bare(n Addressing) bool {
	return c.BootIF != "" && (c.BootDev == "" || c.BootWord) && n.PortMatch() == link.PortMatch{}
}

// Superfluous says that nothing is left for an argument about the device of BOOTIF=: other
// arguments have it and all that is made of it. It is empty if something is left, or if that
// device is not there.
func (c Config) Superfluous(n Addressing, have []link.Device) string {
	if !c.bare(n) {
		return ""
	}
	why := ""
	for _, d := range have {
		if !c.Booted(d) {
			continue
		}
		if len(c.deputies(d, n.IPv6())) > 0 {
			return ""
		}
		what, takers := d.Name+", has", []link.Device{d}
		if links := c.Over(d); c.port(d) {
			what, takers = d.Name+", is in "+strings.Join(links, " and ")+", which has", nil
			for _, name := range links {
				takers = append(takers, link.Device{Name: name})
			}
		}
		i, own := -1, false
		for _, taker := range takers {
			if j, ok := c.own(taker, n.IPv6()); ok {
				i, own = j, true
			}
		}
		if !own {
			return ""
		}
		why = "ip=" + n.String() + ": has no effect, the interface of BOOTIF=, " + what + " a word of its own, ip=" +
			c.AddressingsOrDefault()[i].String() + ": leave one of them out"
	}
	return why
}

// barred says why the interface of BOOTIF=, which is there, takes no address.
func (c Config) barred(have []link.Device) string {
	d := have[slices.IndexFunc(have, c.Booted)]
	switch {
	case d.Type == link.HwInfiniBand && !c.IBPort.Selects(d):
		return d.Name + ": is the interface of BOOTIF=, which nodisk.ib.port= leaves out: write one of them"
	case d.Master != 0:
		return d.Name + ": is the interface of BOOTIF=, and a port of a link that the command line does not make: " +
			"leave BOOTIF= out, or name the link in ip="
	case c.clashes(d):
		return d.Name + ": is the interface of BOOTIF=, and has the name of a link that the command line makes: " +
			"choose another name for the link"
	default:
		return d.Name + ": is the interface of BOOTIF=, and takes no address"
	}
}

// Unmade are the links that are to take the address of an argument without a device, and
// are not there, though what they are made of is.
func (c Config) Unmade(n Addressing, have []link.Device) []string {
	var names []string
	for _, d := range have {
		if !d.Hardware() || n.PortMatch() != (link.PortMatch{}) || c.bare(n) && !c.Booted(d) {
			continue
		}
		for _, name := range c.deputies(d, n.IPv6()) {
			if !slices.ContainsFunc(have, func(d link.Device) bool { return d.Name == name }) {
				names = sets.Union(names, []string{name})
			}
		}
	}
	return names
}

// Unasked are the sentences about interfaces that an argument would be about if no link were made
// of them: it may surprise that the untagged network is not asked.
func (c Config) Unasked(n Addressing, have []link.Device) []string {
	var parts []string
	for _, d := range have {
		links := c.deputies(d, n.IPv6())
		_, own := c.own(d, n.IPv6())
		meant := n.PortMatch() == link.PortMatch{} && (!c.bare(n) || d.Boot || c.Booted(d)) ||
			n.PortMatch().Glob() && n.PortMatch().Selects(d)
		if len(links) > 0 && !own && meant && d.Master == 0 && !c.port(d) {
			parts = append(parts, d.Name+" itself is not asked, for "+strings.Join(links, ", ")+
				", made of it: if the server is on the network without a tag, write ip="+d.Name+":"+n.Method.String())
		}
	}
	return parts
}
