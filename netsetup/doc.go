// Package netsetup brings the network of a booting node up: it reads the
// network words of the command line, finds the interfaces, waits for carrier,
// gets an address by DHCP or takes a static one, and tells what came of it.
//
// # From words to commands
//
// ParseConfig turns the command line into a Config. Config.Steps turns a Config
// and the devices at hand into steps, Lease.Steps a DHCP answer into further
// ones. All three are pure. A Step prints as the ip(8) command that does the
// same, so that a plan can be read, compared and typed by hand:
//
//	ip link set lo up
//	ip link set eth0 up
//	ip addr add 10.77.0.23/24 brd + dev eth0
//	ip route replace default via 10.77.0.1 dev eth0
//
// # Up
//
// Up does it. Drivers load at the same time, so Up may be started before there
// is any interface: it subscribes to rtnetlink, asks for what is there, and
// lives on messages from then on. Every candidate is set up as it appears; one
// without carrier, or with a driver that takes seconds to open, holds up no
// other. When an interface has carrier the first DISCOVER leaves at once. With
// ip=dhcp (or nothing) all candidates ask side by side, the first
// answer wins that has what the boot needs (Config.Needs): a root path, or a way to
// the root's servers. The leases of the others are given back, and what was set up
// for them is set down, but for those that may still reach a server better.
//
// Which interfaces are candidates, when the command line names none: Ethernet
// and IPoIB, with a device behind it (/sys/class/net/NAME/device), not wireless,
// not a port of a bond or bridge; of InfiniBand those that nodisk.ib.port=
// selects; and the links that the command line makes, instead of what they are
// made of. Only the one of BOOTIF= when that is given. A
// device that ip= names needs none of this.
//
// Up waits as long as its context allows, unless rd.net.timeout.carrier= or
// rd.net.timeout.dhcp= say otherwise: a switch port may forward after 30 s, a
// DHCP server may come back after minutes. What it waits for is logged every
// 10 s, and is the text of the error when the context ends.
//
// # InfiniBand
//
// A port is known by its GUID, whatever spelling a firmware or a person uses. Its
// address of 20 bytes fits into no DHCP header, so the server knows the client
// by the identifier alone; of the forms in use "auto" asks with all at
// once. Between a driver and carrier there are gates that the kernel does not
// tell of: a link, a subnet manager that has configured the port, the partition
// in its table, the broadcast group. sysfs is read where somebody is to be told
// what is waited for, and the time of rd.net.timeout.carrier= begins anew at
// each gate.
//
// # Protocols
//
// How an interface gets its address is a protocol: DHCP, BOOTP, RARP, those of
// IPv6, or nothing but the check of a static address. Each is a state machine
// of times, packets and news of the kernel, without clock or socket. A lease
// of IPv4 goes through probed, which asks the link whether the address is free.
//
// IPv6 is the kernel's work as far as possible: link-local addresses, duplicate
// detection, addresses and routes of router advertisements outlive the
// initramfs that way. nodisk listens, and asks by DHCPv6 what is not in them.
//
// # Links made of others
//
// Bonds, VLANs, bridges and P_Key children are steps on the device below them
// (Config.below): whenever a device appears that something is made of, its
// steps are done. So a late port is nothing special, and chains grow link by
// link. Behind Up, Network.Keep goes on with that, and prolongs leases.
package netsetup
