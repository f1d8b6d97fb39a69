package link

import (
	"net/netip"
	"slices"
)

// IPv6State is what the kernel has reported about IPv6 on one interface. The kernel gives an
// interface its link-local address, checks addresses for duplicates, asks for routers, and makes
// addresses and the default route of what they say: all that goes on after switch_root without a
// process. The runner keeps this from the start, and the protocol of the interface reads it.
type IPv6State struct {
	Dev string
	// Seen says that the interface was shown; before, that it was already up then, and may have
	// heard a router that nobody here did.
	Seen, Before bool

	Addrs []Addr6
	// Router says that there was a router advertisement, with these flags.
	Router, Managed, Other bool
	// Solicited says that routers were asked for what they said before.
	Solicited bool
	Gateway   netip.Addr
	Routes    []netip.Prefix // of the kernel's own, except for the default one
	DNS       []netip.Addr
	Search    []string
}

// An Addr6 is an address of the interface; see news.
type Addr6 struct {
	Prefix                          netip.Prefix
	Tentative, Duplicate, Permanent bool
}

// Take keeps what the kernel reports.
func (v *IPv6State) Take(e *News) {
	switch {
	case e.Addr.IsValid():
		a := v.Of(e.Addr.Addr())
		if a == nil {
			v.Addrs = append(v.Addrs, Addr6{})
			a = &v.Addrs[len(v.Addrs)-1]
		}
		*a = Addr6{e.Addr, e.Tentative, e.Duplicate, e.Permanent}
		if e.Gone {
			*a = v.Addrs[len(v.Addrs)-1]
			v.Addrs = v.Addrs[:len(v.Addrs)-1]
		}
	case e.Router:
		v.Router, v.Managed, v.Other = true, e.Managed, e.Other
	case e.Gateway.IsValid() && !e.Gone:
		v.Gateway, v.Router = e.Gateway, true
	case e.Gateway.IsValid():
		if v.Gateway == e.Gateway {
			v.Gateway = netip.Addr{}
		}
	case e.Route.IsValid():
		v.Routes = slices.DeleteFunc(v.Routes, func(p netip.Prefix) bool { return p == e.Route })
		if !e.Gone && len(v.Routes) < mostRoutes {
			v.Routes = append(v.Routes, e.Route)
		}
	case len(e.DNS) > 0:
		v.DNS = e.DNS
	case len(e.Search) > 0:
		v.Search = e.Search
	}
}

// mostRoutes bounds the routes that are kept: whoever can send router advertisements
// decides how many there are.
const mostRoutes = 64

// OnLink reports whether the kernel knows a network that the address is in, besides the
// address itself.
func (v *IPv6State) OnLink(a netip.Addr) bool {
	return slices.ContainsFunc(v.Routes, func(p netip.Prefix) bool { return p.Contains(a) && !p.IsSingleIP() })
}

// Zoned names the interface in link-local addresses: without it they are of no use in
// resolv.conf.
func Zoned(addrs []netip.Addr, dev string) []netip.Addr {
	var all []netip.Addr
	for _, a := range addrs {
		if a.IsLinkLocalUnicast() {
			a = a.WithZone(dev)
		}
		all = append(all, a)
	}
	return all
}

// Ready are the addresses that have been checked: the link-local ones, or those
// made from router advertisements.
func (v *IPv6State) Ready(local bool) []netip.Prefix {
	var all []netip.Prefix
	for i := range v.Addrs {
		a := &v.Addrs[i]
		if !a.Tentative && !a.Duplicate && a.Prefix.Addr().IsLinkLocalUnicast() == local && (local || !a.Permanent) {
			all = append(all, a.Prefix)
		}
	}
	return all
}

// Makes reports whether the kernel has an address of a router advertisement, or is
// checking one.
func (v *IPv6State) Makes() bool {
	for i := range v.Addrs {
		if a := &v.Addrs[i]; !a.Permanent && !a.Duplicate && !a.Prefix.Addr().IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}

// Of returns what is known of one address, nil if the interface has not got it.
func (v *IPv6State) Of(a netip.Addr) *Addr6 {
	for i := range v.Addrs {
		if v.Addrs[i].Prefix.Addr() == a {
			return &v.Addrs[i]
		}
	}
	return nil
}

// LinkLocal says why there is no link-local address yet.
func (v *IPv6State) LinkLocal(after string) string {
	for i := range v.Addrs {
		a := &v.Addrs[i]
		switch {
		case !a.Prefix.Addr().IsLinkLocalUnicast():
		case a.Duplicate:
			return "another node has its link-local address " + a.Prefix.Addr().
				String() +
				CheckedBy + ": look for one with the same hardware address, or a loop in the network"
		default:
			return "its link-local address " + a.Prefix.Addr().
				String() +
				" is still being checked after " + after + CheckedBy
		}
	}
	return "the kernel has given it no link-local address of IPv6 after " + after
}

// CheckedBy is how long the kernel's duplicate address detection may take.
const CheckedBy = " (duplicate address detection)"
