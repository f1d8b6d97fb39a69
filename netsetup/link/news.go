package link

import (
	"net/netip"
)

// News is what the kernel reports about an interface, besides its link: one of the groups of
// fields is set.
type News struct {
	// Running says that the queue is certainly open; see link of the runner in package bringup.
	Running bool

	// Addr is an IPv6 address of the interface with its prefix length. Tentative: it is being
	// checked (RFC 4862 section 5.4); duplicate: another node has it; gone: the interface no
	// longer has it. Permanent: not made from a router advertisement.
	Addr                                  netip.Prefix
	Tentative, Duplicate, Gone, Permanent bool

	// Router says that a router advertisement has been accepted; managed and other are its flags
	// M and O (RFC 4861 section 4.2).
	Router, Managed, Other bool

	// Gateway is the default router of IPv6, route the network of another route that the kernel
	// has made: from an address, from a prefix that is on the link (RFC 4861 section 4.6.2), or
	// from the route information in a router advertisement (RFC 4191).
	Gateway netip.Addr
	Route   netip.Prefix

	// DNS and search are options of a router advertisement (RFC 8106).
	DNS    []netip.Addr
	Search []string
}

// An Event is about an interface: it is there, has changed, or is gone; or, with News, about
// something on it.
type Event struct {
	Device
	Gone bool
	News *News // Device has only the index then
	Err  error // the subscription has ended
}
