package netsetup

import (
	"slices"

	"github.com/nodisk/nodisk/netsetup/link"
)

// candidate reports whether the device takes part when no name is given, for one family of
// addresses: those with hardware behind them, and the links that the config makes of them; not
// those that have deputies.
func (c Config) candidate(d link.Device, ipv6 bool) bool {
	switch {
	case d.Master != 0 || c.port(d) || len(c.deputies(d, ipv6)) > 0:
		return false
	case d.Type == link.HwInfiniBand && !c.IBPort.Selects(d):
		return false
	default:
		return c.Made(d.Name) || d.Hardware()
	}
}

// Claim returns the position of the ip= argument that is about this device, for one
// family of addresses.
func (c Config) Claim(d link.Device, ipv6 bool) (int, bool) {
	if d.Type == link.HwLoopback || c.port(d) || c.clashes(d) {
		return 0, false
	}
	if i, ok := c.own(d, ipv6); ok {
		return i, true
	}
	interfaces := c.AddressingsOrDefault()
	for i, n := range interfaces {
		if n.IPv6() == ipv6 && n.PortMatch().Glob() && n.PortMatch().Selects(d) && c.candidate(d, ipv6) {
			return i, true
		}
	}
	i := slices.IndexFunc(
		interfaces,
		func(n Addressing) bool { return n.IPv6() == ipv6 && n.PortMatch() == link.PortMatch{} },
	)
	if i < 0 {
		return 0, false
	}
	switch {
	case c.BootDev != "" && !c.BootWord:
		boot := c.BootDevice()
		return i, boot.Selects(d) && (boot.One() || c.candidate(d, ipv6))
	case c.BootIF != "":
		return i, c.candidate(d, ipv6) && (d.Boot || c.Booted(d))
	default:
		return i, c.candidate(d, ipv6)
	}
}

// Booted reports whether the device is the one of BOOTIF=. A link that somebody else made of it
// may have the same address, and is not meant.
func (c Config) Booted(d link.Device) bool {
	return c.BootIF != "" && d.Hardware() && c.BootIF.Identifies(d)
}

// Over are the names of all links that the config makes of the device, directly
// or by way of others.
func (c Config) Over(d link.Device) []string {
	return climb(d, func(d link.Device) []string {
		names := c.vlansOn(d)
		if master := c.MasterName(d); master != "" {
			names = append(names, master)
		}
		for _, child := range c.Children {
			if child.Parent == d.Name {
				names = append(names, child.Name)
			}
		}
		return names
	})
}

// vlansOn are the names of the VLANs on the device.
func (c Config) vlansOn(d link.Device) []string {
	var names []string
	for _, v := range c.VLANs {
		if v.Parent.Selects(d) {
			names = append(names, v.Name)
		}
	}
	return names
}

// climb returns the names of the links above the device, the nearest first: step has those that
// are made of one directly. It ends even if a link is made of itself.
func climb(d link.Device, step func(link.Device) []string) []string {
	names := step(d)
	for i := 0; i < len(names); i++ {
		for _, name := range step(link.Device{Name: names[i], Type: d.Type}) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// IPv6 reports whether an argument is about IPv6.
func (c Config) IPv6() bool {
	return slices.ContainsFunc(c.AddressingsOrDefault(), Addressing.IPv6)
}

// PortMatch is the device of the argument, or those that it describes; zero where it is about
// any.
func (n Addressing) PortMatch() link.PortMatch {
	return link.PortMatch{Name: n.Device, Driver: n.Driver, Addr: n.Match}
}

// Named reports whether the argument is about one certain device.
func (n Addressing) Named() bool { return n.PortMatch().One() }
