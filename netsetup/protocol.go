package netsetup

import (
	"fmt"
	"net/netip"
	"time"
)

// A protocol is one way for an interface to get its address: DHCP, BOOTP, RARP,
// router advertisements, or the check that a static address is free. It is a
// state machine that takes times, packets and news, and returns what is to be
// done. It knows neither clock nor socket.
type protocol interface {
	// channels are those that it sends and receives on.
	channels() []channel
	// start begins anew.
	start(now time.Time) outcome
	// receive takes a packet of one of its channels.
	receive(now time.Time, p packet) outcome
	// hear takes what the kernel tells of the interface.
	hear(now time.Time, e news) outcome
	// tick is called when the deadline has come.
	tick(now time.Time) outcome
	// deadline is when tick is to be called next, zero for never.
	deadline() time.Time
	// waiting says what is waited for, without the interface's name.
	waiting(now time.Time) string
	// release returns the messages that give back what a server may hold for
	// this node.
	release() []message
}

// A decliner is a protocol whose address may turn out to be in use.
type decliner interface {
	// decline says that the address of the last lease is the one of another
	// node: it is refused, and asked for anew.
	decline(now time.Time, a netip.Addr, holder HardwareAddr) outcome
}

// An outcome is what an event leads to.
type outcome struct {
	send []message
	// steps are changes that the protocol itself needs, such as an address
	// that the kernel has to check.
	steps []Step
	// offer is an address that is likely to become the lease's.
	offer netip.Addr
	// lease is set when the protocol is complete.
	lease *Lease
	// lost tells that a lease which was in use is no more.
	lost bool
	// note is a sentence for the console: what was refused, and why.
	note string
	// told is one that is no warning.
	told string
}

// and puts two outcomes together, the later one last.
func (o outcome) and(p outcome) outcome {
	o.send = append(o.send, p.send...)
	o.steps = append(o.steps, p.steps...)
	if p.offer.IsValid() {
		o.offer = p.offer
	}
	if p.lease != nil {
		o.lease = p.lease
	}
	o.lost = o.lost || p.lost
	o.note = sentences(o.note, p.note)
	o.told = sentences(o.told, p.told)
	return o
}

func sentences(a, b string) string {
	if a != "" && b != "" {
		return a + "; " + b
	}
	return a + b
}

// A channel is a kind of packets on an interface. The zero value is invalid.
type channel int

const (
	// channelDHCP is UDP over IPv4 from port 68 to port 67, on an interface
	// that has no address.
	channelDHCP channel = iota + 1
	// channelARP is Ethernet type 0x0806, without the link-layer header.
	channelARP
	// channelRARP is Ethernet type 0x8035.
	channelRARP
	// channelDHCP6 is UDP over IPv6 from port 546 to port 547 of
	// ff02::1:2, by the link-local address of the interface.
	channelDHCP6
)

// String returns the name of the protocol.
func (c channel) String() string {
	switch c {
	case channelDHCP:
		return "DHCP"
	case channelARP:
		return "ARP"
	case channelRARP:
		return "RARP"
	case channelDHCP6:
		return "DHCPv6"
	default:
		return fmt.Sprintf("channel(%d)", int(c))
	}
}

// A message is a packet to send.
type message struct {
	via     channel
	what    string // such as DISCOVER
	payload []byte
	// src and dst are the IP addresses of channelDHCP. Invalid is 0.0.0.0 and
	// 255.255.255.255.
	src, dst netip.Addr
	to       HardwareAddr // empty for the broadcast address
}

// A packet is one that was received.
type packet struct {
	via     channel
	payload []byte
	from    HardwareAddr // who sent it, empty with channelDHCP6
	src     netip.Addr   // who sent it, channelDHCP6 only
	unicast bool         // to this interface alone; not told of channelDHCP6
}

// News is what the kernel tells of an interface, besides its link: one of the
// groups of fields is set.
type news struct {
	// running tells that the queue is surely open; see runner.link.
	running bool

	// addr is an IPv6 address of the interface with its prefix length.
	// Tentative: it is being checked (RFC 4862 section 5.4); duplicate:
	// another node has it; gone: the interface has it no more. Permanent: not
	// made from a router advertisement.
	addr                                  netip.Prefix
	tentative, duplicate, gone, permanent bool

	// router tells that a router advertisement has been taken in; managed and
	// other are its flags M and O (RFC 4861 section 4.2).
	router, managed, other bool

	// gateway is the default router of IPv6, route the network of another route that
	// the kernel has made: of an address, of a prefix that is on the link (RFC 4861
	// section 4.6.2), or of the route information in a router advertisement (RFC 4191).
	gateway netip.Addr
	route   netip.Prefix

	// dns and search are options of a router advertisement (RFC 8106).
	dns    []netip.Addr
	search []string
}
