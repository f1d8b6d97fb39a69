package netsetup

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
)

// A fakeKernel has the devices of a test and writes steps down as commands.
type fakeKernel struct {
	loading func() string // what Config.Loading is; nil: nobody knows

	t      *testing.T
	events chan linkEvent

	mu       sync.Mutex
	devices  map[string]Device
	commands []string
	fail     map[string]error      // by command, once
	refuse   map[string]error      // by command, always
	busy     map[string]error      // of devices that cannot be renamed
	servers  map[string]fakeServer // by device
	opening  map[string]time.Duration
	ports    map[string]portState // by hca/port
	adapters []string

	soliciting []string // devices
	// neighbours answer ARP, by the last bytes of their hardware address.
	neighbours map[netip.Addr]HardwareAddr
	server6    func(m message) []byte // answers DHCPv6, or not (nil)
	made       func()                 // called when a link has been made
	// rivals are further servers, by device; then is called behind each change that
	// has been made, as the kernel that goes on.
	rivals map[string][]fakeServer
	then   func(s Step)
	rules  *kernelRules // that apply to links, nil for none
	// wires are the last that were opened, by device; announced are the hardware
	// addresses that announcements of ARP had.
	wires     map[string]map[channel]*fakeWire
	announced []HardwareAddr
}

// A fakeServer answers a message of the client, or not (nil).
type fakeServer func(m *dhcpv4.DHCPv4) []byte

func newFakeKernel(t *testing.T, devices ...Device) *fakeKernel {
	k := &fakeKernel{
		t: t, events: make(chan linkEvent, 64), devices: map[string]Device{}, fail: map[string]error{},
		servers: map[string]fakeServer{}, wires: map[string]map[channel]*fakeWire{},
		rivals: map[string][]fakeServer{}, opening: map[string]time.Duration{}, ports: map[string]portState{},
		neighbours: map[netip.Addr]HardwareAddr{addr("10.77.0.1"): "\x52\x54\x00\x00\xfe\x01"},
	}
	k.appear(append([]Device{{Index: 1, Name: "lo", Type: hwLoopback}}, devices...)...)
	return k
}

// appear shows devices, or changes of them.
func (k *fakeKernel) appear(devices ...Device) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range devices {
		k.devices[d.Name] = d
		k.events <- linkEvent{Device: d}
	}
}

func (k *fakeKernel) change(dev string, f func(d *Device)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changed(k.devices[dev], f)
}

// changed changes a device in one step, as the kernel does under its lock: two changes at
// once are both there afterwards. The caller holds mu, and f must not take it.
func (k *fakeKernel) changed(d Device, f func(d *Device)) Device {
	name := d.Name
	f(&d)
	if name != d.Name {
		delete(k.devices, name)
	}
	k.devices[d.Name] = d
	k.events <- linkEvent{Device: d}
	return d
}

func (k *fakeKernel) do(s Step) error {
	err := k.note(s)
	if err == nil && k.then != nil {
		k.then(s)
	}
	return err
}

func (k *fakeKernel) note(s Step) error {
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

func (k *fakeKernel) linkUp(dev string, up bool) error {
	k.mu.Lock()
	wait := k.opening[dev]
	k.mu.Unlock()
	if wait > 0 {
		<-time.After(wait)
	}
	if !up {
		return k.do(LinkDown{dev})
	}
	err := k.do(LinkUp{dev})
	if err == nil && k.rules != nil {
		if _, ok := k.rules.device(dev); !ok {
			return errNoDevice
		}
	}
	if err == nil {
		k.change(dev, func(d *Device) { d.Up = true })
	}
	return err
}

func (k *fakeKernel) linkName(dev, name string) error {
	k.mu.Lock()
	_, taken := k.devices[name]
	k.mu.Unlock()
	if err := k.busy[dev]; err != nil {
		return err
	}
	if taken {
		return fs.ErrExist
	}
	if err := k.do(LinkName{dev, name}); err != nil {
		return err
	}
	k.change(dev, func(d *Device) { d.Name, d.Udev.Kept = name, true }) // its name_assign_type is 4 now
	k.mu.Lock()
	if _, ok := k.servers[name]; !ok { // the cable goes with the card
		k.servers[name], k.rivals[name] = k.servers[dev], k.rivals[dev]
	}
	k.mu.Unlock()
	return nil
}

func (k *fakeKernel) linkType(dev string) (uint16, error) {
	if k.rules != nil {
		if d, ok := k.rules.device(dev); ok {
			return d.Type, nil
		}
	}
	return 0, errNoDevice
}
func (k *fakeKernel) linkAddr(dev string, a HardwareAddr) error { return k.do(LinkAddr{dev, a}) }
func (k *fakeKernel) addrAdd(dev string, a netip.Prefix) error  { return k.do(AddrAdd{dev, a}) }
func (k *fakeKernel) addrDel(dev string, a netip.Prefix) error  { return k.do(AddrDel{dev, a}) }
func (k *fakeKernel) productUUID() string                       { return "" }
func (k *fakeKernel) hasten6(string)                            {}
func (k *fakeKernel) restore6(string) error                     { return nil }

func (k *fakeKernel) solicit6(d Device) error {
	k.soliciting = append(k.soliciting, d.Name)
	return nil
}

func (k *fakeKernel) noRouters(dev string) error { return k.do(NoRouters{dev}) }
func (k *fakeKernel) routeDel(r RouteDel) error  { return k.do(r) }
func (k *fakeKernel) routerMetric(dev string, metric int) error {
	return k.do(RouterMetric{dev, metric})
}

func (k *fakeKernel) obstacle6(string, bool) string { return "" }
func (k *fakeKernel) routeSet(r Route) error        { return k.do(r) }

func (k *fakeKernel) bridgeAdd(s BridgeAdd) error { return k.make(s) }

func (k *fakeKernel) make(s Step) error {
	err := k.do(s)
	if err == nil && k.made != nil {
		k.made()
	}
	return err
}

func (k *fakeKernel) hcas() []string { return k.adapters }
func (k *fakeKernel) port(hca string, number int) (portState, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.ports[fmt.Sprintf("%s/%d", hca, number)]
	if !ok {
		return portState{}, os.ErrNotExist
	}
	return p, nil
}

func (k *fakeKernel) watch(context.Context, *sync.WaitGroup, bool) (<-chan linkEvent, error) {
	return k.events, nil
}

func (k *fakeKernel) open(d Device, via channel) (wire, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	command := fmt.Sprintf("open %s on %s", via, d.Name)
	if err := k.fail[command]; err != nil {
		delete(k.fail, command)
		return nil, err
	}
	w := &fakeWire{k: k, via: via, dev: d.Name, broadcast: d.Broadcast, answers: make(chan []byte, 16), closed: make(chan struct{})}
	if k.wires[d.Name] == nil {
		k.wires[d.Name] = map[channel]*fakeWire{}
	}
	k.wires[d.Name][via] = w
	return w, nil
}

type fakeWire struct {
	k   *fakeKernel
	via channel
	dev string
	// A message to another link layer's broadcast address is lost.
	broadcast HardwareAddr
	answers   chan []byte
	closed    chan struct{}
}

func (w *fakeWire) send(p message) error {
	if w.via == channelARP {
		return w.sendARP(p)
	}
	if w.via == channelDHCP6 {
		return w.sendDHCP6(p)
	}
	m, err := dhcpv4.FromBytes(p.payload)
	if err != nil {
		return err
	}
	w.k.mu.Lock()
	text := fmt.Sprintf("%s: %s", w.dev, m.MessageType())
	if m.MessageType() == dhcpv4.MessageTypeRelease {
		text += fmt.Sprintf(" %s -> %s at %s", p.src, p.dst, p.to)
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

func (w *fakeWire) receive() (packet, error) {
	select {
	case a := <-w.answers:
		return packet{payload: a, from: macB}, nil
	case <-w.closed:
		return packet{}, io.EOF
	}
}

func (w *fakeWire) Close() error {
	close(w.closed)
	return nil
}

func (w *fakeWire) sendDHCP6(p message) error {
	w.k.mu.Lock()
	defer w.k.mu.Unlock()
	w.k.commands = append(w.k.commands, w.dev+": "+p.what)
	if w.k.server6 != nil {
		if a := w.k.server6(p); a != nil {
			w.answers <- a
		}
	}
	return nil
}

// sendARP answers for those who have an address, which the gateway does unless
// a test says otherwise.
func (w *fakeWire) sendARP(p message) error {
	w.k.mu.Lock()
	defer w.k.mu.Unlock()
	d := w.k.devices[w.dev]
	a, ok := parseARP(p.payload, d.Type)
	if !ok || len(a.sender) != len(d.Addr) {
		w.k.t.Errorf("%s: not ARP of its link: % x", w.dev, p.payload)
	}
	if a.senderIP == a.targetIP {
		w.k.announced = append(w.k.announced, a.sender)
	}
	if who, ok := w.k.neighbours[a.targetIP]; ok && w.broadcast == d.Broadcast && a.senderIP != a.targetIP {
		reply := arpPacket{hwType: a.hwType, op: arpReply, sender: a.sender[:len(a.sender)-len(who)] + who, senderIP: a.targetIP, target: a.sender, targetIP: a.senderIP}
		w.answers <- reply.bytes()
	}
	return nil
}

// goodServer answers everything at once.
func goodServer(t *testing.T) fakeServer {
	return func(m *dhcpv4.DHCPv4) []byte {
		switch m.MessageType() {
		case dhcpv4.MessageTypeRequest:
			return answer(t, m, dhcpv4.MessageTypeAck)
		case dhcpv4.MessageTypeDiscover:
			return answer(t, m, dhcpv4.MessageTypeOffer)
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
			return answer(t, m, dhcpv4.MessageTypeAck, changes...)
		case dhcpv4.MessageTypeDiscover:
			return answer(t, m, dhcpv4.MessageTypeOffer, changes...)
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
func ethernet(index int, name string, mac HardwareAddr) Device {
	return Device{Index: index, Name: name, Type: hwEthernet, Addr: mac, MTU: 1500, Physical: true, Carrier: true, Driver: "virtio_net"}
}

func noCarrier(d Device) Device {
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
func (l *logLines) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *logLines) WithGroup(string) slog.Handler                    { return l }
func (l *logLines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%ds %s", int(time.Since(l.start).Round(time.Second)/time.Second), r.Message))
	return nil
}

type result struct {
	state    State
	err      error
	commands []string
	log      []string
	took     time.Duration
	last     State // behind Keep
}

// try runs Up on a fake kernel, in time that costs nothing. script runs beside
// it.
func try(t *testing.T, line string, timeout time.Duration, k *fakeKernel, script func()) result {
	t.Helper()
	return tryFor(t, line, Needs{}, timeout, k, script)
}

// tryFor is try for a boot that needs something.
func tryFor(t *testing.T, line string, needs Needs, timeout time.Duration, k *fakeKernel, script func()) result {
	t.Helper()
	c, err := ParseConfig(cmdline.Parse(line))
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
func run(ctx context.Context, c Config, sys system, log *slog.Logger) (State, error) {
	r := newRunner(c, sys, log)
	defer r.close()
	return r.up(ctx)
}
