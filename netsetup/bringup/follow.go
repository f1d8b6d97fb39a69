package bringup

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// follow gives the links that the config makes the MTU of what carries their packets. The kernel
// reports changes, but the MTUs themselves are asked for, because its messages may be older than
// what has been set since.
func (r *runner) follow() {
	if !r.config.MakesLinks() {
		return
	}
	shown, again, now := r.devices(), false, time.Now()
	for _, d := range shown {
		if fit := r.config.Fit(d, shown, r.leased[d.Name]); fit == 0 || fit == d.MTU {
			continue
		}
		have := slices.Clone(shown)
		for i := range have {
			have[i].MTU = r.mtu(have[i])
		}
		d.MTU = r.mtu(d)
		fit := r.config.Fit(d, have, r.leased[d.Name])
		if fit == d.MTU || fit == r.refusedMTU[d.Name] {
			continue
		}
		err := link.SetMTU{Dev: d.Name, MTU: fit}.Apply(r.sys)
		if err != nil && link.Passing(err) && r.busy < link.MostBusy {
			again = true
			r.log.Debug(err.Error())
			continue
		}
		if err != nil {
			// Another port cannot have that much.
			r.refusedMTU[d.Name] = fit
			r.log.Debug(err.Error())
			continue
		}
		delete(r.refusedMTU, d.Name)
		r.tellMTU(d, cmp.Or(r.config.MTUWritten(d), r.leased[d.Name]))
	}
	switch {
	case !again:
		r.busy, r.fitAt = 0, time.Time{}
	case !now.Before(r.fitAt):
		r.busy++
		r.fitAt = now.Add(lease.RetryAfter(r.busy))
	}
}

// mtu is that of a device as it is now; for one that has just gone, its last one.
func (r *runner) mtu(d link.Device) int {
	if mtu, err := r.sys.MTU(d.Name); err == nil {
		return mtu
	}
	return d.MTU
}

// tellMTU says once that a device has less than the MTU it was to have: the kernel answers that
// it has set it, but an InfiniBand interface has that of its broadcast group all the same
// (ipoib_change_mtu).
func (r *runner) tellMTU(d link.Device, wanted int) {
	have := r.mtu(d)
	step := link.SetMTU{Dev: d.Name, MTU: wanted}.String()
	if wanted == 0 || have >= wanted || r.short[step] {
		return
	}
	r.short[step] = true
	why := "what carries its packets has no more"
	switch {
	case r.config.Bond(d.Name):
		why = "its ports have no more"
	case d.Type == link.HwInfiniBand:
		why = fmt.Sprintf("the subnet manager has made the broadcast group of P_Key %#04x so", d.PKey())
	}
	r.log.Warn(fmt.Sprintf("%s: the MTU is %d instead of %d: %s", d.Name, have, wanted, why))
}

// remake has a link made again that is gone though the command line makes it. The kernel destroys
// a VLAN or P_Key child with the device below it, and a bond of another type than Ethernet with
// its last port (bond_slave_netdev_event, NETDEV_UNREGISTER): an adapter's firmware that is
// reset, or a port that changes its type, is enough.
func (r *runner) remake(gone link.Device) {
	clear(r.refusedMTU) // it may have been what limited the MTU
	delete(r.leased, gone.Name)
	delete(r.owed, gone.Name)
	lowers := r.config.Lowers(gone.Name)
	if lowers == nil || r.named(gone.Name) {
		return
	}
	delete(r.bonded, gone.Name)
	now := time.Now()
	wait := r.loss(gone.Name).Wait(now)
	for _, n := range r.sorted() {
		if n.dev.Master == gone.Index {
			n.dev.Master = 0
		}
		lower := n.dev.Type == link.HwLoopback && r.config.Bond(gone.Name)
		for _, m := range lowers {
			lower = lower || m.Selects(n.dev)
		}
		switch master := r.config.MasterName(n.dev); {
		case !lower || n.key.ipv6 || !n.named || master != "" && master != gone.Name:
		case wait > 0:
			n.redoAt = now.Add(wait)
		default:
			r.again(n)
		}
	}
}

// rejoin tries again the ports of another type that a bond could not have, when its last port has
// left it: without any it takes the type of the next one (bond_enslave). The kernel keeps a bond
// of Ethernet in that case, and reports nothing.
func (r *runner) rejoin(left int) {
	bond := r.attachments[attachmentKey{index: left}]
	if left == 0 || bond == nil || !r.config.Bond(bond.dev.Name) {
		return
	}
	all := r.sorted()
	if slices.ContainsFunc(all, func(n *attachment) bool { return n.dev.Master == left }) {
		return
	}
	for _, n := range all {
		other := n.dev.Type != bond.dev.Type && n.dev.Master == 0 && r.config.MasterName(n.dev) == bond.dev.Name
		if other && n.named && !n.key.ipv6 {
			r.again(n)
		}
	}
}

// again makes the links again that are made of an interface: after what is being done with it, if
// anything is.
func (r *runner) again(n *attachment) {
	n.redo, n.redoAt = false, time.Time{}
	switch {
	case n.setting:
		n.redo = true
	case n.job != nil && n.wanted() && !n.ready: // they are set up with it
	case n.job != nil:
		r.perform(n, true)
	case n.ready:
		n.ready, n.tries = false, 0
		r.begin(n)
	}
}

// named reports whether a device of that name is there.
func (r *runner) named(name string) bool {
	for _, n := range r.attachments {
		if n.dev.Name == name {
			return true
		}
	}
	return false
}

// madeAbove takes the outcome of making the links that are made of an interface, at its own
// set-up (first) or later. The interface does not wait for them.
func (r *runner) madeAbove(n *attachment, err error, first bool) {
	n.redoErr = err
	if first {
		n.redone = 1
	}
	switch {
	case err == nil:
		n.redone, n.redoTold = 0, false
	case never(err) || n.redoTold:
	case first, n.redone == 2: // later, what they are made of may be about to go, too
		r.log.Warn(fmt.Sprintf("links on %s: %v; trying again", n.dev.Name, err))
		n.redoTold = true
	}
	switch {
	case n.wanted() && !n.ready:
		n.redo = false
		r.begin(n) // it was put off meanwhile
	case n.redo:
		r.again(n)
	case !never(err) && n.redoAt.IsZero():
		n.redoAt = time.Now().Add(lease.RetryAfter(n.redone))
	}
}
