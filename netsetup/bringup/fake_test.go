package bringup

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A fakeKernel has the devices of a test and writes steps down as commands.
type fakeKernel struct {
	loading func() string // what Config.Loading is; nil: nobody knows

	t      *testing.T
	events chan link.Event

	mu       sync.Mutex
	devices  map[string]link.Device
	commands []string
	fail     map[string]error      // by command, once
	refuse   map[string]error      // by command, always
	busy     map[string]error      // of devices that cannot be renamed
	servers  map[string]fakeServer // by device
	opening  map[string]time.Duration
	ports    map[string]link.PortState // by hca/port
	adapters []string

	soliciting []string // devices
	// neighbours answer ARP, by the last bytes of their hardware address.
	neighbours map[netip.Addr]link.HardwareAddr
	server6    func(m lease.Message) []byte // answers DHCPv6, or not (nil)
	made       func()                       // called when a link has been made
	// rivals are further servers, by device; then is called behind each change that
	// has been made, as the kernel that goes on.
	rivals map[string][]fakeServer
	then   func(s link.Step)
	rules  *kernelRules // that apply to links, nil for none
	// wires are the last that were opened, by device; announced are the hardware
	// addresses that announcements of ARP had.
	wires     map[string]map[lease.Channel]*fakeWire
	announced []link.HardwareAddr
}

// A fakeServer answers a message of the client, or not (nil).
type fakeServer func(m *dhcpv4.DHCPv4) []byte

func newFakeKernel(t *testing.T, devices ...link.Device) *fakeKernel {
	k := &fakeKernel{
		t: t, events: make(chan link.Event, 64), devices: map[string]link.Device{}, fail: map[string]error{},
		servers: map[string]fakeServer{}, wires: map[string]map[lease.Channel]*fakeWire{},
		rivals: map[string][]fakeServer{}, opening: map[string]time.Duration{}, ports: map[string]link.PortState{},
		neighbours: map[netip.Addr]link.HardwareAddr{addr("10.77.0.1"): "\x52\x54\x00\x00\xfe\x01"},
	}
	k.appear(append([]link.Device{{Index: 1, Name: "lo", Type: link.HwLoopback}}, devices...)...)
	return k
}

// appear shows devices, or changes of them.
func (k *fakeKernel) appear(devices ...link.Device) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range devices {
		k.devices[d.Name] = d
		k.events <- link.Event{Device: d}
	}
}

func (k *fakeKernel) change(dev string, f func(d *link.Device)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changed(k.devices[dev], f)
}

// changed changes a device in one step, as the kernel does under its lock: two changes at
// once are both there afterwards. The caller holds mu, and f must not take it.
func (k *fakeKernel) changed(d link.Device, f func(d *link.Device)) link.Device {
	name := d.Name
	f(&d)
	if name != d.Name {
		delete(k.devices, name)
	}
	k.devices[d.Name] = d
	k.events <- link.Event{Device: d}
	return d
}

func (k *fakeKernel) do(s link.Step) error {
	err := k.note(s)
	if err == nil && k.then != nil {
		k.then(s)
	}
	return err
}

func (k *fakeKernel) note(s link.Step) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.commands = append(k.commands, strings.TrimPrefix(s.String(), "ip "))
	if err := k.refuse[s.String()]; err != nil {
		return err
	}
	err := k.fail[s.String()]
	delete(k.fail, s.String())
	return err
}

func (k *fakeKernel) LinkUp(dev string, up bool) error {
	k.mu.Lock()
	wait := k.opening[dev]
	k.mu.Unlock()
	if wait > 0 {
		<-time.After(wait)
	}
	if !up {
		return k.do(link.Down{Dev: dev})
	}
	err := k.do(link.Up{Dev: dev})
	if err == nil && k.rules != nil {
		if _, ok := k.rules.device(dev); !ok {
			return errNoDevice
		}
	}
	if err == nil {
		k.change(dev, func(d *link.Device) { d.Up = true })
	}
	return err
}

func (k *fakeKernel) LinkName(dev, name string) error {
	k.mu.Lock()
	_, taken := k.devices[name]
	k.mu.Unlock()
	if err := k.busy[dev]; err != nil {
		return err
	}
	if taken {
		return fs.ErrExist
	}
	if err := k.do(link.SetName{Dev: dev, Name: name}); err != nil {
		return err
	}
	k.change(dev, func(d *link.Device) { d.Name, d.Udev.Kept = name, true }) // its name_assign_type is 4 now
	k.mu.Lock()
	if _, ok := k.servers[name]; !ok { // the cable goes with the card
		k.servers[name], k.rivals[name] = k.servers[dev], k.rivals[dev]
	}
	k.mu.Unlock()
	return nil
}

func (k *fakeKernel) LinkType(dev string) (uint16, error) {
	if k.rules != nil {
		if d, ok := k.rules.device(dev); ok {
			return d.Type, nil
		}
	}
	return 0, errNoDevice
}

func (k *fakeKernel) LinkAddr(dev string, a link.HardwareAddr) error {
	return k.do(link.SetAddr{Dev: dev, Addr: a})
}

func (k *fakeKernel) AddrAdd(dev string, a netip.Prefix) error {
	return k.do(link.AddrAdd{Dev: dev, Addr: a})
}

func (k *fakeKernel) AddrDel(dev string, a netip.Prefix) error {
	return k.do(link.AddrDel{Dev: dev, Addr: a})
}

func (k *fakeKernel) ProductUUID() string { return "" }

func (k *fakeKernel) Hasten6(string) {}

func (k *fakeKernel) Restore6(string) error { return nil }

func (k *fakeKernel) solicit6(d link.Device) error {
	k.soliciting = append(k.soliciting, d.Name)
	return nil
}

func (k *fakeKernel) NoRouters(dev string) error { return k.do(link.NoRouters{Dev: dev}) }

func (k *fakeKernel) RouteDel(r link.RouteDel) error { return k.do(r) }

func (k *fakeKernel) RouterMetric(dev string, metric int) error {
	return k.do(link.RouterMetric{Dev: dev, Metric: metric})
}

func (k *fakeKernel) Obstacle6(string, bool) string { return "" }

func (k *fakeKernel) RouteSet(r link.Route) error { return k.do(r) }

func (k *fakeKernel) BridgeAdd(s link.BridgeAdd) error { return k.make(s) }

func (k *fakeKernel) make(s link.Step) error {
	err := k.do(s)
	if err == nil && k.made != nil {
		k.made()
	}
	return err
}

func (k *fakeKernel) Hcas() []string { return k.adapters }

func (k *fakeKernel) Port(hca string, number int) (link.PortState, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.ports[fmt.Sprintf("%s/%d", hca, number)]
	if !ok {
		return link.PortState{}, os.ErrNotExist
	}
	return p, nil
}

func (k *fakeKernel) Watch(context.Context, *sync.WaitGroup, bool) (<-chan link.Event, error) {
	return k.events, nil
}

func (k *fakeKernel) open(d link.Device, via lease.Channel) (wire, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	command := fmt.Sprintf("open %s on %s", via, d.Name)
	if err := k.fail[command]; err != nil {
		delete(k.fail, command)
		return nil, err
	}
	w := &fakeWire{k: k, via: via, dev: d.Name, broadcast: d.Broadcast, answers: make(chan []byte, 16), closed: make(chan struct{})}
	if k.wires[d.Name] == nil {
		k.wires[d.Name] = map[lease.Channel]*fakeWire{}
	}
	k.wires[d.Name][via] = w
	return w, nil
}

type fakeWire struct {
	k   *fakeKernel
	via lease.Channel
	dev string
	// A message to another link layer's broadcast address is lost.
	broadcast link.HardwareAddr
	answers   chan []byte
	closed    chan struct{}
}

func (w *fakeWire) send(p lease.Message) error {
	if w.via == lease.ChannelARP {
		return w.sendARP(p)
	}
	if w.via == lease.ChannelDHCP6 {
		return w.sendDHCP6(p)
	}
	m, err := dhcpv4.FromBytes(p.Payload)
	if err != nil {
		return err
	}
	w.k.mu.Lock()
	text := fmt.Sprintf("%s: %s", w.dev, m.MessageType())
	if m.MessageType() == dhcpv4.MessageTypeRelease {
		text += fmt.Sprintf(" %s -> %s at %s", p.Src, p.Dst, p.To)
	}
	w.k.commands = append(w.k.commands, text)
	servers := w.k.rivals[w.dev]
	if server := w.k.servers[w.dev]; server != nil {
		servers = append([]fakeServer{server}, servers...)
	}
	if w.broadcast != w.k.devices[w.dev].Broadcast {
		servers = nil
	}
	w.k.mu.Unlock()
	for _, server := range servers {
		if a := server(m); a != nil {
			w.answers <- a
		}
	}
	return nil
}

func (w *fakeWire) receive() (lease.Packet, error) {
	select {
	case a := <-w.answers:
		return lease.Packet{Payload: a, From: macB}, nil
	case <-w.closed:
		return lease.Packet{}, io.EOF
	}
}

func (w *fakeWire) Close() error {
	close(w.closed)
	return nil
}

func (w *fakeWire) sendDHCP6(p lease.Message) error {
	w.k.mu.Lock()
	defer w.k.mu.Unlock()
	w.k.commands = append(w.k.commands, w.dev+": "+p.What)
	if w.k.server6 != nil {
		if a := w.k.server6(p); a != nil {
			w.answers <- a
		}
	}
	return nil
}

// sendARP answers for those who have an address, which the gateway does unless
// a test says otherwise.
func (w *fakeWire) sendARP(p lease.Message) error {
	w.k.mu.Lock()
	defer w.k.mu.Unlock()
	d := w.k.devices[w.dev]
	a, ok := lease.ParseARP(p.Payload, d.Type)
	if !ok || len(a.Sender) != len(d.Addr) {
		w.k.t.Errorf("%s: not ARP of its link: % x", w.dev, p.Payload)
	}
	if a.SenderIP == a.TargetIP {
		w.k.announced = append(w.k.announced, a.Sender)
	}
	if who, ok := w.k.neighbours[a.TargetIP]; ok && w.broadcast == d.Broadcast && a.SenderIP != a.TargetIP {
		reply := lease.ARPPacket{HwType: a.HwType, Op: lease.ARPReply, Sender: a.Sender[:len(a.Sender)-len(who)] + who, SenderIP: a.TargetIP, Target: a.Sender, TargetIP: a.SenderIP}
		w.answers <- reply.Bytes()
	}
	return nil
}

// goodServer answers everything at once.
func goodServer(t *testing.T) fakeServer {
	return func(m *dhcpv4.DHCPv4) []byte {
		switch m.MessageType() {
		case dhcpv4.MessageTypeRequest:
			return leasetest.Answer(t, m, dhcpv4.MessageTypeAck)
		case dhcpv4.MessageTypeDiscover:
			return leasetest.Answer(t, m, dhcpv4.MessageTypeOffer)
		default:
			return nil
		}
	}
}

// leases is a good server that gives this address.
func leases(t *testing.T, p string, changes ...func(*dhcpv4.DHCPv4)) fakeServer {
	a := prefix(p)
	changes = append([]func(*dhcpv4.DHCPv4){func(m *dhcpv4.DHCPv4) {
		m.YourIPAddr = a.Addr().AsSlice()
		m.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(a.Bits(), 32)))
	}}, changes...)
	return func(m *dhcpv4.DHCPv4) []byte {
		switch m.MessageType() {
		case dhcpv4.MessageTypeRequest:
			return leasetest.Answer(t, m, dhcpv4.MessageTypeAck, changes...)
		case dhcpv4.MessageTypeDiscover:
			return leasetest.Answer(t, m, dhcpv4.MessageTypeOffer, changes...)
		default:
			return nil
		}
	}
}

// rootPath has the server send option 17.
func rootPath(text string) func(*dhcpv4.DHCPv4) {
	return func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptRootPath(text)) }
}

// gateway has the server send this router, "" for none.
func gateway(a string) func(*dhcpv4.DHCPv4) {
	return func(m *dhcpv4.DHCPv4) {
		m.Options.Del(dhcpv4.OptionRouter)
		if a != "" {
			m.UpdateOption(dhcpv4.OptRouter(net.ParseIP(a)))
		}
	}
}

// ethernet is an interface with carrier as soon as it is up.
func ethernet(index int, name string, mac link.HardwareAddr) link.Device {
	return link.Device{Index: index, Name: name, Type: link.HwEthernet, Addr: mac, MTU: 1500, Physical: true, Carrier: true, Driver: "virtio_net"}
}

func noCarrier(d link.Device) link.Device {
	d.Carrier = false
	return d
}

// logLines is a slog.Handler that keeps the messages above debug.
type logLines struct {
	mu    sync.Mutex
	lines []string
	start time.Time
}

func (l *logLines) Enabled(_ context.Context, level slog.Level) bool { return level > slog.LevelDebug }

func (l *logLines) WithAttrs([]slog.Attr) slog.Handler { return l }

func (l *logLines) WithGroup(string) slog.Handler { return l }

func (l *logLines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%ds %s", int(time.Since(l.start).Round(time.Second)/time.Second), r.Message))
	return nil
}

type result struct {
	state    netsetup.State
	err      error
	commands []string
	log      []string
	took     time.Duration
	last     netsetup.State // behind Keep
}

// try runs Up on a fake kernel, in time that costs nothing. script runs beside
// it.
func try(t *testing.T, line string, timeout time.Duration, k *fakeKernel, script func()) result {
	t.Helper()
	return tryFor(t, line, netsetup.Needs{}, timeout, k, script)
}

// tryFor is try for a boot that needs something.
func tryFor(t *testing.T, line string, needs netsetup.Needs, timeout time.Duration, k *fakeKernel, script func()) result {
	t.Helper()
	c, err := netsetup.ParseConfig(cmdline.Parse(line))
	if err != nil {
		t.Fatal(err)
	}
	c.Needs, c.Loading = needs, k.loading
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	lines := &logLines{start: start}
	if script != nil {
		go script()
	}
	s, err := run(ctx, c, k, slog.New(lines))
	k.mu.Lock()
	defer k.mu.Unlock()
	return result{s, err, k.commands, lines.lines, time.Since(start), s}
}

// run brings up a network that nobody keeps.
func run(ctx context.Context, c netsetup.Config, sys system, log *slog.Logger) (netsetup.State, error) {
	r := newRunner(c, sys, log)
	defer r.close()
	return r.up(ctx)
}
