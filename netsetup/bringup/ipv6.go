package bringup

import (
	"math/rand/v2"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// newSix is how the interface gets its IPv6 address.
func (r *runner) newSix(n *attachment, d link.Device) lease.Protocol {
	j := n.job
	v := r.view(d.Index)
	v.Dev = d.Name
	static, as := j.Lease(), r.asker(d)
	return &lease.IPv6{
		Pacing: lease.NewPacing(as.Lasting()), Method: j.Method, View: v, NewXID: rand.Uint32, Static: &static,
		Obstacle: func(ra bool) string { return r.sys.Obstacle6(d.Name, ra) },
		Client: lease.Client6{
			DUID: lease.NewDUID(r.sys.ProductUUID(), as), IAID: lease.IAIDOf(as), Rapid: r.only(n),
			Vendor: r.config.VendorClass, User: r.config.UserClass, Hostname: j.Hostname,
		},
		Judge: r.judge(n),
	}
}

// view is what the kernel has reported about IPv6 on an interface.
func (r *runner) view(index int) *link.IPv6State {
	v := r.states6[index]
	if v == nil {
		v = &link.IPv6State{}
		r.states6[index] = v
	}
	return v
}
