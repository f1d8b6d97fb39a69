package fakekernel

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// A Card is an interface of a node, and what is on its cable. One that is called as
// a link of the command line is that link's: a VLAN has a network of its own.
type Card struct {
	Device  link.Device
	Signal  time.Duration // when there is carrier; negative: never
	Servers []Server
	// Lease6 is what a DHCPv6 server has for the node; Router6 announces itself, with
	// Prefix6 the address that the kernel makes, Link6 what the router says to be on the
	// link.
	Lease6, Router6 netip.Addr
	Prefix6, Link6  netip.Prefix
}

// EthernetCard is a card with carrier, in slot index+1 of bus 0 as QEMU has it.
func EthernetCard(index int, name string, mac link.HardwareAddr) Card {
	return Card{Device: linktest.Ethernet(index, name, mac)}
}

// InfiniBandCard is a port of an adapter whose driver gives it this address.
func InfiniBandCard(index int, name string, a link.HardwareAddr) Card {
	d := linktest.WithCarrier(linktest.GuidePort())
	d.Index, d.Name, d.Addr = index, name, a
	return Card{Device: d}
}

// A Lab does the kernel's part, and that of the network.
type Lab struct {
	Kernel *Kernel
	ipv6   bool
	cards  map[string]Card // by their first names
}

// NewLab is a node with these cards, whose command line is c. Nodes at the addresses of
// taken answer ARP besides the servers.
func NewLab(t *testing.T, c netsetup.Config, cards []Card, taken []netip.Addr) Lab {
	t.Helper()
	k := New(t)
	l := Lab{Kernel: k, ipv6: c.IPv6(), cards: map[string]Card{}}
	k.Then = l.then
	k.Neighbours = map[netip.Addr]link.HardwareAddr{}
	for _, a := range taken {
		k.Neighbours[a] = "\x52\x54\x00\x00\xfe\x02"
	}
	start := time.Now()
	for _, card := range cards {
		name := card.Device.Name
		for _, s := range card.Servers {
			k.rivals[name] = append(k.rivals[name], s.answers(t, start))
			for _, a := range append(routersOf(s), s.ID, s.NextServer) {
				k.Neighbours[a] = "\x52\x54\x00\x00\xfe\x01"
			}
		}
		if card.Lease6.IsValid() {
			k.Server6 = Answers6(t, card.Lease6)
		}
		l.cards[name] = card
		if c.Made(name) {
			continue // the fake kernel shows it when it is made
		}
		d := card.Device
		d.Carrier = card.Signal == 0
		k.Appear(d)
	}
	return l
}

// Signals gives late cards their carrier.
func (l Lab) Signals(ctx context.Context) {
	start := time.Now()
	for {
		next := time.Duration(0)
		for _, card := range l.cards {
			if card.Signal > time.Since(start) && (next == 0 || card.Signal < next) {
				next = card.Signal
			}
		}
		if next == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(next - time.Since(start)):
		}
		for _, card := range l.cards {
			if card.Signal == next {
				l.change(card.Device.Index, func(d *link.Device) { d.Carrier = true })
			}
		}
	}
}

// change changes the device of an index, whatever it is called by now, and those that
// are made of it.
func (l Lab) change(index int, f func(d *link.Device)) {
	l.Kernel.Lock()
	var before link.Device
	for _, d := range l.Kernel.Devices {
		if d.Index == index {
			before = d
		}
	}
	if before.Name == "" {
		l.Kernel.Unlock()
		return
	}
	changed := l.Kernel.changed(before, f)
	l.Kernel.Unlock()
	if changed.Carrier == before.Carrier {
		return
	}
	for _, above := range l.above(changed) {
		l.change(above, func(d *link.Device) { d.Carrier = true })
	}
}

// above are the links that are made of the device.
func (l Lab) above(d link.Device) []int {
	l.Kernel.Lock()
	defer l.Kernel.Unlock()
	var list []int
	for _, o := range l.Kernel.Devices {
		if o.Parent == d.Index || d.Master != 0 && o.Index == d.Master {
			list = append(list, o.Index)
		}
	}
	return list
}

func (l Lab) device(name string) link.Device {
	l.Kernel.Lock()
	defer l.Kernel.Unlock()
	return l.Kernel.Devices[name]
}

// then is what comes of a change.
func (l Lab) then(s link.Step) {
	switch s := s.(type) {
	case link.VLANAdd:
		parent := l.device(s.Link)
		l.link(link.Device{
			Name: s.Name, Addr: parent.Addr, MTU: parent.MTU, Parent: parent.Index, Carrier: parent.Carrier,
		})
	case link.BondAdd:
		l.link(link.Device{Name: s.Name, Addr: "\x02\x00\x00\x00\x00\x01", MTU: 1500})
	case link.BridgeAdd:
		l.link(link.Device{Name: s.Name, Addr: s.Addr, MTU: 1500})
	case link.SetMaster:
		l.enslave(l.device(s.Dev), l.device(s.Master))
	case link.SetMTU:
		l.change(l.device(s.Dev).Index, func(d *link.Device) { d.MTU = s.MTU })
	case link.SetAddr:
		l.change(l.device(s.Dev).Index, func(d *link.Device) { d.Addr = s.Addr })
	case link.Up:
		d := l.device(s.Dev)
		if !l.ipv6 || d.Type == link.HwLoopback {
			return
		}
		l.tell(d, link.News{Addr: netip.PrefixFrom(netip.MustParseAddr("fe80::").Next(), 64), Permanent: true})
		card := l.cardOf(d)
		if card.Router6.IsValid() {
			l.tell(d, link.News{Gateway: card.Router6})
		}
		if card.Link6.IsValid() {
			l.tell(d, link.News{Route: card.Link6})
		}
		if card.Router6.IsValid() || card.Link6.IsValid() {
			l.tell(d, link.News{Router: true, Managed: card.Lease6.IsValid()})
		}
		if card.Prefix6.IsValid() {
			l.tell(d, link.News{Addr: card.Prefix6})
		}
	case link.AddrAdd:
		if s.Addr.Addr().Is6() {
			l.tell(l.device(s.Dev), link.News{Addr: s.Addr, Permanent: true})
		}
	}
}

func (l Lab) tell(d link.Device, n link.News) {
	l.Kernel.Events <- link.Event{Device: link.Device{Index: d.Index}, News: &n}
}

// firstMade is the index of the first link that is made; cards have lower ones.
const firstMade = 100

// cardOf is the card of a device: by its index, as it may have got another name.
func (l Lab) cardOf(d link.Device) Card {
	for _, card := range l.cards {
		if card.Device.Index == d.Index || d.Index >= firstMade && card.Device.Name == d.Name {
			return card
		}
	}
	return Card{}
}

// link shows a link that has been made.
func (l Lab) link(d link.Device) {
	l.Kernel.Lock()
	d.Index, d.Type = firstMade, link.HwEthernet
	for _, o := range l.Kernel.Devices {
		if o.Index >= d.Index {
			d.Index = o.Index + 1
		}
	}
	l.Kernel.Unlock()
	l.Kernel.Appear(d)
}

// enslave makes a port of a bond or bridge, which is on the port's cable from then on.
func (l Lab) enslave(port, master link.Device) {
	l.Kernel.Lock()
	if len(l.Kernel.rivals[master.Name]) == 0 {
		l.Kernel.rivals[master.Name] = l.Kernel.rivals[port.Name]
	}
	l.Kernel.Unlock()
	first := master.Addr == "\x02\x00\x00\x00\x00\x01"
	if first {
		master.Addr = port.Addr
	}
	l.change(port.Index, func(d *link.Device) { d.Perm, d.Addr, d.Master = d.Addr, master.Addr, master.Index })
	l.change(master.Index, func(d *link.Device) { d.Addr, d.Carrier = master.Addr, d.Carrier || port.Carrier })
}
