package bringup

import (
	"fmt"
	"slices"
	"time"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// link handles what the kernel reports about the link of an interface.
func (r *runner) link(e link.Event) {
	boot, awaited, left := len(r.boot), r.awaitsBoot(), 0
	if n := r.attachments[attachmentKey{index: e.Index}]; n != nil {
		left = n.dev.Master
	}
	r.linkFamilies(e)
	awaited = awaited && !r.awaitsBoot()
	// Others may have waited for the name of this one, for it to be found, or for it to go: then
	// an argument that describes some interface is about another one.
	for _, n := range r.sorted() {
		if n.key.index == e.Index || n.key.ipv6 || n.job != nil && !awaited {
			continue
		}
		if awaited || !n.named || e.Gone || len(r.boot) > boot && r.boot[n.dev.Name] {
			r.linkFamilies(link.Event{Device: n.dev})
		}
	}
	if e.Gone {
		r.remake(e.Device)
	}
	r.rejoin(left)
	r.reidentify()
	r.repay(time.Now())
	r.follow()
}

func (r *runner) linkFamilies(e link.Event) {
	key := attachmentKey{index: e.Index}
	if v := r.view(e.Index); !v.Seen {
		v.Seen, v.Before = true, e.Up
	}
	r.linkOf(key, e)
	if n := r.attachments[key]; n != nil {
		if !n.named {
			return
		}
		e.Device = n.dev
	}
	key.ipv6 = true
	if _, ok := r.config.Claim(e.Device, true); ok || r.attachments[key] != nil {
		r.linkOf(key, e)
	}
}

// linkOf does that for one family of addresses.
func (r *runner) linkOf(key attachmentKey, e link.Event) {
	now := time.Now()
	n := r.attachments[key]
	if e.Gone {
		if n != nil {
			if n.job != nil && (n.job.open() || n.protocol != nil || n.won) {
				r.tellGone(n.dev.Name, now)
			}
			if n.won && n.job.state != nil {
				r.reopen(n)
			}
			n.close()
			delete(r.attachments, key)
		}
		delete(r.states6, key.index)
		if !key.ipv6 {
			r.forget(key.index)
		}
		return
	}
	if n == nil {
		n = &attachment{key: key, first: now, since: now, wasUp: e.Up && !slices.Contains(r.before.Links, e.Name)}
		r.attachments[key] = n
		if n.dev.Given = e.Given; !key.ipv6 {
			n.dev.Given = r.giveName(e.Device)
		}
		defer r.later(e.Device)
	} else if e.Device = n.withGUID(e.Device); !n.dev.Identified() && e.Identified() {
		defer r.later(e.Device) // a bond is known by it now
	}
	if n.renamed = n.renamed && e.Name != n.dev.Name; n.renamed {
		e.Name = n.dev.Name // what it says was true before
	}
	running := e.Running && !n.dev.Running
	elsewhere := n.ready && e.Broadcast != n.dev.Broadcast
	if elsewhere && n.wanted() {
		// The first port may have made a bond an InfiniBand interface, for example. One that has
		// its address keeps it.
		n.close()
		n.ready, n.protocol, n.carrier = false, nil, false
	}
	e.Given = n.dev.Given
	n.dev = e.Device
	n.move()
	if elsewhere && n.keeps() {
		r.rewire(n)
	}
	n.dev.Boot = r.boot[n.dev.Name] || r.config.Booted(n.dev)
	if e.Type == link.HwLoopback {
		r.loopback(e.Device)
	}
	if !n.named && !key.ipv6 && !r.name(n) {
		return
	}
	if n.job == nil {
		if r.claim(n) {
			n.ready = false // what was ready was so without an address
		} else {
			n.below = len(r.config.Below(n.dev)) > 0 || n.below
		}
	}
	if !n.wanted() {
		r.watchCarrier(n)
		r.look(n, now)
		return
	}
	if n.job == nil && !e.Carrier {
		n.carrier = false
	}
	if r.more(n) {
		n.ready = false
	}
	if !n.setting && !n.ready && n.retry.IsZero() && !r.contradicted(n) {
		r.begin(n)
	}
	r.look(n, now)
	if n.job == nil {
		return
	}
	switch carrier := e.Up && e.Carrier && !r.anonymous(n); {
	case carrier && !n.carrier:
		n.carrier, n.since, n.gate, n.doubted = true, now, 0, false
		r.start(n)
	case !carrier && n.carrier:
		n.carrier, n.since = false, now
		n.protocol = nil
		if e.Up && e.Carrier {
			r.log.Warn(n.dev.Name + ": no port of it has a GUID any more: asking nobody")
			break
		}
		r.carrierLost(n, now)
	case running && n.protocol != nil:
		// A driver that has carrier when it is opened can send at once, but the kernel reports
		// "running" up to a second later, because that is not urgent (linkwatch_urgent_event of
		// net/core/link_watch.c). One whose carrier comes later is "running" within microseconds,
		// and what was sent before is lost without an error. So the first message leaves with
		// carrier, and once more now if nobody answered.
		r.do(n, n.protocol.Hear(now, link.News{Running: true}))
	}
}

// watchCarrier reports on the interface that the boot uses.
func (r *runner) watchCarrier(n *attachment) {
	carrier := n.dev.Up && n.dev.Carrier
	if n.protocol == nil || carrier == n.carrier {
		return
	}
	n.carrier, n.since = carrier, time.Now()
	if !carrier {
		r.carrierLost(n, n.since)
	} else if n.flaps == 0 {
		r.log.Info(n.dev.Name + ": carrier is back")
	}
}

// carrierLost reports it, and how often it happened when that was too often to report each time.
func (r *runner) carrierLost(n *attachment, now time.Time) {
	switch {
	case now.Sub(n.flapped) < lease.LogEvery:
		n.flaps++
		return
	case n.flaps > 0:
		r.log.Warn(n.dev.Name + ": carrier lost " + phrase.Times(n.flaps+1) + ": check the cable and the switch port")
	default:
		r.log.Warn(n.dev.Name + ": carrier lost")
	}
	n.flapped, n.flaps = now, 0
}

// tellGone reports that an interface is gone, as carrierLost does.
func (r *runner) tellGone(name string, now time.Time) {
	switch most, ok := r.loss(name).Tells(now); {
	case !ok:
	case most > 1:
		r.log.Warn(
			name + ": the interface has gone " + phrase.Times(
				most,
			) + ": find out who deletes it, or what resets the adapter",
		)
	default:
		r.log.Warn(name + ": the interface is gone")
	}
}

// loss is what is known about the losses of the interface of that name.
func (r *runner) loss(name string) *lease.Loss {
	if r.losses[name] == nil {
		r.losses[name] = &lease.Loss{}
	}
	return r.losses[name]
}

// tell passes on what the kernel says about IPv6.
func (r *runner) tell(index int, e link.News) {
	r.view(index).Take(&e)
	if n := r.attachments[attachmentKey{index: index, ipv6: true}]; n != nil && n.protocol != nil {
		r.do(n, n.protocol.Hear(time.Now(), e))
	}
}

// wanted reports whether there is still something to do with the interface.
func (n *attachment) wanted() bool {
	if n.job != nil {
		return n.job.open() && n.job.takes(n.dev)
	}
	return n.below
}

// more reports whether an interface that takes no address has steps which were waiting for its
// carrier. The carrier at its set-up is in n.carrier.
func (r *runner) more(n *attachment) bool {
	return n.job == nil && n.ready && n.dev.Carrier && !n.carrier && r.config.Again(n.dev)
}

func (r *runner) loopback(d link.Device) {
	if r.lo {
		return
	}
	r.lo = true
	if d.Up {
		return
	}
	if err := (link.Up{Dev: d.Name}).Apply(r.sys); err != nil {
		r.log.Warn(fmt.Sprintf("set %s up: %v", d.Name, err))
	}
}

// claim finds the job of an interface.
func (r *runner) claim(n *attachment) bool {
	i, ok := r.config.Claim(n.dev, n.key.ipv6)
	if !ok {
		return false
	}
	if boot := r.config.BootDevice(); r.config.AddressingsOrDefault()[i].PortMatch().Glob() && r.awaitsBoot() &&
		!boot.Selects(n.dev) {
		return false // the argument may be that of the device of bootdev=
	}
	owner := r.jobOf(i)
	lost := owner.open() && !owner.takes(n.dev)
	switch j := r.returned(owner, n.dev); {
	case j != nil:
		n.job = j
	case r.all(owner) && (lost || owner.state != nil), owner.state != nil && !r.complete(owner):
		n.job = r.spare(n, owner)
	case lost:
		return false
	default:
		n.job = owner
	}
	n.since = time.Now()
	return true
}

// awaitsBoot reports whether the one device of bootdev= has not been seen yet.
func (r *runner) awaitsBoot() bool {
	boot := r.config.BootDevice()
	return boot.One() && !slices.ContainsFunc(r.devices(), boot.Selects)
}

// jobOf is the job of the argument at that position.
func (r *runner) jobOf(pos int) *job {
	return r.jobs[slices.IndexFunc(r.jobs, func(j *job) bool { return j.pos == pos && j.of == nil })]
}

// begin sets an interface up, in parallel to everything else: some drivers take seconds to open.
// If the network is closed meanwhile, nothing more is done, except for links that are being made:
// see finishLinks. What is done with lo is done at once: bonds must be there when their ports
// are.
func (r *runner) begin(n *attachment) { r.perform(n, false) }

// perform does what begin says, or (above) only makes the links that are made of an interface
// which has an argument of its own, without disturbing it.
func (r *runner) perform(n *attachment, above bool) {
	if four := r.attachments[attachmentKey{index: n.key.index}]; n.key.ipv6 && four.job != nil && !four.ready {
		return // it may get another hardware address yet; setUp comes back
	}
	n.setting = true
	switch {
	case above:
		n.redone++
	default:
		n.retry = time.Time{}
		if n.tries++; n.tries == 1 {
			n.first = time.Now() // it may have been there, of no use, for long
		}
	}
	dev := n.dev
	own, below := r.steps(n, above)
	n.linking = len(below) > 0
	var channels []lease.Channel
	switch {
	case above:
	case n.job == nil:
		n.carrier = dev.Carrier
	default:
		if a := n.job.NewAddr; a != "" {
			dev.Addr = a
		}
		if p := r.newProtocol(n); p != nil {
			channels = p.Channels()
		}
	}
	until := r.ctx
	if n.linking {
		until = r.finishing
	}
	ipv6 := r.config.IPv6()
	// What a router said before we listened is asked for once more: the kernel does not report it
	// twice.
	late := n.key.ipv6 && dev.Up && r.view(dev.Index).Before
	if late {
		r.view(dev.Index).Solicited = true
	}
	bare, tries := n.job == nil || above, n.tries
	if above {
		tries = n.redone
	}
	apply := func() setup {
		if ipv6 {
			r.sys.Hasten6(dev.Name)
		}
		s := setup{key: n.key, broadcast: dev.Broadcast, bare: bare, above: above, wires: map[lease.Channel]wire{}}
		for _, step := range own {
			if until.Err() != nil {
				return s
			}
			if s.err = s.do(r.sys, step, tries); s.err != nil {
				return s
			}
		}
		s.make(until, r.sys, below, tries)
		if until.Err() != nil || !s.open(r.sys, dev, channels) {
			return s
		}
		if late {
			if err := r.sys.Solicit6(dev); err != nil {
				r.log.Debug(dev.Name+": router solicitation", "err", err)
			}
		}
		return s
	}
	if dev.Type == link.HwLoopback {
		r.setUp(apply())
		return
	}
	before, joined := r.turn(dev)
	down := n.down
	n.down = nil
	go func() {
		if down != nil {
			<-down
		}
		if before != nil {
			<-before
		}
		s := apply()
		close(joined)
		select {
		case r.setups <- s:
		case <-r.ctx.Done():
			s.close()
		}
	}()
}

// turn gives the ports of a bond or bridge their turns: it has the address of the one that joins
// first, by which a server knows the node, and that is to be the one which appeared first. It
// costs nothing: the kernel opens one device at a time.
func (r *runner) turn(d link.Device) (before, joined chan struct{}) {
	joined = make(chan struct{})
	if master := r.config.MasterName(d); master != "" {
		before, r.turns[master] = r.turns[master], joined
	}
	return before, joined
}
