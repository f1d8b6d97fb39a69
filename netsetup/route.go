package netsetup

import (
	"net/netip"
	"slices"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// parseRoute reads rd.route=net/mask:gateway[:device].
func (c *Config) parseRoute(a cmdline.Arg, p *problems) {
	const fix = "write net/mask:gateway[:device], for example 10.1.0.0/16:10.0.0.1:eth0 or [2001:db8:1::]/48:[fe80::1]:eth0"
	f, ok := splitFields(a.Value)
	if !ok || len(f) < 2 || len(f) > 3 {
		p.bad(a, "is not net/mask:gateway[:device]", fix)
		return
	}
	before := len(p.errs)
	var r Route
	if f[1] != "" {
		r.Via = p.gateway(a, f[1])
	}
	if f[0] == "default" {
		f[0] = "0.0.0.0/0"
		if r.Via.Is6() {
			f[0] = "::/0"
		}
	}
	dst, bits := p.address(a, "net", f[0])
	if bits < 0 {
		bits = dst.BitLen()
	}
	if len(f) == 3 {
		r.Dev = p.deviceWord(a, f[2])
	}
	if len(p.errs) > before {
		return
	}
	r.Dst = netip.PrefixFrom(dst, bits).Masked()
	switch {
	case !r.Via.IsValid() && r.Dev == "":
		p.bad(a, "names neither gateway nor device", fix)
	case r.Via.IsValid() && r.Via.Is6() != dst.Is6():
		p.bad(a, "has a gateway of another family than the net", fix)
	case r.Via.Is6() && r.Via.IsLinkLocalUnicast() && r.Dev == "":
		p.bad(a, "gateway "+r.Via.String()+" is link-local, and every link has one of those", "name the device behind it: "+a.Value+":eth0")
	default:
		c.Routes = append(c.Routes, r)
	}
}

// secondaryMetric is added to the default routes of all words but the primary one,
// so that two gateways make one default route and a spare.
const secondaryMetric = 100

// routerMetric is that of the default routes which the kernel takes from router
// advertisements (IP6_RT_PRIO_USER of include/net/ip6_route.h).
const routerMetric = 1024

// addressSteps gives the device the lease of the word at position i, and the
// routes of rd.route= that name the device.
func (c Config) addressSteps(i int, l Lease, dev string) []Step {
	steps := l.Steps(dev)
	rank := c.rank(i, l.six(), dev)
	for j, s := range steps {
		// Of IPv6 the kernel has default routes of router advertisements: one
		// that is written goes first.
		if r, ok := s.(Route); ok && r.Dst.Bits() == 0 && (rank > 0 || r.Dst.Addr().Is6()) {
			r.Metric = secondaryMetric + rank
			steps[j] = r
		}
	}
	for _, r := range c.Routes {
		if c.routes(r, i, l.six(), dev) {
			r.Dev = dev
			r.OnLink = l.beyond(r.Via)
			steps = append(steps, r)
		}
	}
	return steps
}

// bootWord tells whether the ip= word is about the device of bootdev=, or about those
// that it describes: it says the same or, where none of its family does, nothing. One
// that describes the device becomes its word when that is seen; see bootWordOf.
func (c Config) bootWord(n Interface) bool {
	boot := c.BootDevice().key()
	same := func(o Interface) bool { return o.six() == n.six() && o.match().key() == boot }
	return c.BootDev != "" && (same(n) || n.match() == PortMatch{} && !c.BootWord && !slices.ContainsFunc(c.interfaces(), same))
}

// bootWordOf makes the words that would give an address to the device of bootdev=,
// which has been seen, about that one alone.
func (c Config) bootWordOf(d Device) Config {
	if boot := c.BootDevice(); !boot.one() || !boot.selects(d) {
		return c
	}
	c.Interfaces = slices.Clone(c.interfaces())
	for _, six := range []bool{false, true} {
		if i, ok := c.claim(d, six); ok && !c.Interfaces[i].named() {
			n := &c.Interfaces[i]
			n.Device, n.Driver = d.Name, ""
		}
	}
	return c
}

// about tells whether a word means the device of that name, which gets its address by
// the ip= word at position i. A description means whichever the ip= word took that
// has the same, or that has none.
func (c Config) about(word string, i int, dev string) bool {
	if word == dev || !deviceMatch(word).glob() || i >= len(c.interfaces()) {
		return word == dev
	}
	of := c.interfaces()[i].match()
	return of == deviceMatch(word) || of == PortMatch{} && word == c.BootDev
}

// rank orders the default routes of one family: 0 for the device of bootdev=,
// without that for the first word of the family; the others follow in the order of
// their words, none twice.
func (c Config) rank(i int, six bool, dev string) int {
	switch {
	case c.BootDev != "" && c.about(c.BootDev, i, dev):
		return 0
	case c.BootDev != "":
		return i + 1
	case i == c.first(six):
		return 0
	default:
		return i
	}
}

// first is the position of the first word that gets an address of the family, -1
// when there is none.
func (c Config) first(six bool) int {
	return slices.IndexFunc(c.interfaces(), func(n Interface) bool { return n.Method != MethodNone && n.six() == six })
}

// rank6 is the rank of the default routes that the kernel takes from the router
// advertisements on a device: it does so on every one that is up, whatever the
// words say of it. 0 where no word is about IPv6.
func (c Config) rank6(d Device) int {
	first := c.first(true)
	if first < 0 {
		return 0
	}
	i, ok := c.claim(d, true)
	if !ok {
		i, _ = c.claim(d, false)
		i += len(c.interfaces())
	}
	return c.rank(i, true, d.Name)
}

// routes reports whether a route of rd.route= goes with the addresses of a device
// that the word at position i is about. One without a device goes with the primary
// word.
func (c Config) routes(r Route, i int, six bool, dev string) bool {
	if r.Dst.Addr().Is6() != six {
		return false
	}
	return r.Dev != "" && c.about(r.Dev, i, dev) || r.Dev == "" && i == c.routeWord(r)
}

// routeWord is the position of the word that a route without a device goes with:
// the first that gets an address of its family, the one of bootdev= before the
// others; -1 when there is none.
func (c Config) routeWord(r Route) int {
	words := c.interfaces()
	fits := func(n Interface) bool { return n.Method != MethodNone && n.six() == r.Dst.Addr().Is6() }
	if i := slices.IndexFunc(words, func(n Interface) bool { return c.bootWord(n) && fits(n) }); i >= 0 {
		return i
	}
	return slices.IndexFunc(words, fits)
}

// six tells whether the lease is of IPv6; one without an address of its own is of
// addresses that the kernel made of router advertisements.
func (l Lease) six() bool {
	return l.Addr.Addr().Is6() || len(l.Kept) > 0
}

// beyond tells whether no address of the lease reaches the gateway, so that the
// kernel must be told that it is on the link. A link-local one always is.
func (l Lease) beyond(via netip.Addr) bool {
	return via.IsValid() && (via.Is4() || !via.IsLinkLocalUnicast()) && !l.reaches(via)
}
