package lease

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/lease/arp"
	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A desk is a probed protocol with its clock, its neighbours' packets, and what
// it did.
type desk struct {
	t     *testing.T
	p     Protocol
	now   time.Time
	begun time.Time
	hw    link.Device
	ours  []link.HardwareAddr
	lines []string // "20ms ARP probe for 10.77.0.23"
	sent  []Message
	lease *Lease
}

func newDesk(t *testing.T, hw link.Device, inner Protocol, via netip.Addr) *desk {
	d := &desk{t: t, now: time.Unix(1000, 0), begun: time.Unix(1000, 0), hw: hw, ours: []link.HardwareAddr{hw.Addr}}
	d.p = NewACD(inner, hw, func(a link.HardwareAddr) bool { return slices.Contains(d.ours, a) }, via)
	return d
}

func (d *desk) line(text string) {
	d.lines = append(d.lines, fmt.Sprintf("%v %s", d.now.Sub(d.begun), text))
}

func (d *desk) take(o Outcome) {
	for _, m := range o.Send {
		d.line(m.What)
		d.sent = append(d.sent, m)
	}
	if o.Note != "" {
		d.line("note: " + o.Note)
	}
	if o.Lease != nil {
		d.line("lease " + o.Lease.Addr.String())
		d.lease = o.Lease
	}
}

// last is the DHCP message sent last.
func (d *desk) last() *dhcpv4.DHCPv4 {
	for _, m := range slices.Backward(d.sent) {
		if m.Via == ChannelDHCP {
			p, err := dhcpv4.FromBytes(m.Payload)
			if err != nil {
				d.t.Fatal(err)
			}
			return p
		}
	}
	return nil
}

func (d *desk) start() { d.take(d.p.Start(d.now)) }

// until lets time pass, with the ticks that are asked for.
func (d *desk) until(since time.Duration) {
	end := d.begun.Add(since)
	for i := 0; ; i++ {
		at := d.p.Deadline()
		if at.IsZero() || at.After(end) || i > 100 {
			break
		}
		if at.After(d.now) {
			d.now = at
		}
		d.take(d.p.Tick(d.now))
	}
	d.now = end
}

func (d *desk) dhcp(kind dhcpv4.MessageType, change ...func(*dhcpv4.DHCPv4)) {
	d.t.Helper()
	d.take(d.p.Receive(d.now, heard(leasetest.Answer(d.t, d.last(), kind, change...))))
}

// arp is a packet from somebody.
func (d *desk) arp(op uint16, from link.HardwareAddr, fromIP, toIP string, unicast bool) {
	a := arp.Packet{HwType: d.hw.Type, Op: op, Sender: from}
	if fromIP != "" {
		a.SenderIP = addr(fromIP)
	}
	if toIP != "" {
		a.TargetIP = addr(toIP)
	}
	d.take(d.p.Receive(d.now, Packet{Via: ChannelARP, Payload: a.Bytes(), From: from, Unicast: unicast}))
}

func (d *desk) want(lines ...string) {
	d.t.Helper()
	if diff := cmp.Diff(lines, d.lines); diff != "" {
		d.t.Errorf("(-want +got):\n%s", diff)
	}
}

// dhcpDesk has an offer at 1 ms, an acknowledgement at 2 ms.
func dhcpDesk(t *testing.T) *desk {
	d := newDesk(t, eth0, testExchange(), netip.Addr{})
	d.start()
	d.until(time.Millisecond)
	d.dhcp(dhcpv4.MessageTypeOffer)
	d.until(2 * time.Millisecond)
	return d
}

func TestProbedDHCP(t *testing.T) {
	d := dhcpDesk(t)
	d.dhcp(dhcpv4.MessageTypeAck)
	d.arp(arp.Reply, other, "10.77.0.1", "", true)
	if got := d.p.Waiting(d.now); got != "looking whether another node uses 10.77.0.23" {
		t.Error(got)
	}
	d.until(time.Minute)
	d.want(
		"0s DISCOVER",
		"1ms REQUEST", "1ms ARP probe for 10.77.0.23", // beside each other
		"2ms ARP request for gateway 10.77.0.1", "2ms ARP probe for 10.77.0.23",
		"21ms ARP announcement of 10.77.0.23", "21ms lease 10.77.0.23/24", // 20 ms after the first probe
	)
	if d.lease.Gateway != addr("10.77.0.1") {
		t.Errorf("%+v", d.lease)
	}
	if got := d.p.Deadline(); got != d.begun.Add(2*time.Millisecond+30*time.Minute) {
		t.Errorf("renewal at %v", got)
	}
	// It is prolonged through the wrapper, without a probe.
	d.lines = nil
	d.until(31 * time.Minute)
	d.dhcp(dhcpv4.MessageTypeAck)
	d.want("30m0.002s REQUEST for more time of 10.77.0.23")
	if r := d.p.Release(); len(r) != 1 || r[0].What != "RELEASE" {
		t.Errorf("release: %+v", r)
	}
}

// An acknowledgement that takes longer than the wait is handed on at once.
func TestProbedLateACK(t *testing.T) {
	d := dhcpDesk(t)
	d.until(300 * time.Millisecond)
	d.dhcp(dhcpv4.MessageTypeAck, func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionRouter) })
	if d.lease == nil || !strings.HasPrefix(d.lines[len(d.lines)-1], "300ms lease") {
		t.Errorf("%q", d.lines)
	}
}

func TestProbedConflict(t *testing.T) {
	const declined = "note: 10.77.0.1 leased 10.77.0.23, which 52:54:00:00:fe:99 uses already: declined"
	for name, tt := range map[string]struct {
		acked bool
		arp   func(d *desk)
	}{
		"at the offer":        {false, func(d *desk) { d.arp(arp.Reply, other, "10.77.0.23", "", true) }},
		"at the lease":        {true, func(d *desk) { d.arp(arp.Reply, other, "10.77.0.23", "", true) }},
		"talks":               {true, func(d *desk) { d.arp(arp.Request, other, "10.77.0.23", "10.77.0.99", false) }},
		"announces itself":    {true, func(d *desk) { d.arp(arp.Request, other, "10.77.0.23", "10.77.0.23", false) }},
		"probes, too, offer":  {false, func(d *desk) { d.arp(arp.Request, other, "", "10.77.0.23", false) }},
		"probes, too, at ack": {true, func(d *desk) { d.arp(arp.Request, other, "", "10.77.0.23", false) }},
	} {
		t.Run(name, func(t *testing.T) {
			d := dhcpDesk(t)
			if tt.acked {
				d.dhcp(dhcpv4.MessageTypeAck)
			}
			d.lines = nil
			tt.arp(d)
			d.want("2ms DECLINE", "2ms DISCOVER", "2ms "+declined)
			decline, _ := dhcpv4.FromBytes(d.sent[len(d.sent)-2].Payload)
			if decline.RequestedIPAddress().String() != "10.77.0.23" || decline.ServerIdentifier().String() != "10.77.0.1" {
				t.Errorf("%v", decline)
			}
			// Nothing of the old address is left: neither its time nor its holder.
			d.lines = nil
			d.arp(arp.Reply, other, "10.77.0.23", "", true)
			d.until(100 * time.Millisecond)
			d.want()
			// The next one is taken.
			next := func(m *dhcpv4.DHCPv4) { m.YourIPAddr = []byte{10, 77, 0, 24} }
			d.dhcp(dhcpv4.MessageTypeOffer, next)
			d.dhcp(dhcpv4.MessageTypeAck, next)
			d.arp(arp.Reply, other, "10.77.0.1", "", true)
			d.until(time.Second)
			if d.lease == nil || d.lease.Addr != prefix("10.77.0.24/24") {
				t.Errorf("%q", d.lines)
			}
		})
	}
}

// The second conflict waits as long as RFC 2131 wants.
func TestProbedConflictAgain(t *testing.T) {
	d := dhcpDesk(t)
	d.arp(arp.Reply, other, "10.77.0.23", "", true)
	d.dhcp(dhcpv4.MessageTypeOffer)
	d.lines = nil
	d.arp(arp.Reply, other, "10.77.0.23", "", true)
	d.until(15 * time.Second)
	if len(d.lines) < 3 || d.lines[0] != "2ms DECLINE" || !strings.HasPrefix(d.lines[2], "10.002s DISCOVER") {
		t.Errorf("%q", d.lines)
	}
}

// What is no conflict.
func TestProbedNoConflict(t *testing.T) {
	d := dhcpDesk(t)
	d.ours = append(d.ours, macB)
	d.dhcp(dhcpv4.MessageTypeAck)
	d.lines = nil
	d.arp(arp.Reply, macA, "10.77.0.23", "", true)             // our kernel
	d.arp(arp.Request, macA, "", "10.77.0.23", false)          // our probe, back by another port of a bond
	d.arp(arp.Reply, macB, "10.77.0.23", "", true)             // our other interface on the same link
	d.arp(arp.Request, other, "", "10.77.0.23", true)          // a switch that wants to know whether we are there
	d.arp(arp.Request, other, "10.77.0.9", "10.77.0.23", true) // somebody who looks for us
	d.arp(arp.Request, other, "", "10.77.0.99", false)         // somebody else's probe
	d.take(d.p.Receive(d.now, Packet{Via: ChannelARP, Payload: []byte{0, 1}}))
	d.arp(arp.Request, other, "10.77.0.1", "10.77.0.99", false) // the gateway asks for somebody: it is there
	d.want()
	d.until(time.Second)
	d.want("21ms ARP announcement of 10.77.0.23", "21ms lease 10.77.0.23/24")
}

func TestProbedGateway(t *testing.T) {
	const silent = "note: gateway 10.77.0.1 does not answer ARP: check that it is up, in this VLAN, and the right one; going on without it having been seen"
	t.Run("silent", func(t *testing.T) {
		d := dhcpDesk(t)
		d.dhcp(dhcpv4.MessageTypeAck)
		d.lines = nil
		d.until(1500 * time.Millisecond)
		if got := d.p.Waiting(d.now); got != "gateway 10.77.0.1 has not answered ARP (asked 3 times)" {
			t.Error(got)
		}
		d.until(time.Minute)
		d.want("21ms ARP request for gateway 10.77.0.1", "1.021s ARP request for gateway 10.77.0.1",
			"2.021s ARP announcement of 10.77.0.23", "2.021s "+silent, "2.021s lease 10.77.0.23/24")
	})
	// A static address on a link that begins to forward after 500 ms: the
	// probe is repeated when the gateway answers, for it was lost, too.
	t.Run("slow link", func(t *testing.T) {
		l := Lease{Addr: prefix("10.77.0.5/24"), Gateway: addr("10.77.0.1")}
		d := newDesk(t, eth0, NewFixed(l, macA), l.Gateway)
		d.start()
		d.until(1020 * time.Millisecond)
		d.lines = nil
		d.arp(arp.Reply, other, "10.77.0.1", "", true)
		d.until(time.Minute)
		d.want("1.02s ARP probe for 10.77.0.5", "1.04s ARP announcement of 10.77.0.5", "1.04s lease 10.77.0.5/24")
	})
	t.Run("late", func(t *testing.T) {
		d := dhcpDesk(t)
		d.dhcp(dhcpv4.MessageTypeAck)
		d.until(700 * time.Millisecond)
		d.lines = nil
		d.arp(arp.Reply, other, "10.77.0.1", "10.77.0.23", true)
		d.want("700ms ARP announcement of 10.77.0.23", "700ms lease 10.77.0.23/24")
	})
	t.Run("conflict behind it", func(t *testing.T) {
		d := dhcpDesk(t)
		d.dhcp(dhcpv4.MessageTypeAck)
		d.until(700 * time.Millisecond)
		d.lines = nil
		d.arp(arp.Reply, other, "10.77.0.23", "", true)
		if len(d.lines) == 0 || d.lines[0] != "700ms DECLINE" {
			t.Errorf("%q", d.lines)
		}
	})
	for name, tt := range map[string]struct {
		via    string // of ip=
		router []byte
		asked  string
		left   netip.Addr
		note   string
	}{
		"of ip=":      {"10.77.0.254", []byte{10, 77, 0, 1}, "10.77.0.254", addr("10.77.0.1"), ""}, // put over the lease's by the runner
		"not on link": {"", []byte{10, 78, 0, 1}, "", addr("10.78.0.1"), ""},
		"itself":      {"", []byte{10, 77, 0, 23}, "", netip.Addr{}, "the gateway is the address of this node, 10.77.0.23: left out"},
	} {
		t.Run(name, func(t *testing.T) {
			var via netip.Addr
			if tt.via != "" {
				via = addr(tt.via)
			}
			d := newDesk(t, eth0, testExchange(), via)
			d.start()
			router := func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRouter, tt.router)) }
			d.dhcp(dhcpv4.MessageTypeOffer, router)
			d.dhcp(dhcpv4.MessageTypeAck, router)
			if tt.asked != "" {
				d.arp(arp.Reply, other, tt.asked, "", true)
			}
			d.until(20 * time.Millisecond)
			text := strings.Join(d.lines, "\n")
			if d.lease == nil || d.lease.Gateway != tt.left || strings.Contains(text, "for gateway "+tt.asked) != (tt.asked != "") || !strings.Contains(text, tt.note) {
				t.Errorf("%+v\n%s", d.lease, text)
			}
		})
	}
}

// Behind the lease: the address is defended, and told once a minute.
func TestProbedShared(t *testing.T) {
	d := dhcpDesk(t)
	d.dhcp(dhcpv4.MessageTypeAck, func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionRouter) })
	d.until(time.Second)
	d.lines = nil
	d.arp(arp.Request, other, "", "10.77.0.23", false) // it looks whether it is free; our kernel answers
	for _, at := range []time.Duration{1, 2, 60, 61, 122} {
		d.until(at * time.Second)
		d.arp(arp.Reply, other, "10.77.0.23", "", false)
	}
	const note = "note: 52:54:00:00:fe:99 also uses 10.77.0.23, the address of this node: connections of both will break; give one of them another address"
	d.want("1s ARP announcement of 10.77.0.23", "1s "+note, "1m1s ARP announcement of 10.77.0.23", "1m1s "+note,
		"2m2s ARP announcement of 10.77.0.23", "2m2s "+note)
}

func TestProbedStatic(t *testing.T) {
	l := Lease{Addr: prefix("10.77.0.5/24"), Gateway: addr("10.77.0.1")}
	d := newDesk(t, eth0, NewFixed(l, macA), l.Gateway)
	d.start()
	d.until(time.Millisecond)
	d.arp(arp.Reply, other, "10.77.0.1", "", true)
	d.arp(arp.Reply, other, "10.77.0.5", "", true)
	const busy = "10.77.0.5 is in use by 52:54:00:00:fe:99: check the client address of ip= here, and that machine; trying again until it is free"
	d.want("0s ARP request for gateway 10.77.0.1", "0s ARP probe for 10.77.0.5", "1ms note: "+busy)
	// It is tried again with the times of DHCP, until the holder is gone.
	for range 4 {
		if d.p.Waiting(d.now) != busy {
			t.Errorf("waiting: %s", d.p.Waiting(d.now))
		}
		wait := d.p.Deadline().Sub(d.now)
		if wait < 700*time.Millisecond || wait > 10*time.Second {
			t.Errorf("tried again after %v", wait)
		}
		d.lines = nil
		d.until(d.p.Deadline().Sub(d.begun))
		if len(d.lines) != 2 || d.lease != nil {
			t.Errorf("%q", d.lines)
		}
		d.arp(arp.Reply, other, "10.77.0.5", "", true)
	}
	d.until(d.p.Deadline().Sub(d.begun))
	d.arp(arp.Reply, other, "10.77.0.1", "", true)
	d.until(d.now.Sub(d.begun) + ProbeWait)
	if d.lease == nil || d.lease.Gateway != l.Gateway || !d.p.Deadline().IsZero() {
		t.Errorf("%q", d.lines)
	}
}

// A probe that left before the queue was open is lost; the kernel says when it
// is. With DHCP an answer has come by then.
func TestProbedRunning(t *testing.T) {
	l := Lease{Addr: prefix("10.77.0.5/24")}
	d := newDesk(t, eth0, NewFixed(l, macA), netip.Addr{})
	d.start()
	d.until(15 * time.Millisecond)
	d.take(d.p.Hear(d.now, link.News{Running: true}))
	d.until(time.Second)
	d.want("0s ARP probe for 10.77.0.5", "15ms ARP probe for 10.77.0.5", "35ms ARP announcement of 10.77.0.5", "35ms lease 10.77.0.5/24")

	// What others broadcast comes in before the queue opens: it answers nothing.
	d = newDesk(t, eth0, NewFixed(l, macA), netip.Addr{})
	d.start()
	d.arp(arp.Request, other, "10.77.0.9", "10.77.0.8", false)
	d.until(15 * time.Millisecond)
	d.take(d.p.Hear(d.now, link.News{Running: true}))
	d.want("0s ARP probe for 10.77.0.5", "15ms ARP probe for 10.77.0.5")

	d = dhcpDesk(t)
	d.dhcp(dhcpv4.MessageTypeAck)
	d.lines = nil
	d.take(d.p.Hear(d.now, link.News{Running: true}))
	d.want()
}

// A busy machine is late with the probe: the answer to it has the whole time all the same.
func TestProbedSentLate(t *testing.T) {
	l := Lease{Addr: prefix("10.77.0.5/24")}
	d := newDesk(t, eth0, NewFixed(l, macA), netip.Addr{})
	d.start()
	p := d.p.(*ACD)
	p.Sent(d.now.Add(15 * time.Millisecond))
	p.Sent(d.now.Add(19 * time.Millisecond)) // that of something else
	d.until(time.Second)
	d.want("0s ARP probe for 10.77.0.5", "35ms ARP announcement of 10.77.0.5", "35ms lease 10.77.0.5/24")
}

// The queue may open between two packets. An answer of the gateway says that what left after
// the question to it has left the link, so the probe has to be that.
func TestProbedAfterGateway(t *testing.T) {
	l := Lease{Addr: prefix("10.77.0.5/24"), Gateway: addr("10.77.0.1")}
	d := newDesk(t, eth0, NewFixed(l, macA), l.Gateway)
	d.start()
	d.arp(arp.Reply, other, "10.77.0.1", "", true)
	d.until(time.Second)
	d.want("0s ARP request for gateway 10.77.0.1", "0s ARP probe for 10.77.0.5",
		"20ms ARP announcement of 10.77.0.5", "20ms lease 10.77.0.5/24")
}

// InfiniBand: long addresses, a longer wait, and one's own GUID behind another
// queue pair.
func TestProbedInfiniBand(t *testing.T) {
	l := Lease{Addr: prefix("10.77.0.5/24")}
	d := newDesk(t, link.Device{Index: 2, Name: "ib0", Type: link.HwInfiniBand, Addr: ipoibA}, NewFixed(l, ipoibA), netip.Addr{})
	d.p.(*ACD).ours = func(a link.HardwareAddr) bool { return a.Identifies(d.hw) }
	d.start()
	d.until(49 * time.Millisecond)
	d.arp(arp.Reply, "\x00\x00\x00\x51"+ipoibA[4:], "10.77.0.5", "", true)
	if d.lease != nil {
		t.Error("no wait for the path record")
	}
	d.until(50 * time.Millisecond)
	d.want("0s ARP probe for 10.77.0.5", "50ms ARP announcement of 10.77.0.5", "50ms lease 10.77.0.5/24")
	d = newDesk(t, d.hw, NewFixed(l, ipoibA), netip.Addr{})
	d.start()
	d.arp(arp.Reply, ipoibB, "10.77.0.5", "", true)
	if got := d.p.Waiting(d.now); !strings.HasPrefix(got, "10.77.0.5 is in use by 00:02:c9:03:00:00:20:41: ") {
		t.Error(got)
	}
}

// What has no ARP is not probed: other links, IPv6.
func TestProbedNot(t *testing.T) {
	inner := NewFixed(Lease{Addr: prefix("10.77.0.5/24")}, macA)
	if p := NewACD(inner, link.Device{Type: 65534}, nil, netip.Addr{}); p != Protocol(inner) {
		t.Error("probes on a link without hardware addresses")
	}
	d := newDesk(t, eth0, NewFixed(Lease{Addr: prefix("2001:db8::5/64"), Gateway: addr("fe80::1")}, macA), netip.Addr{})
	d.start()
	d.want("0s lease 2001:db8::5/64")
}
