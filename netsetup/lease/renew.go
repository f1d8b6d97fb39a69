package lease

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/link"
)

// leastRenew is the least time between two messages that renew a lease (RFC
// 2131 section 4.4.5 asks for 60 s; leases that end in a minute need more).
const leastRenew = 5 * time.Second

// hold notes when the lease is to be renewed: by default at half of its time,
// and from seven eighths on by any server (RFC 2131 section 4.4.5).
func (x *Exchange) hold(now time.Time, l Lease) {
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

// prolong asks for more time, or reports that there was none.
func (x *Exchange) prolong(now time.Time) Outcome {
	switch {
	case !now.Before(x.expire):
		o := x.refuse("the lease has ended: %s has not renewed it", x.server)
		o.Lost = true
		return o.and(x.Start(now))
	case !now.Before(x.rebind):
		x.phase = phaseRebinding
	default:
		x.phase = phaseRenewing
	}
	return x.transmit(now)
}

// ask sends the REQUEST of the states RENEWING and REBINDING. Half of what is
// left is the time of the next one.
func (x *Exchange) ask(now time.Time) Outcome {
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
	o.Send[0].Src = src
	if x.phase == phaseRenewing {
		o.Send[0].Dst, o.Send[0].To = x.server, x.next
	}
	o.Send[0].What = fmt.Sprintf("REQUEST for more time of %s", src)
	return o
}

// Release returns the message that gives the lease back, none if no server can
// have one for us. One that is only requested may have been committed already.
func (x *Exchange) Release() []Message {
	if x.phase < phaseRequesting || x.offer == nil {
		return nil
	}
	return []Message{x.releaseOf(x.server, x.offer, x.next)}
}

// spurn gives back what a server has committed on a DISCOVER, which with option 80 every server
// does (RFC 4039 section 3.2), and is not wanted: it is of no use, or another server was quicker.
// It keeps what this node lives on: servers that share their leases give the same address.
func (x *Exchange) spurn(server netip.Addr, m *dhcpv4.DHCPv4, from link.HardwareAddr) Outcome {
	if !server.IsValid() || x.phase == phaseBound && (server == x.server || m.YourIPAddr.Equal(x.offer.YourIPAddr)) {
		return Outcome{}
	}
	if l, _, err := parseLease(m, x.client.Expected); err == nil && x.client.elsewhere(l, x.chosen) {
		return Outcome{}
	}
	return Outcome{Send: []Message{x.releaseOf(server, m, from)}}
}

// releaseOf gives the lease of an ACK back to its server.
func (x *Exchange) releaseOf(server netip.Addr, ack *dhcpv4.DHCPv4, to link.HardwareAddr) Message {
	m := x.client.release(x.chosen, x.newXID(), ack)
	src, _ := netip.AddrFromSlice(m.ClientIPAddr.To4())
	return Message{Via: ChannelDHCP, What: "RELEASE", Payload: m.ToBytes(), Src: src, Dst: server, To: to}
}
