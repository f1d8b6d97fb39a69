package netsetup

import (
	"slices"

	"github.com/nodisk/nodisk/netsetup/link"
)

// mapNames returns the config with every name by which an argument calls an
// interface replaced by f. The names of what the arguments make are not among them.
func (c Config) mapNames(f func(name string) string) Config {
	name := func(s string) string {
		if s == "" {
			return ""
		}
		return f(s)
	}
	ports := func(of []link.PortMatch) []link.PortMatch {
		of = slices.Clone(of)
		for i := range of {
			of[i].Name = name(of[i].Name)
		}
		return of
	}
	c.BootDev = name(c.BootDev)
	c.Interfaces = slices.Clone(c.Interfaces)
	for i := range c.Interfaces {
		c.Interfaces[i].Device = name(c.Interfaces[i].Device)
	}
	c.Needs.Hosts = slices.Clone(c.Needs.Hosts)
	for i := range c.Needs.Hosts {
		c.Needs.Hosts[i].Dev = name(c.Needs.Hosts[i].Dev)
	}
	c.Routes = slices.Clone(c.Routes)
	for i := range c.Routes {
		c.Routes[i].Dev = name(c.Routes[i].Dev)
	}
	c.Children = slices.Clone(c.Children)
	for i := range c.Children {
		c.Children[i].Parent = name(c.Children[i].Parent)
	}
	c.VLANs = slices.Clone(c.VLANs)
	for i := range c.VLANs {
		c.VLANs[i].Parent.Name = name(c.VLANs[i].Parent.Name)
	}
	c.Bonds = slices.Clone(c.Bonds)
	for i := range c.Bonds {
		b := &c.Bonds[i]
		b.Ports, b.Options = ports(b.Ports), slices.Clone(b.Options)
		for j, o := range b.Options {
			if o.Name == "primary" || o.Name == "active_slave" {
				b.Options[j].Value = name(o.Value)
			}
		}
	}
	c.Bridges = slices.Clone(c.Bridges)
	for i := range c.Bridges {
		c.Bridges[i].Ports = ports(c.Bridges[i].Ports)
	}
	return c
}

// cards are the names and globs that the arguments use for adapters: not those of links that the
// arguments make, and not those of ifname=.
func (c Config) cards() []string {
	var names []string
	c.mapNames(func(name string) string {
		if link.DeviceMatch(name).Name != "" && !c.Made(name) && !c.promised(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
		return name
	})
	return names
}

// called replaces other names of have[i] in the arguments by the one it has, and sets that
// where an argument calls it by its address, so that a name is compared with one name from
// here on.
func (c Config) called(have []link.Device, i int) (_ Config, others []string) {
	d := have[i]
	cards := c.cards()
	names := d.Names()
	if d.Given != "" && !c.takes(d.Given) {
		names = append(names, d.Given)
	}
	for _, name := range names {
		if slices.Contains(cards, name) &&
			!slices.ContainsFunc(have, func(d link.Device) bool { return d.Name == name }) {
			others = append(others, name)
		}
	}
	c = c.mapNames(func(name string) string {
		if m := link.DeviceMatch(name); slices.Contains(others, name) || m.Addr != "" && m.Selects(d) {
			return d.Name
		}
		return name
	})
	return c.recognise(d), others
}

// Resolved returns the config with its arguments settled on the devices whose indices are in
// known, in the order in which they became known. places are where each argument is now: two that
// turn out to say the same about one device have become one. others are further names by which
// the arguments call the last of the devices.
func (c Config) Resolved(have []link.Device, known []int) (_ Config, places []int, others []string) {
	for _, index := range known {
		i := slices.IndexFunc(have, func(d link.Device) bool { return d.Index == index })
		c, others = c.called(have, i)
	}
	c.Interfaces, places = c.folded()
	return c, places, others
}

// takes reports whether an argument waits for an interface of that name, to give it an
// address or to make a link of it.
func (c Config) takes(name string) bool {
	return c.parent(link.Device{Name: name}) || c.port(link.Device{Name: name}) ||
		slices.ContainsFunc(
			c.AddressingsOrDefault(),
			func(n Addressing) bool { return n.PortMatch() == link.PortMatch{Name: name} },
		)
}

// recognise sets the name of the device in the arguments that call it by its address, or that
// describe it, if it is the first device to match.
func (c Config) recognise(d link.Device) Config {
	seen := func(m link.PortMatch) link.PortMatch {
		if m.Addr != "" && m.Selects(d) {
			m.Name = d.Name
		}
		return m
	}
	ports := func(of []link.PortMatch) []link.PortMatch {
		of = slices.Clone(of)
		for i, m := range of {
			of[i] = seen(m)
		}
		return of
	}
	before := c
	boot := c.BootWord && c.Booted(d) && !c.port(d)
	c.Interfaces = slices.Clone(c.Interfaces)
	for i := range c.Interfaces {
		n := &c.Interfaces[i]
		if boot && n.PortMatch() == (link.PortMatch{}) && len(before.deputies(d, n.IPv6())) == 0 {
			n.Match = c.BootIF
		}
		n.Device = seen(n.PortMatch()).Name
	}
	c.VLANs = slices.Clone(c.VLANs)
	for i, v := range c.VLANs {
		c.VLANs[i].Parent = seen(v.Parent)
		if v.Parent.Glob() && v.Parent.Selects(d) && d.Type == link.HwEthernet && !c.port(d) {
			c.VLANs[i].Parent = link.PortMatch{Name: d.Name}
		}
	}
	c.Bonds, c.Bridges = slices.Clone(c.Bonds), slices.Clone(c.Bridges)
	for i, b := range c.Bonds {
		c.Bonds[i].Ports = ports(b.Ports)
	}
	for i, b := range c.Bridges {
		c.Bridges[i].Ports = ports(b.Ports)
	}
	return c.bootWordOf(d)
}
