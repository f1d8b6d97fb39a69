package lease

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

func byValue() cmp.Option {
	return cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

const (
	macA = link.HardwareAddr("\x52\x54\x00\x12\x34\x56")
	macB = link.HardwareAddr("\x52\x54\x00\x12\x34\x57")
)

func testExchange() *Exchange {
	xid := uint32(0x1000)
	return NewExchange(Client{Addr: macA, Identities: ClientID("").identities(link.Device{Type: link.HwEthernet, Addr: macA}), Vendor: "nodisk"}, func() uint32 { xid++; return xid })
}

// heard is a datagram of a server.
func heard(payload []byte) Packet { return Packet{Via: ChannelDHCP, Payload: payload, From: macB} }

// firstSent is the first message that was sent, nil for none.
func firstSent(o Outcome) *dhcpv4.DHCPv4 {
	if len(o.Send) == 0 {
		return nil
	}
	m, err := dhcpv4.FromBytes(o.Send[0].Payload)
	if err != nil {
		return nil
	}
	return m
}

// leaseWith is what comes of an offer with these options, and the notes.
func leaseWith(t *testing.T, want Expected, options map[uint8]string) (Lease, string) {
	t.Helper()
	x := testExchange()
	raw := leasetest.Answer(t, firstSent(x.Start(time.Unix(1000, 0))), dhcpv4.MessageTypeOffer, func(m *dhcpv4.DHCPv4) {
		for code, value := range options {
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), []byte(value)))
		}
	})
	m, err := parseReply(raw, x.client.Identities[0], x.xid)
	if err != nil || m == nil {
		t.Fatalf("%v, %v", m, err)
	}
	l, notes, err := parseLease(m, want)
	if err != nil {
		t.Fatal(err)
	}
	return l, strings.Join(notes, "; ")
}

const other = link.HardwareAddr("\x52\x54\x00\x00\xfe\x99")

var eth0 = link.Device{Index: 2, Name: "eth0", Type: link.HwEthernet, Addr: macA}

var (
	linkAddr6   = netip.MustParsePrefix("fe80::5054:ff:fe12:3456/64")
	autoAddr6   = netip.MustParsePrefix("2001:db8:1:0:5054:ff:fe12:3456/64")
	leaseAddr6  = netip.MustParsePrefix("2001:db8:1::777/128")
	router6     = netip.MustParseAddr("fe80::1")
	server6     = netip.MustParseAddr("fe80::2")
	nameserver6 = netip.MustParseAddr("2001:db8:1::53")
)

// ipoibA and ipoibB are addresses of ports: flags, queue pair, subnet prefix,
// GUID.
const (
	ipoibA = link.HardwareAddr("\x80\x00\x00\x48\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x10\x39")
	ipoibB = link.HardwareAddr("\x80\x00\x00\x49\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x20\x41")
)
