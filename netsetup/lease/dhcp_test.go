package lease

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

func TestExchange(t *testing.T) {
	now := time.Unix(1000, 0)
	x := testExchange()
	discover := firstSent(x.Start(now))
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
	if o := x.Tick(now.Add(time.Millisecond)); o.Send != nil {
		t.Error("sent before its time")
	}
	now = x.at
	if again := firstSent(x.Tick(now)); again == nil || again.TransactionID != discover.TransactionID || x.discovers != 2 {
		t.Fatalf("not sent again: %v", again)
	}
	request := firstSent(x.Receive(now, heard(leasetest.Answer(t, discover, dhcpv4.MessageTypeOffer))))
	if request == nil || request.MessageType() != dhcpv4.MessageTypeRequest {
		t.Fatalf("no request but %v", request)
	}
	if ip, server := request.RequestedIPAddress().String(), request.ServerIdentifier().String(); ip != "10.77.0.23" || server != "10.77.0.1" || !request.ClientIPAddr.IsUnspecified() {
		t.Errorf("request for %s of %s, ciaddr %s", ip, server, request.ClientIPAddr)
	}
	// A second offer comes too late, another server's answer is not ours.
	other := func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 77, 0, 9))) }
	for _, late := range [][]byte{
		leasetest.Answer(t, discover, dhcpv4.MessageTypeOffer, other), leasetest.Answer(t, request, dhcpv4.MessageTypeNak, other), leasetest.Answer(t, request, dhcpv4.MessageTypeAck, other),
	} {
		if o := x.Receive(now, heard(late)); o.Send != nil || o.Lease != nil {
			t.Errorf("listened to another server: %+v", o)
		}
	}
	o := x.Receive(now, heard(leasetest.Answer(t, request, dhcpv4.MessageTypeAck)))
	if o.Lease == nil {
		t.Fatalf("no lease: %+v", o)
	}
	want := Lease{
		Protocol: "DHCP",
		Addr:     prefix("10.77.0.23/24"), Gateway: addr("10.77.0.1"), Server: addr("10.77.0.1"), NextServer: addr("10.77.0.2"), Duration: time.Hour,
	}
	if diff := cmp.Diff(want, *o.Lease, byValue()); diff != "" {
		t.Errorf("lease (-want +got):\n%s", diff)
	}
	r := firstSent(Outcome{Send: x.Release()})
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
			raw := leasetest.Answer(t, firstSent(x.Start(now)), dhcpv4.MessageTypeOffer, tt.change)
			if name == "no cookie" {
				raw[offsetCookie] = 0
			}
			o := x.Receive(now, heard(raw))
			if o.Send != nil || o.Lease != nil || !strings.Contains(o.Note, tt.note) || (tt.note == "") != (o.Note == "") {
				t.Errorf("outcome %+v, want the note %q", o, tt.note)
			}
			if tt.note != "" && !strings.Contains(x.Waiting(now), tt.note) {
				t.Errorf("waiting does not tell it: %s", x.Waiting(now))
			}
		})
	}
	t.Run("mask of ip=", func(t *testing.T) {
		x := testExchange()
		x.client.Bits = 20
		o := x.Receive(now, heard(leasetest.Answer(t, firstSent(x.Start(now)), dhcpv4.MessageTypeOffer, func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionSubnetMask) })))
		if o.Send == nil {
			t.Errorf("refused although ip= has the mask: %+v", o)
		}
	})
}

func TestExchangeNAK(t *testing.T) {
	now := time.Unix(1000, 0)
	x := testExchange()
	discover := firstSent(x.Start(now))
	for i := range 3 {
		o := x.Receive(now, heard(leasetest.Answer(t, discover, dhcpv4.MessageTypeOffer)))
		if i > 0 {
			// There may be a better server: this one's offer waits.
			if o.Send != nil {
				t.Fatalf("round %d: the server that refused is asked again at once", i)
			}
			now = x.at
			o = x.Tick(now)
		}
		request := firstSent(o)
		if request == nil || request.MessageType() != dhcpv4.MessageTypeRequest {
			t.Fatalf("round %d: no request", i)
		}
		o = x.Receive(now, heard(leasetest.Answer(t, request, dhcpv4.MessageTypeNak, func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptMessage("wrong network")) })))
		if !strings.Contains(o.Note, "10.77.0.1 refused its own offer (NAK): wrong network") {
			t.Errorf("note %q", o.Note)
		}
		if i > 0 {
			if o.Send != nil {
				t.Fatalf("round %d: asked again without a wait", i)
			}
			if wait := x.at.Sub(now); wait < FirstRetransmit/2 {
				t.Errorf("round %d: a wait of only %v", i, wait)
			}
			now = x.at
			o = x.Tick(now)
		}
		if o.Send == nil || firstSent(o).MessageType() != dhcpv4.MessageTypeDiscover || firstSent(o).TransactionID == request.TransactionID {
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
	request := firstSent(x.Receive(now, heard(leasetest.Answer(t, firstSent(x.Start(now)), dhcpv4.MessageTypeOffer))))
	discover := firstSent(x.Receive(now, heard(leasetest.Answer(t, request, dhcpv4.MessageTypeNak))))
	if o := x.Receive(now, heard(leasetest.Answer(t, discover, dhcpv4.MessageTypeOffer))); o.Send != nil {
		t.Error("its offer was taken at once")
	}
	o := x.Receive(now, heard(leasetest.Answer(t, discover, dhcpv4.MessageTypeOffer, other)))
	if r := firstSent(o); r == nil || r.ServerIdentifier().String() != "10.77.0.9" {
		t.Errorf("the other server's offer led to %v", r)
	}
}

func TestExchangeUnconfirmed(t *testing.T) {
	now := time.Unix(1000, 0)
	x := testExchange()
	discover := firstSent(x.Start(now))
	x.Receive(now, heard(leasetest.Answer(t, discover, dhcpv4.MessageTypeOffer)))
	for range MaxRequests - 1 {
		now = x.at
		if o := x.Tick(now); o.Send == nil || firstSent(o).MessageType() != dhcpv4.MessageTypeRequest {
			t.Fatalf("request not sent again: %+v", o)
		}
	}
	if got := x.Waiting(now); !strings.Contains(got, "10.77.0.1 offered 10.77.0.23 but has not confirmed it after") {
		t.Errorf("waiting: %s", got)
	}
	if len(x.Release()) == 0 {
		t.Error("a requested lease may exist already, and is not released")
	}
	o := x.Tick(x.at)
	if o.Send == nil || firstSent(o).MessageType() != dhcpv4.MessageTypeDiscover || firstSent(o).TransactionID == discover.TransactionID || o.Note == "" {
		t.Errorf("not restarted: %+v", o)
	}
	if x.Release() != nil {
		t.Error("nothing to release after a DISCOVER")
	}
}

// The times are the same for the same address, differ between addresses, stay
// within a quarter of the plan, and never stop.
func TestBackoff(t *testing.T) {
	times := func(a link.HardwareAddr) (sums []time.Duration) {
		x := NewExchange(Client{Addr: a, Identities: ClientID("").identities(link.Device{Type: link.HwEthernet, Addr: a})}, func() uint32 { return 1 })
		now := time.Unix(1000, 0)
		start := now
		x.Start(now)
		plan := []time.Duration{1, 2, 4, 8, 8, 8, 8}
		for i := range 7 {
			wait := x.at.Sub(now)
			want := plan[i] * time.Second
			if wait < want*3/4 || wait > want*5/4 {
				t.Errorf("wait %d is %v, want about %v", i, wait, want)
			}
			now = x.at
			sums = append(sums, now.Sub(start))
			if o := x.Tick(now); o.Send == nil || int(firstSent(o).NumSeconds) != int(now.Sub(start)/time.Second) {
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
	discover := firstSent(x.Start(time.Unix(1000, 0)))
	set := func(code uint8, value string) func(*dhcpv4.DHCPv4) {
		return func(m *dhcpv4.DHCPv4) {
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), []byte(value)))
		}
	}
	raw := leasetest.Answer(t, discover, dhcpv4.MessageTypeAck,
		set(6, "\x0a\x4d\x00\x01\x00\x00\x00\x00\x0a\x4d\x00\x02\xff"), set(12, "node7\x00"), set(15, "cluster.example"), set(26, "\x23\x28"),
		set(42, "\x0a\x4d\x00\x03"), set(58, "\x00\x00\x07\x08"), set(59, "\x00\x00\x0c\x4e"),
		set(119, "\x01a\x07example\x00\x01b\xc0\x02"), set(203, "iqn.2026-01.example:node7"),
		set(121, "\x10\x0a\x05\x0a\x4d\x00\x09\x00\x0a\x4d\x00\xfe\x20\xa9\xfe\xa9\xfe\x00\x00\x00\x00"),
		set(52, "\x03"))
	// Overloaded: the root-path begins in file and goes on in sname.
	copy(raw[offsetFile:], "\x11\x06iscsi:\xff")
	copy(raw[offsetSName:], "\x11\x0810.0.0.9\xff")
	m, err := parseReply(raw, x.client.Identities[0], x.xid)
	if err != nil || m == nil {
		t.Fatalf("%v, %v", m, err)
	}
	l, notes, err := parseLease(m, Expected{})
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	want := Lease{
		Protocol: "DHCP",
		Addr:     prefix("10.77.0.23/24"), Gateway: addr("10.77.0.254"), Server: addr("10.77.0.1"), NextServer: addr("10.77.0.2"),
		RootPath: "iscsi:10.0.0.9", Hostname: "node7", Domain: "cluster.example", Search: []string{"a.example", "b.example"},
		InitiatorName: "iqn.2026-01.example:node7",
		DNS:           []netip.Addr{addr("10.77.0.1"), addr("10.77.0.2")}, NTP: []netip.Addr{addr("10.77.0.3")}, MTU: 9000,
		Routes:   []link.Route{{Dst: prefix("10.5.0.0/16"), Via: addr("10.77.0.9")}, {Dst: prefix("169.254.169.254/32")}},
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
	l, notes, err = parseLease(m, Expected{})
	if err != nil || len(notes) != 4 || l.Domain != "" || l.Hostname != "" || l.MTU != 0 || l.Gateway != addr("10.77.0.1") {
		t.Errorf("%q, %v, %+v", notes, err, l)
	}
}
