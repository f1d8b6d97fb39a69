package lease

import (
	"bytes"
	"net/netip"
)

// A Holder is a protocol for which a server may have set an address aside.
type Holder interface {
	// Holds returns the address that was asked for or leased, invalid if there is
	// none, and as whom the server knows this node by it.
	// Slow: it was asked for more than once, and is not confirmed.
	Holds() (a netip.Prefix, who Identity, slow bool)
}

// Holds is the lease, or the offer that has been asked for.
func (x *Exchange) Holds() (a netip.Prefix, who Identity, slow bool) {
	if x.phase < phaseRequesting || x.offer == nil {
		return netip.Prefix{}, Identity{}, false
	}
	l, _, err := parseLease(x.offer, x.client.Expected)
	if err != nil {
		return netip.Prefix{}, Identity{}, false
	}
	return l.Addr, x.client.Identities[x.chosen], x.phase == phaseRequesting && x.sent > 1
}

// Holds is what the inner protocol holds.
func (p *ACD) Holds() (a netip.Prefix, who Identity, slow bool) {
	if h, ok := p.inner.(Holder); ok {
		return h.Holds()
	}
	return netip.Prefix{}, Identity{}, false
}

// judged says what is wrong with a lease for this boot.
func (c Client) judged(l Lease) error {
	if c.Judge == nil {
		return nil
	}
	return c.Judge(l)
}

// elsewhere reports whether a lease for that identity is what another interface of
// this node has.
func (c Client) elsewhere(l Lease, which int) bool {
	return c.Taken != nil && c.Taken(l, c.Identities[which])
}

// spareTaken reports whether what is kept in reserve is another interface's.
func (x *Exchange) spareTaken() bool {
	l, _, err := parseLease(x.spare, x.client.Expected)
	return err == nil && x.client.elsewhere(l, x.spareOf)
}

// Same reports whether a server takes both for one client: it goes by option 61,
// without that by the header (RFC 2131 section 4.2).
func (d Identity) Same(o Identity) bool {
	if d.id != nil || o.id != nil {
		return bytes.Equal(d.id, o.id)
	}
	return d.hwType == o.hwType && d.chaddr == o.chaddr
}
