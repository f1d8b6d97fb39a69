package lease

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A Protocol is one way for an interface to get its address: DHCP, BOOTP, RARP,
// router advertisements, or the check that a static address is free. It is a
// state machine that takes times, packets and news, and returns what is to be
// done. It knows neither clock nor socket.
type Protocol interface {
	// Channels are those that it sends and receives on.
	Channels() []Channel
	// Start begins again.
	Start(now time.Time) Outcome
	// Receive takes a packet of one of its channels.
	Receive(now time.Time, p Packet) Outcome
	// Hear takes what the kernel reports about the interface.
	Hear(now time.Time, e link.News) Outcome
	// Tick is called when the deadline has come.
	Tick(now time.Time) Outcome
	// Deadline is when Tick is to be called next, zero for never.
	Deadline() time.Time
	// Waiting says what is waited for, without the interface's name.
	Waiting(now time.Time) string
	// Release returns the messages that give back what a server may hold for
	// this node.
	Release() []Message
}

// A decliner is a protocol whose address may turn out to be in use.
type decliner interface {
	// decline says that the address of the last lease is the one of another
	// node: it is refused, and asked for again.
	decline(now time.Time, a netip.Addr, holder link.HardwareAddr) Outcome
}

// An Outcome is what an event leads to.
type Outcome struct {
	Send []Message
	// Steps are changes that the protocol itself needs, such as an address
	// that the kernel has to check.
	Steps []link.Step
	// offer is an address that is likely to become the lease's.
	offer netip.Addr
	// Lease is set when the protocol is complete.
	Lease *Lease
	// Lost is set when a lease that was in use has ended.
	Lost bool
	// Note is a sentence for the console: what was refused, and why.
	Note string
	// Told is one that is not a warning.
	Told string
}

// and combines two outcomes, the later one last.
func (o Outcome) and(p Outcome) Outcome {
	o.Send = append(o.Send, p.Send...)
	o.Steps = append(o.Steps, p.Steps...)
	if p.offer.IsValid() {
		o.offer = p.offer
	}
	if p.Lease != nil {
		o.Lease = p.Lease
	}
	o.Lost = o.Lost || p.Lost
	o.Note = phrase.Sentences(o.Note, p.Note)
	o.Told = phrase.Sentences(o.Told, p.Told)
	return o
}

// A Channel is a kind of packet on an interface. The zero value is invalid.
type Channel int

const (
	// ChannelDHCP is UDP over IPv4 from port 68 to port 67, on an interface
	// that has no address.
	ChannelDHCP Channel = iota + 1
	// ChannelARP is Ethernet type 0x0806, without the link-layer header.
	ChannelARP
	// ChannelRARP is Ethernet type 0x8035.
	ChannelRARP
	// ChannelDHCP6 is UDP over IPv6 from port 546 to port 547 of
	// ff02::1:2, by the link-local address of the interface.
	ChannelDHCP6
)

// String returns the name of the protocol.
func (c Channel) String() string {
	switch c {
	case ChannelDHCP:
		return "DHCP"
	case ChannelARP:
		return "ARP"
	case ChannelRARP:
		return "RARP"
	case ChannelDHCP6:
		return "DHCPv6"
	default:
		return fmt.Sprintf("channel(%d)", int(c))
	}
}

// A Message is a packet to send.
type Message struct {
	Via     Channel
	What    string // such as DISCOVER
	Payload []byte
	// Src and Dst are the IP addresses of ChannelDHCP. Invalid is 0.0.0.0 and 255.255.255.255.
	Src, Dst netip.Addr
	To       link.HardwareAddr // empty for the broadcast address
}

// A Packet is a received one.
type Packet struct {
	Via     Channel
	Payload []byte
	From    link.HardwareAddr // who sent it, empty with ChannelDHCP6
	Src     netip.Addr        // who sent it, ChannelDHCP6 only
	Unicast bool              // to this interface alone; not known with ChannelDHCP6
}

// EtherType is what a packet socket is bound to.
func (c Channel) EtherType() uint16 {
	switch c {
	case ChannelARP:
		return etherTypeARP
	case ChannelRARP:
		return etherTypeRARP
	default:
		return etherTypeIPv4
	}
}

// Types of Ethernet (include/uapi/linux/if_ether.h).
const (
	etherTypeIPv4 = 0x0800
	etherTypeARP  = 0x0806
	etherTypeRARP = 0x8035
)
