package netsetup

import (
	"net/netip"
	"slices"
)

// The kernel gives an interface its link-local address, checks addresses for
// duplicates, asks for routers, and makes addresses and the default route of
// what they say: all that goes on after switch_root without a process. A view6
// is what it has told of one interface. The runner keeps it from the start, and
// the protocol of the interface reads it.
type view6 struct {
	dev string
	// seen tells that the interface was shown; before, that it was up already then, and may
	// have heard a router whom nobody here did.
	seen, before bool

	addrs []addr6
	// router tells that there was a router advertisement, with these flags.
	router, managed, other bool
	// solicited tells that routers were asked for what they said before.
	solicited bool
	gateway   netip.Addr
	routes    []netip.Prefix // of the kernel's own, but for the default one
	dns       []netip.Addr
	search    []string
}

// An addr6 is an address of the interface; see news.
type addr6 struct {
	prefix                          netip.Prefix
	tentative, duplicate, permanent bool
}

// take keeps what the kernel tells.
func (v *view6) take(e *news) {
	switch {
	case e.addr.IsValid():
		a := v.of(e.addr.Addr())
		if a == nil {
			v.addrs = append(v.addrs, addr6{})
			a = &v.addrs[len(v.addrs)-1]
		}
		*a = addr6{e.addr, e.tentative, e.duplicate, e.permanent}
		if e.gone {
			*a = v.addrs[len(v.addrs)-1]
			v.addrs = v.addrs[:len(v.addrs)-1]
		}
	case e.router:
		v.router, v.managed, v.other = true, e.managed, e.other
	case e.gateway.IsValid() && !e.gone:
		v.gateway, v.router = e.gateway, true
	case e.gateway.IsValid():
		if v.gateway == e.gateway {
			v.gateway = netip.Addr{}
		}
	case e.route.IsValid():
		v.routes = slices.DeleteFunc(v.routes, func(p netip.Prefix) bool { return p == e.route })
		if !e.gone && len(v.routes) < mostRoutes {
			v.routes = append(v.routes, e.route)
		}
	case len(e.dns) > 0:
		v.dns = e.dns
	case len(e.search) > 0:
		v.search = e.search
	}
}

// mostRoutes bounds the routes that are kept: whoever can send router advertisements
// decides how many there are.
const mostRoutes = 64

// onLink tells whether the kernel knows a network that the address is in, besides the
// address itself.
func (v *view6) onLink(a netip.Addr) bool {
	return slices.ContainsFunc(v.routes, func(p netip.Prefix) bool { return p.Contains(a) && !p.IsSingleIP() })
}

// zoned names the interface in link-local addresses: without that they are no
// use in resolv.conf.
func zoned(addrs []netip.Addr, dev string) []netip.Addr {
	var all []netip.Addr
	for _, a := range addrs {
		if a.IsLinkLocalUnicast() {
			a = a.WithZone(dev)
		}
		all = append(all, a)
	}
	return all
}

// ready are the addresses that have been checked: the link-local ones, or those
// made from router advertisements.
func (v *view6) ready(local bool) []netip.Prefix {
	var all []netip.Prefix
	for i := range v.addrs {
		a := &v.addrs[i]
		if !a.tentative && !a.duplicate && a.prefix.Addr().IsLinkLocalUnicast() == local && (local || !a.permanent) {
			all = append(all, a.prefix)
		}
	}
	return all
}

// makes tells whether the kernel has an address of a router advertisement, or is
// checking one.
func (v *view6) makes() bool {
	for i := range v.addrs {
		if a := &v.addrs[i]; !a.permanent && !a.duplicate && !a.prefix.Addr().IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}

// of returns what is known of one address, nil if the interface has not got it.
func (v *view6) of(a netip.Addr) *addr6 {
	for i := range v.addrs {
		if v.addrs[i].prefix.Addr() == a {
			return &v.addrs[i]
		}
	}
	return nil
}

// linkLocal says why there is no link-local address yet.
func (v *view6) linkLocal(after string) string {
	for i := range v.addrs {
		a := &v.addrs[i]
		switch {
		case !a.prefix.Addr().IsLinkLocalUnicast():
		case a.duplicate:
			return "another node has its link-local address " + a.prefix.Addr().String() + checkedBy + ": look for one with the same hardware address, or a loop in the network"
		default:
			return "its link-local address " + a.prefix.Addr().String() + " is still being checked after " + after + checkedBy
		}
	}
	return "the kernel has given it no link-local address of IPv6 after " + after
}
