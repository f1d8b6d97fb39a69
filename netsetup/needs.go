package netsetup

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// Needs says what a boot wants its network for. It decides between the answers on several
// interfaces, or of several servers on one, where the ip= argument leaves that to nodisk. The
// zero value accepts any address.
type Needs struct {
	// RootPath judges the root path of a lease (DHCP option 17) where that names
	// the root; the error says what is wrong with it. nil: the root is named
	// elsewhere.
	RootPath func(rootPath string) error
	// Hosts are the servers that the root is on, named without DHCP.
	Hosts []Host
	// Nameservers are those of the image's own resolv.conf(5), which are asked where
	// nobody else names any.
	Nameservers []netip.Addr
	// ByLease are the servers that the root is on by what came up: those of the
	// root path, or the boot server. nil: the command line names them.
	ByLease func(s State) []Host
}

// A Host is a server that the boot goes to.
type Host struct {
	Addr netip.Addr // invalid if only the name is known
	Name string
	// Dev is the one interface it is to be reached by, empty for any.
	Dev string
}

// String is the address, else the name, with the interface it needs.
func (h Host) String() string {
	s := h.Name
	if h.Addr.IsValid() {
		s = h.Addr.String()
	}
	if h.Dev != "" {
		s += " by " + h.Dev
	}
	return s
}

// A Reach says how good the route to a host is. A default route is a guess: another interface may
// be on the host's own network.
type Reach int

// The zero value is the worst one.
const (
	ReachNone    Reach = iota
	reachDefault       // by a default route
	reachRoute         // on the link, or by a route to the host's network
)

// Reach returns how a device with that lease reaches the host; the argument at position
// i is about it.
func (c Config) Reach(h Host, l lease.Lease, i int, dev string) Reach {
	if h.Dev != "" && h.Dev != dev {
		return ReachNone
	}
	if !h.Addr.IsValid() {
		return c.resolves(l, i, dev)
	}
	a := h.Addr.Unmap().WithZone("")
	if a.Is6() && a.IsLinkLocalUnicast() && l.IPv6() {
		return reachRoute // every link has such addresses
	}
	best := ReachNone
	for _, p := range slices.Concat([]netip.Prefix{l.Addr}, l.More, l.Kept, l.Reached) {
		if p.IsValid() && p.Masked().Contains(a) {
			return reachRoute
		}
	}
	routes := slices.Clone(l.Routes)
	for _, r := range c.Routes {
		if c.routes(r, i, l.IPv6(), dev) {
			routes = append(routes, r)
		}
	}
	for _, g := range []netip.Addr{l.Gateway, l.Router} {
		if g.IsValid() {
			routes = append(routes, link.Route{Dst: lease.DefaultRoute(g)})
		}
	}
	for _, r := range routes {
		switch {
		case !r.Dst.Contains(a):
		case r.Dst.Bits() == 0:
			best = max(best, reachDefault)
		default:
			best = reachRoute
		}
	}
	return best
}

// resolves returns whether the lease is good for finding a host by its name: it
// brings name servers, or reaches those of the command line, else of the image.
func (c Config) resolves(l lease.Lease, i int, dev string) Reach {
	given := slices.Clone(c.Nameservers)
	if words := c.AddressingsOrDefault(); i < len(words) {
		given = append(given, words[i].DNS...)
	}
	if len(given) == 0 {
		given = c.Needs.Nameservers
	}
	if !c.IgnorePeerDNS && len(l.DNS) > 0 || c.IgnorePeerDNS && len(given) == 0 {
		return reachRoute // in the second case no lease is any better
	}
	for _, a := range given {
		if !a.IsLoopback() && c.Reach(Host{Addr: a}, l, i, dev) > ReachNone {
			return reachRoute
		}
	}
	return ReachNone
}

// Need is the part of the Needs that the argument at position i must bring.
//
// The root path has to come by the argument of bootdev=, otherwise by the only one that can have
// it; if there are several, each has its part, and State takes the root path from whichever has
// it. Over IPv6 it is expected where no argument asks for IPv4.
//
// Hosts count where the argument leaves the interface to nodisk; those that a static address
// reaches do not.
func (c Config) Need(i int) Needs {
	words := c.AddressingsOrDefault()
	w := words[i]
	var n Needs
	if !w.Method.Asks() {
		return n
	}
	carries := func(o Addressing) bool {
		return (o.Method.Asks() || o.Method == lease.MethodSingle) && o.Method != lease.MethodRARP &&
			(c.BootDev == "" || c.IsOfBootDevice(o))
	}
	four := slices.ContainsFunc(words, func(o Addressing) bool { return carries(o) && !o.IPv6() })
	carriers := 0
	for _, o := range words {
		if carries(o) && o.IPv6() != four {
			carriers++
		}
	}
	if carriers == 1 && carries(w) && w.IPv6() != four {
		n.RootPath = c.Needs.RootPath
	}
	if c.certain(w) {
		return n
	}
	for _, h := range c.Needs.Hosts {
		mine := h.Addr.Unmap().Is6() == w.IPv6()
		if !h.Addr.IsValid() {
			mine = w.IPv6() != four
		}
		for j, o := range words {
			if o.Method == lease.MethodStatic && c.Reach(h, o.Lease(), j, o.Device) > ReachNone {
				mine = false
			}
		}
		if mine && !h.Addr.IsLoopback() && !slices.Contains(n.Hosts, h) {
			n.Hosts = append(n.Hosts, h)
		}
	}
	return n
}

// certain reports whether one certain interface is meant, by the argument itself, bootdev=
// or BOOTIF=.
func (c Config) certain(w Addressing) bool {
	boot := c.IsOfBootDevice(w)
	return w.Named() || boot && c.BootDevice().One() || !boot && w.PortMatch() == link.PortMatch{} && c.BootIF != ""
}

// An Accepted is a lease that is in use for an argument.
type Accepted struct {
	Dev   string
	Pos   int
	Lease lease.Lease
}

// Reached returns how the leases in use reach the host.
func (c Config) Reached(h Host, have []Accepted) Reach {
	best := ReachNone
	for _, a := range have {
		best = max(best, c.Reach(h, a.Lease, a.Pos, a.Dev))
	}
	return best
}

// Complete reports whether no further lease can reach a host any better.
func (c Config) Complete(n Needs, have []Accepted) bool {
	return !slices.ContainsFunc(n.Hosts, func(h Host) bool { return c.Reached(h, have) < reachRoute })
}

// Unfit says why a lease is of no use in addition to those that all arguments have, "" if it is
// of use. first is set if its argument has none yet. The sentence begins with the lease.
func (c Config) Unfit(n Needs, first bool, have []Accepted, a Accepted) string {
	l := a.Lease
	refused := func(why string) string { return l.Summary() + " " + why }
	if first && n.RootPath != nil {
		if l.RootPath == "" {
			option := "17"
			if l.IPv6() {
				option = "59"
			}
			return refused("has no root path (option " + option + ")")
		}
		if err := n.RootPath(l.RootPath); err != nil {
			return refused("is of no use: " + err.Error())
		}
		return ""
	}
	var far, nameless []string
	for _, h := range n.Hosts {
		switch by := c.Reached(h, have); {
		case c.Reach(h, l, a.Pos, a.Dev) > by:
			return ""
		case by > ReachNone:
		case h.Addr.IsValid():
			far = append(far, h.String())
		default:
			nameless = append(nameless, h.String())
		}
	}
	switch {
	case !first:
		return refused("is not needed")
	case len(far) > 0:
		return refused("has no route to " + strings.Join(far, ", "))
	case len(nameless) > 0:
		return refused("has no name server to look for " + strings.Join(nameless, ", "))
	default:
		return "" // other arguments have what is needed
	}
}
