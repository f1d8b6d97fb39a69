package fakekernel

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
)

// A Responder answers a message of the client, or not (nil).
type Responder func(m *dhcpv4.DHCPv4) []byte

// GoodServer answers everything at once.
func GoodServer(t *testing.T) Responder {
	return func(m *dhcpv4.DHCPv4) []byte {
		switch m.MessageType() {
		case dhcpv4.MessageTypeRequest:
			return leasetest.Answer(t, m, dhcpv4.MessageTypeAck)
		case dhcpv4.MessageTypeDiscover:
			return leasetest.Answer(t, m, dhcpv4.MessageTypeOffer)
		default:
			return nil
		}
	}
}

// Leases is a good server that gives this address.
func Leases(t *testing.T, p string, changes ...func(*dhcpv4.DHCPv4)) Responder {
	a := netip.MustParsePrefix(p)
	changes = append([]func(*dhcpv4.DHCPv4){func(m *dhcpv4.DHCPv4) {
		m.YourIPAddr = a.Addr().AsSlice()
		m.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(a.Bits(), 32)))
	}}, changes...)
	return func(m *dhcpv4.DHCPv4) []byte {
		switch m.MessageType() {
		case dhcpv4.MessageTypeRequest:
			return leasetest.Answer(t, m, dhcpv4.MessageTypeAck, changes...)
		case dhcpv4.MessageTypeDiscover:
			return leasetest.Answer(t, m, dhcpv4.MessageTypeOffer, changes...)
		default:
			return nil
		}
	}
}

// RootPath has the server send option 17.
func RootPath(text string) func(*dhcpv4.DHCPv4) {
	return func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptRootPath(text)) }
}

// Gateway has the server send this router, "" for none.
func Gateway(a string) func(*dhcpv4.DHCPv4) {
	return func(m *dhcpv4.DHCPv4) {
		m.Options.Del(dhcpv4.OptionRouter)
		if a != "" {
			m.UpdateOption(dhcpv4.OptRouter(net.ParseIP(a)))
		}
	}
}

// A Server is a DHCP server that answers at once, from a time on.
type Server struct {
	Lease      netip.Prefix
	ID         netip.Addr // option 54
	NextServer netip.Addr // siaddr
	After      time.Duration
	Options    map[dhcpv4.OptionCode][]byte // besides those, nil leaves one out
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
func (s Server) answers(t *testing.T, start time.Time) Responder {
	return func(m *dhcpv4.DHCPv4) []byte {
		kind := dhcpv4.MessageTypeOffer
		switch id := m.ServerIdentifier(); {
		case time.Since(start) < s.After,
			m.MessageType() == dhcpv4.MessageTypeRequest && id != nil && !id.Equal(s.ID.AsSlice()):
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

// Answers6 is a DHCPv6 server.
func Answers6(t *testing.T, a netip.Addr) func(lease.Message) []byte {
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
		iaid := binary.BigEndian.Uint32(asked.Options.OneIANA().IaId[:])
		return leasetest.Answer6(t, m.Payload, kind, leasetest.With(iaid, a, 0, 0, 3600, 3600))
	}
}
