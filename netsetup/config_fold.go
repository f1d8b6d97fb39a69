package netsetup

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/nodisk/nodisk/internal/sets"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// folded returns the arguments without what is said twice, and with several static ones for a
// device made into one: an interface may have several addresses of one family. places are where
// each of them has gone. What cannot be one argument stays two, which check refuses.
func (c Config) folded() (words []Addressing, places []int) {
	for _, n := range c.AddressingsOrDefault() {
		at := slices.IndexFunc(
			words,
			func(o Addressing) bool { return c.deviceKey(o) == c.deviceKey(n) && (o.says(n) || o.takes(n)) },
		)
		switch {
		case at < 0:
			at = len(words)
			words = append(words, n)
		case !words[at].says(n):
			words[at] = words[at].with(n)
		}
		places = append(places, at)
	}
	return words, places
}

// says reports whether two arguments for a device say the same about it.
func (n Addressing) says(o Addressing) bool {
	o.Device, o.Match, o.Driver = n.Device, n.Match, n.Driver
	return n.String() == o.String()
}

// takes reports whether the addresses of both arguments can be on one device without
// contradiction.
func (n Addressing) takes(o Addressing) bool {
	return n.PortMatch() != link.PortMatch{} && n.Method == lease.MethodStatic && o.Method == lease.MethodStatic &&
		n.IPv6() == o.IPv6() &&
		agree(n.MTU, o.MTU) && agree(n.NewAddr, o.NewAddr) && agree(n.Hostname, o.Hostname) &&
		agree(n.Gateway, o.Gateway) &&
		agree(n.Server, o.Server) &&
		agree(n.Peer, o.Peer)
}

// agree reports whether at most one of two values is given, or both are the same.
func agree[T comparable](a, b T) bool {
	var none T
	return a == none || b == none || a == b
}

// with adds the addresses of another argument that it takes.
func (n Addressing) with(o Addressing) Addressing {
	n.MTU, n.NewAddr, n.Hostname = cmp.Or(n.MTU, o.MTU), cmp.Or(n.NewAddr, o.NewAddr), cmp.Or(n.Hostname, o.Hostname)
	n.Gateway, n.Server, n.Peer = cmp.Or(n.Gateway, o.Gateway), cmp.Or(n.Server, o.Server), cmp.Or(n.Peer, o.Peer)
	n.More = sets.Union(n.More, append([]netip.Prefix{o.Address}, o.More...))
	n.More = slices.DeleteFunc(n.More, func(a netip.Prefix) bool { return a == n.Address })
	n.DNS, n.NTP = sets.Union(n.DNS, o.DNS), sets.Union(n.NTP, o.NTP)
	return n
}
