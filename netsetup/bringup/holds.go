package bringup

import (
	"net/netip"

	"github.com/nodisk/nodisk/netsetup/lease"
)

// Holds returns what a server has set aside for an interface.
func (n *attachment) Holds() (a netip.Prefix, who lease.Identity, slow bool) {
	if h, ok := n.protocol.(lease.Holder); ok {
		return h.Holds()
	}
	return netip.Prefix{}, lease.Identity{}, false
}

// taken reports whether another interface of this node has the address, or has one on the same
// network as the same client, which to the server is the same lease.
//
// To ask for it once more would move the lease away from the interface that lives on it, and to
// give it back would end it (RFC 2131 section 4.4.6: RELEASE is for an address that is no longer
// required). One that the other is still waiting for counts while it has waited no longer than
// for the first answer, or with patient.
func (r *runner) taken(n *attachment, a netip.Prefix, who lease.Identity, patient bool) bool {
	for _, o := range r.attachments {
		if o == n {
			continue
		}
		other, as, slow := o.Holds()
		if other.IsValid() && (patient || !slow) &&
			(other.Addr() == a.Addr() || as.Same(who) && other.Masked() == a.Masked()) {
			return true
		}
	}
	for _, j := range r.jobs {
		if j.state == nil || j.state.Device == n.dev.Name {
			continue
		}
		for _, p := range j.state.Addrs {
			if p.Addr() == a.Addr() {
				return true
			}
		}
	}
	return false
}

// release gives back what a server holds for the interface, unless this node uses it on another
// interface.
func (r *runner) release(n *attachment) {
	if n.protocol == nil || !n.carrier {
		return
	}
	if a, who, _ := n.Holds(); a.IsValid() && r.taken(n, a, who, true) {
		return
	}
	for _, m := range n.protocol.Release() {
		r.log.Debug(n.dev.Name+": "+m.What, "err", n.send(m))
	}
}
