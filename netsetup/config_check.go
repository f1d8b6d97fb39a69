package netsetup

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// families of addresses, as bits.
const (
	family4 = 1 << iota
	family6
)

// families are those that the argument says something about. "none" says that there is no address
// at all. The address of an iBFT may be of either family; most are IPv4.
func (n Addressing) families() int {
	switch {
	case n.Method == lease.MethodNone:
		return family4 | family6
	case n.IPv6():
		return family6
	default:
		return family4
	}
}

const secondFix = "write one ip= for each device, one for IPv4 and one for IPv6, or static addresses with one gateway"

// check looks at the arguments together. seen are the names of the devices that are known
// by now: every other name of one, and its address, has been replaced by that.
//
// Before a device is seen, two arguments may be about the same one though they read differently,
// or about two: only what is a contradiction in any case is reported. So check is called again
// for each device that appears.
func (c *Config) check(p *problems, seen []string) {
	words := map[link.PortMatch]int{}
	for i, n := range c.Interfaces {
		key := c.deviceKey(n)
		switch {
		case words[key]&n.families() == 0:
		case key == link.PortMatch{}:
			p.add(
				"ip",
				n.String(),
				"is the second ip= without a device",
				"name the device in one of them, or leave one out (pxelinux adds one for IPAPPEND 1 and 3)",
			)
		default:
			p.add("ip", n.String(), "configures "+key.String()+" a second time"+c.asDoes(i), secondFix)
		}
		if n.NewAddr != "" && !n.Named() {
			p.add("ip", n.String(), "gives a hardware address to no certain device", "name the device")
		}
		words[key] |= n.families()
	}
	c.checkPairs(p)
	c.checkRenames(p)
	c.checkRoutes(p, seen)
	c.checkNames(p)
	c.checkLinks(p, seen)
	if c.Off && len(c.Interfaces) > 0 {
		p.add("ip", "off", "contradicts the other ip=", "leave one of them out")
	}
	if c.BootDev != "" && !c.mayConfigure(c.BootDev, seen) {
		p.add("bootdev", c.BootDev, "is the device of no ip=", "name it in one of them, or leave bootdev= out")
	} else if c.BootDevice().Glob() && !slices.ContainsFunc(c.AddressingsOrDefault(), c.IsOfBootDevice) {
		p.add(
			"bootdev",
			c.BootDev,
			"describes interfaces that no ip= does",
			"write ip="+c.BootDev+":dhcp, or name the device",
		)
	}
	if c.DHCPRetry > 0 && c.DHCPTimeout == 0 {
		c.DHCPTimeout = defaultAttempt
	}
}

// Clash says which arguments contradict each other about devices, now that those of these
// names are seen; nil if none do.
func (c Config) Clash(seen []string) error {
	var p problems
	c.check(&p, seen)
	return errors.Join(p.errs...)
}

// deviceKey is what two arguments about the same device have in common.
func (c Config) deviceKey(n Addressing) link.PortMatch {
	for _, r := range c.Renames {
		if n.Match != "" && r.Addr == n.Match {
			return link.PortMatch{Name: r.Name}
		}
	}
	return n.PortMatch().Key()
}

// asDoes names the argument before position i that is about the same device, if it calls it by
// another name.
func (c *Config) asDoes(i int) string {
	n := c.Interfaces[i]
	for _, o := range c.Interfaces[:i] {
		if c.deviceKey(o) == c.deviceKey(n) && o.families()&n.families() != 0 && o.PortMatch() != n.PortMatch() {
			return ", as ip=" + o.String() + " does"
		}
	}
	return ""
}

// apart reports whether two arguments are about two devices for certain: not where both can be
// names of one that has not been seen. Two names are, if they are of the same kind and a card has
// only one of it: two addresses, two places on PCI.
func (c *Config) apart(a, b link.PortMatch, seen []string) bool {
	a, b = a.Key(), b.Key()
	known := func(m link.PortMatch) bool { return m.Name != "" && (c.Made(m.Name) || slices.Contains(seen, m.Name)) }
	switch {
	case a == b || a.Glob() || b.Glob():
		return false
	case known(a) || known(b):
		return true
	case a.Addr != "" || b.Addr != "":
		return len(a.Addr) == len(b.Addr)
	default:
		kind := link.NameKind(a.Name)
		return kind == link.NameKind(b.Name) &&
			(kind != 0 || !c.promised(a.Name) && !c.promised(b.Name) && series(a.Name) == series(b.Name))
	}
}

// series is what the kernel's names of one kind of interface have before their number; a name
// without a number stands alone.
func series(name string) string {
	return strings.TrimRight(name, "0123456789")
}

// checkPairs compares the two arguments of a device, which has one MTU and one
// hardware address.
func (c *Config) checkPairs(p *problems) {
	for i, n := range c.Interfaces {
		for _, o := range c.Interfaces[:i] {
			if c.deviceKey(n) != c.deviceKey(o) {
				continue
			}
			if mtu := n.MTU + o.MTU; (n.IPv6() || o.IPv6()) && n.MTU*o.MTU == 0 && mtu != 0 && mtu < link.MinMTU6 {
				p.add(
					"ip",
					n.String(),
					"shares the device with MTU "+strconv.Itoa(mtu)+" of the other ip=: too small for IPv6",
					"write at least "+strconv.Itoa(link.MinMTU6),
				)
			}
			if n.MTU != 0 && o.MTU != 0 && n.MTU != o.MTU {
				p.add(
					"ip",
					n.String(),
					"gives another MTU than the other ip= of that device",
					"write the same in both, or leave one out",
				)
			}
			if n.NewAddr != "" && o.NewAddr != "" && n.NewAddr != o.NewAddr {
				p.add(
					"ip",
					n.String(),
					"gives another hardware address than the other ip= of that device",
					"write the same in both, or leave one out",
				)
			}
		}
	}
}

// checkRenames finds names and addresses that two ifname= arguments want.
func (c *Config) checkRenames(p *problems) {
	for i, r := range c.Renames {
		value := r.Name + ":" + r.Addr.String()
		if c.Made(r.Name) {
			p.add("ifname", value, r.Name+" is a link that nodisk makes", "choose another name")
		}
		for _, o := range c.Renames[:i] {
			switch {
			case o == r: // said twice
			case o.Name == r.Name:
				p.add("ifname", value, "gives the name "+r.Name+" to a second device", "choose another name")
			case o.Addr == r.Addr:
				p.add("ifname", value, "gives that device a second name besides "+o.Name, "leave one of them out")
			}
		}
	}
}

// mayConfigure reports whether an ip= argument can turn out to be about the device that a
// argument means.
func (c *Config) mayConfigure(dev string, seen []string) bool {
	return slices.ContainsFunc(c.AddressingsOrDefault(), func(n Addressing) bool { return c.mayBe(dev, n, seen) })
}

// mayBe reports whether the ip= argument may be about the device that another argument means.
func (c *Config) mayBe(dev string, n Addressing, seen []string) bool {
	return n.PortMatch() == link.PortMatch{} || !c.apart(link.DeviceMatch(dev), n.PortMatch(), seen)
}

// checkRoutes finds routes that would never be set.
func (c *Config) checkRoutes(p *problems, seen []string) {
	for _, r := range c.Routes {
		family, ipv := family4, "IPv4"
		if r.Dst.Addr().Is6() {
			family, ipv = family6, "IPv6"
		}
		value := r.Dst.String()
		about, addressed := false, c.UsesIBFT()
		for _, n := range c.AddressingsOrDefault() {
			mine := r.Dev == "" || c.mayBe(r.Dev, n, seen)
			about = about || mine
			addressed = addressed || mine && n.Method != lease.MethodNone && n.families()&family != 0
		}
		switch {
		case c.Off:
			p.add("rd.route", value, "is of no use with ip=off", "leave one of them out")
		case !about:
			p.add("rd.route", value, r.Dev+" is the device of no ip=", "add ip="+r.Dev+":dhcp, or another ip= for it")
		case !addressed:
			p.add(
				"rd.route",
				value,
				"is a route of "+ipv+", but no ip= gives that interface an address of "+ipv,
				"add an ip= for it: "+ipExample(family),
			)
		}
	}
}

// ipExample is the simplest method of a family.
func ipExample(family int) string {
	if family == family6 {
		return "ip=auto6"
	}
	return "ip=dhcp"
}

// checkNames compares the host names.
func (c *Config) checkNames(p *problems) {
	if c.Off && (c.Hostname != "" || c.ReverseName) {
		p.add("nodisk.hostname", c.Hostname, "is of no use with ip=off", "leave one of them out")
	}
	for i, n := range c.Interfaces {
		// A server may be told a name for each interface; the node has one.
		for _, o := range c.Interfaces[:i] {
			if n.Hostname != "" && o.Hostname != "" && n.Hostname != o.Hostname && (n.ownName() || o.ownName()) {
				p.add("ip", n.String(), "gives the node another name than ip="+o.String(), "leave one of them out")
			}
		}
	}
	if c.Hostname == "" {
		return
	}
	for _, n := range c.Interfaces {
		if n.Hostname != "" && n.Hostname != c.Hostname {
			p.add(
				"nodisk.hostname",
				c.Hostname,
				"contradicts the host name of ip="+n.String(),
				"leave one of them out",
			)
		}
	}
}

// ownName reports whether nobody but the node gets to know the argument's host name.
func (n Addressing) ownName() bool {
	return n.Method == lease.MethodStatic || n.Method == lease.MethodNone
}

// Warnings are sentences about keys that have no effect with these ip= arguments, and about
// arguments that are not understood where that does no harm. They are not errors: an image's
// config file has them for every node.
func (c Config) Warnings() []string {
	four, six := false, false
	for _, n := range c.AddressingsOrDefault() {
		four = four || n.Method == lease.MethodDHCP || n.Method == lease.MethodSingle || n.Method == lease.MethodIBFT
		six = six || n.Method.IPv6() && n.Method != lease.MethodLink6
	}
	list := slices.Concat(c.Unheeded, c.namingWarnings())
	for _, k := range []struct {
		key string
		set bool
	}{
		{"nodisk.dhcp.clientid", c.ClientID != "" && !four},
		{"nodisk.dhcp.user-class", c.UserClass != "" && !four && !six},
		{"rd.net.dhcp.vendor-class", c.VendorClass != "" && !four && !six},
	} {
		if k.set && !c.Off {
			list = append(list, k.key+": without effect, no ip= asks by DHCP")
		}
	}
	if len(c.BootIF) == 8 && c.BootIF[0] == link.HwInfiniBand {
		list = append(list, "BOOTIF="+link.Dashed(c.BootIF)+": "+hwTypeFirst)
	}
	for _, b := range c.Bonds {
		for _, what := range b.LeftOut {
			list = append(list, "bond="+b.Name+": "+what+" and is left out")
		}
	}
	return list
}

// nameAll gives the host name to the arguments that have none.
func (c *Config) nameAll() {
	for i := range c.Interfaces {
		if n := &c.Interfaces[i]; n.Hostname == "" {
			n.Hostname = c.Hostname
		}
	}
}
