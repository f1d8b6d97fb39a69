// Package netsetup reads the network arguments of the command line and decides what
// they mean for the devices at hand. Nothing here has a socket, a clock or a system call:
// package bringup carries out what is decided here.
//
// # From arguments to commands
//
// [ParseConfig] turns the command line into a [Config]; an ip= argument is an
// [Addressing]. [Config.Steps] turns a Config and the devices at hand into steps,
// [github.com/nodisk/nodisk/netsetup/lease.Lease.Steps] a DHCP answer into further
// ones. All three are pure. A step prints as the ip(8) command that does the same, so
// that a plan can be read, compared and typed by hand:
//
//	ip link set lo up
//	ip link set eth0 up
//	ip addr add 10.77.0.23/24 brd + dev eth0
//	ip route replace default via 10.77.0.1 dev eth0
//
// Which interfaces are candidates, when the command line names none: Ethernet and IPoIB, with a
// device behind it (/sys/class/net/NAME/device), not wireless, not a port of a bond or bridge; of
// InfiniBand those that nodisk.ib.port= selects; and the links that the command line makes,
// instead of what they are made of. Only the one of BOOTIF= when that is given. None of this
// applies to a device that ip= names.
//
// # Links made of others
//
// Bonds, VLANs, bridges and P_Key children are steps on the device below them (Config.Below):
// whenever a device appears that something is made of, its steps are done. So a late port is not
// a special case, and chains grow link by link.
//
// # The outcome
//
// [State] is the network as it is: device, addresses, routes, name servers, and what DHCP said
// about the root. [Needs] is what the boot wants of it, [Traces] what an attempt has left on the
// machine, so that the next one can undo it.
//
// # Packages
//
// Package link is below all others: devices, hardware addresses, steps, rtnetlink. Package lease
// is above it: how an interface gets its address, as state machines. This package is above both,
// and package bringup, which runs them, above this one.
package netsetup
