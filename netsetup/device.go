package netsetup

import "slices"

// A Device is a network interface as the kernel shows it.
type Device struct {
	Index int
	Name  string
	Addr  HardwareAddr
	Type  uint16 // ARPHRD_*: 1 Ethernet, 32 InfiniBand, 772 loopback
	MTU   int
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
	// Physical tells that a device of a bus is behind it, and that it is not
	// a radio.
	Physical bool
	// Driver is the kernel's name of the driver of that device.
	Driver string
}

// candidate tells whether the device takes part when no name is given.
// InfiniBand ports join here once DHCP speaks RFC 4390.
func (d Device) candidate() bool {
	return d.Type == hwEthernet && d.Physical && d.Master == 0
}

// claim returns the position of the ip= word that is about this device.
func (c Config) claim(d Device) (int, bool) {
	if d.Type == hwLoopback {
		return 0, false
	}
	interfaces := c.interfaces()
	for i, n := range interfaces {
		if n.named() && n.names(d) {
			return i, true
		}
	}
	i := slices.IndexFunc(interfaces, func(n Interface) bool { return !n.named() })
	if i < 0 {
		return 0, false
	}
	switch {
	case c.BootDev != "":
		return i, d.Name == c.BootDev
	case c.BootIF != "":
		// A bridge or VLAN has the address of its port: physical ones only.
		return i, d.candidate() && d.Addr == c.BootIF
	default:
		return i, d.candidate()
	}
}

// named tells whether the word is about one certain device.
func (n Interface) named() bool {
	return n.Device != "" || n.Match != ""
}

func (n Interface) names(d Device) bool {
	if n.Match != "" {
		return d.Physical && d.Addr == n.Match
	}
	return d.Name == n.Device
}

// rename returns the name that ifname= wants for the device.
func (c Config) rename(d Device) (string, bool) {
	for _, r := range c.Renames {
		if d.Physical && d.Addr == r.Addr && d.Name != r.Name {
			return r.Name, true
		}
	}
	return "", false
}
