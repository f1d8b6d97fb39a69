package lease

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/lease/arp"
	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

func TestLeaseDomains(t *testing.T) {
	for name, tt := range map[string]struct {
		options map[uint8]string
		domain  string
		search  []string
		note    string
	}{
		// ISC dhcpd, of domain-search "example.org", "eng.example.org", "lab.eng.example.org".
		"pointer to a pointer": {
			map[uint8]string{119: "\x07example\x03org\x00\x03eng\xc0\x00\x03lab\xc0\x0d"},
			"",
			[]string{"example.org", "eng.example.org", "lab.eng.example.org"},
			"",
		},
		"pointer into itself": {
			map[uint8]string{119: "\x01a\x00\x01b\xc0\x03"},
			"",
			[]string{"a"},
			"search list (option 119) cannot be read: the pointer at byte 5 leads to 3, which is not before it",
		},
		"pointer cut off":      {map[uint8]string{119: "\x01a\x00\x01b\xc0"}, "", []string{"a"}, "search list (option 119) cannot be read: byte 5 is not the length of a label"},
		"label cut off":        {map[uint8]string{119: "\x01a\x00\x05b"}, "", []string{"a"}, "search list (option 119) cannot be read: a label is cut off"},
		"two domains":          {map[uint8]string{15: "a.example b.example"}, "a.example", []string{"a.example", "b.example"}, ""},
		"two domains and 119":  {map[uint8]string{15: "a.example b.example", 119: "\x01c\x00"}, "a.example", []string{"c"}, ""},
		"one of two is no use": {map[uint8]string{15: "a.example -b"}, "a.example", nil, `domain "-b" is not usable`},
		"one domain":           {map[uint8]string{15: "a.example"}, "a.example", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l, note := leaseWith(t, Expected{}, tt.options)
			if l.Domain != tt.domain || note != tt.note {
				t.Errorf("domain %q, note %q", l.Domain, note)
			}
			if diff := cmp.Diff(tt.search, l.Search); diff != "" {
				t.Errorf("search (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLeaseMTU(t *testing.T) {
	const left = "MTU 1000 (option 26) is left out: with less than 1280 the kernel takes IPv6 off the interface"
	for _, tt := range []struct {
		ipv6   bool
		option string
		mtu    int
		note   string
	}{
		{false, "\x03\xe8", 1000, ""},
		{true, "\x03\xe8", 0, left},
		{true, "\x05\x00", 1280, ""},
		{true, "\x00\x14", 0, "MTU 20 is too small"},
	} {
		if l, note := leaseWith(t, Expected{IPv6: tt.ipv6}, map[uint8]string{26: tt.option}); l.MTU != tt.mtu || note != tt.note {
			t.Errorf("%+v: MTU %d, note %q", tt, l.MTU, note)
		}
	}
}

func TestLeaseServers(t *testing.T) {
	const mixed = "\xff\xff\xff\xff\x0a\x4d\x00\x01\xe0\x00\x00\x01\x7f\x00\x00\x01"
	l, note := leaseWith(t, Expected{}, map[uint8]string{6: mixed, 42: mixed})
	one := []netip.Addr{addr("10.77.0.1")}
	if diff := cmp.Diff([][]netip.Addr{one, one}, [][]netip.Addr{l.DNS, l.NTP}, byValue()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(note, "name server 255.255.255.255 is not the address of a server; name server 224.0.0.1 is not") {
		t.Error(note)
	}
	if got := link.Addrs6(nil, []byte(net.IPv6loopback)); len(got) != 0 {
		t.Errorf("name servers of IPv6 %v", got)
	}
}

// Of two default routes in option 121 the first is preferred.
func TestLeaseTwoDefaultRoutes(t *testing.T) {
	l, _ := leaseWith(t, Expected{}, map[uint8]string{121: "\x00\x0a\x4d\x00\x01\x00\x0a\x4d\x00\x09"})
	if l.Gateway != addr("10.77.0.1") || len(l.Routes) != 0 {
		t.Errorf("gateway %s, routes %v", l.Gateway, l.Routes)
	}
}

// A gateway that no address reaches is said to be on the link, in both families.
func TestLeaseGatewayBeyond(t *testing.T) {
	for _, tt := range []struct {
		lease Lease
		want  string
	}{
		{Lease{Addr: prefix("10.77.0.5/24"), Gateway: addr("10.99.0.1")}, "ip route replace default via 10.99.0.1 dev eth0 onlink"},
		{Lease{Kept: []netip.Prefix{prefix("2001:db8:1::5/128")}, Gateway: addr("2001:db8:1::1")}, "ip route replace default via 2001:db8:1::1 dev eth0 onlink"},
		{Lease{Kept: []netip.Prefix{prefix("2001:db8:2::5/64")}, Gateway: addr("2001:db8:2:ff::1")}, "ip route replace default via 2001:db8:2:ff::1 dev eth0 onlink"},
		{Lease{Kept: []netip.Prefix{prefix("2001:db8:2::5/64")}, Gateway: addr("2001:db8:2::1")}, "ip route replace default via 2001:db8:2::1 dev eth0"},
		{Lease{Kept: []netip.Prefix{prefix("2001:db8:2::5/64")}, Gateway: addr("fe80::1")}, "ip route replace default via fe80::1 dev eth0"},
	} {
		steps := tt.lease.Steps("eth0")
		if got := steps[len(steps)-1].String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

// A REQUEST gives the seconds of the DISCOVER, so that relays send both to the
// same servers (RFC 2131 section 3.1 step 3).
func TestExchangeSecs(t *testing.T) {
	now := time.Unix(1000, 0)
	x := testExchange()
	x.Start(now)
	now = now.Add(3 * time.Second)
	discover := firstSent(x.Tick(now))
	now = now.Add(1500 * time.Millisecond)
	request := firstSent(x.Receive(now, heard(leasetest.Answer(t, discover, dhcpv4.MessageTypeOffer))))
	again := firstSent(x.Tick(now.Add(5 * time.Second)))
	if discover.NumSeconds != 3 || request.NumSeconds != 3 || again.NumSeconds != 3 {
		t.Errorf("DISCOVER %d, REQUEST %d, REQUEST again %d", discover.NumSeconds, request.NumSeconds, again.NumSeconds)
	}
}

// Of two servers that commit at once, one gets its lease back; not where it is
// the address that the node has.
func TestExchangeTwoRapid(t *testing.T) {
	now := time.Unix(1000, 0)
	for name, tt := range map[string]struct{ second, want string }{
		"another address": {"10.77.0.99", "RELEASE 10.77.0.99 10.77.0.9"},
		"the same":        {"10.77.0.23", ""},
	} {
		x := testExchange()
		x.client.Rapid = true
		discover := firstSent(x.Start(now))
		rapid := func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRapidCommit, nil)) }
		if o := x.Receive(now, heard(leasetest.Answer(t, discover, dhcpv4.MessageTypeAck, rapid))); o.Lease == nil {
			t.Fatalf("%s: no lease: %+v", name, o)
		}
		o := x.Receive(now, heard(leasetest.Answer(t, discover, dhcpv4.MessageTypeAck, rapid, func(m *dhcpv4.DHCPv4) {
			m.UpdateOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 77, 0, 9)))
			m.YourIPAddr = net.ParseIP(tt.second)
		})))
		got := ""
		if m := firstSent(o); m != nil {
			got = m.MessageType().String() + " " + m.ClientIPAddr.String() + " " + m.ServerIdentifier().String()
		}
		if got != tt.want || o.Lease != nil || x.phase != phaseBound || x.server != addr("10.77.0.1") {
			t.Errorf("%s: %q, %+v", name, got, o)
		}
	}
}

// What is committed at once and of no use is given back, unless another interface of
// this node lives on it.
func TestExchangeRapidUnfit(t *testing.T) {
	now := time.Unix(1000, 0)
	for elsewhere, want := range map[bool]string{false: "RELEASE 10.77.0.23 10.77.0.1", true: ""} {
		x := testExchange()
		x.client.Rapid = true
		x.client.Judge = func(Lease) error { return errors.New("no root path") }
		x.client.Taken = func(l Lease, _ Identity) bool { return elsewhere && l.Addr.Addr() == addr("10.77.0.23") }
		discover := firstSent(x.Start(now))
		o := x.Receive(now, heard(leasetest.Answer(t, discover, dhcpv4.MessageTypeAck, func(m *dhcpv4.DHCPv4) {
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRapidCommit, nil))
		})))
		got := ""
		if m := firstSent(o); m != nil {
			got = m.MessageType().String() + " " + m.ClientIPAddr.String() + " " + m.ServerIdentifier().String()
		}
		if got != want || o.Lease != nil || x.phase != phaseSelecting || !strings.Contains(o.Note, "no root path") {
			t.Errorf("%v: %q, %+v", elsewhere, got, o)
		}
	}
}

// Servers of before RFC 1497's end fill the vendor field up with zeros (RFC 951).
func TestBOOTPWithoutEnd(t *testing.T) {
	q := testQuery(MethodBOOTP, eth0)
	now := time.Unix(1000, 0)
	raw := bootReply(t, q.Start(now).Send[0].Payload, nil)
	raw = append(raw[:offsetCookie+4:offsetCookie+4], "\x01\x04\xff\xff\xff\x00\x03\x04\x0a\x4d\x00\x01"...)
	raw = append(raw, make([]byte, 300-len(raw))...)
	o := q.Receive(now, heard(raw))
	if o.Lease == nil || o.Lease.Addr != prefix("10.77.0.23/24") || o.Lease.Gateway != addr("10.77.0.1") {
		t.Errorf("%+v", o)
	}
}

// With a server in ip= the reverse address of no other is taken (nfsroot.rst).
func TestRARPServer(t *testing.T) {
	now := time.Unix(1000, 0)
	for server, taken := range map[string]bool{"10.77.0.1": true, "10.77.0.9": false} {
		q := NewOneshot(MethodRARP, Client{Addr: macA, Server: addr(server)}, eth0, 1)
		q.Start(now)
		reply := arp.Packet{HwType: link.HwEthernet, Op: arp.RARPReply, Sender: other, SenderIP: addr("10.77.0.1"), Target: macA, TargetIP: addr("10.77.0.42")}
		if o := q.Receive(now, Packet{Via: ChannelRARP, Payload: reply.Bytes(), From: other}); (o.Lease != nil) != taken {
			t.Errorf("server %s: %+v", server, o)
		}
	}
	q := NewOneshot(MethodRARP, Client{Addr: macA, Server: addr("10.77.0.9")}, eth0, 1)
	q.Start(now)
	const want = "no RARP answer after 10 s (carrier up): check that the RARP server 10.77.0.9 of ip= serves this network and knows 52:54:00:12:34:56"
	if got := q.Waiting(now.Add(10 * time.Second)); got != want {
		t.Error(got)
	}
}
