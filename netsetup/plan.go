package netsetup

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Steps returns what is to be done with the devices at hand, before any DHCP
// answer: renames, links, static addresses and routes; the devices are taken in
// the order given. It is an error if a
// device the config names is not there. Up does the same, device by device.
func (c Config) Steps(have []Device) ([]Step, error) {
	steps := append([]Step{LinkUp{Dev: "lo"}}, c.below(Device{Type: hwLoopback})...)
	have = slices.Clone(have)
	c.KernelNames, c.USBNames = c.kernelNames(), c.usbNames()
	for i, d := range have {
		if d.hardware() && !d.Udev.Kept {
			have[i].Given = d.Name
		}
	}
	for i := range have {
		for _, s := range c.naming(have, i) {
			steps = append(steps, s)
			j := slices.IndexFunc(have, func(d Device) bool { return d.Name == s.Dev })
			have[j].Name = s.Name
		}
	}
	var known []int
	var seen []string
	for _, d := range have {
		known, seen = append(known, d.Index), append(seen, d.Name)
	}
	c, _, _ = c.resolved(have, known)
	if err := c.clash(seen); err != nil {
		return steps, err
	}
	boot := map[string]bool{}
	for i, d := range have {
		if have[i].Boot = c.booted(d); have[i].Boot {
			for _, name := range c.over(d) {
				boot[name] = true
			}
		}
	}
	for _, b := range c.Bonds {
		if d, ok := c.bondOf(b, have); ok {
			have = append(have, d)
		}
	}
	// What is made comes behind, and may be what others are made of.
	for i := 0; i < len(have); i++ {
		if have[i].Type == hwLoopback {
			continue
		}
		below := slices.DeleteFunc(c.below(have[i]), func(s Step) bool {
			b, ok := s.(BridgeAdd) // of another port
			return ok && slices.ContainsFunc(have, func(d Device) bool { return d.Name == b.Name })
		})
		steps = append(steps, below...)
		have = append(have, future(have, have[i], below)...)
	}
	interfaces := c.interfaces()
	mine := make([][]Device, len(interfaces))
	for _, d := range have {
		d.Boot = d.Boot || boot[d.Name]
		for _, six := range []bool{false, true} {
			if i, ok := c.claim(d, six); ok {
				mine[i] = append(mine[i], d)
			}
		}
	}
	var errs []error
	for i, n := range interfaces {
		if len(mine[i]) == 0 && c.superfluous(n, have) != "" {
			continue
		}
		if len(mine[i]) == 0 {
			errs = append(errs, errors.New(c.absent(n, have, false)))
			continue
		}
		for _, d := range mine[i] {
			steps = append(steps, c.linkSteps(n, d)...)
		}
		if n.Method == MethodStatic {
			// Without a name the first that has carrier takes the address.
			d := mine[i][max(0, slices.IndexFunc(mine[i], func(d Device) bool { return d.Carrier }))]
			steps = append(steps, c.addressSteps(i, n.lease(), d.Name)...)
		}
	}
	return steps, errors.Join(errs...)
}

// bondOf is the bond with the ports at hand, as far as it can be known. Without
// any it has no carrier.
func (c Config) bondOf(b Bond, have []Device) (Device, bool) {
	made := Device{Name: b.Name, Type: hwEthernet, MTU: cmp.Or(b.MTU, 1500)}
	for _, d := range have {
		if d.Name == b.Name {
			return d, false
		}
		if bond, _ := c.master(d); bond != nil && bond.Name == b.Name && !made.Carrier {
			made.Carrier, made.Addr = true, d.Addr
			if d.Type == hwInfiniBand {
				made.Type, made.MTU = d.Type, cmp.Or(b.MTU, d.MTU)
			}
		}
	}
	return made, true
}

// future are the links that the steps on d make.
func future(have []Device, d Device, steps []Step) []Device {
	var all []Device
	for _, s := range steps {
		n := Device{Type: d.Type, Addr: d.Addr, MTU: d.MTU, Carrier: d.Carrier || d.hardware()}
		switch s := s.(type) {
		case LinkMTU:
			d.MTU = s.MTU
			continue
		case ChildAdd:
			n.Name, n.Parent = s.Name, d.Index
		case VLANAdd:
			n.Name, n.Parent = s.Name, d.Index
		case BridgeAdd:
			n.Name = s.Name
		}
		if n.Name != "" && !slices.ContainsFunc(have, func(d Device) bool { return d.Name == n.Name }) {
			all = append(all, n)
		}
	}
	return all
}

// absent says that there is no device for the word, and what to do about it; brief
// where that has been told before. While drivers are on their way there is nothing to do yet.
func (c Config) absent(n Interface, have []Device, brief bool) string {
	var present []string
	physical := 0
	for _, d := range have {
		if d.Type == hwLoopback {
			continue
		}
		present = append(present, strings.TrimSpace(d.known()+" "+d.lasting().String()))
		if d.Physical {
			physical++
		}
	}
	there := "(none is present)"
	if len(present) > 0 {
		there = "(present: " + strings.Join(present, ", ") + ")"
	}
	or := func(remedy string) string {
		if loading := c.loading(); loading != "" {
			remedy = loading
		}
		if remedy == "" {
			return ""
		}
		return ": " + remedy
	}
	switch m := n.match(); {
	case m.glob() && slices.ContainsFunc(have, m.selects):
		return "every interface that is as " + m.String() + " says has another word, or is a part of what one makes " + there
	case m.glob():
		return "no interface is as " + m.String() + " says " + there + or(checkName)
	case n.Match != "":
		return "no interface has the address " + n.Match.String() + " " + there + or("")
	case n.Device != "":
		text := n.Device + ": no such interface " + there
		if _, never := c.Unlikely(n.Device); never {
			return text + ": " + c.unknown(n.Device, brief)
		}
		return text + or(c.unknown(n.Device, brief))
	case c.BootDev != "":
		return c.BootDev + ": no such interface, bootdev= names it " + there + or("")
	case c.bare(n) && slices.ContainsFunc(have, c.booted):
		return c.barred(have)
	case c.BootIF != "":
		return "no interface has the address " + c.BootIF.String() + " of BOOTIF= " + there + or("check that its driver is in the image")
	default:
		return fmt.Sprintf("no network interface found: %s bound to one %s", count(physical, "driver"), there) +
			or("check that the image holds the driver of this machine's interface")
	}
}

// loading is what the caller says of drivers that are on their way.
func (c Config) loading() string {
	if c.Loading == nil {
		return ""
	}
	return c.Loading()
}

// loadingPatience is how long modules that are still loading are the reason why an interface is missing. A
// driver needs seconds, with new firmware tens of them; one that hangs may be any device's.
const loadingPatience = time.Minute

// loading is what Config.Loading says, while nothing else is to be told.
func (r *runner) loading(now time.Time) string {
	if now.Sub(r.started) >= loadingPatience {
		return ""
	}
	return r.config.loading()
}

// absent is that of the config. When modules have been loading for long, it says what can be
// done besides.
func (r *runner) absent(n Interface, now time.Time) string {
	c := r.config
	if r.loading(now) != "" {
		return c.absent(n, r.devices(), r.told)
	}
	c.Loading = nil
	return c.absent(n, r.devices(), r.told) + r.stillLoading()
}

// stillLoading goes behind what can be done: that may come to nothing while modules are on their way.
func (r *runner) stillLoading() string {
	if loading := r.config.loading(); loading != "" {
		return "; " + loading
	}
	return ""
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// linkSteps sets one device up.
func (c Config) linkSteps(n Interface, d Device) []Step {
	steps := c.modeSteps(d)
	if n.NewAddr != "" && d.Type == hwInfiniBand {
		return append(steps, Contradiction{What: "ip=" + n.String() + " gives it another hardware address, and it is InfiniBand, which takes none"})
	}
	if n.NewAddr != "" && n.NewAddr != d.Addr {
		if d.Up { // EBUSY with many drivers
			steps = append(steps, LinkDown{Dev: d.Name})
		}
		steps = append(steps, LinkAddr{Dev: d.Name, Addr: n.NewAddr})
	}
	if n.MTU != 0 && n.MTU != d.MTU {
		steps = append(steps, LinkMTU{Dev: d.Name, MTU: n.MTU})
	}
	switch rank := c.rank6(d); {
	case n.Method == MethodLink6:
		steps = append(steps, NoRouters{Dev: d.Name})
	case rank > 0:
		steps = append(steps, RouterMetric{Dev: d.Name, Metric: routerMetric + rank})
	}
	return append(steps, LinkUp{Dev: d.Name})
}

// lease is the static configuration in the form of a lease. Its MTU is not
// in it: linkSteps has set it.
func (n Interface) lease() Lease {
	l := Lease{Addr: n.Address, More: n.More, Gateway: n.Gateway, Hostname: n.Hostname, DNS: n.DNS, NTP: n.NTP}
	if n.Peer.IsValid() && !n.Address.Masked().Contains(n.Peer.Addr()) {
		l.Routes = []Route{{Dst: n.Peer.Masked()}} // on the link, though the netmask does not say so
	}
	return l
}

// override puts what the word says over what DHCP said.
func (n Interface) override(l Lease) Lease {
	if n.Gateway.IsValid() {
		l.Gateway = n.Gateway
		l.Routes = slices.DeleteFunc(slices.Clone(l.Routes), func(r Route) bool { return r.Dst.Bits() == 0 })
	}
	if n.Hostname != "" {
		l.Hostname = n.Hostname
	}
	if n.MTU != 0 {
		l.MTU = 0 // set with the link
	}
	l.DNS = join(n.DNS, l.DNS)
	l.NTP = join(n.NTP, l.NTP)
	return l
}

// join appends those of b that are not in a.
func join[T comparable](a, b []T) []T {
	all := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all
}

// reaches tells whether the address is on the link, by the lease alone.
func (l Lease) reaches(a netip.Addr) bool {
	has := func(p netip.Prefix) bool { return p.Masked().Contains(a) }
	// Of what a router or DHCPv6 gives, the router says whether its prefix is on
	// the link (RFC 5942); what is written is.
	static := slices.ContainsFunc(l.More, has) || l.Protocol == "" && slices.ContainsFunc(l.Kept, has)
	return has(l.Addr) || static || slices.ContainsFunc(l.Routes, func(r Route) bool { return !r.Via.IsValid() && r.Dst.Contains(a) })
}
