package netsetup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// logEvery is how often Up tells what it waits for.
const logEvery = 10 * time.Second

// When one interface is up and the caller could go on, the others have no
// longer than firmware would give them: FlexBoot waits 10 s for the port and
// 90 s for DHCP.
const (
	spareCarrier = 10 * time.Second
	spareDHCP    = 90 * time.Second
)

// A linkEvent tells of an interface: it is there, has changed, or is gone.
type linkEvent struct {
	Device
	gone bool
	err  error // the subscription has ended
}

// A system is the kernel, as far as Up needs it.
type system interface {
	linker
	// watch sends what is there, then what changes, until ctx ends; wg
	// counts what it starts.
	watch(ctx context.Context, wg *sync.WaitGroup) (<-chan linkEvent, error)
	// open makes a connection for DHCP.
	open(d Device) (wire, error)
	// port reads the state of an InfiniBand port.
	port(hca string, number int) (portState, error)
	// hcas lists the InfiniBand adapters that have a driver.
	hcas() []string
}

// A wire sends and receives UDP payloads of DHCP on one interface.
type wire interface {
	// send sends from port 68 to port 67. An empty hardware address is the
	// broadcast.
	send(payload []byte, src, dst netip.Addr, to HardwareAddr) error
	// receive returns a datagram to port 68 and the hardware address it came
	// from. Close ends it.
	receive() (payload []byte, from HardwareAddr, err error)
	Close() error
}

// A slot is one ip= word at work.
type slot struct {
	Interface
	pos   int
	state *State // done
	err   error  // given up
}

func (s *slot) open() bool { return s.state == nil && s.err == nil }

// A nic is a device that a slot works with.
type nic struct {
	dev   Device
	slot  *slot // nil: takes no address
	below bool  // links are made of it
	first time.Time

	setting  bool // a set-up is under way
	ready    bool // it is set up
	carrier  bool
	since    time.Time // of the carrier state, without carrier of the gate
	gate     gate      // InfiniBand without carrier: where it stands
	tries    int       // at setting it up
	err      error     // of the last try
	retry    time.Time // when to try again
	renamed  bool      // ifname= was tried
	wire     wire
	exchange *exchange
	note     string       // the last one logged
	next     HardwareAddr // where the last answer came from
}

type packet struct {
	index   int
	wire    wire
	payload []byte
	from    HardwareAddr
}

// A setup is what came of setting an interface up.
type setup struct {
	index     int
	broadcast HardwareAddr // for which the wire was opened
	wire      wire
	err       error
}

// A runner is one Up under way. Everything in it belongs to one goroutine; the
// others only send to its channels.
type runner struct {
	config  Config
	sys     system
	log     *slog.Logger
	started time.Time
	slots   []*slot
	nics    map[int]*nic
	lo      bool // done
	nextLog time.Time

	wg      sync.WaitGroup
	packets chan packet
	setups  chan setup
}

func run(ctx context.Context, c Config, sys system, log *slog.Logger) (State, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &runner{
		config: c, sys: sys, log: log, started: time.Now(),
		nics: map[int]*nic{}, packets: make(chan packet, 16), setups: make(chan setup),
	}
	r.nextLog = r.started.Add(logEvery)
	for i, n := range c.interfaces() {
		r.slots = append(r.slots, &slot{Interface: n, pos: i})
	}
	inner, cancel := context.WithCancel(ctx)
	defer r.end(cancel)
	links, err := sys.watch(inner, &r.wg)
	if err != nil {
		return State{}, fmt.Errorf("watch network interfaces: %w", err)
	}
	return r.loop(inner, links)
}

// end waits for everything that was started, but for drivers that are opening
// a device: they cannot be interrupted, and one that takes seconds would hold
// up the boot from the other interface. See begin.
func (r *runner) end(cancel func()) {
	cancel()
	for _, n := range r.nics {
		n.close()
	}
	r.wg.Wait()
}

func (r *runner) loop(ctx context.Context, links <-chan linkEvent) (State, error) {
	timer := time.NewTimer(logEvery)
	defer timer.Stop()
	for {
		if done, err := r.finished(); done {
			if err != nil {
				return State{}, err
			}
			return r.result(ctx), nil
		}
		timer.Reset(time.Until(r.wake()))
		select {
		case <-ctx.Done():
			return State{}, fmt.Errorf("set up network: %s: %w", r.waiting(time.Now()), context.Cause(ctx))
		case e := <-links:
			if e.err != nil {
				return State{}, fmt.Errorf("watch network interfaces: %w", e.err)
			}
			r.link(ctx, e)
		case s := <-r.setups:
			r.setUp(ctx, s)
		case p := <-r.packets:
			if n := r.nics[p.index]; n != nil && n.wire == p.wire && n.exchange != nil {
				r.hear(ctx, n, p)
			}
		case <-timer.C:
			r.tick(ctx, time.Now())
		}
	}
}

// finished tells whether there is nothing left to wait for; the error is set
// if nothing was achieved.
func (r *runner) finished() (bool, error) {
	if !r.lo {
		return false, nil
	}
	var errs []error
	achieved := len(r.slots) == 0
	for _, s := range r.slots {
		switch {
		case s.open():
			return false, nil
		case s.err != nil && r.config.BootDev != "" && s.pos == r.config.primary():
			return true, fmt.Errorf("set up network: %w", s.err)
		case s.err != nil:
			errs = append(errs, s.err)
		default:
			achieved = true
		}
	}
	if achieved {
		return true, nil
	}
	return true, fmt.Errorf("set up network: %w", errors.Join(errs...))
}

// result puts the slots together; the primary one first.
func (r *runner) result(ctx context.Context) State {
	var states []State
	for _, s := range r.slots {
		if s.state != nil {
			states = append(states, *s.state)
		}
	}
	if len(states) == 0 {
		return State{Source: "off", Took: time.Since(r.started)}
	}
	for _, route := range r.config.Routes {
		if route.Dev != "" && !slices.ContainsFunc(states, func(s State) bool { return s.Device == route.Dev }) {
			r.log.WarnContext(ctx, fmt.Sprintf("%s: not done, %s was not set up", route, route.Dev))
		}
	}
	best := max(0, slices.IndexFunc(states, func(s State) bool { return len(s.Addrs) > 0 }))
	if i := slices.IndexFunc(states, func(s State) bool { return r.config.BootDev != "" && s.Device == r.config.BootDev }); i >= 0 {
		best = i
	}
	main := states[best]
	main.Others = slices.Delete(slices.Clone(states), best, best+1)
	if len(main.Others) == 0 {
		main.Others = nil
	}
	main.Took = time.Since(r.started)
	return main
}

// devices are all interfaces, in the order of their index.
func (r *runner) devices() []Device {
	var have []Device
	for _, i := range slices.Sorted(maps.Keys(r.nics)) {
		have = append(have, r.nics[i].dev)
	}
	return have
}
