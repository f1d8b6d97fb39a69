package fakekernel

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A Kernel has the devices of a test and writes steps down as commands.
type Kernel struct {
	Loading func() string // what Config.Loading is; nil: nobody knows

	t      *testing.T
	Events chan link.Event // what the watch tells

	sync.Mutex
	Devices  map[string]link.Device
	Commands []string                  // what was asked for, without "ip", and what was sent
	Fail     map[string]error          // by command, once
	Refuse   map[string]error          // by command, always
	Busy     map[string]error          // of devices that cannot be renamed
	Servers  map[string]Responder      // by device
	Opening  map[string]time.Duration  // how long a driver takes to set a device up
	Ports    map[string]link.PortState // by hca/port
	Adapters []string

	Soliciting []string // devices
	// Neighbours answer ARP, by the last bytes of their hardware address.
	Neighbours map[netip.Addr]link.HardwareAddr
	Server6    func(m lease.Message) []byte // answers DHCPv6, or not (nil)
	Made       func()                       // called when a link has been made
	rivals     map[string][]Responder       // further servers, by device
	Then       func(s link.Step)            // called after each change, as the kernel that goes on
	Rules      *Rules                       // that apply to links, nil for none
	// Wires are the last that were opened, by device; Announced are the hardware
	// addresses that announcements of ARP had.
	Wires     map[string]map[lease.Channel]*Wire
	Announced []link.HardwareAddr
}

// New is a kernel with a loopback device and these. The router 10.77.0.1 answers ARP.
func New(t *testing.T, devices ...link.Device) *Kernel {
	k := &Kernel{
		t: t, Events: make(chan link.Event, 64), Devices: map[string]link.Device{}, Fail: map[string]error{},
		Servers: map[string]Responder{}, Wires: map[string]map[lease.Channel]*Wire{},
		rivals: map[string][]Responder{}, Opening: map[string]time.Duration{}, Ports: map[string]link.PortState{},
		Neighbours: map[netip.Addr]link.HardwareAddr{netip.MustParseAddr("10.77.0.1"): "\x52\x54\x00\x00\xfe\x01"},
	}
	k.Appear(append([]link.Device{{Index: 1, Name: "lo", Type: link.HwLoopback}}, devices...)...)
	return k
}

// Appear shows devices, or changes of them.
func (k *Kernel) Appear(devices ...link.Device) {
	k.Lock()
	defer k.Unlock()
	for _, d := range devices {
		k.Devices[d.Name] = d
		k.Events <- link.Event{Device: d}
	}
}

// Change changes a device, and tells of it.
func (k *Kernel) Change(dev string, f func(d *link.Device)) {
	k.Lock()
	defer k.Unlock()
	k.changed(k.Devices[dev], f)
}

// changed changes a device in one step, as the kernel does under its lock: two changes at
// once are both there afterwards. The caller holds the lock, and f must not take it.
func (k *Kernel) changed(d link.Device, f func(d *link.Device)) link.Device {
	name := d.Name
	f(&d)
	if name != d.Name {
		delete(k.Devices, name)
	}
	k.Devices[d.Name] = d
	k.Events <- link.Event{Device: d}
	return d
}

func (k *Kernel) do(s link.Step) error {
	err := k.note(s)
	if err == nil && k.Then != nil {
		k.Then(s)
	}
	return err
}

func (k *Kernel) note(s link.Step) error {
	k.Lock()
	defer k.Unlock()
	k.Commands = append(k.Commands, strings.TrimPrefix(s.String(), "ip "))
	if err := k.Refuse[s.String()]; err != nil {
		return err
	}
	err := k.Fail[s.String()]
	delete(k.Fail, s.String())
	return err
}

// ProductUUID says that the firmware has none.
func (k *Kernel) ProductUUID() string { return "" }

// Hasten6 does nothing.
func (k *Kernel) Hasten6(string) {}

// Restore6 does nothing.
func (k *Kernel) Restore6(string) error { return nil }

// Solicit6 notes the device in Soliciting.
func (k *Kernel) Solicit6(d link.Device) error {
	k.Soliciting = append(k.Soliciting, d.Name)
	return nil
}

// Obstacle6 says that nothing is in the way of IPv6.
func (k *Kernel) Obstacle6(string, bool) string { return "" }

// Hcas lists Adapters.
func (k *Kernel) Hcas() []string { return k.Adapters }

// Port is one of Ports.
func (k *Kernel) Port(hca string, number int) (link.PortState, error) {
	k.Lock()
	defer k.Unlock()
	p, ok := k.Ports[fmt.Sprintf("%s/%d", hca, number)]
	if !ok {
		return link.PortState{}, os.ErrNotExist
	}
	return p, nil
}

// Watch is Events.
func (k *Kernel) Watch(context.Context, *sync.WaitGroup, bool) (<-chan link.Event, error) {
	return k.Events, nil
}
