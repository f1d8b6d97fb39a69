package netsetup

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/netsetup/link"
)

// checkLinks finds links of the config that are made twice, of themselves, of what the kernel
// does not accept, or of what has another use.
func (c *Config) checkLinks(p *problems, seen []string) {
	owner := map[string]bool{}
	made := func(key, name string) {
		if owner[name] {
			p.add(key, name, "is made a second time", "write it once")
		}
		owner[name] = true
		if c.under(name, name, nil) {
			p.add(key, name, "is made of itself", "leave one of the links out")
		}
	}
	for i, child := range c.Children {
		made("ib.pkey", child.Name)
		for _, o := range c.Children[:i] {
			if o.Name != child.Name && o.Parent == child.Parent && o.PKey == child.PKey {
				p.add("ib.pkey", child.Name, "has the same parent and P_Key as "+o.Name, "leave one of them out")
			}
		}
	}
	for _, b := range c.Bonds {
		made("bond", b.Name)
	}
	for _, v := range c.VLANs {
		made("vlan", v.Name)
		c.checkParent(p, v)
	}
	for _, b := range c.Bridges {
		made("bridge", b.Name)
		if limit, by := c.mtuBelow(b.Name, nil); limit != 0 && c.mtuOf(link.PortMatch{Name: b.Name}) > limit {
			p.add(
				"bridge",
				b.Name,
				"its ip= gives a larger MTU than that of "+by,
				"a bridge drops what is too long for a port: write the same in both",
			)
		}
	}
	c.checkPorts(p, seen)
	c.checkTypes(p)
	for _, n := range c.Interfaces {
		if master := c.masterOf(n); master != "" && master != n.Device {
			p.add(
				"ip",
				n.String(),
				n.PortMatch().String()+" is a port of "+master+" and takes no address",
				"write ip="+master+":dhcp, or leave the port out of "+master,
			)
		}
	}
}

// masterOf is the bond or bridge that takes the device of the argument by its name
// or address.
func (c *Config) masterOf(n Addressing) string {
	mine := func(m link.PortMatch) bool { return n.PortMatch() != link.PortMatch{} && m.Key() == c.deviceKey(n) }
	for _, b := range c.Bonds {
		if slices.ContainsFunc(b.Ports, mine) {
			return b.Name
		}
	}
	for _, b := range c.Bridges {
		if slices.ContainsFunc(b.Ports, mine) {
			return b.Name
		}
	}
	return ""
}

// under reports whether the link of that name is made, somewhere down, of the
// other one. on are the links passed on the way.
func (c *Config) under(name, other string, on []string) bool {
	for _, m := range c.Lowers(name) {
		if m.Name == other {
			return true
		}
		if !slices.Contains(on, m.Name) && c.under(m.Name, other, append(on, m.Name)) {
			return true
		}
	}
	return false
}

func (c *Config) bridge(name string) bool {
	return slices.ContainsFunc(c.Bridges, func(b link.Bridge) bool { return b.Name == name })
}

// checkPorts checks the ports of all bonds and bridges against each other.
func (c *Config) checkPorts(p *problems, seen []string) {
	taken := map[link.PortMatch]string{}
	port := func(key, name string, m link.PortMatch) {
		if other, ok := taken[m.Key()]; ok {
			p.add(
				key,
				name,
				m.String()+" cannot be a port of it: it is one of "+strings.Join(
					slices.Compact([]string{other, name}),
					" and ",
				),
				"write each port once",
			)
		}
		taken[m.Key()] = name
	}
	for _, b := range c.Bonds {
		c.checkPreferred(p, b, seen)
		if slices.ContainsFunc(
			c.Interfaces,
			func(n Addressing) bool { return n.Device == b.Name && n.MTU != 0 && b.MTU != 0 && n.MTU != b.MTU },
		) {
			p.add("bond", b.Name, "has another MTU than its ip=", "write it in one of them")
		}
		for _, m := range b.Ports {
			port("bond", b.Name, m)
			if c.Bond(m.Name) || c.bridge(m.Name) {
				p.add(
					"bond",
					b.Name,
					m.Name+" cannot be a port of it: it is a bond or a bridge itself",
					"write the ports of "+m.Name+" instead",
				)
			}
		}
	}
	for _, b := range c.Bridges {
		for _, m := range b.Ports {
			port("bridge", b.Name, m)
			switch {
			case c.bridge(m.Name):
				p.add(
					"bridge",
					b.Name,
					m.Name+" cannot be a port of it: it is a bridge itself",
					"write the ports of "+m.Name+" instead",
				)
			case slices.ContainsFunc(c.Lowers(m.Name), link.PortMatch.InfiniBand):
				p.add("bridge", b.Name, m.Name+" cannot be a port of it: InfiniBand has no bridges", "leave it out")
			}
		}
	}
}

// checkPreferred checks that the port a bond prefers is one of its own.
func (c *Config) checkPreferred(p *problems, b link.Bond, seen []string) {
	for _, name := range []string{"primary", "active_slave"} {
		port := b.Option(name)
		mine := func(m link.PortMatch) bool { return !c.apart(link.DeviceMatch(port), m, seen) }
		if port != "" && !slices.ContainsFunc(b.Ports, mine) {
			p.add("bond", b.Name, name+"="+port+" is not one of the ports", "name one of them")
		}
	}
}

// checkParent checks what a VLAN is on.
func (c *Config) checkParent(p *problems, v link.VLAN) {
	for _, b := range c.Bonds {
		if slices.ContainsFunc(b.Ports, func(m link.PortMatch) bool { return m.Key() == v.Parent.Key() }) {
			p.add(
				"vlan",
				v.Name,
				v.Parent.String()+" is a port of "+b.Name+" and has no VLANs of its own",
				"write vlan="+v.Name+":"+b.Name,
			)
		}
		if v.Parent.Name == b.Name && slices.ContainsFunc(b.Ports, link.PortMatch.InfiniBand) {
			p.add("vlan", v.Name, "InfiniBand has no VLANs", "write ib.pkey=ib0.8001 for a partition")
		}
	}
	if v.Parent.InfiniBand() {
		p.add("vlan", v.Name, "InfiniBand has no VLANs", c.partitionOn(v.Parent))
	}
	for _, o := range c.VLANs {
		if o.Name != v.Name && o.Parent.Key() == v.Parent.Key() && o.ID == v.ID {
			p.add("vlan", v.Name, "has the same parent and id as "+o.Name, "leave one of them out")
		}
	}
	mtu := c.mtuOf(link.PortMatch{Name: v.Name})
	if limit, by := c.mtuBelow(v.Name, nil); limit != 0 && mtu > limit {
		p.add(
			"vlan",
			v.Name,
			"its ip= gives a larger MTU than that of "+by,
			"a VLAN cannot have more than what it is on: write the same in both",
		)
	}
}

// mtuOf is the MTU that the arguments give to a device, 0 for none.
func (c *Config) mtuOf(m link.PortMatch) int {
	mtu := 0
	for _, n := range c.Interfaces {
		if n.PortMatch() != (link.PortMatch{}) && c.deviceKey(n) == m.Key() {
			mtu = max(mtu, n.MTU)
		}
	}
	for _, b := range c.Bonds {
		if m.Key() == (link.PortMatch{Name: b.Name}) {
			mtu = max(mtu, b.MTU)
		}
	}
	return mtu
}

// mtuBelow is the least MTU that the arguments give to what carries the packets of a VLAN or
// bridge, somewhere down, and which device that is; 0 for none. The ports of a bond have
// what it has. on are the links passed on the way.
func (c *Config) mtuBelow(name string, on []string) (least int, by string) {
	if c.Bond(name) || slices.Contains(on, name) {
		return 0, ""
	}
	for _, m := range c.Lowers(name) {
		mtu, of := c.mtuOf(m), cmp.Or(m.Name, m.String())
		if mtu == 0 {
			mtu, of = c.mtuBelow(m.Name, append(on, name))
		}
		if mtu != 0 && (least == 0 || mtu < least) {
			least, by = mtu, of
		}
	}
	return least, by
}
