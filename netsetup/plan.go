package netsetup

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/internal/sets"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// Steps returns what is to be done with the devices at hand, before any DHCP
// answer: renames, links, static addresses and routes; the devices are taken in
// the order given. It is an error if a
// device the config names is not there. Up does the same, device by device.
func (c Config) Steps(have []link.Device) ([]link.Step, error) {
	steps := append([]link.Step{link.Up{Dev: "lo"}}, c.Below(link.Device{Type: link.HwLoopback})...)
	have = slices.Clone(have)
	c.KernelNames, c.USBNames = c.KeepsKernelNames(), c.USBNaming()
	for i, d := range have {
		if d.Hardware() && !d.Udev.Kept {
			have[i].Given = d.Name
		}
	}
	for i := range have {
		for _, s := range c.Naming(have, i) {
			steps = append(steps, s)
			j := slices.IndexFunc(have, func(d link.Device) bool { return d.Name == s.Dev })
			have[j].Name = s.Name
		}
	}
	var known []int
	var seen []string
	for _, d := range have {
		known, seen = append(known, d.Index), append(seen, d.Name)
	}
	c, _, _ = c.Resolved(have, known)
	if err := c.Clash(seen); err != nil {
		return steps, err
	}
	boot := map[string]bool{}
	for i, d := range have {
		if have[i].Boot = c.Booted(d); have[i].Boot {
			for _, name := range c.Over(d) {
				boot[name] = true
			}
		}
	}
	for _, b := range c.Bonds {
		if d, ok := c.bondOf(b, have); ok {
			have = append(have, d)
		}
	}
	// Links that are made come after that, and others may be made of them.
	for i := 0; i < len(have); i++ {
		if have[i].Type == link.HwLoopback {
			continue
		}
		below := slices.DeleteFunc(c.Below(have[i]), func(s link.Step) bool {
			b, ok := s.(link.BridgeAdd) // for another port
			return ok && slices.ContainsFunc(have, func(d link.Device) bool { return d.Name == b.Name })
		})
		steps = append(steps, below...)
		have = append(have, future(have, have[i], below)...)
	}
	interfaces := c.AddressingsOrDefault()
	mine := make([][]link.Device, len(interfaces))
	for _, d := range have {
		d.Boot = d.Boot || boot[d.Name]
		for _, ipv6 := range []bool{false, true} {
			if i, ok := c.Claim(d, ipv6); ok {
				mine[i] = append(mine[i], d)
			}
		}
	}
	var errs []error
	for i, n := range interfaces {
		if len(mine[i]) == 0 && c.Superfluous(n, have) != "" {
			continue
		}
		if len(mine[i]) == 0 {
			errs = append(errs, errors.New(c.Absent(n, have, false)))
			continue
		}
		for _, d := range mine[i] {
			steps = append(steps, c.LinkSteps(n, d)...)
		}
		if n.Method == lease.MethodStatic {
			// Without a name the first that has carrier takes the address.
			d := mine[i][max(0, slices.IndexFunc(mine[i], func(d link.Device) bool { return d.Carrier }))]
			steps = append(steps, c.AddressSteps(i, n.Lease(), d.Name)...)
		}
	}
	return steps, errors.Join(errs...)
}

// bondOf is the bond with the ports at hand, as far as it can be known. Without
// any it has no carrier.
func (c Config) bondOf(b link.Bond, have []link.Device) (link.Device, bool) {
	made := link.Device{Name: b.Name, Type: link.HwEthernet, MTU: cmp.Or(b.MTU, 1500)}
	for _, d := range have {
		if d.Name == b.Name {
			return d, false
		}
		if bond, _ := c.master(d); bond != nil && bond.Name == b.Name && !made.Carrier {
			made.Carrier, made.Addr = true, d.Addr
			if d.Type == link.HwInfiniBand {
				made.Type, made.MTU = d.Type, cmp.Or(b.MTU, d.MTU)
			}
		}
	}
	return made, true
}

// future are the links that the steps on d make.
func future(have []link.Device, d link.Device, steps []link.Step) []link.Device {
	var all []link.Device
	for _, s := range steps {
		n := link.Device{Type: d.Type, Addr: d.Addr, MTU: d.MTU, Carrier: d.Carrier || d.Hardware()}
		switch s := s.(type) {
		case link.SetMTU:
			d.MTU = s.MTU
			continue
		case link.ChildAdd:
			n.Name, n.Parent = s.Name, d.Index
		case link.VLANAdd:
			n.Name, n.Parent = s.Name, d.Index
		case link.BridgeAdd:
			n.Name = s.Name
		}
		if n.Name != "" && !slices.ContainsFunc(have, func(d link.Device) bool { return d.Name == n.Name }) {
			all = append(all, n)
		}
	}
	return all
}

// Absent says that there is no device for the argument, and what to do about it; brief if that
// has been said before. While drivers are loading there is nothing to do yet.
func (c Config) Absent(n Addressing, have []link.Device, brief bool) string {
	var present []string
	physical := 0
	for _, d := range have {
		if d.Type == link.HwLoopback {
			continue
		}
		present = append(present, strings.TrimSpace(d.Known()+" "+d.Lasting().String()))
		if d.Physical {
			physical++
		}
	}
	claimed := "no driver has claimed a device"
	if physical > 0 {
		claimed = phrase.Count(physical, "device") + " with a driver"
	}
	there := "(none is present)"
	if len(present) > 0 {
		there = "(present: " + strings.Join(present, ", ") + ")"
	}
	or := func(remedy string) string {
		if loading := c.LoadingReason(); loading != "" {
			remedy = loading
		}
		if remedy == "" {
			return ""
		}
		return ": " + remedy
	}
	switch m := n.PortMatch(); {
	case m.Glob() && slices.ContainsFunc(have, m.Selects):
		return "every interface that matches " + m.String() + " has another argument, or is a part of " +
			"what one makes " + there
	case m.Glob():
		return "no interface matches " + m.String() + " " + there + or(CheckName)
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
	case c.bare(n) && slices.ContainsFunc(have, c.Booted):
		return c.barred(have)
	case c.BootIF != "":
		return "no interface has the address " + c.BootIF.String() + " of BOOTIF= " + there + or(
			"check that its driver is in the image",
		)
	default:
		return fmt.Sprintf("no network interface found: %s %s", claimed, there) +
			or("check that the image holds the driver of this machine's interface")
	}
}

// LoadingReason is what the caller says about drivers that are loading.
func (c Config) LoadingReason() string {
	if c.Loading == nil {
		return ""
	}
	return c.Loading()
}

// LinkSteps sets one device up.
func (c Config) LinkSteps(n Addressing, d link.Device) []link.Step {
	steps := c.modeSteps(d)
	if n.NewAddr != "" && d.Type == link.HwInfiniBand {
		return append(
			steps,
			link.Contradiction{
				What: "ip=" + n.String() + " gives it another hardware address, and it is InfiniBand, " +
					"which takes none",
			},
		)
	}
	if n.NewAddr != "" && n.NewAddr != d.Addr {
		if d.Up { // EBUSY with many drivers
			steps = append(steps, link.Down{Dev: d.Name})
		}
		steps = append(steps, link.SetAddr{Dev: d.Name, Addr: n.NewAddr})
	}
	if n.MTU != 0 && n.MTU != d.MTU {
		steps = append(steps, link.SetMTU{Dev: d.Name, MTU: n.MTU})
	}
	switch rank := c.rank6(d); {
	case n.Method == lease.MethodLink6:
		steps = append(steps, link.NoRouters{Dev: d.Name})
	case rank > 0:
		steps = append(steps, link.RouterMetric{Dev: d.Name, Metric: link.RouterPriority + rank})
	}
	return append(steps, link.Up{Dev: d.Name})
}

// Lease is the static configuration in the form of a lease. Its MTU is not
// in it: linkSteps has set it.
func (n Addressing) Lease() lease.Lease {
	l := lease.Lease{Addr: n.Address, More: n.More, Gateway: n.Gateway, Hostname: n.Hostname, DNS: n.DNS, NTP: n.NTP}
	if n.Peer.IsValid() && !n.Address.Masked().Contains(n.Peer.Addr()) {
		l.Routes = []link.Route{{Dst: n.Peer.Masked()}} // on the link, though the netmask does not say so
	}
	return l
}

// Override puts what the argument says over what DHCP said.
func (n Addressing) Override(l lease.Lease) lease.Lease {
	if n.Gateway.IsValid() {
		l.Gateway = n.Gateway
		l.Routes = slices.DeleteFunc(slices.Clone(l.Routes), func(r link.Route) bool { return r.Dst.Bits() == 0 })
	}
	if n.Hostname != "" {
		l.Hostname = n.Hostname
	}
	if n.MTU != 0 {
		l.MTU = 0 // set with the link
	}
	l.DNS = sets.Union(n.DNS, l.DNS)
	l.NTP = sets.Union(n.NTP, l.NTP)
	return l
}
