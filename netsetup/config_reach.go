package netsetup

import (
	"net/netip"
	"slices"
)

// Addressed reports whether an ip= word gives an interface an address, of whatever
// kind.
func (c Config) Addressed() bool {
	return slices.ContainsFunc(c.interfaces(), func(n Interface) bool { return n.Method != MethodNone })
}

// Asks reports whether an ip= word asks somebody, by DHCP, BOOTP, DHCPv6 or router
// advertisement, who may also name root path and server; the firmware's table may
// say that it is DHCP.
func (c Config) Asks() bool {
	return slices.ContainsFunc(c.interfaces(), func(n Interface) bool {
		return n.Method == MethodIBFT || n.Method.leases() && n.Method != MethodRARP && n.Method != MethodLink6
	})
}

// BootServer reports whether the words name a server, or RARP will.
func (c Config) BootServer() bool {
	return slices.ContainsFunc(c.interfaces(), func(n Interface) bool { return n.Server.IsValid() || n.Method == MethodRARP })
}

// Family reports whether an ip= word is about addresses of the host's family; the
// firmware's table may have those of either.
func (c Config) Family(h Host) bool {
	six := h.Addr.Unmap().Is6()
	return slices.ContainsFunc(c.interfaces(), func(n Interface) bool { return n.six() == six || n.Method == MethodIBFT })
}

// Leads reports whether the words can lead to a host that is named by its address:
// somebody is asked who may know the way, or what is written reaches it.
func (c Config) Leads(h Host) bool {
	a := h.Addr.Unmap()
	if !a.IsValid() || a.IsLoopback() || a.IsLinkLocalUnicast() && a.Is6() {
		return true
	}
	if slices.ContainsFunc(c.Routes, func(r Route) bool { return r.Dst.Contains(a) }) {
		return true
	}
	for i, n := range c.interfaces() {
		switch {
		case n.Method == MethodIBFT || n.six() == a.Is6() && n.Method.leases() && n.Method != MethodLink6:
			return true
		case n.Method == MethodStatic && c.reach(Host{Addr: a}, n.lease(), i, n.Device) > reachNone:
			return true
		}
	}
	return false
}

// NameServers are those that the words name; told reports whether somebody is asked
// who may name more, or the firmware's table may.
func (c Config) NameServers() (servers []netip.Addr, told bool) {
	servers = slices.Clone(c.Nameservers)
	for _, n := range c.interfaces() {
		servers = append(servers, n.DNS...)
		told = told || n.Method == MethodIBFT
	}
	return servers, told || c.Asks() && !c.IgnorePeerDNS
}

// KeepsNames reports whether interfaces keep the names that the kernel gives them,
// because it is said or because a word calls one so.
func (c Config) KeepsNames() bool { return c.kernelNames() }
