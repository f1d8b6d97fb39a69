package netsetup

import (
	"cmp"
	"slices"
	"strings"
)

// A Device is a network interface as the kernel shows it.
type Device struct {
	Index int
	Name  string
	// Alt are the kernel's alternative names (altname of ip-link(8)) with a
	// slash between them, which none can have in it.
	Alt string
	// Given is set by Up for an adapter: the name that the kernel gave, or would have
	// given if no other had been renamed before.
	Given string
	// Udev are the names that udev has for it.
	Udev UdevNames
	// Boot is set by Up for the interface of BOOTIF= and the links that are made
	// of it, somewhere down.
	Boot bool
	Addr HardwareAddr
	// Perm is the address that the adapter was made with, if the kernel tells
	// it. The port of a bond has that of the bond instead.
	Perm HardwareAddr
	Type uint16 // ARPHRD_*: 1 Ethernet, 32 InfiniBand, 772 loopback
	MTU  int
	// Up is IFF_UP: the administrator's side.
	Up bool
	// Carrier is IFF_LOWER_UP: there is a signal.
	Carrier bool
	// Running is the operational state "up" (RFC 2863): the queue is surely
	// open. It comes together with carrier or up to a second behind it; see
	// runner.link.
	Running bool
	// Master is the index of the bond or bridge the device is a port of.
	Master int
	// Parent is the index of the device that this one is made of (IFLA_LINK):
	// of a P_Key child or VLAN.
	Parent int
	// Broadcast is the link layer's broadcast address.
	Broadcast HardwareAddr
	// Physical tells that a device of a bus is behind it, and that it is not
	// a radio.
	Physical bool
	// Driver is the kernel's name of the driver of that device.
	Driver string
	// HCA and Port are where an InfiniBand interface is: mlx4_0, 1.
	HCA  string
	Port int
}

// names are all that the device has: its own, the kernel's alternative ones,
// and those of udev.
func (d Device) names() []string {
	names := []string{d.Name}
	if d.Alt != "" {
		names = append(names, strings.Split(d.Alt, "/")...)
	}
	return join(names, d.Udev.all())
}

// known is the name with the others behind it.
func (d Device) known() string {
	if others := d.names()[1:]; len(others) > 0 {
		return d.Name + " (" + strings.Join(others, ", ") + ")"
	}
	return d.Name
}

// lasting is the address by which the device is known across boots: of
// InfiniBand the port GUID.
func (d Device) lasting() HardwareAddr {
	if d.Type == hwInfiniBand && len(d.Addr) == 20 {
		return d.Addr[12:]
	}
	return d.Addr
}

// same reports whether two are one device that was registered anew: an adapter by the
// address that stays, what is made of others by its name. The port of a virtual function
// has no such address before its host sets it, and one of Ethernet has a random one with
// each registration until then: it is known by its place.
func (d Device) same(o Device) bool {
	switch {
	case d.hardware() != o.hardware() || d.Type != o.Type && d.hardware():
		return false
	case !d.hardware() || !d.identified() && !o.identified():
		return d.Name == o.Name
	case d.Type == hwInfiniBand:
		return d.lasting() == o.lasting()
	default:
		return cmp.Or(d.Perm, d.Addr) == cmp.Or(o.Perm, o.Addr) || d.inPlaceOf(o)
	}
}

// inPlaceOf reports whether two adapters without an address of their own are in one
// place, with one driver: a random address (NET_ADDR_RANDOM) is never a permanent one
// (register_netdevice of net/core/dev.c).
func (d Device) inPlaceOf(o Device) bool {
	return d.Perm == "" && o.Perm == "" && d.Driver == o.Driver && d.Udev.Path != "" && d.Udev.Path == o.Udev.Path
}

// candidate tells whether the device takes part when no name is given, for one family
// of addresses: those with hardware behind them, and the links that the config makes
// of them; not what has deputies.
func (c Config) candidate(d Device, six bool) bool {
	switch {
	case d.Master != 0 || c.port(d) || len(c.deputies(d, six)) > 0:
		return false
	case d.Type == hwInfiniBand && !c.IBPort.selects(d):
		return false
	default:
		return c.made(d.Name) || d.hardware()
	}
}

// hardware tells whether an adapter that nodisk can use is behind the device. A
// P_Key child is not one, though the adapter of its parent may be shown behind it; a
// port of a switch chip (DSA) is, though it is made of another device.
func (d Device) hardware() bool {
	return d.Physical && (d.Type == hwEthernet || d.Type == hwInfiniBand && d.Parent == 0)
}

// claim returns the position of the ip= word that is about this device, for one
// family of addresses.
func (c Config) claim(d Device, six bool) (int, bool) {
	if d.Type == hwLoopback || c.port(d) || c.clashes(d) {
		return 0, false
	}
	if i, ok := c.own(d, six); ok {
		return i, true
	}
	interfaces := c.interfaces()
	for i, n := range interfaces {
		if n.six() == six && n.match().glob() && n.match().selects(d) && c.candidate(d, six) {
			return i, true
		}
	}
	i := slices.IndexFunc(interfaces, func(n Interface) bool { return n.six() == six && n.match() == PortMatch{} })
	if i < 0 {
		return 0, false
	}
	switch {
	case c.BootDev != "" && !c.BootWord:
		boot := c.BootDevice()
		return i, boot.selects(d) && (boot.one() || c.candidate(d, six))
	case c.BootIF != "":
		return i, c.candidate(d, six) && (d.Boot || c.booted(d))
	default:
		return i, c.candidate(d, six)
	}
}

// booted tells whether the device is the one of BOOTIF=. A link that somebody
// else made of it may have its address, too, and is not meant.
func (c Config) booted(d Device) bool {
	return c.BootIF != "" && d.hardware() && c.BootIF.identifies(d)
}

// over are the names of all links that the config makes of the device, directly
// or by way of others.
func (c Config) over(d Device) []string {
	return climb(d, func(d Device) []string {
		names := c.vlansOn(d)
		if master := c.masterName(d); master != "" {
			names = append(names, master)
		}
		for _, child := range c.Children {
			if child.Parent == d.Name {
				names = append(names, child.Name)
			}
		}
		return names
	})
}

// vlansOn are the names of the VLANs on the device.
func (c Config) vlansOn(d Device) []string {
	var names []string
	for _, v := range c.VLANs {
		if v.Parent.selects(d) {
			names = append(names, v.Name)
		}
	}
	return names
}

// climb returns the names of the links above the device, the nearest first: step has
// those that are made of one directly. It ends though a link is made of itself.
func climb(d Device, step func(Device) []string) []string {
	names := step(d)
	for i := 0; i < len(names); i++ {
		for _, name := range step(Device{Name: names[i], Type: d.Type}) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// six tells whether a word is about IPv6.
func (c Config) six() bool {
	return slices.ContainsFunc(c.interfaces(), Interface.six)
}

// match is the device of the word, or those that it describes; zero where it is about
// any.
func (n Interface) match() PortMatch {
	return PortMatch{Name: n.Device, Driver: n.Driver, Addr: n.Match}
}

// named tells whether the word is about one certain device.
func (n Interface) named() bool { return n.match().one() }
