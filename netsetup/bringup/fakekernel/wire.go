package fakekernel

import (
	"fmt"
	"io"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/lease/arp"
	"github.com/nodisk/nodisk/netsetup/link"
)

// Open is a socket on a device.
func (k *Kernel) Open(d link.Device, via lease.Channel) (*Wire, error) {
	k.Lock()
	defer k.Unlock()
	command := fmt.Sprintf("open %s on %s", via, d.Name)
	if err := k.Fail[command]; err != nil {
		delete(k.Fail, command)
		return nil, err
	}
	w := &Wire{
		k: k, via: via, dev: d.Name, broadcast: d.Broadcast,
		Answers: make(chan []byte, 16), closed: make(chan struct{}),
	}
	if k.Wires[d.Name] == nil {
		k.Wires[d.Name] = map[lease.Channel]*Wire{}
	}
	k.Wires[d.Name][via] = w
	return w, nil
}

// A Wire is the socket of one channel on one device, with the servers at its other end.
type Wire struct {
	k   *Kernel
	via lease.Channel
	dev string
	// A message to another link layer's broadcast address is lost.
	broadcast link.HardwareAddr
	Answers   chan []byte
	closed    chan struct{}
}

// Send gives a message to the servers, whose answers wait in the wire.
func (w *Wire) Send(p lease.Message) error {
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
	w.k.Lock()
	text := fmt.Sprintf("%s: %s", w.dev, m.MessageType())
	if m.MessageType() == dhcpv4.MessageTypeRelease {
		text += fmt.Sprintf(" %s -> %s at %s", p.Src, p.Dst, p.To)
	}
	w.k.Commands = append(w.k.Commands, text)
	servers := w.k.rivals[w.dev]
	if server := w.k.Servers[w.dev]; server != nil {
		servers = append([]Responder{server}, servers...)
	}
	if w.broadcast != w.k.Devices[w.dev].Broadcast {
		servers = nil
	}
	w.k.Unlock()
	for _, server := range servers {
		if a := server(m); a != nil {
			w.Answers <- a
		}
	}
	return nil
}

// Receive is the next answer.
func (w *Wire) Receive() (lease.Packet, error) {
	select {
	case a := <-w.Answers:
		return lease.Packet{Payload: a, From: "\x52\x54\x00\x12\x34\x57"}, nil
	case <-w.closed:
		return lease.Packet{}, io.EOF
	}
}

// Close ends Receive.
func (w *Wire) Close() error {
	close(w.closed)
	return nil
}

func (w *Wire) sendDHCP6(p lease.Message) error {
	w.k.Lock()
	defer w.k.Unlock()
	w.k.Commands = append(w.k.Commands, w.dev+": "+p.What)
	if w.k.Server6 != nil {
		if a := w.k.Server6(p); a != nil {
			w.Answers <- a
		}
	}
	return nil
}

// sendARP answers for those who have an address, which the gateway does unless
// a test says otherwise.
func (w *Wire) sendARP(p lease.Message) error {
	w.k.Lock()
	defer w.k.Unlock()
	d := w.k.Devices[w.dev]
	a, ok := arp.Parse(p.Payload, d.Type)
	if !ok || len(a.Sender) != len(d.Addr) {
		w.k.t.Errorf("%s: not ARP of its link: % x", w.dev, p.Payload)
	}
	if a.SenderIP == a.TargetIP {
		w.k.Announced = append(w.k.Announced, a.Sender)
	}
	if who, ok := w.k.Neighbours[a.TargetIP]; ok && w.broadcast == d.Broadcast && a.SenderIP != a.TargetIP {
		reply := arp.Packet{
			HwType: a.HwType, Op: arp.Reply, Target: a.Sender, TargetIP: a.SenderIP,
			Sender: a.Sender[:len(a.Sender)-len(who)] + who, SenderIP: a.TargetIP,
		}
		w.Answers <- reply.Bytes()
	}
	return nil
}
