package netsetup

import "slices"

// Addressed reports whether an ip= word gives an interface an address, of whatever
// kind.
func (c Config) Addressed() bool {
	return slices.ContainsFunc(c.interfaces(), func(n Interface) bool { return n.Method != MethodNone })
}

// Asks reports whether an ip= word asks somebody, by DHCP, BOOTP, DHCPv6 or router
// advertisement, who may also name root path and server; the firmware's table may
// say that it is DHCP.
func (c Config) Asks() bool {
	return slices.ContainsFunc(c.interfaces(), func(n Interface) bool {
		return n.Method == MethodIBFT || n.Method.leases() && n.Method != MethodRARP && n.Method != MethodLink6
	})
}

// BootServer reports whether the words name a server, or RARP will.
func (c Config) BootServer() bool {
	return slices.ContainsFunc(c.interfaces(), func(n Interface) bool { return n.Server.IsValid() || n.Method == MethodRARP })
}
