package lease

import (
	"net/netip"
	"slices"
	"time"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/lease/arp"
	"github.com/nodisk/nodisk/netsetup/link"
)

// How long the first probe for an address must go unanswered before the address is taken.
//
// RFC 5227 section 2.1.1 has three probes in up to 7 s and 2 s more after them. That is as long
// as ten boots, and made for links that lose packets, or on which a bridge has just begun to
// forward. Here a server has answered over this very link a moment before (or, with a static
// address, carrier has come), and a duplicate on the same segment only has to receive a packet
// and send another: the kernel does that in its interrupt, in some 50 us; a processor in deep
// sleep adds 1 ms, a switch some 10 us, a long-distance bridge 5 ms. On InfiniBand the holder
// first asks the subnet manager for the path to us, which takes milliseconds, more when a
// thousand nodes ask at once.
//
// The price: a holder that is slower than this, whose answer is lost twice, or that is cut off at
// the time, is not found before the address is used. It is found as soon as it sends any ARP
// packet of its own, and is then reported. The probes cost a boot nothing but this time, which
// includes the REQUEST and its ACK: the first leaves with the REQUEST.
const (
	ProbeWait           = 20 * time.Millisecond
	ProbeWaitInfiniBand = 50 * time.Millisecond
)

const (
	// GatewayEvery is how long a gateway may take to answer before it is asked again. The second
	// time it is asked right after the wait: the first may have come too early for a link that
	// has just come up.
	GatewayEvery = time.Second
	gatewayAsks  = 3
	// conflictEvery is the least time between two sentences about a node that
	// uses our address, and between two defences of it. RFC 5227 section 2.4
	// wants at least 10 s.
	conflictEvery = time.Minute
)

// An ACD hands on the lease of another protocol once it makes sense on the link: nobody has the
// address, and the gateway is there. From then on it reports other nodes that use the address.
type ACD struct {
	inner Protocol
	Dev   link.Device
	// ours reports whether a hardware address is one of this node's.
	ours func(link.HardwareAddr) bool
	// via is the gateway of the ip= argument, which takes precedence over that of the lease.
	via netip.Addr

	// addrs are being probed for since the time in since: that of the lease, and
	// the further ones of a static argument.
	addrs []netip.Addr
	since time.Time
	// left reports whether the first probe for addrs has left: since is then the time of that.
	left bool
	// heard is set once an answer has come in: the link is open in both directions. What others
	// broadcast comes in before the queue opens.
	heard bool
	// Lease is held back until at.
	Lease *Lease
	at    time.Time
	// gateway is waited for, invalid when there is none, or it was seen.
	gateway netip.Addr
	asked   int
	// mine are the addresses in use, warned is when a conflict was last reported.
	mine   []netip.Addr
	warned time.Time
}

var _ Protocol = (*ACD)(nil)

// NewACD checks that the address which a protocol gets is free, on links
// that have ARP.
func NewACD(inner Protocol, d link.Device, ours func(link.HardwareAddr) bool, via netip.Addr) Protocol {
	if n := arp.AddrLen(d.Type); n == 0 || len(d.Addr) != n {
		return inner
	}
	return &ACD{inner: inner, Dev: d, ours: ours, via: via}
}

// Channels are those of the protocol within, and ARP.
func (p *ACD) Channels() []Channel { return append(p.inner.Channels(), ChannelARP) }

// Release is that of the protocol within.
func (p *ACD) Release() []Message { return p.inner.Release() }

// Start begins again. When an attempt has run out of time, a lease that is held back is better
// than another attempt.
func (p *ACD) Start(now time.Time) Outcome {
	var o Outcome
	if p.Lease != nil {
		p.asked, p.at = gatewayAsks, now
		p.judge(now, &o)
		return o
	}
	p.heard = false
	p.forget()
	o = p.inner.Start(now)
	p.pass(now, &o)
	return o
}

// forget leaves what is being probed for.
func (p *ACD) forget() {
	p.addrs, p.at = nil, time.Time{}
	p.Lease = nil
}

// Hear probes again when the queue is certainly open, if nothing has come in: the probes may have
// been lost on our own side.
func (p *ACD) Hear(now time.Time, e link.News) Outcome {
	o := p.inner.Hear(now, e)
	p.pass(now, &o)
	if e.Running && !p.heard && p.Lease != nil {
		p.since, p.left = now, false
		p.asked = min(p.asked, 1)
		p.hold(&o)
	}
	return o
}

// Receive takes ARP for the check, everything else for the protocol within.
func (p *ACD) Receive(now time.Time, m Packet) Outcome {
	open := p.heard
	var o Outcome
	if m.Via != ChannelARP {
		p.heard = true
		o = p.inner.Receive(now, m)
		p.pass(now, &o)
		return o
	}
	a, ok := arp.Parse(m.Payload, p.Dev.Type)
	p.heard = open || ok && a.Op == arp.Reply && m.Unicast
	switch {
	case !ok || p.ours(a.Sender):
	case p.mine != nil:
		if slices.Contains(p.mine, a.SenderIP) {
			p.shared(now, a.Sender, a.SenderIP, &o)
		}
	case slices.Contains(p.addrs, a.SenderIP) || slices.Contains(p.addrs, a.TargetIP) && a.Probe() && !m.Unicast:
		// Another node has the address, or probes for it, too (RFC 5227 section
		// 2.1.1). A probe goes to everybody: switches of Cisco's send such
		// packets to a node alone, to see whether it is still there (IP device
		// tracking).
		if d, ok := p.inner.(decliner); ok {
			addr := a.SenderIP
			if a.Probe() {
				addr = a.TargetIP
			}
			p.forget()
			o = d.decline(now, addr, p.name(a.Sender))
			p.pass(now, &o)
		}
	case p.Lease != nil && p.gateway.IsValid() && a.SenderIP == p.gateway:
		p.gateway = netip.Addr{}
		switch {
		case p.asked > 1 && open:
			p.at = now
		case p.asked > 1:
			// The link did not pass packets before: the probe was lost, too.
			p.since, p.left = now, false
			p.hold(&o)
		}
		p.judge(now, &o)
	}
	return o
}

// Tick does what is due.
func (p *ACD) Tick(now time.Time) Outcome {
	o := p.inner.Tick(now)
	p.pass(now, &o)
	p.judge(now, &o)
	return o
}

// Deadline is the earlier one of the check and of the protocol within.
func (p *ACD) Deadline() time.Time {
	at := p.inner.Deadline()
	if !p.at.IsZero() && (at.IsZero() || p.at.Before(at)) {
		return p.at
	}
	return at
}

// pass handles what the other protocol wants. A lease is held back, once: when one is in use the
// boot goes on with that, whatever comes.
func (p *ACD) pass(now time.Time, o *Outcome) {
	if p.mine != nil {
		return
	}
	if o.offer.Is4() {
		p.forget()
		p.seek([]netip.Addr{o.offer}, now)
		p.probe(o)
	}
	l := o.Lease
	if l == nil || !l.Addr.Addr().Is4() {
		return
	}
	o.Lease = nil
	addrs := []netip.Addr{l.Addr.Addr()}
	for _, a := range l.More {
		addrs = append(addrs, a.Addr())
	}
	if !slices.Equal(addrs, p.addrs) {
		p.seek(addrs, now)
	}
	if slices.Contains(p.addrs, l.Gateway) {
		o.Note = phrase.Sentences(
			o.Note,
			"the gateway is the address of this node, "+l.Gateway.String()+": left out; check the router that the "+
				"server gives",
		)
		l.Gateway = netip.Addr{}
	}
	p.gateway = p.via
	if !p.gateway.IsValid() {
		p.gateway = l.Gateway
	}
	if slices.Contains(p.addrs, p.gateway) || !l.reaches(p.gateway) {
		p.gateway = netip.Addr{}
	}
	p.Lease, p.asked = l, 0
	p.hold(o)
	p.judge(now, o)
}

// seek begins to probe for addresses.
func (p *ACD) seek(addrs []netip.Addr, now time.Time) {
	p.addrs, p.since, p.left = addrs, now, false
}

// Sent counts the wait from when the first probe has left: a busy machine may be late with it.
func (p *ACD) Sent(now time.Time) {
	if p.addrs == nil || p.left {
		return
	}
	p.since, p.left = now, true
	if p.Lease != nil && (p.asked <= 1 || !p.gateway.IsValid()) {
		p.at = p.since.Add(p.wait())
	}
}

// wait is how long nobody must answer the first probe.
func (p *ACD) wait() time.Duration {
	if p.Dev.Type == link.HwInfiniBand {
		return ProbeWaitInfiniBand
	}
	return ProbeWait
}

// hold probes for the addresses of the lease, and asks for its gateway.
func (p *ACD) hold(o *Outcome) {
	p.at = p.since.Add(p.wait())
	// The gateway first: the queue of a link that has just come up may open between the two, and
	// an answer of the gateway is taken to mean that the probe has left as well.
	if p.gateway.IsValid() {
		p.ask(o)
	}
	p.probe(o)
}

// judge hands the lease on when its time has come.
func (p *ACD) judge(now time.Time, o *Outcome) {
	if p.Lease == nil || now.Before(p.at) {
		return
	}
	if p.gateway.IsValid() {
		if p.asked < gatewayAsks {
			p.at = now.Add(GatewayEvery)
			p.ask(o)
			return
		}
		o.Note = phrase.Sentences(
			o.Note,
			"gateway "+p.gateway.String()+" does not answer ARP: check that it is up, in this VLAN, and the right "+
				"one; going on without it having been seen",
		)
	}
	o.Lease = p.Lease
	p.mine = p.addrs
	p.forget()
	// Neighbours and switches may know another node by these addresses (RFC 5227
	// section 2.3).
	for _, a := range p.mine {
		p.send(o, announcement, a, a)
	}
}

// shared reports a node that uses one of our addresses. The root is on it, so it is not given up
// but defended (RFC 5227 section 2.4 (c)).
func (p *ACD) shared(now time.Time, holder link.HardwareAddr, a netip.Addr, o *Outcome) {
	if !p.warned.IsZero() && now.Sub(p.warned) < conflictEvery {
		return
	}
	p.warned = now
	p.send(o, announcement, a, a)
	o.Note = p.name(holder).
		String() +
		" also uses " + a.String() + ", the address of this node: connections of both will break; give one of them " +
		"another address"
}

// name is how people know a hardware address.
func (p *ACD) name(a link.HardwareAddr) link.HardwareAddr {
	return link.Device{Type: p.Dev.Type, Addr: a}.Lasting()
}

// probe asks who has the addresses.
func (p *ACD) probe(o *Outcome) {
	for _, a := range p.addrs {
		p.send(o, "probe for", netip.Addr{}, a)
	}
}

// ask asks for the gateway.
func (p *ACD) ask(o *Outcome) {
	p.asked++
	p.send(o, "request for gateway", netip.Addr{}, p.gateway)
}

const announcement = "announcement of"

func (p *ACD) send(o *Outcome, what string, from, to netip.Addr) {
	m := arp.Packet{HwType: p.Dev.Type, Op: arp.Request, Sender: p.Dev.Addr, SenderIP: from, TargetIP: to}
	o.Send = append(o.Send, Message{Via: ChannelARP, What: "ARP " + what + " " + to.String(), Payload: m.Bytes()})
}

// Waiting says what is waited for.
func (p *ACD) Waiting(now time.Time) string {
	switch {
	case p.Lease == nil:
		return p.inner.Waiting(now)
	case p.asked > 1:
		return "gateway " + p.gateway.String() + " has not answered ARP (asked " + phrase.Times(p.asked) + ")"
	default:
		return "looking whether another node uses " + phrase.AddressList(p.addrs)
	}
}
