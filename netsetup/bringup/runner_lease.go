package bringup

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// start does what an interface that is set up and has carrier is there for. Without an identity
// it cannot ask: link comes back when it has one.
func (r *runner) start(n *attachment) {
	if n.stale && n.keeps() {
		r.rewire(n)
		return
	}
	if !n.ready || !n.carrier || !n.wanted() || r.anonymous(n) {
		return
	}
	n.protocol = r.newProtocol(n)
	n.asked, n.again = time.Now(), time.Time{}
	r.do(n, n.protocol.Start(n.asked))
}

// newProtocol is how the interface gets its address, nil if it takes none.
func (r *runner) newProtocol(n *attachment) lease.Protocol {
	d := n.dev
	if a := n.job.NewAddr; a != "" {
		d.Addr = a
	}
	j := n.job
	switch j.Method {
	case lease.MethodNone:
		return nil
	case lease.MethodAuto6, lease.MethodDHCP6, lease.MethodEither6, lease.MethodLink6:
		return r.newSix(n, d)
	case lease.MethodStatic:
		if j.IPv6() {
			return r.newSix(n, d)
		}
		return r.acd(n, lease.NewFixed(j.Lease(), d.Lasting()), d)
	default:
		c := lease.Client{
			Addr:       d.Lasting(),
			Identities: cmp.Or(j.ClientID, r.config.ClientID).IdentitiesOf(r.known(d)),
			Broadcast:  d.Type == link.HwInfiniBand,
			Vendor:     r.config.VendorClass,
			User:       r.config.UserClass,
			Hostname:   j.Hostname,
			Server:     j.Server,
			Expected:   lease.Expected{Bits: j.Bits, IPv6: r.config.IPv6On(d)},
			Judge: r.judge(
				n,
			),
			Taken: func(l lease.Lease, who lease.Identity) bool { return r.taken(n, l.Addr, who, false) },
		}
		c.Rapid = len(c.Identities) == 1 && r.only(n)
		if j.Method >= lease.MethodBOOTP && j.Method <= lease.MethodBoth {
			return r.acd(n, lease.NewOneshot(j.Method, c, r.asker(d), rand.Uint32()), d)
		}
		return r.acd(n, lease.NewExchange(c, rand.Uint32), d)
	}
}

// only reports whether no other interface asks for the same argument.
func (r *runner) only(n *attachment) bool {
	for _, o := range r.attachments {
		if o != n && o.job != nil && o.job.owner() == n.job.owner() {
			return false
		}
	}
	return true
}

// known are the devices by which a server may know this one: a bond of InfiniBand has the address
// of whichever port is in use, and is the same node by each of them, in the order of bond=. A
// bond of Ethernet keeps one address.
func (r *runner) known(d link.Device) []link.Device {
	var ports []link.Device
	for _, b := range r.config.Bonds {
		for _, m := range b.Ports {
			for _, n := range r.sorted() {
				if b.Name == d.Name && m.Selects(n.dev) && !n.key.ipv6 && n.dev.Type == link.HwInfiniBand &&
					d.Type == link.HwInfiniBand &&
					!slices.Contains(ports, n.dev) {
					ports = append(ports, n.dev)
				}
			}
		}
	}
	if ports == nil {
		return []link.Device{d}
	}
	return ports
}

// asker is the device as which a protocol asks that can have one identity only: a bond, if the
// port whose address it has is without a GUID, asks as the first that has one. If there is none,
// nobody asks: see anonymous.
func (r *runner) asker(d link.Device) link.Device {
	if d.Identified() {
		return d
	}
	known := r.known(d)
	if i := slices.IndexFunc(known, link.Device.Identified); i >= 0 {
		return known[i]
	}
	return d
}

// later asks again, when a port has appeared by which a server may know the bond that is already
// asking.
func (r *runner) later(port link.Device) {
	for _, n := range r.attachments {
		if n.protocol == nil || !n.wanted() || port.Type != link.HwInfiniBand || n.dev.Type != link.HwInfiniBand ||
			!r.config.Bond(n.dev.Name) {
			continue
		}
		if slices.ContainsFunc(r.known(n.dev), func(d link.Device) bool { return d.Index == port.Index }) {
			r.start(n)
		}
	}
}

// do carries out what a protocol wants.
func (r *runner) do(n *attachment, o lease.Outcome) {
	if r.refuses(n, &o) {
		return
	}
	if o.Note != "" && (o.Lease != nil || o.Lost || n.tells(o.Note, time.Now())) {
		r.log.Warn(n.dev.Name + ": " + o.Note)
	}
	for _, m := range o.Send {
		err := n.send(m)
		// It is sent again when its time comes, like a lost one.
		r.log.Debug(n.dev.Name+": "+m.What+" sent", "after", time.Since(n.since), "err", err)
	}
	if p, ok := n.protocol.(*lease.ACD); ok && len(o.Send) > 0 {
		p.Sent(time.Now())
	}
	for _, s := range o.Steps {
		if err := r.apply(s); err != nil {
			r.log.Warn(fmt.Sprintf("%s: %v", s, err))
		}
	}
	if o.Told != "" {
		r.log.Info(n.dev.Name + ": " + o.Told)
	}
	switch {
	case o.Lease == nil:
	case n.job.open():
		r.log.Debug(fmt.Sprintf("%s: lease %d ms after carrier", n.dev.Name, time.Since(n.since).Milliseconds()))
		r.finish(n, n.job.Override(*o.Lease))
	case n.job.state != nil && !slices.Contains(n.job.state.Addrs, o.Lease.First()):
		// The root is on the old one; the kernel keeps it.
		r.log.Warn(
			fmt.Sprintf("%s: leased %s now; the boot goes on with %v", n.dev.Name, o.Lease.First(), n.job.state),
		)
	}
}

// tells decides whether a sentence is for the console: not the same twice, and few in the time
// between two lines about what is waited for, which say it, too. A server may send nothing but
// rubbish.
func (n *attachment) tells(note string, now time.Time) bool {
	const most = 3
	if now.Sub(n.noted) >= lease.LogEvery {
		n.noted, n.notes = now, 0
	}
	if note == n.note || n.notes == most {
		return false
	}
	n.note = note
	n.notes++
	return true
}

func (n *attachment) send(m lease.Message) error {
	w := n.wires[m.Via]
	if w == nil {
		return fmt.Errorf("send %s: no socket for %s", m.What, m.Via)
	}
	return w.Send(m)
}

// finish applies the addresses of a job and lets its other interfaces go.
func (r *runner) finish(n *attachment, l lease.Lease) {
	j := n.job
	var steps []link.Step
	if l.Addr.IsValid() || len(l.Kept) > 0 {
		steps = j.behind(r.config.AddressSteps(j.pos, l, n.dev.Name))
		r.undo(n.dev.Name, l.IPv6(), append(l.KeptSteps(n.dev.Name), steps...))
	}
	mtu, wanted := cmp.Or(j.MTU, r.mtu(n.dev)), j.MTU
	for _, step := range steps {
		if m, ok := step.(link.SetMTU); ok {
			if m.MTU == mtu {
				r.leased[m.Dev] = mtu
				delete(r.owed, m.Dev)
			}
			if m.MTU == mtu || r.raise(n.dev, m.MTU) {
				mtu, wanted = m.MTU, m.MTU
			}
			continue
		}
		err := r.apply(step)
		if _, ok := step.(link.AddrAdd); ok && err != nil && j.lost != nil {
			r.log.Warn(fmt.Sprintf("%s: %v; trying again", step, err))
			n.protocol, n.again = nil, time.Now().Add(lease.MaxRetransmit)
			return
		}
		if _, ok := step.(link.AddrAdd); ok && err != nil {
			j.err = fmt.Errorf("%s: %w", step, err)
			r.drop(j.owner())
			return
		}
		if err != nil {
			r.log.Warn(fmt.Sprintf("%s: %v", step, err))
		}
	}
	// The kernel gives a bond the MTU it is asked for, though ports of InfiniBand keep that of
	// their broadcast group: Up may return, and everything end, before the kernel reports that.
	n.dev.MTU = r.mtu(n.dev)
	r.follow()
	n.dev.MTU = r.mtu(n.dev)
	r.tellMTU(n.dev, wanted)
	if j.NewAddr != "" {
		n.dev.Addr = j.NewAddr
	}
	state := r.config.State(j.Addressing, n.dev, l)
	state.Took = time.Since(r.started)
	if j.lost != nil && !slices.Equal(j.lost.Addrs, state.Addrs) {
		r.log.Warn(
			fmt.Sprintf(
				"%s: has another address now that it is back, %v instead of %v: connections from the old one are lost",
				n.dev.Name,
				state,
				*j.lost,
			),
		)
	}
	back := j.lost
	j.state, j.lost = &state, nil
	if j.spare {
		r.log.Info(state.String())
	}
	r.log.Debug(n.dev.Name+": set up", "after", time.Since(n.since))
	r.accept(n, l)
	if back != nil {
		if r.main == back.Device {
			r.main = state.Device // it may have another name
		}
		r.prefer(r.main)
	}
}
