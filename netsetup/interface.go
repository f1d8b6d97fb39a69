package netsetup

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// link takes the news of an interface.
func (r *runner) link(ctx context.Context, e linkEvent) {
	now := time.Now()
	n := r.nics[e.Index]
	if e.gone {
		if n != nil {
			if n.slot != nil && n.slot.open() {
				r.log.WarnContext(ctx, n.dev.Name+": the interface is gone")
			}
			n.close()
			delete(r.nics, e.Index)
		}
		return
	}
	if n == nil {
		n = &nic{first: now, since: now}
		r.nics[e.Index] = n
		defer r.later(ctx, e.Device)
	}
	running := e.Running && !n.dev.Running
	if n.ready && e.Broadcast != n.dev.Broadcast {
		// The first port has made an InfiniBand interface of a bond.
		n.close()
		n.ready, n.exchange, n.carrier = false, nil, false
	}
	n.dev = e.Device
	if e.Type == hwLoopback {
		r.loopback(ctx, e.Device)
	}
	if n.slot == nil && !r.claim(ctx, n) {
		n.below = len(r.config.below(n.dev)) > 0 || n.below
	}
	if !n.wanted() {
		return
	}
	if !n.setting && !n.ready && n.retry.IsZero() {
		r.begin(ctx, n)
	}
	r.look(ctx, n, now)
	if n.slot == nil {
		return
	}
	switch carrier := e.Up && e.Carrier; {
	case carrier && !n.carrier:
		n.carrier, n.since, n.gate = true, now, 0
		r.start(ctx, n)
	case !carrier && n.carrier:
		n.carrier, n.since = false, now
		n.exchange = nil
		r.log.WarnContext(ctx, e.Name+": carrier lost")
	case running && n.exchange != nil:
		// A driver that has carrier when it is opened can send at once, but
		// the kernel tells "running" up to a second later, because that is
		// not urgent (linkwatch_urgent_event of net/core/link_watch.c). One
		// whose carrier comes later is "running" within microseconds, and
		// what was sent before is lost without an error. So the first
		// message leaves with carrier, and once more now if nobody answered.
		r.do(ctx, n, n.exchange.hurry(now))
	}
}

// wanted tells whether there is still something to do with the interface.
func (n *nic) wanted() bool {
	if n.slot != nil {
		return n.slot.open()
	}
	return n.below
}

func (r *runner) loopback(ctx context.Context, d Device) {
	if r.lo {
		return
	}
	r.lo = true
	if d.Up {
		return
	}
	if err := (LinkUp{Dev: d.Name}).apply(r.sys); err != nil {
		r.log.WarnContext(ctx, fmt.Sprintf("set %s up: %v", d.Name, err))
	}
}

// claim finds the slot of an interface and gives it its name; the event of a
// new name comes back here.
func (r *runner) claim(ctx context.Context, n *nic) bool {
	if name, ok := r.config.rename(n.dev); ok && !n.renamed {
		n.renamed = true
		err := LinkName{Dev: n.dev.Name, Name: name}.apply(r.sys)
		if err == nil {
			return false
		}
		r.log.WarnContext(ctx, fmt.Sprintf("rename %s to %s: %v", n.dev.Name, name, err))
	}
	i, ok := r.config.claim(n.dev)
	if !ok {
		return false
	}
	n.slot = r.slots[i]
	n.since = time.Now()
	return true
}

// begin sets an interface up, beside everything else: some drivers take
// seconds to open. If Up has ended meanwhile, nothing more is done. What is
// done with lo is done at once: bonds must be there when their ports are.
func (r *runner) begin(ctx context.Context, n *nic) {
	n.setting = true
	n.retry = time.Time{}
	n.tries++
	dev, dhcp := n.dev, false
	var steps []Step
	if n.slot != nil {
		steps = r.config.linkSteps(n.slot.Interface, dev)
		if a := n.slot.NewAddr; a != "" {
			dev.Addr = a
		}
		dhcp = n.slot.Method == MethodDHCP
	}
	steps = append(steps, r.config.below(dev)...)
	apply := func() setup {
		s := setup{index: dev.Index, broadcast: dev.Broadcast}
		for _, step := range steps {
			if ctx.Err() != nil {
				return s
			}
			err := step.apply(r.sys)
			if _, ok := step.(LinkMode); ok && err != nil {
				// Adapters since ConnectX-4 have datagram mode only: the
				// network works all the same.
				r.log.WarnContext(ctx, fmt.Sprintf("%s: %v: the mode stays as it is", step, err))
				continue
			}
			if err != nil {
				s.err = fmt.Errorf("%s: %w", step, err)
				break
			}
		}
		if s.err == nil && dhcp {
			s.wire, s.err = r.sys.open(dev)
		}
		return s
	}
	if dev.Type == hwLoopback {
		r.setUp(ctx, apply())
		return
	}
	go func() {
		s := apply()
		select {
		case r.setups <- s:
		case <-ctx.Done():
			if s.wire != nil {
				_ = s.wire.Close()
			}
		}
	}()
}

// setUp takes the result of begin.
func (r *runner) setUp(ctx context.Context, s setup) {
	n := r.nics[s.index]
	if n == nil || !n.wanted() {
		if s.wire != nil {
			_ = s.wire.Close()
		}
		return
	}
	n.setting = false
	if s.broadcast != n.dev.Broadcast {
		// A bond has become an InfiniBand interface meanwhile.
		if s.wire != nil {
			_ = s.wire.Close()
		}
		r.begin(ctx, n)
		return
	}
	n.err = s.err
	if s.err != nil {
		wait := min(firstRetransmit<<min(n.tries-1, 10), maxRetransmit)
		n.retry = time.Now().Add(wait)
		if n.tries == 1 {
			r.log.WarnContext(ctx, fmt.Sprintf("set up %s: %v; trying again", n.dev.Name, s.err))
		}
		return
	}
	n.ready = true
	if n.slot == nil {
		return
	}
	if s.wire != nil {
		n.wire = s.wire
		r.receive(ctx, n.dev.Index, s.wire)
	}
	if n.slot.Method == MethodNone {
		r.finish(ctx, n, Lease{})
		return
	}
	r.start(ctx, n)
}

// receive passes on what the wire hears until it is closed.
func (r *runner) receive(ctx context.Context, index int, w wire) {
	r.wg.Go(func() {
		for {
			payload, from, err := w.receive()
			if err != nil {
				return
			}
			select {
			case r.packets <- packet{index: index, wire: w, payload: payload, from: from}:
			case <-ctx.Done():
				return
			}
		}
	})
}

// start does what an interface that is set up and has carrier is there for.
func (r *runner) start(ctx context.Context, n *nic) {
	if !n.ready || !n.carrier || !n.slot.open() {
		return
	}
	if n.slot.Method == MethodStatic {
		r.finish(ctx, n, n.slot.lease())
		return
	}
	hostname := n.slot.Hostname
	addr := n.dev.Addr
	if n.slot.NewAddr != "" {
		addr = n.slot.NewAddr
	}
	d := n.dev
	d.Addr = addr
	n.exchange = newExchange(client{
		addr: d.lasting(), identities: r.config.ClientID.identitiesOf(r.known(d)), broadcast: d.Type == hwInfiniBand,
		vendor: r.config.VendorClass, hostname: hostname, bits: n.slot.Bits,
	}, rand.Uint32)
	r.do(ctx, n, n.exchange.start(time.Now()))
}

// known are the devices by which a server may know this one: a bond of
// InfiniBand has the address of whichever port is in use, and is the same node
// by each of them, in the order of bond=. Those of Ethernet keep one address.
func (r *runner) known(d Device) []Device {
	var ports []Device
	for _, b := range r.config.Bonds {
		for _, name := range b.Ports {
			for _, n := range r.nics {
				if b.Name == d.Name && n.dev.Name == name && n.dev.Type == hwInfiniBand && d.Type == hwInfiniBand {
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

// later asks anew, when a port has appeared by which a server may know the bond
// that is asking already.
func (r *runner) later(ctx context.Context, port Device) {
	for _, n := range r.nics {
		if n.exchange == nil || n.exchange.phase != phaseSelecting || !r.config.bond(n.dev.Name) {
			continue
		}
		if slices.ContainsFunc(r.known(n.dev), func(d Device) bool { return d.Index == port.Index }) {
			r.start(ctx, n)
		}
	}
}

// hear gives a message to the exchange and remembers who sent the one that
// took it further: a release goes there.
func (r *runner) hear(ctx context.Context, n *nic, p packet) {
	before := n.exchange.phase
	o := n.exchange.receive(time.Now(), p.payload)
	if n.exchange.phase != before {
		n.next = p.from
	}
	r.do(ctx, n, o)
}

// do carries out what the exchange wants.
func (r *runner) do(ctx context.Context, n *nic, o outcome) {
	if o.note != "" && o.note != n.note {
		n.note = o.note
		r.log.WarnContext(ctx, n.dev.Name+": "+o.note)
	}
	for _, m := range o.send {
		err := n.wire.send(m.ToBytes(), netip.IPv4Unspecified(), netip.AddrFrom4([4]byte{255, 255, 255, 255}), "")
		// It is sent again when its time comes, like a lost one.
		r.log.DebugContext(ctx, n.dev.Name+": "+m.MessageType().String()+" sent", "after", time.Since(n.since), "err", err)
	}
	if o.lease != nil {
		x := n.exchange
		if who := x.client.identities[x.chosen]; len(x.client.identities) > 1 {
			r.log.InfoContext(ctx, n.dev.Name+": the DHCP server knows client-id "+who.String())
		}
		r.log.DebugContext(ctx, fmt.Sprintf("%s: lease %d ms after carrier, %s and %s sent", n.dev.Name, time.Since(n.since).Milliseconds(),
			count(x.discovers, "DISCOVER"), count(x.requests, "REQUEST")))
		r.finish(ctx, n, n.slot.override(*o.lease))
	}
}

// finish applies the addresses of a slot and lets its other interfaces go.
func (r *runner) finish(ctx context.Context, n *nic, l Lease) {
	s, mtu := n.slot, n.dev.MTU
	if s.MTU != 0 {
		mtu = s.MTU
	}
	var steps []Step
	if l.Addr.IsValid() {
		steps = r.config.addressSteps(s.pos, l, n.dev.Name)
	}
	for _, step := range steps {
		if m, ok := step.(LinkMTU); ok && m.MTU == mtu {
			continue // some drivers reset the link for it
		}
		err := step.apply(r.sys)
		switch step := step.(type) {
		case AddrAdd:
			if err != nil {
				s.err = fmt.Errorf("%s: %w", step, err)
				r.drop(ctx, s, nil)
				return
			}
		case LinkMTU:
			if err == nil {
				mtu = step.MTU
			}
		}
		if err != nil {
			r.log.WarnContext(ctx, fmt.Sprintf("%s: %v", step, err))
		}
	}
	n.dev.MTU = mtu
	if s.NewAddr != "" {
		n.dev.Addr = s.NewAddr
	}
	state := r.config.state(s.Interface, n.dev, l)
	state.Took = time.Since(r.started)
	s.state = &state
	r.log.DebugContext(ctx, n.dev.Name+": set up", "after", time.Since(n.since))
	r.drop(ctx, s, n)
}

// drop lets the interfaces of a slot go, but for the winner. Leases are given
// back; links stay up, which is the next userland's to decide.
func (r *runner) drop(ctx context.Context, s *slot, winner *nic) {
	for _, n := range r.nics {
		if n.slot != s {
			continue
		}
		if n != winner && n.exchange != nil && n.carrier {
			r.release(ctx, n)
		}
		n.exchange = nil
		n.close()
	}
}

func (r *runner) release(ctx context.Context, n *nic) {
	m := n.exchange.release()
	if m == nil {
		return
	}
	src, _ := netip.AddrFromSlice(m.ClientIPAddr.To4())
	err := n.wire.send(m.ToBytes(), src, n.exchange.server, n.next)
	r.log.DebugContext(ctx, n.dev.Name+": "+src.String()+" released", "err", err)
}

func (n *nic) close() {
	if n.wire != nil {
		_ = n.wire.Close()
		n.wire = nil
	}
}
