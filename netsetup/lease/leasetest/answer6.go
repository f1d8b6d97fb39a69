package leasetest

import (
	"net"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

// Answer6 makes the reply of a DHCPv6 server to a message of the client.
func Answer6(t *testing.T, payload []byte, kind dhcpv6.MessageType, change ...func(m *dhcpv6.Message)) []byte {
	t.Helper()
	asked, err := dhcpv6.MessageFromBytes(payload)
	if err != nil {
		t.Error(err)
		return nil
	}
	m := &dhcpv6.Message{MessageType: kind, TransactionID: asked.TransactionID}
	m.AddOption(dhcpv6.OptClientID(asked.Options.ClientID()))
	m.AddOption(dhcpv6.OptServerID(&dhcpv6.DUIDLL{
		HWType: iana.HWTypeEthernet, LinkLayerAddr: net.HardwareAddr("\x52\x54\x00\x12\x34\x57"),
	}))
	for _, f := range change {
		f(m)
	}
	return m.ToBytes()
}
