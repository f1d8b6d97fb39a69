package leasetest

import (
	"net"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Answer makes the reply of a well-behaved server.
func Answer(t *testing.T, req *dhcpv4.DHCPv4, kind dhcpv4.MessageType, change ...func(*dhcpv4.DHCPv4)) []byte {
	t.Helper()
	m, err := dhcpv4.NewReplyFromRequest(
		req,
		dhcpv4.WithMessageType(
			kind,
		),
		dhcpv4.WithYourIP(net.IPv4(10, 77, 0, 23)),
		dhcpv4.WithServerIP(net.IPv4(10, 77, 0, 2)),
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
