package leasetest

import (
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

// With gives an address with T1, T2 and its lifetimes in seconds.
func With(iaid uint32, addr netip.Addr, t1, t2, preferred, valid int) func(m *dhcpv6.Message) {
	return func(m *dhcpv6.Message) {
		s := func(n int) time.Duration { return time.Duration(n) * time.Second }
		ia := &dhcpv6.OptIANA{T1: s(t1), T2: s(t2)}
		ia.IaId = [4]byte{byte(iaid >> 24), byte(iaid >> 16), byte(iaid >> 8), byte(iaid)}
		if addr.IsValid() {
			ia.Options.Add(
				&dhcpv6.OptIAAddress{
					IPv6Addr:          addr.AsSlice(),
					PreferredLifetime: s(preferred),
					ValidLifetime:     s(valid),
				},
			)
		}
		m.AddOption(ia)
	}
}

// Status is a status code with its text (RFC 8415 section 21.13).
func Status(code iana.StatusCode, text string) func(m *dhcpv6.Message) {
	return func(m *dhcpv6.Message) {
		m.AddOption(&dhcpv6.OptStatusCode{StatusCode: code, StatusMessage: text})
	}
}
