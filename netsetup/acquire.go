package netsetup

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// start does what an interface that is set up and has carrier is there for. Without an
// identity there is nothing to ask as: link comes back when it has one.
func (r *runner) start(n *nic) {
	if n.stale && n.keeps() {
		r.rewire(n)
		return
	}
	if !n.ready || !n.carrier || !n.wanted() || r.anonymous(n) {
		return
	}
	n.protocol = r.newProtocol(n)
	n.asked, n.again = time.Now(), time.Time{}
	r.do(n, n.protocol.start(n.asked))
}

// newProtocol is how the interface gets its address, nil if it takes none.
func (r *runner) newProtocol(n *nic) protocol {
	d := n.dev
	if a := n.slot.NewAddr; a != "" {
		d.Addr = a
	}
	s := n.slot
	switch s.Method {
	case MethodNone:
		return nil
	case MethodAuto6, MethodDHCP6, MethodEither6, MethodLink6:
		return r.newSix(n, d)
	case MethodStatic:
		if s.six() {
			return r.newSix(n, d)
		}
		return r.probed(n, newFixed(s.lease(), d.lasting()), d)
	default:
		c := client{
			addr: d.lasting(), identities: cmp.Or(s.ClientID, r.config.ClientID).identitiesOf(r.known(d)), broadcast: d.Type == hwInfiniBand,
			vendor: r.config.VendorClass, user: r.config.UserClass, hostname: s.Hostname, server: s.Server,
			expected: expected{bits: s.Bits, six: r.config.sixOn(d)},
			judge:    r.judge(n), taken: func(l Lease, who identity) bool { return r.taken(n, l.Addr, who, false) },
		}
		c.rapid = len(c.identities) == 1 && r.only(n)
		if s.Method >= MethodBOOTP && s.Method <= MethodBoth {
			return r.probed(n, newQuery(s.Method, c, r.asker(d), rand.Uint32()), d)
		}
		return r.probed(n, newExchange(c, rand.Uint32), d)
	}
}

// only tells whether no other interface asks for the same word.
func (r *runner) only(n *nic) bool {
	for _, o := range r.nics {
		if o != n && o.slot != nil && o.slot.word() == n.slot.word() {
			return false
		}
	}
	return true
}

// known are the devices by which a server may know this one: a bond of
// InfiniBand has the address of whichever port is in use, and is the same node
// by each of them, in the order of bond=. Those of Ethernet keep one address.
func (r *runner) known(d Device) []Device {
	var ports []Device
	for _, b := range r.config.Bonds {
		for _, m := range b.Ports {
			for _, n := range r.sorted() {
				if b.Name == d.Name && m.selects(n.dev) && !n.key.six && n.dev.Type == hwInfiniBand && d.Type == hwInfiniBand && !slices.Contains(ports, n.dev) {
					ports = append(ports, n.dev)
				}
			}
		}
	}
	if ports == nil {
		return []Device{d}
	}
	return ports
}

// asker is the device as which one asks that can have one identity only: a bond, if the
// port whose address it has is without a GUID, asks as the first that has one. Without
// any nobody asks: see anonymous.
func (r *runner) asker(d Device) Device {
	if d.identified() {
		return d
	}
	known := r.known(d)
	if i := slices.IndexFunc(known, Device.identified); i >= 0 {
		return known[i]
	}
	return d
}

// later asks anew, when a port has appeared by which a server may know the bond
// that is asking already.
func (r *runner) later(port Device) {
	for _, n := range r.nics {
		if n.protocol == nil || !n.wanted() || port.Type != hwInfiniBand || n.dev.Type != hwInfiniBand || !r.config.bond(n.dev.Name) {
			continue
		}
		if slices.ContainsFunc(r.known(n.dev), func(d Device) bool { return d.Index == port.Index }) {
			r.start(n)
		}
	}
}

// do carries out what a protocol wants.
func (r *runner) do(n *nic, o outcome) {
	if r.refuses(n, &o) {
		return
	}
	if o.note != "" && (o.lease != nil || o.lost || n.tells(o.note, time.Now())) {
		r.log.Warn(n.dev.Name + ": " + o.note)
	}
	for _, m := range o.send {
		err := n.send(m)
		// It is sent again when its time comes, like a lost one.
		r.log.Debug(n.dev.Name+": "+m.what+" sent", "after", time.Since(n.since), "err", err)
	}
	if p, ok := n.protocol.(*probed); ok && len(o.send) > 0 {
		p.sent(time.Now())
	}
	for _, s := range o.steps {
		if err := r.apply(s); err != nil {
			r.log.Warn(fmt.Sprintf("%s: %v", s, err))
		}
	}
	if o.told != "" {
		r.log.Info(n.dev.Name + ": " + o.told)
	}
	switch {
	case o.lease == nil:
	case n.slot.open():
		r.log.Debug(fmt.Sprintf("%s: lease %d ms after carrier", n.dev.Name, time.Since(n.since).Milliseconds()))
		r.finish(n, n.slot.override(*o.lease))
	case n.slot.state != nil && !slices.Contains(n.slot.state.Addrs, o.lease.first()):
		// The root is on the old one; the kernel keeps it.
		r.log.Warn(fmt.Sprintf("%s: leased %s now; the boot goes on with %v", n.dev.Name, o.lease.first(), n.slot.state))
	}
}

// tells decides whether a sentence is for the console: not twice the same, and
// few in the time between two lines of what is waited for, which says it, too. A
// server may send nothing but rubbish.
func (n *nic) tells(note string, now time.Time) bool {
	const most = 3
	if now.Sub(n.noted) >= logEvery {
		n.noted, n.notes = now, 0
	}
	if note == n.note || n.notes == most {
		return false
	}
	n.note = note
	n.notes++
	return true
}

func (n *nic) send(m message) error {
	w := n.wires[m.via]
	if w == nil {
		return fmt.Errorf("send %s: no socket for %s", m.what, m.via)
	}
	return w.send(m)
}

// finish applies the addresses of a slot and lets its other interfaces go.
func (r *runner) finish(n *nic, l Lease) {
	s := n.slot
	var steps []Step
	if l.Addr.IsValid() || len(l.Kept) > 0 {
		steps = s.behind(r.config.addressSteps(s.pos, l, n.dev.Name))
		r.undo(n.dev.Name, l.six(), append(l.keptSteps(n.dev.Name), steps...))
	}
	mtu, wanted := cmp.Or(s.MTU, r.mtu(n.dev)), s.MTU
	for _, step := range steps {
		if m, ok := step.(LinkMTU); ok {
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
		if _, ok := step.(AddrAdd); ok && err != nil && s.lost != nil {
			r.log.Warn(fmt.Sprintf("%s: %v; trying again", step, err))
			n.protocol, n.again = nil, time.Now().Add(maxRetransmit)
			return
		}
		if _, ok := step.(AddrAdd); ok && err != nil {
			s.err = fmt.Errorf("%s: %w", step, err)
			r.drop(s.word())
			return
		}
		if err != nil {
			r.log.Warn(fmt.Sprintf("%s: %v", step, err))
		}
	}
	// The kernel gives a bond what it is asked for, though ports of InfiniBand keep the
	// MTU of their broadcast group: Up may return, and all end, before it tells of that.
	n.dev.MTU = r.mtu(n.dev)
	r.follow()
	n.dev.MTU = r.mtu(n.dev)
	r.tellMTU(n.dev, wanted)
	if s.NewAddr != "" {
		n.dev.Addr = s.NewAddr
	}
	state := r.config.state(s.Interface, n.dev, l)
	state.Took = time.Since(r.started)
	if s.lost != nil && !slices.Equal(s.lost.Addrs, state.Addrs) {
		r.log.Warn(fmt.Sprintf("%s: has another address now that it is back, %v instead of %v: connections from the old one are lost",
			n.dev.Name, state, *s.lost))
	}
	back := s.lost
	s.state, s.lost = &state, nil
	if s.spare {
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
