// Package lease decides how an interface gets its address. A [Protocol] is one way: DHCP, DHCPv6,
// router advertisements, BOOTP, RARP, or a static address. Each is a state machine that is given
// times, packets and news from the kernel, and returns packets to send, steps to apply and, in
// the end, a [Lease]; none has a socket or a clock, so hours of a protocol are tested in
// microseconds.
//
// IPv4 addresses go through [ACD], which asks the link whether the address is free (RFC 5227)
// before and while it is in use. IPv6 is left to the kernel as far as possible: that way
// link-local addresses, duplicate detection, addresses and routes of router advertisements
// outlive the initramfs. [IPv6] listens, and asks by DHCPv6 what is not in them.
//
// [ClientID] says by which identity a node asks. On InfiniBand the hardware address of 20 bytes
// does not fit into a DHCP header, so the server knows the client by the identifier alone (RFC
// 4390), and firmware and systems disagree about its form: an exchange can try several identities
// in parallel, each in a transaction of its own.
package lease
