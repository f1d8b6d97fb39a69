package pxe

import (
	"fmt"
	"net/netip"
	"strings"
)

// check finds what is wrong between the parts of a description.
func (p *parser) check() {
	prefixes := len(p.n.Groups)
	for _, g := range p.n.Groups {
		prefixes += len(g.Prefixes)
	}
	if len(p.n.Subnets) > maxParts || prefixes > maxParts {
		p.bad(Position{}, "more than %d subnets, or groups and prefixes of groups: divide the description into "+
			"several files and directories", maxParts)
		return
	}
	p.index = newIndex(&p.n)
	p.checkSubnets()
	p.checkPrefixes()
	p.checkNodes()
	if len(p.n.Nodes) == 0 && len(p.n.Subnets) == 0 && len(p.list) == 0 {
		p.bad(Position{}, "neither subnets nor nodes: write at least one of them")
	}
	kinds := map[*Subnet]map[bool]string{}
	for _, d := range p.n.Nodes {
		if s := p.subnet(d.IP); s != nil {
			if kinds[s] == nil {
				kinds[s] = map[bool]string{}
			}
			kinds[s][d.infiniBand()] = d.Name
		}
	}
	for i := range p.n.Subnets {
		if s := &p.n.Subnets[i]; len(kinds[s]) == 2 {
			p.warn(s.At, "subnet %v has Ethernet nodes (%s) and InfiniBand nodes (%s), which are never on one "+
				"link: divide it",
				s.Prefix, kinds[s][false], kinds[s][true])
		}
	}
	if p.n.Server.IsValid() {
		for _, d := range p.n.Nodes {
			if d.IP == p.n.Server {
				p.bad(d.At, "node %s: ip %v is that of the server", d.Name, d.IP)
			}
		}
	}
}

func (p *parser) checkSubnets() {
	for i, s := range p.n.Subnets {
		for _, o := range p.n.Subnets[:i] {
			if s.Prefix.Overlaps(o.Prefix) {
				p.bad(s.At, "subnet %v overlaps with %v of line %d", s.Prefix, o.Prefix, o.At.Line)
			}
		}
		if s.Gateway.IsValid() && !usable(s.Prefix, s.Gateway) {
			p.bad(s.At, "subnet %v: gateway %v is not a host of it", s.Prefix, s.Gateway)
		}
		if s.First.IsValid() && (!usable(s.Prefix, s.First) || !usable(s.Prefix, s.Last)) {
			p.bad(s.At, "subnet %v: range %v-%v is not within its hosts", s.Prefix, s.First, s.Last)
		}
		if s.First.IsValid() && s.Gateway.IsValid() && between(s.Gateway, s.First, s.Last) {
			p.bad(s.At, "subnet %v: gateway %v is in range %v-%v: it would be given to a machine",
				s.Prefix, s.Gateway, s.First, s.Last)
		}
	}
}

// checkPrefixes finds two owners of one hexadecimal name.
func (p *parser) checkPrefixes() {
	type owner struct {
		what string
		at   Position
	}
	owners := map[string]owner{}
	claim := func(prefix netip.Prefix, o owner) {
		for _, name := range hexNames(prefix) {
			if other, taken := owners[name]; taken {
				p.bad(o.at, "%s and %s of line %d both are pxelinux.cfg/%s (%v): give the settings to one of them",
					o.what, other.what, other.at.Line, name, prefix)
				return
			}
		}
		for _, name := range hexNames(prefix) {
			owners[name] = o
		}
	}
	for _, s := range p.n.Subnets {
		if p.owners[s.Prefix] != nil {
			continue // that group has the machines without an entry
		}
		claim(s.Prefix, owner{fmt.Sprintf("subnet %v", s.Prefix), s.At})
	}
	for _, g := range p.n.Groups {
		for _, x := range g.Prefixes {
			claim(x, owner{"group " + g.Name, g.At})
		}
	}
	for _, d := range p.n.Nodes {
		if !d.IP.IsValid() {
			continue
		}
		if o, taken := owners[hexName(d.IP)]; taken {
			p.bad(d.At, "node %s and %s of line %d both are pxelinux.cfg/%s (%v): leave that prefix out",
				d.Name, o.what, o.at.Line, hexName(d.IP), d.IP)
		}
	}
}

func (p *parser) checkNodes() {
	seen := map[string]Node{}
	once := func(d Node, kind, value string) bool {
		o, again := seen[kind+" "+value]
		if again {
			p.bad(d.At, "node %s: %s %s is that of node %s in line %d", d.Name, kind, value, o.Name, o.At.Line)
		} else {
			seen[kind+" "+value] = d
		}
		return !again
	}
	for _, d := range p.n.Nodes {
		if d.Name != "" {
			once(d, "name", d.Name)
		}
		if d.IP.IsValid() {
			once(d, "ip", d.IP.String())
		}
		// Firmware on InfiniBand may show the six bytes, so they too must be
		// those of one node.
		switch {
		case d.MAC != "":
			once(d, "mac", d.MAC.String())
		case d.GUID.String() != "" && once(d, "guid", d.GUID.String()):
			if o, again := seen["mac "+d.mac().String()]; again && o.infiniBand() {
				p.bad(d.At, "node %s: guid %s has the same 6 bytes (%s, without bytes 4 and 5) as guid %s of node %s "+
					"in line %d, and firmware shows only those",
					d.Name, d.GUID, d.mac(), o.GUID, o.Name, o.At.Line)
			} else {
				once(d, "mac", d.mac().String())
			}
		}
		if id, ok := strings.CutPrefix(d.ClientID, "hex:"); ok {
			once(d, "client-id", id)
		}
		if d.Group != "" && p.groups[d.Group] == nil {
			p.bad(d.At, "node %s: there is no group %q: write it under groups:", d.Name, clip(d.Group))
		}
		p.checkAddress(d)
	}
}

// checkAddress judges the address of one node.
func (p *parser) checkAddress(d Node) {
	if !d.IP.IsValid() {
		return
	}
	s := p.subnet(d.IP)
	switch {
	case s == nil:
		var all []string
		for i, s := range p.n.Subnets {
			if i == 5 {
				all = append(all, "...")
				break
			}
			all = append(all, s.Prefix.String())
		}
		p.bad(d.At, "node %s: ip %v is in no subnet (%s): correct it, or write its subnet under subnets:",
			d.Name, d.IP, strings.Join(all, ", "))
		return
	case d.IP == s.Gateway:
		p.bad(d.At, "node %s: ip %v is the gateway of subnet %v", d.Name, d.IP, s.Prefix)
	case !usable(s.Prefix, d.IP) && d.IP == s.Prefix.Addr():
		p.bad(d.At, "node %s: ip %v is the network address of subnet %v", d.Name, d.IP, s.Prefix)
	case !usable(s.Prefix, d.IP):
		p.bad(d.At, "node %s: ip %v is the broadcast address of subnet %v", d.Name, d.IP, s.Prefix)
	case s.First.IsValid() && between(d.IP, s.First, s.Last):
		p.warn(d.At, "node %s: ip %v is in the range %v-%v of its subnet: dhcpd may give it to another machine",
			d.Name, d.IP, s.First, s.Last)
	}
	for _, x := range p.owns(d.IP) {
		if g := p.owners[x]; g.Name != d.Group && x.Bits() > s.Prefix.Bits() {
			p.warn(d.At, "node %s: ip %v is in prefix %v of group %s, but the node is not of that group",
				d.Name, d.IP, x, g.Name)
		}
	}
}

func (p *parser) warn(where Position, format string, args ...any) {
	p.n.Warnings = append(p.n.Warnings, p.problem(where, format, args...).Error())
}

func between(a, first, last netip.Addr) bool { return !a.Less(first) && !last.Less(a) }

// usable reports whether a host of the prefix may have the address: not the
// network's and not the broadcast address, but for point-to-point links (RFC
// 3021) and single hosts.
func usable(prefix netip.Prefix, a netip.Addr) bool {
	return prefix.Contains(a) && (prefix.Bits() >= 31 || a != prefix.Addr() && a != broadcast(prefix))
}

func broadcast(prefix netip.Prefix) netip.Addr {
	return toAddr(toNumber(prefix.Addr()) | ^netmaskNumber(prefix))
}

func toNumber(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func toAddr(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func netmaskNumber(prefix netip.Prefix) uint32 { return ^uint32(0) << (32 - prefix.Bits()) }

// netmask is 255.255.255.0 for a prefix of 24 bits.
func netmask(prefix netip.Prefix) netip.Addr { return toAddr(netmaskNumber(prefix)) }

// hexName is 0A000007 for 10.0.0.7.
func hexName(a netip.Addr) string { return fmt.Sprintf("%08X", toNumber(a)) }

// hexNames are the beginnings of hexName that make up a prefix: of 24 bits one
// with six digits, of 22 bits four of them.
func hexNames(prefix netip.Prefix) []string {
	digits := (prefix.Bits() + 3) / 4
	var names []string
	for i := range 1 << (4*digits - prefix.Bits()) {
		first := toNumber(prefix.Addr()) + uint32(i)<<(32-4*digits)
		names = append(names, hexName(toAddr(first))[:digits])
	}
	return names
}
