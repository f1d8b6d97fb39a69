package netsetup

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nodisk/nodisk/netsetup/link"
)

// IPv6On reports whether the device has IPv6 addresses by an ip=, or a link that
// is made of it and cannot have a larger MTU.
func (c Config) IPv6On(d link.Device) bool {
	has := func(d link.Device) bool {
		_, ok := c.Claim(d, true)
		return ok
	}
	return has(d) ||
		slices.ContainsFunc(
			climb(d, c.vlansOn),
			func(name string) bool { return has(link.Device{Name: name, Type: d.Type}) },
		)
}

// mtuAbove is the largest MTU that the command line or a server gives to a VLAN
// or bridge over the device, 0 for none.
func (c Config) mtuAbove(d link.Device, leased map[string]int) int {
	above := climb(d, func(d link.Device) []string {
		names := c.vlansOn(d)
		if _, bridge := c.master(d); bridge != nil {
			names = append(names, bridge.Name)
		}
		return names
	})
	mtu := 0
	for _, name := range above {
		mtu = max(mtu, c.MTUWritten(link.Device{Name: name}), leased[name])
	}
	return mtu
}

// MTUWritten is the MTU that the command line gives to the device, 0 for none.
func (c Config) MTUWritten(d link.Device) int {
	mtu := 0
	for _, n := range c.Interfaces {
		if n.Named() && n.PortMatch().Selects(d) {
			mtu = max(mtu, n.MTU)
		}
	}
	for _, b := range c.Bonds {
		if b.Name == d.Name {
			mtu = max(mtu, b.MTU)
		}
	}
	return mtu
}

// Carriers are the devices that the packets of a bridge or VLAN go through, and
// that do not follow its MTU by themselves, as the ports of a bond do.
func (c Config) Carriers(d link.Device, have []link.Device) []link.Device {
	var all []link.Device
	for _, o := range have {
		_, bridge := c.master(o)
		on := slices.ContainsFunc(c.VLANs, func(v link.VLAN) bool { return v.Name == d.Name && v.Parent.Selects(o) })
		if on || bridge != nil && bridge.Name == d.Name {
			all = append(all, o)
		}
	}
	return all
}

// Raise sets the MTU that a server gives to the device, after that of what carries its packets: a
// VLAN cannot have a larger MTU than what it is on, and a bridge silently drops what is too long
// for a port. What the command line, or their own server, says about those takes precedence.
func (c Config) Raise(d link.Device, mtu int, have []link.Device, leased map[string]int) ([]link.Step, error) {
	var steps []link.Step
	have = slices.DeleteFunc(slices.Clone(have), func(o link.Device) bool { return o.Name == d.Name })
	for _, o := range c.Carriers(d, have) {
		if o.MTU >= mtu {
			continue
		}
		by := ""
		switch {
		case c.MTUWritten(o) != 0:
			by = "the command line"
		case leased[o.Name] != 0:
			by = "its own lease"
		}
		if by != "" {
			return nil, fmt.Errorf(
				"MTU %d (option 26) is left out: %s, which carries its packets, has %d by %s",
				mtu,
				o.Name,
				o.MTU,
				by,
			)
		}
		more, err := c.Raise(o, mtu, have, leased)
		if err != nil {
			return nil, err
		}
		steps = append(steps, more...)
	}
	return append(steps, link.SetMTU{Dev: d.Name, MTU: mtu}), nil
}

// Fit is the MTU that a link which the command line makes is to have, given what carries its
// packets; have are the devices with their MTUs as they are. It is 0 where nothing carries any.
// It is the one that the command line or a server gives, or what it has, but not more than any
// port with carrier can pass on. A bond of InfiniBand has as much as its ports: these get theirs
// from the fabric when they join its broadcast group (ipoib_mcast_carrier_on_task of
// drivers/infiniband/ulp/ipoib), and the kernel does not pass that on to the bond
// (bond_slave_netdev_event, NETDEV_CHANGEMTU). Nor does it tell a VLAN that the MTU has grown
// again (vlan_device_event), or a bridge whose MTU was set (br_mtu_auto_adjust).
func (c Config) Fit(d link.Device, have []link.Device, leased int) int {
	if d.Index == 0 || !c.Made(d.Name) || c.child(d.Name) {
		return 0 // a P_Key child joins a group of its own
	}
	least := 0
	for _, o := range have {
		if (o.Master == d.Index || d.Parent != 0 && d.Parent == o.Index) && o.Carrier &&
			(least == 0 || o.MTU < least) {
			least = o.MTU
		}
	}
	switch wanted := cmp.Or(c.MTUWritten(d), leased); {
	case least == 0:
		return 0
	case wanted != 0:
		return min(wanted, least)
	case d.Type == link.HwInfiniBand:
		return least
	default:
		return min(d.MTU, least)
	}
}

// child reports whether the name is that of a P_Key child.
func (c Config) child(name string) bool {
	return slices.ContainsFunc(c.Children, func(p link.Child) bool { return p.Name == name })
}
