package netsetup

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// leaseWith is what comes of an offer with these options, and the notes.
func leaseWith(t *testing.T, want expected, options map[uint8]string) (Lease, string) {
	t.Helper()
	x := testExchange()
	raw := answer(t, firstSent(x.start(time.Unix(1000, 0))), dhcpv4.MessageTypeOffer, func(m *dhcpv4.DHCPv4) {
		for code, value := range options {
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), []byte(value)))
		}
	})
	m, err := parseReply(raw, x.client.identities[0], x.xid)
	if err != nil || m == nil {
		t.Fatalf("%v, %v", m, err)
	}
	l, notes, err := parseLease(m, want)
	if err != nil {
		t.Fatal(err)
	}
	return l, strings.Join(notes, "; ")
}

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
			l, note := leaseWith(t, expected{}, tt.options)
			if l.Domain != tt.domain || note != tt.note {
				t.Errorf("domain %q, note %q", l.Domain, note)
			}
			if diff := cmp.Diff(tt.search, l.Search); diff != "" {
				t.Errorf("search (-want +got):\n%s", diff)
			}
		})
	}
}

// The limit of sethostname(2) is that of the first label.
func TestLeaseLongHostname(t *testing.T) {
	const long = "node7.compute.datacenter-frankfurt-1.internal.cloud.long-example-company.com"
	l, note := leaseWith(t, expected{}, map[uint8]string{12: long})
	s := Config{}.state(Interface{Method: MethodDHCP}, Device{Name: "eth0"}, l)
	if note != "" || s.Hostname != "node7" || s.Domain != strings.TrimPrefix(long, "node7.") {
		t.Errorf("host %q, domain %q, note %q", s.Hostname, s.Domain, note)
	}
}

func TestLeaseMTU(t *testing.T) {
	const left = "MTU 1000 (option 26) is left out: with less than 1280 the kernel takes IPv6 off the interface"
	for _, tt := range []struct {
		six    bool
		option string
		mtu    int
		note   string
	}{
		{false, "\x03\xe8", 1000, ""},
		{true, "\x03\xe8", 0, left},
		{true, "\x05\x00", 1280, ""},
		{true, "\x00\x14", 0, "MTU 20 is too small"},
	} {
		if l, note := leaseWith(t, expected{six: tt.six}, map[uint8]string{26: tt.option}); l.MTU != tt.mtu || note != tt.note {
			t.Errorf("%+v: MTU %d, note %q", tt, l.MTU, note)
		}
	}
}

// Who has IPv6, by whatever word.
func TestSixOn(t *testing.T) {
	eth := func(name string) Device { return ethernet(2, name, macA) }
	for line, want := range map[string]map[string]bool{
		"ip=eth0:dhcp ip=eth0:auto6": {"eth0": true, "eth1": false},
		"ip=dhcp ip=auto6":           {"eth0": true, "eth1": true},
		"ip=dhcp":                    {"eth0": false},
		"vlan=vlan5:eth0 ip=eth0:dhcp ip=vlan5:auto6":                             {"eth0": true, "eth1": false},
		"vlan=vlan5:eth0 vlan=q:vlan5:7 ip=eth0:dhcp ip=q:auto6":                  {"eth0": true},
		"vlan=vlan5:eth0 ip=eth0:dhcp ip=vlan5:dhcp":                              {"eth0": false},
		"ip=eth0:dhcp ip=[2001:db8::7]::[2001:db8::1]:64::eth0:none bootdev=eth0": {"eth0": true},
	} {
		c := parseLine(t, line)
		for dev, six := range want {
			if got := c.sixOn(eth(dev)); got != six {
				t.Errorf("%s: %s: %v", line, dev, got)
			}
		}
	}
}

func TestLeaseServers(t *testing.T) {
	const mixed = "\xff\xff\xff\xff\x0a\x4d\x00\x01\xe0\x00\x00\x01\x7f\x00\x00\x01"
	l, note := leaseWith(t, expected{}, map[uint8]string{6: mixed, 42: mixed})
	one := []netip.Addr{addr("10.77.0.1")}
	if diff := cmp.Diff([][]netip.Addr{one, one}, [][]netip.Addr{l.DNS, l.NTP}, byValue()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(note, "name server 255.255.255.255 is not the address of a server; name server 224.0.0.1 is not") {
		t.Error(note)
	}
	if got := addrs6(nil, []byte(net.IPv6loopback)); len(got) != 0 {
		t.Errorf("name servers of IPv6 %v", got)
	}
}

// Of two default routes in option 121 the first is preferred.
func TestLeaseTwoDefaultRoutes(t *testing.T) {
	l, _ := leaseWith(t, expected{}, map[uint8]string{121: "\x00\x0a\x4d\x00\x01\x00\x0a\x4d\x00\x09"})
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
	x.start(now)
	now = now.Add(3 * time.Second)
	discover := firstSent(x.tick(now))
	now = now.Add(1500 * time.Millisecond)
	request := firstSent(x.receive(now, heard(answer(t, discover, dhcpv4.MessageTypeOffer))))
	again := firstSent(x.tick(now.Add(5 * time.Second)))
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
		x.client.rapid = true
		discover := firstSent(x.start(now))
		rapid := func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRapidCommit, nil)) }
		if o := x.receive(now, heard(answer(t, discover, dhcpv4.MessageTypeAck, rapid))); o.lease == nil {
			t.Fatalf("%s: no lease: %+v", name, o)
		}
		o := x.receive(now, heard(answer(t, discover, dhcpv4.MessageTypeAck, rapid, func(m *dhcpv4.DHCPv4) {
			m.UpdateOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 77, 0, 9)))
			m.YourIPAddr = net.ParseIP(tt.second)
		})))
		got := ""
		if m := firstSent(o); m != nil {
			got = m.MessageType().String() + " " + m.ClientIPAddr.String() + " " + m.ServerIdentifier().String()
		}
		if got != tt.want || o.lease != nil || x.phase != phaseBound || x.server != addr("10.77.0.1") {
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
		x.client.rapid = true
		x.client.judge = func(Lease) error { return errors.New("no root path") }
		x.client.taken = func(l Lease, _ identity) bool { return elsewhere && l.Addr.Addr() == addr("10.77.0.23") }
		discover := firstSent(x.start(now))
		o := x.receive(now, heard(answer(t, discover, dhcpv4.MessageTypeAck, func(m *dhcpv4.DHCPv4) {
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRapidCommit, nil))
		})))
		got := ""
		if m := firstSent(o); m != nil {
			got = m.MessageType().String() + " " + m.ClientIPAddr.String() + " " + m.ServerIdentifier().String()
		}
		if got != want || o.lease != nil || x.phase != phaseSelecting || !strings.Contains(o.note, "no root path") {
			t.Errorf("%v: %q, %+v", elsewhere, got, o)
		}
	}
}

func TestLabels6(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, want := range map[string]string{
		"node7":              "\x05node7",
		"node7.example.org":  "\x05node7\x07example\x03org\x00",
		"node7.example.org.": "\x05node7\x07example\x03org\x00",
		long:                 "?" + long,
		long + "a":           "",
		"a..b":               "",
		"":                   "",
	} {
		if got := labels6(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Servers of before RFC 1497's end fill the vendor field up with zeros (RFC 951).
func TestBOOTPWithoutEnd(t *testing.T) {
	q := testQuery(MethodBOOTP, eth0)
	now := time.Unix(1000, 0)
	raw := bootReply(t, q.start(now).send[0].payload, nil)
	raw = append(raw[:offsetCookie+4:offsetCookie+4], "\x01\x04\xff\xff\xff\x00\x03\x04\x0a\x4d\x00\x01"...)
	raw = append(raw, make([]byte, 300-len(raw))...)
	o := q.receive(now, heard(raw))
	if o.lease == nil || o.lease.Addr != prefix("10.77.0.23/24") || o.lease.Gateway != addr("10.77.0.1") {
		t.Errorf("%+v", o)
	}
}

// With a server in ip= the reverse address of no other is taken (nfsroot.rst).
func TestRARPServer(t *testing.T) {
	now := time.Unix(1000, 0)
	for server, taken := range map[string]bool{"10.77.0.1": true, "10.77.0.9": false} {
		q := newQuery(MethodRARP, client{addr: macA, server: addr(server)}, eth0, 1)
		q.start(now)
		reply := arpPacket{hwType: hwEthernet, op: rarpReply, sender: other, senderIP: addr("10.77.0.1"), target: macA, targetIP: addr("10.77.0.42")}
		if o := q.receive(now, packet{via: channelRARP, payload: reply.bytes(), from: other}); (o.lease != nil) != taken {
			t.Errorf("server %s: %+v", server, o)
		}
	}
	q := newQuery(MethodRARP, client{addr: macA, server: addr("10.77.0.9")}, eth0, 1)
	q.start(now)
	const want = "no RARP answer after 10 s (carrier up): check that the RARP server 10.77.0.9 of ip= serves this network and knows 52:54:00:12:34:56"
	if got := q.waiting(now.Add(10 * time.Second)); got != want {
		t.Error(got)
	}
}
