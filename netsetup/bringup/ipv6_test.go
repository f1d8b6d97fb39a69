package bringup

import (
	"net"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

var (
	linkAddr6   = netip.MustParsePrefix("fe80::5054:ff:fe12:3456/64")
	autoAddr6   = netip.MustParsePrefix("2001:db8:1:0:5054:ff:fe12:3456/64")
	leaseAddr6  = netip.MustParsePrefix("2001:db8:1::777/128")
	router6     = netip.MustParseAddr("fe80::1")
	nameserver6 = netip.MustParseAddr("2001:db8:1::53")
)

func replyTo(t *testing.T, payload []byte, kind dhcpv6.MessageType, change ...func(m *dhcpv6.Message)) []byte {
	t.Helper()
	asked, err := dhcpv6.MessageFromBytes(payload)
	if err != nil {
		t.Error(err)
		return nil
	}
	m := &dhcpv6.Message{MessageType: kind, TransactionID: asked.TransactionID}
	m.AddOption(dhcpv6.OptClientID(asked.Options.ClientID()))
	m.AddOption(dhcpv6.OptServerID(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: net.HardwareAddr(macB)}))
	for _, f := range change {
		f(m)
	}
	return m.ToBytes()
}
