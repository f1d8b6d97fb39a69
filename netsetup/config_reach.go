package netsetup

import (
	"net/netip"
	"slices"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// Addressed reports whether an ip= argument gives an interface an address, of whatever
// kind.
func (c Config) Addressed() bool {
	return slices.ContainsFunc(
		c.AddressingsOrDefault(),
		func(n Addressing) bool { return n.Method != lease.MethodNone },
	)
}

// Asks reports whether an ip= argument asks somebody, by DHCP, BOOTP, DHCPv6 or router
// advertisement, who may also name root path and server; the firmware's table may
// say that it is DHCP.
func (c Config) Asks() bool {
	return slices.ContainsFunc(c.AddressingsOrDefault(), func(n Addressing) bool {
		return n.Method == lease.MethodIBFT ||
			n.Method.Leases() && n.Method != lease.MethodRARP && n.Method != lease.MethodLink6
	})
}

// BootServer reports whether the arguments name a server, or RARP will.
func (c Config) BootServer() bool {
	return slices.ContainsFunc(
		c.AddressingsOrDefault(),
		func(n Addressing) bool { return n.Server.IsValid() || n.Method == lease.MethodRARP },
	)
}

// Family reports whether an ip= argument is about addresses of the host's family; the
// firmware's table may have those of either.
func (c Config) Family(h Host) bool {
	ipv6 := h.Addr.Unmap().Is6()
	return slices.ContainsFunc(
		c.AddressingsOrDefault(),
		func(n Addressing) bool { return n.IPv6() == ipv6 || n.Method == lease.MethodIBFT },
	)
}

// Leads reports whether the arguments can lead to a host that is named by its address: somebody
// is asked who may know the route, or what is written reaches it.
func (c Config) Leads(h Host) bool {
	a := h.Addr.Unmap()
	if !a.IsValid() || a.IsLoopback() || a.IsLinkLocalUnicast() && a.Is6() {
		return true
	}
	if slices.ContainsFunc(c.Routes, func(r link.Route) bool { return r.Dst.Contains(a) }) {
		return true
	}
	for i, n := range c.AddressingsOrDefault() {
		switch {
		case n.Method == lease.MethodIBFT || n.IPv6() == a.Is6() && n.Method.Leases() && n.Method != lease.MethodLink6:
			return true
		case n.Method == lease.MethodStatic && c.Reach(Host{Addr: a}, n.Lease(), i, n.Device) > ReachNone:
			return true
		}
	}
	return false
}

// NameServers are those that the arguments name; told reports whether somebody is asked
// who may name more, or the firmware's table may.
func (c Config) NameServers() (servers []netip.Addr, told bool) {
	servers = slices.Clone(c.Nameservers)
	for _, n := range c.AddressingsOrDefault() {
		servers = append(servers, n.DNS...)
		told = told || n.Method == lease.MethodIBFT
	}
	return servers, told || c.Asks() && !c.IgnorePeerDNS
}
