package netsetup

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

func testExchange() *lease.Exchange {
	xid := uint32(0x1000)
	known := lease.ClientID("").IdentitiesOf([]link.Device{{Type: link.HwEthernet, Addr: macA}})
	return lease.NewExchange(lease.Client{Addr: macA, Identities: known, Vendor: "nodisk"}, func() uint32 { xid++; return xid })
}

// Where fields are in a message of BOOTP (RFC 951 section 3).
const (
	offsetHType  = 1
	offsetXID    = 4
	offsetCHAddr = 28
	offsetCookie = 236
)

func FuzzReply(f *testing.F) {
	x := testExchange()
	discover := firstSent(x.Start(time.Unix(1000, 0)))
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
		x.Start(now)
		// Let the fuzzer reach what is behind the address checks.
		if len(raw) > offsetCookie {
			raw[0], raw[offsetHType] = 2, link.HwEthernet
			copy(raw[offsetXID:], "\x00\x00\x10\x01")
			copy(raw[offsetCHAddr:], macA)
		}
		for range 2 {
			o := x.Receive(now, heard(raw))
			if o.Lease != nil {
				if !link.Usable(o.Lease.Addr) {
					t.Errorf("lease of %v", o.Lease.Addr)
				}
				s := Config{}.State(Addressing{Method: lease.MethodDHCP}, link.Device{Name: "eth0"}, *o.Lease)
				for line := range strings.Lines(s.ResolvConf()) {
					if !strings.HasPrefix(line, "nameserver ") && !strings.HasPrefix(line, "search ") {
						t.Errorf("line %q in resolv.conf", line)
					}
				}
				for _, step := range o.Lease.Steps("eth0") {
					if !phrase.Printable(step.String()) {
						t.Errorf("step %q", step)
					}
				}
			}
			// An ACK of the same content follows.
			if asked := firstSent(o); asked != nil && asked.MessageType() == dhcpv4.MessageTypeRequest && len(raw) > 242 && raw[240] == 53 {
				raw[242] = byte(dhcpv4.MessageTypeAck)
			}
		}
	})
}

// heard is a datagram of a server.
func heard(payload []byte) lease.Packet {
	return lease.Packet{Via: lease.ChannelDHCP, Payload: payload, From: macB}
}

// firstSent is the first message that was sent, nil for none.
func firstSent(o lease.Outcome) *dhcpv4.DHCPv4 {
	if len(o.Send) == 0 {
		return nil
	}
	m, err := dhcpv4.FromBytes(o.Send[0].Payload)
	if err != nil {
		return nil
	}
	return m
}
