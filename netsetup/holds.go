package netsetup

import (
	"bytes"
	"net/netip"
)

// A holder is a protocol for which a server may have put an address aside.
type holder interface {
	// holds returns the address that was asked for or leased, invalid if there is
	// none, and as whom the server knows this node by it.
	// Slow: it was asked for more than once, and is not confirmed.
	holds() (a netip.Prefix, who identity, slow bool)
}

var (
	_ holder = (*exchange)(nil)
	_ holder = (*probed)(nil)
)

func (x *exchange) holds() (a netip.Prefix, who identity, slow bool) {
	if x.phase < phaseRequesting || x.offer == nil {
		return netip.Prefix{}, identity{}, false
	}
	l, _, err := parseLease(x.offer, x.client.expected)
	if err != nil {
		return netip.Prefix{}, identity{}, false
	}
	return l.Addr, x.client.identities[x.chosen], x.phase == phaseRequesting && x.sent > 1
}

func (p *probed) holds() (a netip.Prefix, who identity, slow bool) {
	if h, ok := p.inner.(holder); ok {
		return h.holds()
	}
	return netip.Prefix{}, identity{}, false
}

// holds returns what a server has put aside for an interface.
func (n *nic) holds() (a netip.Prefix, who identity, slow bool) {
	if h, ok := n.protocol.(holder); ok {
		return h.holds()
	}
	return netip.Prefix{}, identity{}, false
}

// judged says what is wrong with a lease for this boot.
func (c client) judged(l Lease) error {
	if c.judge == nil {
		return nil
	}
	return c.judge(l)
}

// elsewhere reports whether a lease for that identity is what another interface of
// this node has.
func (c client) elsewhere(l Lease, which int) bool {
	return c.taken != nil && c.taken(l, c.identities[which])
}

// spareTaken reports whether what is kept in reserve is another interface's.
func (x *exchange) spareTaken() bool {
	l, _, err := parseLease(x.spare, x.client.expected)
	return err == nil && x.client.elsewhere(l, x.spareOf)
}

// same reports whether a server takes both for one client: it goes by option 61,
// without that by the header (RFC 2131 section 4.2).
func (d identity) same(o identity) bool {
	if d.id != nil || o.id != nil {
		return bytes.Equal(d.id, o.id)
	}
	return d.hwType == o.hwType && d.chaddr == o.chaddr
}

// taken reports whether another interface of this node has the address, or has one
// on the same network as the same client, which is one lease to the server.
//
// To ask for it once more would move the lease away from the interface that lives on
// it, and to give it back would end it (RFC 2131 section 4.4.6: RELEASE is for an
// address that is no longer required). One that the other waits for counts while it
// has waited no longer than for the first answer, or with patient.
func (r *runner) taken(n *nic, a netip.Prefix, who identity, patient bool) bool {
	for _, o := range r.nics {
		if o == n {
			continue
		}
		other, as, slow := o.holds()
		if other.IsValid() && (patient || !slow) && (other.Addr() == a.Addr() || as.same(who) && other.Masked() == a.Masked()) {
			return true
		}
	}
	for _, s := range r.slots {
		if s.state == nil || s.state.Device == n.dev.Name {
			continue
		}
		for _, p := range s.state.Addrs {
			if p.Addr() == a.Addr() {
				return true
			}
		}
	}
	return false
}

// release gives back what a server holds for the interface, unless this node lives
// on it by another interface.
func (r *runner) release(n *nic) {
	if n.protocol == nil || !n.carrier {
		return
	}
	if a, who, _ := n.holds(); a.IsValid() && r.taken(n, a, who, true) {
		return
	}
	for _, m := range n.protocol.release() {
		r.log.Debug(n.dev.Name+": "+m.what, "err", n.send(m))
	}
}
