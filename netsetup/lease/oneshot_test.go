package lease

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/lease/arp"
	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

var ib0 = link.Device{Index: 2, Name: "ib0", Type: link.HwInfiniBand, Addr: ipoibA}

func testQuery(m Method, d link.Device) *Oneshot {
	return NewOneshot(m, Client{Addr: d.Lasting(), Broadcast: d.Type == link.HwInfiniBand, Vendor: "nodisk"}, d, 0x1001)
}

// The request of BOOTP has 300 bytes, no message type, and nothing but the
// cookie in the vendor field; that of InfiniBand stands for a hardware address
// of 6 bytes and wants its answer by broadcast.
func TestBOOTPBytes(t *testing.T) {
	for name, tt := range map[string]struct {
		d    link.Device
		want string // the bytes that are not zero, by offset
	}{
		"Ethernet":   {eth0, "0:0101060000001001 9:03 28:525400123456 236:63825363ff"},
		"InfiniBand": {ib0, "0:0101060000001001 9:03 10:80 29:02c9001039 236:63825363ff"},
	} {
		q := testQuery(MethodBOOTP, tt.d)
		now := time.Unix(1000, 0)
		q.Start(now)
		q.begun = now.Add(-3 * time.Second)
		o := q.transmit(now)
		if len(o.Send) != 1 || o.Send[0].Via != ChannelDHCP || len(o.Send[0].Payload) != 300 {
			t.Fatalf("%s: %+v", name, o.Send)
		}
		want := make([]byte, 300)
		for f := range strings.FieldsSeq(tt.want) {
			at, text, _ := strings.Cut(f, ":")
			b, _ := hex.DecodeString(text)
			offset := 0
			for _, digit := range at {
				offset = offset*10 + int(digit-'0')
			}
			copy(want[offset:], b)
		}
		if diff := cmp.Diff(hex.Dump(want), hex.Dump(o.Send[0].Payload)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// bootReply is the answer of a server that only knows BOOTP.
func bootReply(t *testing.T, request []byte, change func(*dhcpv4.DHCPv4)) []byte {
	t.Helper()
	m, err := dhcpv4.FromBytes(request)
	if err != nil {
		t.Fatal(err)
	}
	return leasetest.Answer(t, m, dhcpv4.MessageTypeNone, func(m *dhcpv4.DHCPv4) {
		for _, o := range []dhcpv4.OptionCode{dhcpv4.OptionDHCPMessageType, dhcpv4.OptionServerIdentifier, dhcpv4.OptionIPAddressLeaseTime} {
			m.Options.Del(o)
		}
		if change != nil {
			change(m)
		}
	})
}

func TestBOOTP(t *testing.T) {
	now := time.Unix(1000, 0)
	plain := Lease{Protocol: "BOOTP", Addr: prefix("10.77.0.23/8"), Server: addr("10.77.0.2"), NextServer: addr("10.77.0.2")}
	full := plain
	full.Addr, full.Gateway, full.RootPath = prefix("10.77.0.23/24"), addr("10.77.0.1"), "/srv/node7"
	forever := full
	forever.RootPath = ""
	for name, tt := range map[string]struct {
		change func(*dhcpv4.DHCPv4)
		raw    func([]byte) []byte
		want   *Lease
		note   string
	}{
		"full":               {func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptRootPath("/srv/node7")) }, nil, &full, ""},
		"lease time":         {func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptIPAddressLeaseTime(time.Hour)) }, nil, &forever, ""},
		"no vendor field":    {nil, func(b []byte) []byte { clear(b[offsetCookie:]); return b }, &plain, ""},
		"cut behind file":    {nil, func(b []byte) []byte { return b[:offsetCookie] }, &plain, ""},
		"another's cookie":   {nil, func(b []byte) []byte { copy(b[offsetCookie:], "CMU\x00"); return b }, &plain, ""},
		"DHCP":               {func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeOffer)) }, nil, nil, ""},
		"another's":          {func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = net.HardwareAddr(macB) }, nil, nil, ""},
		"another's question": {func(m *dhcpv4.DHCPv4) { m.TransactionID[0]++ }, nil, nil, ""},
		"cut":                {nil, func(b []byte) []byte { return b[:200] }, nil, ""},
		"no address":         {func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4zero }, nil, nil, "BOOTP answer of 52:54:00:12:34:57 refused: no address"},
	} {
		q := testQuery(MethodBOOTP, eth0)
		raw := bootReply(t, q.Start(now).Send[0].Payload, tt.change)
		if tt.raw != nil {
			raw = tt.raw(raw)
		}
		o := q.Receive(now, heard(raw))
		if diff := cmp.Diff(tt.want, o.Lease, byValue()); diff != "" || o.Note != tt.note {
			t.Errorf("%s: %q (-want +got):\n%s", name, o.Note, diff)
		}
		if (o.Lease == nil) == q.Deadline().IsZero() {
			t.Errorf("%s: asks again at %v", name, q.Deadline())
		}
	}
}

func TestRARP(t *testing.T) {
	now := time.Unix(1000, 0)
	reply := arp.Packet{HwType: link.HwEthernet, Op: arp.RARPReply, Sender: other, SenderIP: addr("192.168.7.1"), Target: macA, TargetIP: addr("192.168.7.23")}
	for name, tt := range map[string]struct {
		change func(*arp.Packet)
		bits   int
		want   string
		note   string
	}{
		"class":        {func(*arp.Packet) {}, 0, "192.168.7.23/24", ""},
		"mask of ip=":  {func(*arp.Packet) {}, 16, "192.168.7.23/16", ""},
		"class A":      {func(a *arp.Packet) { a.TargetIP = addr("10.77.0.23") }, 0, "10.77.0.23/8", ""},
		"another's":    {func(a *arp.Packet) { a.Target = macB }, 0, "", ""},
		"a request":    {func(a *arp.Packet) { a.Op = arp.RARPRequest }, 0, "", ""},
		"ARP":          {func(a *arp.Packet) { a.Op = arp.Reply }, 0, "", ""},
		"no address":   {func(a *arp.Packet) { a.TargetIP = netip.Addr{} }, 0, "", "RARP answer of 52:54:00:12:34:57 refused: invalid Prefix is not the address of a host"},
		"of a network": {func(a *arp.Packet) { a.TargetIP = addr("192.168.7.0") }, 0, "", "RARP answer of 52:54:00:12:34:57 refused: 192.168.7.0/24 is not the address of a host"},
	} {
		q := NewOneshot(MethodRARP, Client{Addr: macA, Expected: Expected{Bits: tt.bits}}, eth0, 1)
		o := q.Start(now)
		if got := hex.EncodeToString(o.Send[0].Payload); o.Send[0].Via != ChannelRARP || got != "0001080006040003"+"52540012345600000000"+"52540012345600000000" {
			t.Errorf("%s", got)
		}
		a := reply
		tt.change(&a)
		o = q.Receive(now, Packet{Via: ChannelRARP, Payload: a.Bytes(), From: macB})
		switch {
		case o.Note != tt.note:
			t.Errorf("%s: %q", name, o.Note)
		case (o.Lease != nil) != (tt.want != ""):
			t.Errorf("%s: %+v", name, o.Lease)
		case o.Lease != nil && (o.Lease.Addr.String() != tt.want || o.Lease.NextServer != addr("192.168.7.1") || o.Lease.Server != addr("192.168.7.1") || o.Lease.Protocol != "RARP"):
			t.Errorf("%s: %+v", name, o.Lease)
		}
	}
}

// Both ask side by side, again and again; the first answer counts.
func TestBoth(t *testing.T) {
	for _, first := range []string{"BOOTP", "RARP"} {
		d := newDesk(t, eth0, testQuery(MethodBoth, eth0), netip.Addr{})
		if diff := cmp.Diff([]Channel{ChannelDHCP, ChannelRARP, ChannelARP}, d.p.Channels()); diff != "" {
			t.Error(diff)
		}
		d.start()
		d.until(2 * time.Second)
		if len(d.lines) != 4 || d.lines[0] != "0s BOOTP request" || d.lines[1] != "0s RARP request" || !strings.HasSuffix(d.lines[3], " RARP request") {
			t.Errorf("%q", d.lines)
		}
		const bootp, rarp = "no BOOTP answer after 2 s (carrier up): check that a BOOTP server serves this network and knows 52:54:00:12:34:56", "no RARP answer after 2 s (carrier up): check that a RARP server serves this network and knows 52:54:00:12:34:56"
		if got := d.p.Waiting(d.now); got != bootp+"; "+rarp {
			t.Error(got)
		}
		d.lines = nil
		boot := func() {
			d.take(d.p.Receive(d.now, heard(bootReply(t, d.sent[0].Payload, func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionRouter) }))))
		}
		reverse := func() {
			a := arp.Packet{HwType: link.HwEthernet, Op: arp.RARPReply, Sender: other, SenderIP: addr("10.77.0.1"), Target: macA, TargetIP: addr("10.77.0.42")}
			d.take(d.p.Receive(d.now, Packet{Via: ChannelRARP, Payload: a.Bytes(), From: other}))
		}
		want := []string{"2s ARP probe for 10.77.0.23", "2.02s ARP announcement of 10.77.0.23", "2.02s lease 10.77.0.23/24"}
		if first == "RARP" {
			boot, reverse = reverse, boot
			want = []string{"2s ARP probe for 10.77.0.42", "2.02s ARP announcement of 10.77.0.42", "2.02s lease 10.77.0.42/8"}
		}
		boot()
		reverse()
		d.until(time.Minute)
		d.want(want...)
	}
}

// An address in use is asked for again, later and later.
func TestQueryConflict(t *testing.T) {
	d := newDesk(t, eth0, testQuery(MethodBOOTP, eth0), netip.Addr{})
	d.start()
	last := time.Duration(0)
	for i := range 4 {
		d.take(d.p.Receive(d.now, heard(bootReply(t, d.sent[0].Payload, nil))))
		d.arp(arp.Reply, other, "10.77.0.23", "", true)
		const busy = "10.77.0.23 is in use by 52:54:00:00:fe:99: check the server's entry for this node, and that machine; trying again until it is free"
		if got := d.p.Waiting(d.now); got != busy || d.lease != nil {
			t.Errorf("%s, %+v", got, d.lease)
		}
		wait := d.p.Deadline().Sub(d.now)
		if plan := FirstRetransmit << i; wait < plan*3/4 || wait > plan*5/4 || wait <= last {
			t.Errorf("wait %d is %v", i, wait)
		}
		last = wait
		d.lines = nil
		d.until(d.p.Deadline().Sub(d.begun))
		if len(d.lines) != 1 || !strings.HasSuffix(d.lines[0], " BOOTP request") {
			t.Errorf("%q", d.lines)
		}
	}
	if len(d.p.Release()) > 0 {
		t.Error("BOOTP has nothing to release")
	}
}

// The first question is repeated when the queue is surely open.
func TestQueryRunning(t *testing.T) {
	now := time.Unix(1000, 0)
	q := testQuery(MethodBoth, eth0)
	q.Start(now)
	if o := q.Hear(now, link.News{Running: true}); len(o.Send) != 2 {
		t.Errorf("%+v", o)
	}
	q.Tick(q.Deadline())
	if o := q.Hear(now, link.News{Running: true}); len(o.Send) != 0 {
		t.Errorf("%+v", o)
	}
}

func TestRARPOnInfiniBand(t *testing.T) {
	const never = "RARP is made for Ethernet, which this link is not: write ip=dhcp"
	q := testQuery(MethodRARP, ib0)
	if o := q.Start(time.Unix(1000, 0)); len(o.Send) > 0 || o.Note != never || q.Waiting(time.Unix(1010, 0)) != never {
		t.Errorf("%+v", o)
	}
	if got := testQuery(MethodBoth, ib0).Channels(); len(got) != 1 || got[0] != ChannelDHCP {
		t.Errorf("both: %v", got)
	}
}

func FuzzBOOTP(f *testing.F) {
	q := testQuery(MethodBOOTP, eth0)
	m, err := dhcpv4.FromBytes(q.Start(time.Unix(1000, 0)).Send[0].Payload)
	if err != nil {
		f.Fatal(err)
	}
	m.OpCode, m.YourIPAddr, m.ServerIPAddr = dhcpv4.OpcodeBootReply, net.IPv4(10, 77, 0, 23), net.IPv4(10, 77, 0, 2)
	f.Add(m.ToBytes())
	m.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(24, 32)))
	m.UpdateOption(dhcpv4.OptRootPath("/srv/node7"))
	f.Add(m.ToBytes())
	f.Add(m.ToBytes()[:offsetCookie])
	f.Add(m.ToBytes()[:offsetCookie+3])
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > offsetCookie {
			raw[0], raw[offsetHType] = 2, link.HwEthernet
			copy(raw[offsetXID:], "\x00\x00\x10\x01")
			copy(raw[offsetCHAddr:], macA)
		}
		before := string(raw)
		l, _, err := testQuery(MethodBOOTP, eth0).askers[0].answer(raw)
		if string(raw) != before {
			t.Error("the packet was written to")
		}
		if l == nil || err != nil {
			return
		}
		if !link.Usable(l.Addr) || l.Duration != 0 {
			t.Errorf("%+v", l)
		}
		for _, step := range l.Steps("eth0") {
			if !phrase.Printable(step.String()) {
				t.Errorf("step %q", step)
			}
		}
	})
}

func FuzzRARP(f *testing.F) {
	a := arp.Packet{HwType: link.HwEthernet, Op: arp.RARPReply, Sender: other, SenderIP: addr("192.168.7.1"), Target: macA, TargetIP: addr("192.168.7.23")}
	f.Add(a.Bytes(), byte(0))
	a.TargetIP = addr("255.255.255.255")
	f.Add(a.Bytes(), byte(31))
	f.Fuzz(func(t *testing.T, raw []byte, bits byte) {
		l, _, err := newRARP(eth0, Client{Expected: Expected{Bits: int(bits % 33)}}).answer(raw)
		if l != nil && (err != nil || !link.Usable(l.Addr)) {
			t.Errorf("%+v, %v", l, err)
		}
	})
}
