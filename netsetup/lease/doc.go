// Package lease is how an interface gets its address. A [Protocol] is one way: DHCP,
// DHCPv6, router advertisements, BOOTP, RARP, or a static address. Each is a state
// machine that is given times, packets and news of the kernel, and returns packets to
// send, steps to apply and, in the end, a [Lease]; none has a socket or a clock, so that
// hours of a protocol are tested in microseconds.
//
// IPv4 addresses go through [ACD], which asks the link whether the address is free
// (RFC 5227) before and while it is in use. IPv6 is the kernel's work as far as
// possible: link-local addresses, duplicate detection, addresses and routes of router
// advertisements outlive the initramfs that way. [IPv6] listens, and asks by DHCPv6 what
// is not in them.
//
// [ClientID] is by which identity a node asks. Over InfiniBand the hardware address of
// 20 bytes fits into no DHCP header, so the server knows the client by the identifier
// alone (RFC 4390), and firmwares and systems disagree about its form: an exchange can
// hold several identities side by side, each in a transaction of its own.
package lease
