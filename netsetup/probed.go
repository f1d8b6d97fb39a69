package netsetup

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// How long nobody must answer the first probe for an address before it is
// taken.
//
// RFC 5227 section 2.1.1 has three probes in up to 7 s and 2 s more after them.
// That is ten boots, and it is made for links that lose packets, or on which a
// bridge has just begun to forward. Here a server has answered over this very
// link a moment before (or, with a static address, carrier has come), and a
// duplicate on the same segment has only to receive a packet and send another:
// the kernel does that in its interrupt, in some 50 us, a processor that sleeps
// deeply adds 1 ms, a switch some 10 us, a long-distance bridge 5 ms. On
// InfiniBand the holder first asks the subnet manager for the path to us,
// which takes milliseconds, more when a thousand nodes ask at once.
//
// What is given up: a holder that is slower than this, whose answer is lost
// twice, or that is cut off at the time, is not found before the address is
// used. It is found as soon as it sends any ARP packet of its own, and then a
// sentence says so. The probes cost a boot nothing but this time, of which
// the REQUEST and its ACK are a part: the first leaves with the REQUEST.
const (
	probeWait           = 20 * time.Millisecond
	probeWaitInfiniBand = 50 * time.Millisecond
)

const (
	// gatewayEvery is how long a gateway may take to answer before it is asked
	// again. The second time it is asked right behind the wait: the first may
	// have come too early for a link that has just come up.
	gatewayEvery = time.Second
	gatewayAsks  = 3
	// conflictEvery is the least time between two sentences about a node that
	// uses our address, and between two defences of it. RFC 5227 section 2.4
	// wants at least 10 s.
	conflictEvery = time.Minute
)

// A probed hands on the lease of another protocol when it makes sense on the
// link: nobody has the address, and the gateway is there. From then on it
// tells when another node uses the address.
type probed struct {
	inner protocol
	dev   Device
	// ours tells whether a hardware address is one of this node's.
	ours func(HardwareAddr) bool
	// via is the gateway of the ip= word, which goes before that of the lease.
	via netip.Addr

	// addrs are being probed for since the time in since: that of the lease, and
	// the further ones of a static word.
	addrs []netip.Addr
	since time.Time
	// left reports whether the first probe for addrs has: since is the time of it then.
	left bool
	// heard tells that an answer has come in: the link is open in both directions. What
	// others broadcast comes in before the queue opens.
	heard bool
	// lease is held back until at.
	lease *Lease
	at    time.Time
	// gateway is waited for, invalid when there is none, or it was seen.
	gateway netip.Addr
	asked   int
	// mine are the addresses in use, warned when a conflict was told last.
	mine   []netip.Addr
	warned time.Time
}

var _ protocol = (*probed)(nil)

// newProbed checks that the address which a protocol gets is free, on links
// that have ARP.
func newProbed(inner protocol, d Device, ours func(HardwareAddr) bool, via netip.Addr) protocol {
	if n := arpAddrLen(d.Type); n == 0 || len(d.Addr) != n {
		return inner
	}
	return &probed{inner: inner, dev: d, ours: ours, via: via}
}

// probed is newProbed for an interface.
func (r *runner) probed(n *nic, inner protocol, d Device) protocol {
	if r.config.NoProbe {
		return inner
	}
	return newProbed(inner, d, r.ours, n.slot.Gateway)
}

// ours tells whether a hardware address is one of this node: what its other
// interfaces say on the same link, and a bond hears of itself by another port,
// is no conflict. Of InfiniBand the queue pair before the GUID may differ.
func (r *runner) ours(a HardwareAddr) bool {
	for _, n := range r.nics {
		if a.identifies(n.dev) || n.slot != nil && a == n.slot.NewAddr {
			return true
		}
	}
	return false
}

func (p *probed) channels() []channel { return append(p.inner.channels(), channelARP) }

func (p *probed) release() []message { return p.inner.release() }

// start begins anew. When an attempt is over because its time is, a lease that
// is held back is better than another attempt.
func (p *probed) start(now time.Time) outcome {
	var o outcome
	if p.lease != nil {
		p.asked, p.at = gatewayAsks, now
		p.judge(now, &o)
		return o
	}
	p.heard = false
	p.forget()
	o = p.inner.start(now)
	p.pass(now, &o)
	return o
}

// settle hands on a lease of the slot that is held back, or has one taken that was
// refused for want of a way, and tells whether there was one.
func (r *runner) settle(s *slot, now time.Time) bool {
	for _, n := range r.nics {
		if p, ok := n.protocol.(*probed); ok && n.slot == s && s.open() && p.lease != nil {
			r.do(n, p.start(now))
		}
	}
	if _, ok := r.contents(s); ok {
		r.content(s, now)
		return true
	}
	return !s.open()
}

// forget leaves what is being probed for.
func (p *probed) forget() {
	p.addrs, p.at = nil, time.Time{}
	p.lease = nil
}

// hear probes again when the queue is surely open, if nothing has come in: the
// probes may have been lost on our own side.
func (p *probed) hear(now time.Time, e news) outcome {
	o := p.inner.hear(now, e)
	p.pass(now, &o)
	if e.running && !p.heard && p.lease != nil {
		p.since, p.left = now, false
		p.asked = min(p.asked, 1)
		p.hold(&o)
	}
	return o
}

func (p *probed) receive(now time.Time, m packet) outcome {
	open := p.heard
	var o outcome
	if m.via != channelARP {
		p.heard = true
		o = p.inner.receive(now, m)
		p.pass(now, &o)
		return o
	}
	a, ok := parseARP(m.payload, p.dev.Type)
	p.heard = open || ok && a.op == arpReply && m.unicast
	switch {
	case !ok || p.ours(a.sender):
	case p.mine != nil:
		if slices.Contains(p.mine, a.senderIP) {
			p.shared(now, a.sender, a.senderIP, &o)
		}
	case slices.Contains(p.addrs, a.senderIP) || slices.Contains(p.addrs, a.targetIP) && a.probe() && !m.unicast:
		// Another node has the address, or probes for it, too (RFC 5227 section
		// 2.1.1). A probe goes to everybody: switches of Cisco's send such
		// packets to a node alone, to see whether it is still there (IP device
		// tracking).
		if d, ok := p.inner.(decliner); ok {
			addr := a.senderIP
			if a.probe() {
				addr = a.targetIP
			}
			p.forget()
			o = d.decline(now, addr, p.name(a.sender))
			p.pass(now, &o)
		}
	case p.lease != nil && p.gateway.IsValid() && a.senderIP == p.gateway:
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

func (p *probed) tick(now time.Time) outcome {
	o := p.inner.tick(now)
	p.pass(now, &o)
	p.judge(now, &o)
	return o
}

func (p *probed) deadline() time.Time {
	at := p.inner.deadline()
	if !p.at.IsZero() && (at.IsZero() || p.at.Before(at)) {
		return p.at
	}
	return at
}

// pass takes what the other protocol wants. A lease is held back, once: when
// one is in use the boot goes on with that, whatever comes.
func (p *probed) pass(now time.Time, o *outcome) {
	if p.mine != nil {
		return
	}
	if o.offer.Is4() {
		p.forget()
		p.seek([]netip.Addr{o.offer}, now)
		p.probe(o)
	}
	l := o.lease
	if l == nil || !l.Addr.Addr().Is4() {
		return
	}
	o.lease = nil
	addrs := []netip.Addr{l.Addr.Addr()}
	for _, a := range l.More {
		addrs = append(addrs, a.Addr())
	}
	if !slices.Equal(addrs, p.addrs) {
		p.seek(addrs, now)
	}
	if slices.Contains(p.addrs, l.Gateway) {
		o.note = sentences(o.note, "the gateway is the address of this node, "+l.Gateway.String()+": left out; check the router that the server gives")
		l.Gateway = netip.Addr{}
	}
	p.gateway = p.via
	if !p.gateway.IsValid() {
		p.gateway = l.Gateway
	}
	if slices.Contains(p.addrs, p.gateway) || !l.reaches(p.gateway) {
		p.gateway = netip.Addr{}
	}
	p.lease, p.asked = l, 0
	p.hold(o)
	p.judge(now, o)
}

// seek begins to probe for addresses.
func (p *probed) seek(addrs []netip.Addr, now time.Time) {
	p.addrs, p.since, p.left = addrs, now, false
}

// sent counts the wait from when the first probe has left: a busy machine may be late with it.
func (p *probed) sent(now time.Time) {
	if p.addrs == nil || p.left {
		return
	}
	p.since, p.left = now, true
	if p.lease != nil && (p.asked <= 1 || !p.gateway.IsValid()) {
		p.at = p.since.Add(p.wait())
	}
}

// wait is how long nobody must answer the first probe.
func (p *probed) wait() time.Duration {
	if p.dev.Type == hwInfiniBand {
		return probeWaitInfiniBand
	}
	return probeWait
}

// hold probes for the addresses of the lease, and asks for its gateway.
func (p *probed) hold(o *outcome) {
	p.at = p.since.Add(p.wait())
	// The gateway first: the queue of a link that has just come up may open between the two,
	// and an answer of the gateway is taken to say that the probe has left as well.
	if p.gateway.IsValid() {
		p.ask(o)
	}
	p.probe(o)
}

// judge hands the lease on when its time has come.
func (p *probed) judge(now time.Time, o *outcome) {
	if p.lease == nil || now.Before(p.at) {
		return
	}
	if p.gateway.IsValid() {
		if p.asked < gatewayAsks {
			p.at = now.Add(gatewayEvery)
			p.ask(o)
			return
		}
		o.note = sentences(o.note, "gateway "+p.gateway.String()+" does not answer ARP: check that it is up, in this VLAN, and the right one; going on without it having been seen")
	}
	o.lease = p.lease
	p.mine = p.addrs
	p.forget()
	// Neighbours and switches may know another node by these addresses (RFC 5227
	// section 2.3).
	for _, a := range p.mine {
		p.send(o, announcement, a, a)
	}
}

// shared tells of a node that uses an address in use. The root is on it, so it
// is not given up but defended (RFC 5227 section 2.4 (c)).
func (p *probed) shared(now time.Time, holder HardwareAddr, a netip.Addr, o *outcome) {
	if !p.warned.IsZero() && now.Sub(p.warned) < conflictEvery {
		return
	}
	p.warned = now
	p.send(o, announcement, a, a)
	o.note = p.name(holder).String() + " also uses " + a.String() + ", the address of this node: connections of both will break; give one of them another address"
}

// name is how people know a hardware address.
func (p *probed) name(a HardwareAddr) HardwareAddr {
	return Device{Type: p.dev.Type, Addr: a}.lasting()
}

// probe asks who has the addresses.
func (p *probed) probe(o *outcome) {
	for _, a := range p.addrs {
		p.send(o, "probe for", netip.Addr{}, a)
	}
}

// ask asks for the gateway.
func (p *probed) ask(o *outcome) {
	p.asked++
	p.send(o, "request for gateway", netip.Addr{}, p.gateway)
}

const announcement = "announcement of"

func (p *probed) send(o *outcome, what string, from, to netip.Addr) {
	m := arpPacket{hwType: p.dev.Type, op: arpRequest, sender: p.dev.Addr, senderIP: from, targetIP: to}
	o.send = append(o.send, message{via: channelARP, what: "ARP " + what + " " + to.String(), payload: m.bytes()})
}

// waiting says what is waited for.
func (p *probed) waiting(now time.Time) string {
	switch {
	case p.lease == nil:
		return p.inner.waiting(now)
	case p.asked > 1:
		return "gateway " + p.gateway.String() + " has not answered ARP (asked " + times(p.asked) + ")"
	default:
		return "looking whether another node uses " + addressList(p.addrs)
	}
}

func addressList(addrs []netip.Addr) string {
	var words []string
	for _, a := range addrs {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}
