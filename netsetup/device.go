package netsetup

import "slices"

// A Device is a network interface as the kernel shows it.
type Device struct {
	Index int
	Name  string
	Addr  HardwareAddr
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

// lasting is the address by which the device is known across boots: of
// InfiniBand the port GUID.
func (d Device) lasting() HardwareAddr {
	if d.Type == hwInfiniBand && len(d.Addr) == 20 {
		return d.Addr[12:]
	}
	return d.Addr
}

// candidate tells whether the device takes part when no name is given: those
// with hardware behind them, and the links that the config makes of them; not
// what these are made of.
func (c Config) candidate(d Device) bool {
	switch {
	case d.Master != 0 || c.port(d) || c.parent(d):
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
	interfaces := c.interfaces()
	for i, n := range interfaces {
		if n.six() == six && n.named() && n.names(d) {
			return i, true
		}
	}
	i := slices.IndexFunc(interfaces, func(n Interface) bool { return n.six() == six && !n.named() })
	if i < 0 {
		return 0, false
	}
	switch {
	case c.BootDev != "":
		return i, d.Name == c.BootDev
	case c.BootIF != "":
		// A bridge or VLAN that somebody else made has the address of its
		// port, too, and is no candidate.
		// A bond has the address of any of its ports.
		return i, c.candidate(d) && (c.BootIF.identifies(d) || c.bond(d.Name))
	default:
		return i, c.candidate(d)
	}
}

// six tells whether a word is about IPv6.
func (c Config) six() bool {
	return slices.ContainsFunc(c.interfaces(), Interface.six)
}

// named tells whether the word is about one certain device.
func (n Interface) named() bool {
	return n.Device != "" || n.Match != ""
}

func (n Interface) names(d Device) bool {
	if n.Match != "" {
		return d.hardware() && n.Match.identifies(d)
	}
	return d.Name == n.Device
}

// rename returns the name that ifname= wants for the device.
func (c Config) rename(d Device) (string, bool) {
	for _, r := range c.Renames {
		if d.hardware() && r.Addr.identifies(d) && d.Name != r.Name {
			return r.Name, true
		}
	}
	return "", false
}
