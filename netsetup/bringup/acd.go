package bringup

import (
	"time"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// acd is lease.NewACD for an interface.
func (r *runner) acd(n *attachment, inner lease.Protocol, d link.Device) lease.Protocol {
	if r.config.NoProbe {
		return inner
	}
	return lease.NewACD(inner, d, r.ours, n.job.Gateway)
}

// ours reports whether a hardware address belongs to this node: what its other interfaces say on
// the same link, and what a bond hears of itself through another port, is not a conflict. On
// InfiniBand the queue pair before the GUID may differ.
func (r *runner) ours(a link.HardwareAddr) bool {
	for _, n := range r.attachments {
		if a.Identifies(n.dev) || n.job != nil && a == n.job.NewAddr {
			return true
		}
	}
	return false
}

// settle hands on a lease of the job that is held back, or takes one that was refused for want of
// a route, and reports whether there was one.
func (r *runner) settle(j *job, now time.Time) bool {
	for _, n := range r.attachments {
		if p, ok := n.protocol.(*lease.ACD); ok && n.job == j && j.open() && p.Lease != nil {
			r.do(n, p.Start(now))
		}
	}
	if _, ok := r.contents(j); ok {
		r.content(j, now)
		return true
	}
	return !j.open()
}
