package bringup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// When one interface is up and the caller could go on, the others get no longer than firmware
// would give them: FlexBoot waits 10 s for the port and 90 s for DHCP. Where the root is served
// already, DHCP gets no longer than the port: what comes later comes beside the boot.
const (
	spareCarrier = 10 * time.Second
	spareDHCP    = 90 * time.Second
	spareServed  = 10 * time.Second
)

// A system is the kernel, as far as Up needs it.
type system interface {
	link.Linker
	// Watch sends what is there, then what changes, until ctx ends; that an interface has gone
	// comes before another of its name. ipv6 asks for news of IPv6, too. wg counts what it starts.
	Watch(ctx context.Context, wg *sync.WaitGroup, ipv6 bool) (<-chan link.Event, error)
	// open makes a connection on an interface that is up.
	open(d link.Device, via lease.Channel) (wire, error)
	// Port reads the state of an InfiniBand port; it may take as long as the firmware.
	Port(hca string, number int) (link.PortState, error)
	// ProductUUID is that of the firmware, empty if there is none.
	ProductUUID() string
	// Obstacle6 says why the kernel does not do IPv6 on a device, or (ra) does not accept router
	// advertisements; empty if it does.
	Obstacle6(dev string, ra bool) string
	// Hasten6 makes the kernel check IPv6 addresses without a random wait before.
	Hasten6(dev string)
	// Restore6 undoes Hasten6. NoRouters stays, as the addresses do: an advertisement after the
	// switch would give the root's link what its argument rules out.
	Restore6(dev string) error
	// Solicit6 asks the routers for their advertisements.
	Solicit6(d link.Device) error
	// Hcas lists the InfiniBand adapters that have a driver.
	Hcas() []string
}

// A wire sends and receives the packets of one channel on one interface.
type wire interface {
	Send(m lease.Message) error
	// Receive returns the next packet. Close ends it.
	Receive() (lease.Packet, error)
	Close() error
}

// A job is one ip= argument at work.
type job struct {
	netsetup.Addressing
	pos   int
	state *netsetup.State // done
	lost  *netsetup.State // what it was, if the interface has gone since Up returned
	was   link.Device     // that interface, as it was
	// sought is since when there has been no interface with its address: from the start, or from
	// the loss of one.
	sought time.Time
	err    error // given up
	// spare is a job that Up does not wait for: an argument that took too long while another
	// serves; or an interface besides the one that the argument needs, because all are wanted
	// (rd.neednet) or it may reach a host better. In the second case of is the job of the
	// argument. The same holds for an argument which turned out to say what another one does.
	spare bool
	of    *job

	// Of an argument: what it must bring, the leases it has brought, the first of them at since,
	// and what was refused though it is in use (rd.neednet).
	need    netsetup.Needs
	have    []netsetup.Accepted
	since   time.Time
	refused []string
	// doubted is when a lease was first refused for want of a route to the root's servers,
	// content since when any is taken all the same.
	doubted, content time.Time
}

func (j *job) open() bool { return j.state == nil && j.err == nil }

// takes reports whether a device may have the job. Once the boot uses an address, only the
// interface which had it may: on another one the root's connections are of no use. An argument
// that names one device says itself which one it is.
func (j *job) takes(d link.Device) bool { return j.lost == nil || j.Named() || j.was.Same(d) }

// An attachmentKey is an interface and a family of addresses: one that has both is two to the
// runner.
type attachmentKey struct {
	index int
	ipv6  bool
}

// An attachment is a device that a job works with.
type attachment struct {
	key   attachmentKey
	dev   link.Device
	job   *job // nil: takes no address
	below bool // links are made of it
	first time.Time
	wasUp bool // before anything was done to it

	setting  bool            // a set-up is under way
	down     <-chan struct{} // it was set down, or will be when that is closed
	linking  bool            // and has steps for a link that is made of it
	redo     bool            // and another set-up is due after it: a link that is made of it has gone
	redoAt   time.Time       // when that is due, where it is not at once
	redone   int             // tries at links that are made of one which has an argument, and
	redoErr  error           // the outcome of the last: see above
	redoTold bool            // which has been reported
	stale    bool            // its sockets are to be opened again
	rewiring bool            // which is under way
	ready    bool            // it is set up
	carrier  bool
	since    time.Time         // of the carrier state, without carrier of the gate
	gate     link.Gate         // InfiniBand without carrier: where it stands
	gid      link.HardwareAddr // read from its port: the kernel's messages have no GUID yet
	tries    int               // at setting it up
	err      error             // of the last try
	retry    time.Time         // when to try again
	named    bool              // its name is settled
	renamed  bool              // the kernel has not told of its new name yet
	unnamed  error             // why it is not
	won      bool              // it has an address for its job
	idle     bool              // what it was offered is not needed
	refused  string            // why a lease was refused; asked again at the time in again
	doubted  bool              // what it was offered has no route to the root's servers
	again    time.Time
	wires    map[lease.Channel]wire
	protocol lease.Protocol // nil: nothing is asked
	asked    time.Time      // since when
	note     string         // the last one logged
	noted    time.Time      // since when notes are counted
	notes    int
	flapped  time.Time // when a loss of carrier was reported
	flaps    int       // losses since that were not
}

type arrival struct {
	key  attachmentKey
	wire wire
	lease.Packet
}

// A setup is the outcome of setting an interface up.
type setup struct {
	key       attachmentKey
	broadcast link.HardwareAddr // for which the wires were opened
	bare      bool              // for an interface that takes no address
	above     bool              // nothing but the links that are made of it
	rewired   bool              // nothing but the wires
	short     []*link.Shortfall
	bonds     []string // that were made
	faults    faults   // of links that are made of it
	wires     map[lease.Channel]wire
	err       error
}

// A runner is a network being set up, or kept. Everything in it belongs to one goroutine; the
// others only send to its channels.
type runner struct {
	config      netsetup.Config // resolved
	written     netsetup.Config // as the command line has it
	sys         system
	log         *slog.Logger
	started     time.Time
	jobs        []*job
	attachments map[attachmentKey]*attachment
	states6     map[int]*link.IPv6State  // by index
	leased      map[string]int           // MTUs that servers gave, by device
	turns       map[string]chan struct{} // by bond or bridge; closed when the last port so far has joined
	given       map[int]string           // the kernel's names, by index
	called      []int                    // the interfaces that the arguments know by now, by index, as they appeared
	boot        map[string]bool          // the links that are made of the interface of BOOTIF=
	main        string                   // the interface that the boot uses, when Up has returned
	namers      []string                 // the interfaces whose leases named the servers of the root
	lo          bool                     // done
	nextLog     time.Time
	tickBy      time.Time         // until when tick waits for ports, zero: it does not
	told        bool              // what it waits for has been reported, with all that can be done about it
	fatal       error             // the arguments contradict what is there
	bonded      map[string]bool   // the bonds that have been made, and are there
	short       map[string]bool   // steps reported as not done in full
	held        []*link.Shortfall // to be reported when nothing is being set up
	// refusedMTU are the MTUs that links could not get, by name.
	refusedMTU map[string]int
	owed       map[string]*owedMTU    // the MTUs of leases that were refused, by device
	losses     map[string]*lease.Loss // of interfaces, by name
	fitAt      time.Time              // when to set MTUs again that devices were too busy for,
	busy       int                    // how often that has happened
	ports      map[link.PortKey]*portRead
	before     netsetup.Traces // of earlier attempts, not taken over yet
	made       netsetup.Traces // of this one

	// ctx ends when the network is closed, finishing when steps for links are no longer waited
	// for.
	ctx       context.Context
	cancel    func()
	finishing context.Context
	abandon   func()

	wg       sync.WaitGroup
	links    <-chan link.Event
	arrivals chan arrival
	setups   chan setup
	reads    chan portAnswer
}

func newRunner(c netsetup.Config, sys system, log *slog.Logger) *runner {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c.KernelNames, c.USBNames = c.KeepsKernelNames(), c.USBNaming()
	r := &runner{
		config:      c,
		written:     c,
		sys:         sys,
		log:         log,
		started:     time.Now(),
		attachments: map[attachmentKey]*attachment{},
		states6:     map[int]*link.IPv6State{},
		leased:      map[string]int{},
		turns:       map[string]chan struct{}{},
		given:       map[int]string{},
		boot:        map[string]bool{},
		bonded:      map[string]bool{},
		short:       map[string]bool{},
		refusedMTU:  map[string]int{},
		owed:        map[string]*owedMTU{},
		losses:      map[string]*lease.Loss{},
		ports:       map[link.PortKey]*portRead{},
		arrivals:    make(chan arrival, 16),
		setups:      make(chan setup),
		reads:       make(chan portAnswer),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.finishing, r.abandon = context.WithCancel(context.Background())
	r.nextLog = r.started.Add(lease.LogEvery)
	for i, n := range c.AddressingsOrDefault() {
		r.jobs = append(r.jobs, &job{Addressing: n, pos: i, need: c.Need(i), sought: r.started})
	}
	return r
}

// up returns when every job has what it asks for.
func (r *runner) up(ctx context.Context) (netsetup.State, error) {
	var err error
	if r.links, err = r.sys.Watch(r.ctx, &r.wg, r.config.IPv6()); err != nil {
		return netsetup.State{}, fmt.Errorf("watch network interfaces: %w", err)
	}
	if err := r.loop(ctx, r.finished); err != nil {
		return netsetup.State{}, err
	}
	r.undo("", false, nil)
	s := r.result()
	r.tellUndone()
	r.tellIdle()
	r.tellLost()
	r.prefer(s.Device)
	r.main = s.Device
	return s, nil
}

// keep goes on until ctx ends.
func (r *runner) keep(ctx context.Context) error {
	ended := func() (bool, error) {
		if r.fatal != nil { // a late card's; the others go on
			r.log.Warn("a new interface is left alone: " + r.fatal.Error())
			r.fatal = nil
		}
		return ctx.Err() != nil, nil
	}
	if err := r.loop(ctx, ended); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// close waits for everything that was started, except for drivers that are opening a device, or
// reading a port: they cannot be interrupted, and one that takes seconds would delay the boot
// from the other interface. See begin and finishLinks.
func (r *runner) close() {
	r.leaveSpares()
	r.finishLinks()
	r.tellOwed()
	r.cancel()
	for _, n := range r.attachments {
		n.close()
		if ipv6 := r.config.IPv6(); ipv6 && n.tries > 0 {
			if err := r.sys.Restore6(n.dev.Name); err != nil {
				r.log.Debug(n.dev.Name+": restore settings of IPv6", "err", err)
			}
		}
	}
	r.wg.Wait()
}

func (r *runner) loop(ctx context.Context, finished func() (bool, error)) error {
	timer := time.NewTimer(lease.LogEvery)
	defer timer.Stop()
	for {
		r.tellShort()
		if done, err := finished(); done {
			return err
		}
		timer.Reset(time.Until(r.next()))
		select {
		case <-ctx.Done():
			r.lastLook()
			return fmt.Errorf("set up network: %s: %w", r.waiting(time.Now()), context.Cause(ctx))
		case e := <-r.links:
			switch {
			case e.Err != nil:
				return fmt.Errorf("watch network interfaces: %w", e.Err)
			case e.News != nil:
				r.tell(e.Index, *e.News)
			default:
				r.link(e)
			}
		case s := <-r.setups:
			r.setUp(s)
		case a := <-r.arrivals:
			r.arrive(a)
		case a := <-r.reads:
			if r.answered(a, time.Now()); !r.tickBy.IsZero() {
				r.due(time.Now())
			}
		case <-timer.C:
			r.due(time.Now())
		}
	}
}

// arrive passes a packet on, unless its socket is closed.
func (r *runner) arrive(a arrival) {
	if n := r.attachments[a.key]; n != nil && n.wires[a.Via] == a.wire && n.protocol != nil {
		r.do(n, n.protocol.Receive(time.Now(), a.Packet))
	}
}

// arrivedAlready passes on what has come in: an answer that is there is not too late, however
// busy the machine.
func (r *runner) arrivedAlready() {
	for {
		select {
		case a := <-r.arrivals:
			r.arrive(a)
		default:
			return
		}
	}
}

// finished reports whether there is nothing left to wait for; the error is set if nothing was
// achieved.
func (r *runner) finished() (bool, error) {
	if r.fatal != nil {
		return true, fmt.Errorf("set up network: %w", r.fatal)
	}
	if !r.lo {
		return false, nil
	}
	var errs []error
	needed, open := 0, false
	for _, j := range r.jobs {
		if j.spare {
			continue
		}
		_, promised := r.promised(j, time.Now())
		open = open || j.open() || promised
		if r.needed(j) {
			needed++
			if j.err != nil {
				errs = append(errs, j.err)
			}
		}
	}
	switch {
	case needed > 0 && needed == len(errs):
		return true, fmt.Errorf("set up network: %w", errors.Join(errs...))
	case open:
		return false, nil
	case needed == 0 && len(r.jobs) > 0:
		return true, fmt.Errorf("set up network: %s", r.config.Absent(netsetup.Addressing{}, r.devices(), true))
	default:
		return true, nil
	}
}

// needed reports whether the boot cannot go on without the argument: it is one of several, or one
// of those about the device of bootdev=.
func (r *runner) needed(j *job) bool {
	return !j.spare && (r.config.BootDev == "" || r.config.IsOfBootDevice(j.Addressing))
}

// devices are all interfaces, in the order of their index.
func (r *runner) devices() []link.Device {
	var have []link.Device
	for _, n := range r.sorted() {
		if !n.key.ipv6 {
			have = append(have, n.dev)
		}
	}
	return have
}

// sorted are the attachments in the order of their index, IPv4 first. There are few, so each is
// inserted where it belongs.
func (r *runner) sorted() []*attachment {
	all := make([]*attachment, 0, len(r.attachments))
	for _, n := range r.attachments {
		i := len(all)
		for i > 0 && n.key.before(all[i-1].key) {
			i--
		}
		all = slices.Insert(all, i, n)
	}
	return all
}

func (k attachmentKey) before(o attachmentKey) bool {
	if k.index != o.index {
		return k.index < o.index
	}
	return !k.ipv6 && o.ipv6
}
