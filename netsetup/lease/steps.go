package lease

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/nodisk/nodisk/netsetup/link"
)

// Summary is the lease in a sentence: "10.77.0.23/24 by DHCP from 10.77.0.1".
func (l Lease) Summary() string {
	s := l.First().String() + " by " + cmp.Or(l.Protocol, "router advertisement")
	if l.Server.IsValid() {
		s += " from " + l.Server.String()
	}
	return s
}

// reaches reports whether the address is on the link, by the lease alone.
func (l Lease) reaches(a netip.Addr) bool {
	has := func(p netip.Prefix) bool { return p.Masked().Contains(a) }
	// Of what a router or DHCPv6 gives, the router says whether its prefix is on the link (RFC
	// 5942); a static prefix is.
	static := slices.ContainsFunc(l.More, has) || l.Protocol == "" && slices.ContainsFunc(l.Kept, has)
	return has(l.Addr) || static ||
		slices.ContainsFunc(l.Routes, func(r link.Route) bool { return !r.Via.IsValid() && r.Dst.Contains(a) })
}

// IPv6 reports whether the lease is one of IPv6; one without an address of its own has addresses
// that the kernel made from router advertisements.
func (l Lease) IPv6() bool {
	return l.Addr.Addr().Is6() || len(l.Kept) > 0
}

// Beyond reports whether no address of the lease reaches the gateway, so that the
// kernel must be told that it is on the link. A link-local one always is.
func (l Lease) Beyond(via netip.Addr) bool {
	return via.IsValid() && (via.Is4() || !via.IsLinkLocalUnicast()) && !l.reaches(via)
}

// KeptSteps would add the addresses that the interface has already.
func (l Lease) KeptSteps(dev string) []link.Step {
	var steps []link.Step
	for _, p := range l.Kept {
		steps = append(steps, link.AddrAdd{Dev: dev, Addr: p})
	}
	return steps
}
