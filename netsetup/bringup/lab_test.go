package bringup

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

// What follows is for the table of testdata/world.txt, which is tried from outside of
// this package: it makes plans of command lines, as package boot does, and asks
// what comes of them on the fake kernel.

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

// A Server is a DHCP server that answers at once, from a time on.
type Server struct {
	Lease      netip.Prefix
	ID         netip.Addr // option 54
	NextServer netip.Addr // siaddr
	After      time.Duration
	Options    map[dhcpv4.OptionCode][]byte // besides those, nil leaves one out
}

// EthernetCard is a card with carrier, in slot index+1 of bus 0 as QEMU has it.
func EthernetCard(index int, name string, mac link.HardwareAddr) Card {
	return Card{Device: ethernet(index, name, mac)}
}

// InfiniBandPort is a port of an adapter whose driver gives it this address.
func InfiniBandPort(index int, name string, a link.HardwareAddr) Card {
	d := withCarrier(guidePort())
	d.Index, d.Name, d.Addr = index, name, a
	return Card{Device: d}
}

// An Outcome is what came of Up, and of Keep after it.
type Outcome struct {
	State         netsetup.State
	Err           error
	Commands, Log []string
	Took          time.Duration
}

// UpOn runs Up on a node with these cards, and keeps the network for a while, in the
// clock of a synctest bubble. Nodes at the addresses of taken answer ARP besides the
// servers.
func UpOn(t *testing.T, c netsetup.Config, cards []Card, taken []netip.Addr, timeout, during time.Duration) Outcome {
	t.Helper()
	start := time.Now()
	k := newFakeKernel(t)
	l := lab{k: k, six: c.IPv6(), cards: map[string]Card{}}
	k.then = l.then
	k.neighbours = map[netip.Addr]link.HardwareAddr{}
	for _, a := range taken {
		k.neighbours[a] = "\x52\x54\x00\x00\xfe\x02"
	}
	for _, card := range cards {
		name := card.Device.Name
		for _, s := range card.Servers {
			k.rivals[name] = append(k.rivals[name], s.answers(t, start))
			for _, a := range append(routersOf(s), s.ID, s.NextServer) {
				k.neighbours[a] = "\x52\x54\x00\x00\xfe\x01"
			}
		}
		if card.Lease6.IsValid() {
			k.server6 = answers6(t, card.Lease6)
		}
		l.cards[name] = card
		if c.Made(name) {
			continue // the fake kernel shows it when it is made
		}
		d := card.Device
		d.Carrier = card.Signal == 0
		k.appear(d)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	go l.signals(ctx)
	lines := &logLines{start: start}
	r := newRunner(c, k, slog.New(lines))
	s, err := r.up(ctx)
	took := time.Since(start)
	if err == nil {
		kept, leave := context.WithTimeout(t.Context(), during)
		defer leave()
		if err := r.keep(kept); err != nil {
			t.Error(err)
		}
	}
	r.close()
	k.mu.Lock()
	defer k.mu.Unlock()
	return Outcome{s, err, k.commands, lines.lines, took}
}

// A lab does the kernel's part.
type lab struct {
	k     *fakeKernel
	six   bool
	cards map[string]Card // by their first names
}

// signals gives late cards their carrier.
func (l lab) signals(ctx context.Context) {
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
func (l lab) change(index int, f func(d *link.Device)) {
	l.k.mu.Lock()
	var before link.Device
	for _, d := range l.k.devices {
		if d.Index == index {
			before = d
		}
	}
	if before.Name == "" {
		l.k.mu.Unlock()
		return
	}
	changed := l.k.changed(before, f)
	l.k.mu.Unlock()
	if changed.Carrier == before.Carrier {
		return
	}
	for _, above := range l.above(changed) {
		l.change(above, func(d *link.Device) { d.Carrier = true })
	}
}

// above are the links that are made of the device.
func (l lab) above(d link.Device) []int {
	l.k.mu.Lock()
	defer l.k.mu.Unlock()
	var list []int
	for _, o := range l.k.devices {
		if o.Parent == d.Index || d.Master != 0 && o.Index == d.Master {
			list = append(list, o.Index)
		}
	}
	return list
}

func (l lab) device(name string) link.Device {
	l.k.mu.Lock()
	defer l.k.mu.Unlock()
	return l.k.devices[name]
}

// then is what comes of a change.
func (l lab) then(s link.Step) {
	switch s := s.(type) {
	case link.VLANAdd:
		parent := l.device(s.Link)
		l.link(link.Device{Name: s.Name, Addr: parent.Addr, MTU: parent.MTU, Parent: parent.Index, Carrier: parent.Carrier})
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
		if !l.six || d.Type == link.HwLoopback {
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

func (l lab) tell(d link.Device, n link.News) {
	l.k.events <- link.Event{Device: link.Device{Index: d.Index}, News: &n}
}

// firstMade is the index of the first link that is made; cards have lower ones.
const firstMade = 100

// cardOf is the card of a device: by its index, as it may have got another name.
func (l lab) cardOf(d link.Device) Card {
	for _, card := range l.cards {
		if card.Device.Index == d.Index || d.Index >= firstMade && card.Device.Name == d.Name {
			return card
		}
	}
	return Card{}
}

// link shows a link that has been made.
func (l lab) link(d link.Device) {
	l.k.mu.Lock()
	d.Index, d.Type = firstMade, link.HwEthernet
	for _, o := range l.k.devices {
		if o.Index >= d.Index {
			d.Index = o.Index + 1
		}
	}
	l.k.mu.Unlock()
	l.k.appear(d)
}

// enslave makes a port of a bond or bridge, which is on the port's cable from then on.
func (l lab) enslave(port, master link.Device) {
	l.k.mu.Lock()
	if len(l.k.rivals[master.Name]) == 0 {
		l.k.rivals[master.Name] = l.k.rivals[port.Name]
	}
	l.k.mu.Unlock()
	first := master.Addr == "\x02\x00\x00\x00\x00\x01"
	if first {
		master.Addr = port.Addr
	}
	l.change(port.Index, func(d *link.Device) { d.Perm, d.Addr, d.Master = d.Addr, master.Addr, master.Index })
	l.change(master.Index, func(d *link.Device) { d.Addr, d.Carrier = master.Addr, d.Carrier || port.Carrier })
}

func routersOf(s Server) []netip.Addr {
	var list []netip.Addr
	raw := s.Options[dhcpv4.OptionRouter]
	for ; len(raw) >= 4; raw = raw[4:] {
		list = append(list, netip.AddrFrom4([4]byte(raw)))
	}
	return list
}

// answers is the server at work.
func (s Server) answers(t *testing.T, start time.Time) fakeServer {
	return func(m *dhcpv4.DHCPv4) []byte {
		kind := dhcpv4.MessageTypeOffer
		switch id := m.ServerIdentifier(); {
		case time.Since(start) < s.After || m.MessageType() == dhcpv4.MessageTypeRequest && id != nil && !id.Equal(s.ID.AsSlice()):
			return nil
		case m.MessageType() == dhcpv4.MessageTypeRequest:
			kind = dhcpv4.MessageTypeAck
		case m.MessageType() != dhcpv4.MessageTypeDiscover:
			return nil
		}
		return leasetest.Answer(t, m, kind, func(a *dhcpv4.DHCPv4) {
			a.YourIPAddr, a.ServerIPAddr = s.Lease.Addr().AsSlice(), net.IPv4zero
			if s.NextServer.IsValid() {
				a.ServerIPAddr = s.NextServer.AsSlice()
			}
			a.Options.Del(dhcpv4.OptionRouter)
			a.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(s.Lease.Bits(), 32)))
			a.UpdateOption(dhcpv4.OptServerIdentifier(s.ID.AsSlice()))
			for code, value := range s.Options {
				if value == nil {
					a.Options.Del(code)
					continue
				}
				a.UpdateOption(dhcpv4.OptGeneric(code, value))
			}
		})
	}
}

// answers6 is a DHCPv6 server.
func answers6(t *testing.T, a netip.Addr) func(lease.Message) []byte {
	return func(m lease.Message) []byte {
		kind := dhcpv6.MessageTypeReply
		switch m.What {
		case "SOLICIT":
			kind = dhcpv6.MessageTypeAdvertise
		case "REQUEST":
		default:
			return nil
		}
		asked, err := dhcpv6.MessageFromBytes(m.Payload)
		if err != nil {
			t.Error(err)
			return nil
		}
		return replyTo(t, m.Payload, kind, leasetest.With(binary.BigEndian.Uint32(asked.Options.OneIANA().IaId[:]), a, 0, 0, 3600, 3600))
	}
}

// ParseAddress reads a hardware address.
func ParseAddress(s string) (link.HardwareAddr, error) { return link.ParseAddress(s) }
