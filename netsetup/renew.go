package netsetup

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// leastRenew is the least time between two messages that prolong a lease (RFC
// 2131 section 4.4.5 asks for 60 s; leases that end in a minute need more).
const leastRenew = 5 * time.Second

// hold notes when the lease is to be prolonged: by default at half of its time,
// and from seven eighths on by any server (RFC 2131 section 4.4.5).
func (x *exchange) hold(now time.Time, l Lease) {
	x.at = time.Time{}
	if l.Duration == 0 {
		return
	}
	t1, t2 := l.Renew, l.Rebind
	if t2 <= 0 || t2 >= l.Duration {
		t2 = l.Duration * 7 / 8
	}
	if t1 <= 0 || t1 >= t2 {
		t1 = min(l.Duration/2, t2)
	}
	x.renew, x.rebind, x.expire = now.Add(t1), now.Add(t2), now.Add(l.Duration)
	x.at = x.renew
}

// prolong asks for more time, or tells that there was none.
func (x *exchange) prolong(now time.Time) outcome {
	switch {
	case !now.Before(x.expire):
		o := x.refuse("the lease has ended: %s has not prolonged it", x.server)
		o.lost = true
		return o.and(x.start(now))
	case !now.Before(x.rebind):
		x.phase = phaseRebinding
	default:
		x.phase = phaseRenewing
	}
	return x.transmit(now)
}

// ask sends the REQUEST of the states RENEWING and REBINDING. Half of what is
// left is the time of the next one.
func (x *exchange) ask(now time.Time) outcome {
	until := x.rebind
	if x.phase == phaseRebinding {
		until = x.expire
	}
	x.at = now.Add(until.Sub(now) / 2)
	if until.Sub(now) < leastRenew {
		x.at = until
	}
	x.xid = x.newXID()
	x.begun = now
	m := x.client.renewal(x.chosen, x.transaction(), x.offer)
	o := broadcastOf(m)
	src, _ := netip.AddrFromSlice(m.ClientIPAddr.To4())
	o.send[0].src = src
	if x.phase == phaseRenewing {
		o.send[0].dst, o.send[0].to = x.server, x.next
	}
	o.send[0].what = fmt.Sprintf("REQUEST for more time of %s", src)
	return o
}

// release returns the message that gives the lease back, none if no server can
// have one for us. One that is only requested may have been committed already.
func (x *exchange) release() []message {
	if x.phase < phaseRequesting || x.offer == nil {
		return nil
	}
	return []message{x.releaseOf(x.server, x.offer, x.next)}
}

// spurn gives back what a server has committed on a DISCOVER, which with option 80
// every server does (RFC 4039 section 3.2), and is not wanted: it is of no use, or
// another server was quicker. Not what this node lives on: servers that share their
// leases give the same address.
func (x *exchange) spurn(server netip.Addr, m *dhcpv4.DHCPv4, from HardwareAddr) outcome {
	if !server.IsValid() || x.phase == phaseBound && (server == x.server || m.YourIPAddr.Equal(x.offer.YourIPAddr)) {
		return outcome{}
	}
	if l, _, err := parseLease(m, x.client.expected); err == nil && x.client.elsewhere(l, x.chosen) {
		return outcome{}
	}
	return outcome{send: []message{x.releaseOf(server, m, from)}}
}

// releaseOf gives the lease of an ACK back to its server.
func (x *exchange) releaseOf(server netip.Addr, ack *dhcpv4.DHCPv4, to HardwareAddr) message {
	m := x.client.release(x.chosen, x.newXID(), ack)
	src, _ := netip.AddrFromSlice(m.ClientIPAddr.To4())
	return message{via: channelDHCP, what: "RELEASE", payload: m.ToBytes(), src: src, dst: server, to: to}
}
