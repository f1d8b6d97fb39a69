package netsetup

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// answer makes the reply of a well-behaved server.
func answer(t *testing.T, req *dhcpv4.DHCPv4, kind dhcpv4.MessageType, change ...func(*dhcpv4.DHCPv4)) []byte {
	t.Helper()
	m, err := dhcpv4.NewReplyFromRequest(req,
		dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(net.IPv4(10, 77, 0, 23)), dhcpv4.WithServerIP(net.IPv4(10, 77, 0, 2)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 77, 0, 1))),
		dhcpv4.WithOption(dhcpv4.OptSubnetMask(net.CIDRMask(24, 32))),
		dhcpv4.WithOption(dhcpv4.OptRouter(net.IPv4(10, 77, 0, 1))),
		dhcpv4.WithOption(dhcpv4.OptIPAddressLeaseTime(time.Hour)),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(m)
	}
	return m.ToBytes()
}

func testExchange() *exchange {
	xid := uint32(0x1000)
	return newExchange(client{addr: macA, identities: ClientID("").identities(Device{Type: hwEthernet, Addr: macA}), vendor: "nodisk"}, func() uint32 { xid++; return xid })
}

func TestExchange(t *testing.T) {
	now := time.Unix(1000, 0)
	x := testExchange()
	discover := firstSent(x.start(now))
	if discover == nil || discover.MessageType() != dhcpv4.MessageTypeDiscover {
		t.Fatalf("first message: %v", discover)
	}
	if got := discover.Options.Get(dhcpv4.OptionClientIdentifier); string(got) != "\x01"+string(macA) {
		t.Errorf("client identifier % x", got)
	}
	if got := discover.ClassIdentifier(); got != "nodisk" {
		t.Errorf("vendor class %q", got)
	}
	// Lost: it is sent again with the same transaction, and says how long.
	if o := x.tick(now.Add(time.Millisecond)); o.send != nil {
		t.Error("sent before its time")
	}
	now = x.at
	if again := firstSent(x.tick(now)); again == nil || again.TransactionID != discover.TransactionID || x.discovers != 2 {
		t.Fatalf("not sent again: %v", again)
	}
	request := firstSent(x.receive(now, heard(answer(t, discover, dhcpv4.MessageTypeOffer))))
	if request == nil || request.MessageType() != dhcpv4.MessageTypeRequest {
		t.Fatalf("no request but %v", request)
	}
	if ip, server := request.RequestedIPAddress().String(), request.ServerIdentifier().String(); ip != "10.77.0.23" || server != "10.77.0.1" || !request.ClientIPAddr.IsUnspecified() {
		t.Errorf("request for %s of %s, ciaddr %s", ip, server, request.ClientIPAddr)
	}
	// A second offer comes too late, another server's answer is not ours.
	other := func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 77, 0, 9))) }
	for _, late := range [][]byte{
		answer(t, discover, dhcpv4.MessageTypeOffer, other), answer(t, request, dhcpv4.MessageTypeNak, other), answer(t, request, dhcpv4.MessageTypeAck, other),
	} {
		if o := x.receive(now, heard(late)); o.send != nil || o.lease != nil {
			t.Errorf("listened to another server: %+v", o)
		}
	}
	o := x.receive(now, heard(answer(t, request, dhcpv4.MessageTypeAck)))
	if o.lease == nil {
		t.Fatalf("no lease: %+v", o)
	}
	want := Lease{
		Protocol: "DHCP",
		Addr:     prefix("10.77.0.23/24"), Gateway: addr("10.77.0.1"), Server: addr("10.77.0.1"), NextServer: addr("10.77.0.2"), Duration: time.Hour,
	}
	if diff := cmp.Diff(want, *o.lease, byValue()); diff != "" {
		t.Errorf("lease (-want +got):\n%s", diff)
	}
	r := firstSent(outcome{send: x.release()})
	if r == nil || r.MessageType() != dhcpv4.MessageTypeRelease || r.ClientIPAddr.String() != "10.77.0.23" || r.ServerIdentifier().String() != "10.77.0.1" || r.TransactionID == request.TransactionID {
		t.Errorf("release: %v", r)
	}
}

func TestExchangeRefuses(t *testing.T) {
	now := time.Unix(1000, 0)
	for name, tt := range map[string]struct {
		change func(*dhcpv4.DHCPv4)
		note   string // empty: not even a word
	}{
		"no mask":           {func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionSubnetMask) }, "offer of 10.77.0.1 refused: no subnet mask (option 1)"},
		"rubbish mask":      {func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptSubnetMask(net.IPv4Mask(0, 255, 0, 0))) }, "netmask 0.255.0.0 is not a netmask"},
		"mask cut short":    {func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionSubnetMask, []byte{255})) }, "subnet mask of 1 bytes"},
		"no address":        {func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4zero }, "no address"},
		"multicast address": {func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(224, 0, 0, 5) }, "224.0.0.5/24 is not the address of a host"},
		"broadcast address": {func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(10, 77, 0, 255) }, "10.77.0.255/24 is not the address of a host"},
		"no server":         {func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionServerIdentifier) }, "offer of 10.77.0.2 refused: no server identifier (option 54)"},
		"another's xid":     {func(m *dhcpv4.DHCPv4) { m.TransactionID[3]++ }, ""},
		"another's chaddr":  {func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = net.HardwareAddr(macB) }, ""},
		"a request":         {func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootRequest }, ""},
		"no cookie":         {func(*dhcpv4.DHCPv4) {}, "answer cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			x := testExchange()
			raw := answer(t, firstSent(x.start(now)), dhcpv4.MessageTypeOffer, tt.change)
			if name == "no cookie" {
				raw[offsetCookie] = 0
			}
			o := x.receive(now, heard(raw))
			if o.send != nil || o.lease != nil || !strings.Contains(o.note, tt.note) || (tt.note == "") != (o.note == "") {
				t.Errorf("outcome %+v, want the note %q", o, tt.note)
			}
			if tt.note != "" && !strings.Contains(x.waiting(now), tt.note) {
				t.Errorf("waiting does not tell it: %s", x.waiting(now))
			}
		})
	}
	t.Run("mask of ip=", func(t *testing.T) {
		x := testExchange()
		x.client.bits = 20
		o := x.receive(now, heard(answer(t, firstSent(x.start(now)), dhcpv4.MessageTypeOffer, func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionSubnetMask) })))
		if o.send == nil {
			t.Errorf("refused although ip= has the mask: %+v", o)
		}
	})
}

func TestExchangeNAK(t *testing.T) {
	now := time.Unix(1000, 0)
	x := testExchange()
	discover := firstSent(x.start(now))
	for i := range 3 {
		o := x.receive(now, heard(answer(t, discover, dhcpv4.MessageTypeOffer)))
		if i > 0 {
			// There may be a better server: this one's offer waits.
			if o.send != nil {
				t.Fatalf("round %d: the server that refused is asked again at once", i)
			}
			now = x.at
			o = x.tick(now)
		}
		request := firstSent(o)
		if request == nil || request.MessageType() != dhcpv4.MessageTypeRequest {
			t.Fatalf("round %d: no request", i)
		}
		o = x.receive(now, heard(answer(t, request, dhcpv4.MessageTypeNak, func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptMessage("wrong network")) })))
		if !strings.Contains(o.note, "10.77.0.1 refused its own offer (NAK): wrong network") {
			t.Errorf("note %q", o.note)
		}
		if i > 0 {
			if o.send != nil {
				t.Fatalf("round %d: asked again without a wait", i)
			}
			if wait := x.at.Sub(now); wait < firstRetransmit/2 {
				t.Errorf("round %d: a wait of only %v", i, wait)
			}
			now = x.at
			o = x.tick(now)
		}
		if o.send == nil || firstSent(o).MessageType() != dhcpv4.MessageTypeDiscover || firstSent(o).TransactionID == request.TransactionID {
			t.Fatalf("round %d: not restarted: %+v", i, o)
		}
		discover = firstSent(o)
	}
}

// The server that did not stand by its offer is passed over for another one,
// however quick it is.
func TestExchangeShuns(t *testing.T) {
	now := time.Unix(1000, 0)
	x := testExchange()
	other := func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 77, 0, 9))) }
	request := firstSent(x.receive(now, heard(answer(t, firstSent(x.start(now)), dhcpv4.MessageTypeOffer))))
	discover := firstSent(x.receive(now, heard(answer(t, request, dhcpv4.MessageTypeNak))))
	if o := x.receive(now, heard(answer(t, discover, dhcpv4.MessageTypeOffer))); o.send != nil {
		t.Error("its offer was taken at once")
	}
	o := x.receive(now, heard(answer(t, discover, dhcpv4.MessageTypeOffer, other)))
	if r := firstSent(o); r == nil || r.ServerIdentifier().String() != "10.77.0.9" {
		t.Errorf("the other server's offer led to %v", r)
	}
}

func TestExchangeUnconfirmed(t *testing.T) {
	now := time.Unix(1000, 0)
	x := testExchange()
	discover := firstSent(x.start(now))
	x.receive(now, heard(answer(t, discover, dhcpv4.MessageTypeOffer)))
	for range maxRequests - 1 {
		now = x.at
		if o := x.tick(now); o.send == nil || firstSent(o).MessageType() != dhcpv4.MessageTypeRequest {
			t.Fatalf("request not sent again: %+v", o)
		}
	}
	if got := x.waiting(now); !strings.Contains(got, "10.77.0.1 offered 10.77.0.23 but has not confirmed it after") {
		t.Errorf("waiting: %s", got)
	}
	if len(x.release()) == 0 {
		t.Error("a requested lease may exist already, and is not released")
	}
	o := x.tick(x.at)
	if o.send == nil || firstSent(o).MessageType() != dhcpv4.MessageTypeDiscover || firstSent(o).TransactionID == discover.TransactionID || o.note == "" {
		t.Errorf("not restarted: %+v", o)
	}
	if x.release() != nil {
		t.Error("nothing to release after a DISCOVER")
	}
}

// The times are the same for the same address, differ between addresses, stay
// within a quarter of the plan, and never stop.
func TestBackoff(t *testing.T) {
	times := func(a HardwareAddr) (sums []time.Duration) {
		x := newExchange(client{addr: a, identities: ClientID("").identities(Device{Type: hwEthernet, Addr: a})}, func() uint32 { return 1 })
		now := time.Unix(1000, 0)
		start := now
		x.start(now)
		plan := []time.Duration{1, 2, 4, 8, 8, 8, 8}
		for i := range 7 {
			wait := x.at.Sub(now)
			want := plan[i] * time.Second
			if wait < want*3/4 || wait > want*5/4 {
				t.Errorf("wait %d is %v, want about %v", i, wait, want)
			}
			now = x.at
			sums = append(sums, now.Sub(start))
			if o := x.tick(now); o.send == nil || int(firstSent(o).NumSeconds) != int(now.Sub(start)/time.Second) {
				t.Fatalf("nothing, or the wrong seconds, sent after %v", wait)
			}
		}
		return sums
	}
	if diff := cmp.Diff(times(macA), times(macA)); diff != "" {
		t.Errorf("one address, two plans:\n%s", diff)
	}
	if cmp.Equal(times(macA), times(macB)) {
		t.Error("two addresses, one plan")
	}
}

func TestParseLeaseOptions(t *testing.T) {
	x := testExchange()
	discover := firstSent(x.start(time.Unix(1000, 0)))
	set := func(code uint8, value string) func(*dhcpv4.DHCPv4) {
		return func(m *dhcpv4.DHCPv4) {
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), []byte(value)))
		}
	}
	raw := answer(t, discover, dhcpv4.MessageTypeAck,
		set(6, "\x0a\x4d\x00\x01\x00\x00\x00\x00\x0a\x4d\x00\x02\xff"), set(12, "node7\x00"), set(15, "cluster.example"), set(26, "\x23\x28"),
		set(42, "\x0a\x4d\x00\x03"), set(58, "\x00\x00\x07\x08"), set(59, "\x00\x00\x0c\x4e"),
		set(119, "\x01a\x07example\x00\x01b\xc0\x02"), set(203, "iqn.2026-01.example:node7"),
		set(121, "\x10\x0a\x05\x0a\x4d\x00\x09\x00\x0a\x4d\x00\xfe\x20\xa9\xfe\xa9\xfe\x00\x00\x00\x00"),
		set(52, "\x03"))
	// Overloaded: the root-path begins in file and goes on in sname.
	copy(raw[offsetFile:], "\x11\x06iscsi:\xff")
	copy(raw[offsetSName:], "\x11\x0810.0.0.9\xff")
	m, err := parseReply(raw, x.client.identities[0], x.xid)
	if err != nil || m == nil {
		t.Fatalf("%v, %v", m, err)
	}
	l, notes, err := parseLease(m, expected{})
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	want := Lease{
		Protocol: "DHCP",
		Addr:     prefix("10.77.0.23/24"), Gateway: addr("10.77.0.254"), Server: addr("10.77.0.1"), NextServer: addr("10.77.0.2"),
		RootPath: "iscsi:10.0.0.9", Hostname: "node7", Domain: "cluster.example", Search: []string{"a.example", "b.example"},
		InitiatorName: "iqn.2026-01.example:node7",
		DNS:           []netip.Addr{addr("10.77.0.1"), addr("10.77.0.2")}, NTP: []netip.Addr{addr("10.77.0.3")}, MTU: 9000,
		Routes:   []Route{{Dst: prefix("10.5.0.0/16"), Via: addr("10.77.0.9")}, {Dst: prefix("169.254.169.254/32")}},
		Duration: time.Hour, Renew: 30 * time.Minute, Rebind: 3150 * time.Second,
	}
	if diff := cmp.Diff(want, l, byValue()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// What comes from the network must not write lines into resolv.conf.
	m.UpdateOption(dhcpv4.OptDomainName("a\nnameserver 6.6.6.6"))
	m.UpdateOption(dhcpv4.OptHostName("-rf"))
	m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{0, 20}))
	m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClasslessStaticRoute, []byte{24, 1}))
	l, notes, err = parseLease(m, expected{})
	if err != nil || len(notes) != 4 || l.Domain != "" || l.Hostname != "" || l.MTU != 0 || l.Gateway != addr("10.77.0.1") {
		t.Errorf("%q, %v, %+v", notes, err, l)
	}
}

func FuzzReply(f *testing.F) {
	x := testExchange()
	discover := firstSent(x.start(time.Unix(1000, 0)))
	reply, err := dhcpv4.NewReplyFromRequest(discover, dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer), dhcpv4.WithYourIP(net.IPv4(10, 77, 0, 23)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 77, 0, 1))), dhcpv4.WithOption(dhcpv4.OptSubnetMask(net.CIDRMask(24, 32))),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionDNSDomainSearchList, []byte("\x01a\xc0\x00"))),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionOptionOverload, []byte{3})))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(reply.ToBytes())
	f.Add(reply.ToBytes()[:250])
	reply.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionDNSDomainSearchList, []byte("\x01a\x00\x01b\xc0\x00\x01c\xc0\x03")))
	f.Add(reply.ToBytes())
	reply.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClasslessStaticRoute, []byte{0, 10, 0, 0, 1, 33}))
	f.Add(reply.ToBytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		now := time.Unix(1000, 0)
		x := testExchange()
		x.start(now)
		// Let the fuzzer reach what is behind the address checks.
		if len(raw) > offsetCookie {
			raw[0], raw[offsetHType] = 2, hwEthernet
			copy(raw[offsetXID:], "\x00\x00\x10\x01")
			copy(raw[offsetCHAddr:], macA)
		}
		for range 2 {
			o := x.receive(now, heard(raw))
			if o.lease != nil {
				if !usable(o.lease.Addr) {
					t.Errorf("lease of %v", o.lease.Addr)
				}
				s := Config{}.state(Interface{Method: MethodDHCP}, Device{Name: "eth0"}, *o.lease)
				for line := range strings.Lines(s.ResolvConf()) {
					if !strings.HasPrefix(line, "nameserver ") && !strings.HasPrefix(line, "search ") {
						t.Errorf("line %q in resolv.conf", line)
					}
				}
				for _, step := range o.lease.Steps("eth0") {
					if !printable(step.String()) {
						t.Errorf("step %q", step)
					}
				}
			}
			// An ACK of the same content follows.
			if x.phase == phaseRequesting && len(raw) > 242 && raw[240] == 53 {
				raw[242] = byte(dhcpv4.MessageTypeAck)
			}
		}
	})
}

// heard is a datagram of a server.
func heard(payload []byte) packet { return packet{via: channelDHCP, payload: payload, from: macB} }

// firstSent is the first message that was sent, nil for none.
func firstSent(o outcome) *dhcpv4.DHCPv4 {
	if len(o.send) == 0 {
		return nil
	}
	m, err := dhcpv4.FromBytes(o.send[0].payload)
	if err != nil {
		return nil
	}
	return m
}
