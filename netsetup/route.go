package netsetup

import (
	"net/netip"
	"slices"

	"github.com/nodisk/nodisk/init/cmdline"
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
		r.Dev = p.deviceName(a, f[2])
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

// routeWord is the position of the ip= word that a route without a device goes
// with: the first that gets an address of its family, the primary one before the
// others; -1 when there is none.
func (c Config) routeWord(r Route) int {
	words := c.interfaces()
	fits := func(n Interface) bool { return n.Method != MethodNone && n.six() == r.Dst.Addr().Is6() }
	if i := c.primary(); i < len(words) && fits(words[i]) {
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
