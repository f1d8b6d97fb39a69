package netsetup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/netsetup/link"
)

// linkType is the ARP hardware type of what a match means, as far as the arguments tell it: by
// the name or address, or by what it is made of; 0 if they do not. Six bytes do not: they
// may be those of a GUID.
func (c *Config) linkType(m link.PortMatch) int { return c.typeOf(m, nil) }

// typeOf is linkType; on are the links passed on the way.
func (c *Config) typeOf(m link.PortMatch, on []string) int {
	for _, r := range c.Renames {
		if m.Name == r.Name {
			m = link.PortMatch{Addr: r.Addr}
		}
	}
	named := func(name string) bool { return name == m.Name }
	switch {
	case m.Name != "" && slices.Contains(on, m.Name): // an error of its own
		return 0
	case slices.ContainsFunc(c.Children, func(p link.Child) bool { return named(p.Name) }):
		return link.HwInfiniBand
	case slices.ContainsFunc(c.VLANs, func(v link.VLAN) bool { return named(v.Name) }),
		m.Name != "" && c.bridge(m.Name):
		return link.HwEthernet
	case m.Name != "" && c.Bond(m.Name):
		for _, port := range c.Lowers(m.Name) {
			if t := c.typeOf(port, append(on, m.Name)); t != 0 {
				return t
			}
		}
		return 0
	case m.InfiniBand():
		return link.HwInfiniBand
	case m.Ethernet():
		return link.HwEthernet
	default:
		return 0
	}
}

// checkTypes finds arguments for InfiniBand that are about an Ethernet device, and the reverse.
func (c *Config) checkTypes(p *problems) {
	for _, b := range c.Bonds {
		first := map[int]string{}
		for _, m := range b.Ports {
			if t := c.linkType(m); first[t] == "" {
				first[t] = m.String()
			}
		}
		if eth, ib := first[link.HwEthernet], first[link.HwInfiniBand]; eth != "" && ib != "" {
			p.add(
				"bond",
				b.Name,
				"has ports of two kinds: "+eth+" is Ethernet, "+ib+" is InfiniBand",
				"leave those of one kind out",
			)
		}
	}
	for _, child := range c.Children {
		switch parent := (link.PortMatch{Name: child.Parent}); {
		case c.child(child.Parent): // EINVAL of ipoib_new_child_link
			p.add(
				"ib.pkey",
				child.Name,
				"a partition has no partitions",
				"write ib.pkey="+c.partition(parent, child.PKey),
			)
		case c.linkType(parent) == link.HwEthernet:
			p.add("ib.pkey", child.Name, "Ethernet has no partitions", "write vlan="+child.Parent+".5:"+child.Parent)
		case c.Bond(child.Parent):
			p.add("ib.pkey", child.Name, "a bond has no partitions", c.partitioned(child))
		}
	}
	for _, n := range c.Interfaces {
		if n.NewAddr != "" && c.linkType(n.PortMatch()) == link.HwInfiniBand {
			p.add(
				"ip",
				n.String(),
				n.PortMatch().String()+" is InfiniBand, which takes no other hardware address",
				"leave it out",
			)
		}
	}
}

// partitioned is what to write for a partition over a bond: the partition on each of the
// ports, and a bond of these.
func (c *Config) partitioned(child link.Child) string {
	var ports []string
	add := func(m link.PortMatch) {
		name := c.partition(m, child.PKey)
		for i := 0; slices.Contains(ports, name); i++ {
			name = c.partition(link.PortMatch{Name: "ib" + strconv.Itoa(i)}, child.PKey)
		}
		ports = append(ports, name)
	}
	for _, m := range c.Lowers(child.Parent) {
		if add(m); m.Glob() { // of several
			add(m)
		}
	}
	return "write ib.pkey=" + strings.Join(
		ports,
		" ib.pkey=",
	) + " bond=" + child.Parent + ":" + strings.Join(
		ports,
		",",
	) + ":mode=active-backup"
}

// partition is a name for that partition of the port that a match means: one that both ib.pkey=
// and the kernel accept. A match that does not name one port stands for the kernel's first, and
// so does one whose name is too long.
func (c *Config) partition(m link.PortMatch, pkey uint16) string {
	parent := m.Name
	for range c.Children {
		if lowers := c.Lowers(parent); c.child(parent) {
			parent = lowers[0].Name
		}
	}
	name := fmt.Sprintf("%s.%04x", parent, pkey)
	if parent == "" || m.Glob() || !link.ValidDeviceName(name) {
		return fmt.Sprintf("ib0.%04x", pkey)
	}
	return name
}

// Unselected says that nodisk.ib.port= selects nothing, empty if it does, or is not there.
func (c Config) Unselected(have []link.Device) string {
	if c.IBPort == (link.PortSelector{}) {
		return ""
	}
	var ports []string
	for _, d := range have {
		if d.Type != link.HwInfiniBand || !d.Hardware() {
			continue
		}
		if c.IBPort.Selects(d) {
			return ""
		}
		text := d.Name
		if d.HCA != "" {
			text = d.HCA + ":" + strconv.Itoa(d.Port) + " " + text
		}
		if guid, ok := d.Addr.GUID(); ok {
			text += " " + guid.String()
		}
		ports = append(ports, text)
	}
	if ports == nil {
		return "nodisk.ib.port=" + c.IBPort.String() + " selects nothing: no InfiniBand interface is here"
	}
	return "nodisk.ib.port=" + c.IBPort.String() + " selects none of the ports here (" + strings.Join(
		ports,
		", ",
	) + ")"
}

// Unpreferred says of the ports that bonds are to prefer which of them are not here, a
// sentence each: a bond works without, and one that comes late is preferred then.
func (c Config) Unpreferred(have []link.Device) []string {
	var all []string
	for _, b := range c.Bonds {
		for _, name := range []string{"primary", "active_slave"} {
			m, err := link.ParsePortMatch(b.Option(name))
			if m != (link.PortMatch{}) && err == nil && !slices.ContainsFunc(have, m.Selects) {
				all = append(all, b.Name+" goes on without "+name+" "+b.Option(name)+": no such interface is here yet")
			}
		}
	}
	return all
}

// hwTypeFirst is the problem of eight bytes for a GUID that begin with 20.
const hwTypeFirst = "this is the hardware type 20 and 7 bytes, unless the GUID itself begins with 20: write all 8 " +
	"bytes of the GUID after 20-"
