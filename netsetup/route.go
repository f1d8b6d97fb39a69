package netsetup

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// parseRoute reads rd.route=net/mask:gateway[:device].
func (c *Config) parseRoute(a cmdline.Arg, p *problems) {
	const fix = "write net/mask:gateway[:device], for example 10.1.0.0/16:10.0.0.1:eth0 or " +
		"[2001:db8:1::]/48:[fe80::1]:eth0"
	f, ok := splitFields(a.Value)
	if !ok || len(f) < 2 || len(f) > 3 {
		p.bad(a, "is not net/mask:gateway[:device]", fix)
		return
	}
	before := len(p.errs)
	var r link.Route
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
		p.bad(
			a,
			"gateway "+r.Via.String()+" is link-local, and every link has one of those",
			"name the device behind it: "+a.Value+":eth0",
		)
	default:
		c.Routes = append(c.Routes, r)
	}
}

// AddressSteps gives the device the lease of the argument at position i, and the
// routes of rd.route= that name the device.
func (c Config) AddressSteps(i int, l lease.Lease, dev string) []link.Step {
	steps := l.Steps(dev)
	rank := c.Rank(i, l.IPv6(), dev)
	for j, s := range steps {
		// For IPv6 the kernel has default routes from router advertisements: one that is written
		// takes precedence.
		if r, ok := s.(link.Route); ok && r.Dst.Bits() == 0 && (rank > 0 || r.Dst.Addr().Is6()) {
			r.Metric = link.SecondaryMetric + rank
			steps[j] = r
		}
	}
	for _, r := range c.Routes {
		if c.routes(r, i, l.IPv6(), dev) {
			r.Dev = dev
			r.OnLink = l.Beyond(r.Via)
			steps = append(steps, r)
		}
	}
	return steps
}

// IsOfBootDevice reports whether the ip= argument is about the device of bootdev=, or about those
// that it describes: it names or describes the same or, where none of its family does, nothing.
// One that describes the device becomes its argument when that is seen; see bootWordOf.
func (c Config) IsOfBootDevice(n Addressing) bool {
	boot := c.BootDevice().Key()
	same := func(o Addressing) bool { return o.IPv6() == n.IPv6() && o.PortMatch().Key() == boot }
	return c.BootDev != "" &&
		(same(n) || n.PortMatch() == link.PortMatch{} && !c.BootWord &&
			!slices.ContainsFunc(c.AddressingsOrDefault(), same))
}

// bootWordOf makes the arguments that would give an address to the device of bootdev=,
// which has been seen, about that one alone.
func (c Config) bootWordOf(d link.Device) Config {
	if boot := c.BootDevice(); !boot.One() || !boot.Selects(d) {
		return c
	}
	c.Interfaces = slices.Clone(c.AddressingsOrDefault())
	for _, ipv6 := range []bool{false, true} {
		if i, ok := c.Claim(d, ipv6); ok && !c.Interfaces[i].Named() {
			n := &c.Interfaces[i]
			n.Device, n.Driver = d.Name, ""
		}
	}
	return c
}

// About reports whether an argument means the device of that name, which gets its address by
// the ip= argument at position i. A description means whichever the ip= argument took that
// has the same, or that has none.
func (c Config) About(word string, i int, dev string) bool {
	if word == dev || !link.DeviceMatch(word).Glob() || i >= len(c.AddressingsOrDefault()) {
		return word == dev
	}
	of := c.AddressingsOrDefault()[i].PortMatch()
	return of == link.DeviceMatch(word) || of == link.PortMatch{} && word == c.BootDev
}

// Rank orders the default routes of one family: 0 for the device of bootdev=,
// without that for the first argument of the family; the others follow in the order of
// their arguments, none twice.
func (c Config) Rank(i int, ipv6 bool, dev string) int {
	switch {
	case c.BootDev != "" && c.About(c.BootDev, i, dev):
		return 0
	case c.BootDev != "":
		return i + 1
	case i == c.first(ipv6):
		return 0
	default:
		return i
	}
}

// first is the position of the first argument that gets an address of the family, -1
// when there is none.
func (c Config) first(ipv6 bool) int {
	return slices.IndexFunc(
		c.AddressingsOrDefault(),
		func(n Addressing) bool { return n.Method != lease.MethodNone && n.IPv6() == ipv6 },
	)
}

// rank6 is the rank of the default routes that the kernel takes from the router
// advertisements on a device: it does so on every one that is up, whatever the
// arguments say of it. 0 where no argument is about IPv6.
func (c Config) rank6(d link.Device) int {
	first := c.first(true)
	if first < 0 {
		return 0
	}
	i, ok := c.Claim(d, true)
	if !ok {
		i, _ = c.Claim(d, false)
		i += len(c.AddressingsOrDefault())
	}
	return c.Rank(i, true, d.Name)
}

// routes reports whether a route of rd.route= goes with the addresses of a device
// that the argument at position i is about. One without a device goes with the primary
// argument.
func (c Config) routes(r link.Route, i int, ipv6 bool, dev string) bool {
	if r.Dst.Addr().Is6() != ipv6 {
		return false
	}
	return r.Dev != "" && c.About(r.Dev, i, dev) || r.Dev == "" && i == c.routeWord(r)
}

// routeWord is the position of the argument that a route without a device goes with:
// the first that gets an address of its family, the one of bootdev= before the
// others; -1 when there is none.
func (c Config) routeWord(r link.Route) int {
	words := c.AddressingsOrDefault()
	fits := func(n Addressing) bool { return n.Method != lease.MethodNone && n.IPv6() == r.Dst.Addr().Is6() }
	if i := slices.IndexFunc(words, func(n Addressing) bool { return c.IsOfBootDevice(n) && fits(n) }); i >= 0 {
		return i
	}
	return slices.IndexFunc(words, fits)
}

// SetRoute is what to do about a server that a lease does not lead to.
const SetRoute = "set option 3 (router) or 121 (routes) in the DHCP server, or write rd.route="

// Remedy is what to do about the only lease if it is of no use; it follows the sentence that says
// why.
func (n Needs) Remedy(l lease.Lease) string {
	switch {
	case n.RootPath != nil && l.RootPath != "":
		return "" // the reason already says it
	case n.RootPath != nil:
		// The caller knows the arguments of its command line.
		if e, ok := errors.AsType[*cmdline.ValueError](n.RootPath("")); ok && !l.IPv6() {
			return ": " + e.Fix
		}
		return ": set it in the DHCP server, or name the root on the command line"
	case slices.ContainsFunc(n.Hosts, func(h Host) bool { return !h.Addr.IsValid() }):
		return ": set option 6 in the DHCP server, or write nameserver="
	case l.IPv6():
		return ": check what the router announces, or write rd.route="
	default:
		return ": " + SetRoute
	}
}
