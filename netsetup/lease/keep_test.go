package lease

import (
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
)

// A server that can give the lease with its first answer does (RFC 4039). It is
// not asked to where several DISCOVERs leave.
func TestExchangeRapidCommit(t *testing.T) {
	now := time.Unix(1000, 0)
	x := testExchange()
	x.client.Rapid = true
	discover := firstSent(x.Start(now))
	if !discover.Options.Has(dhcpv4.OptionRapidCommit) {
		t.Fatalf("no option 80 in %v", discover)
	}
	rapid := func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRapidCommit, nil)) }
	if o := x.Receive(now, heard(leasetest.Answer(t, discover, dhcpv4.MessageTypeAck))); o.Lease != nil {
		t.Error("an ACK without option 80 was taken for a lease")
	}
	o := x.Receive(now, heard(leasetest.Answer(t, discover, dhcpv4.MessageTypeAck, rapid)))
	if o.Lease == nil || o.Lease.Addr != prefix("10.77.0.23/24") || len(o.Send) != 0 {
		t.Fatalf("%+v", o)
	}
	if r := firstSent((Outcome{Send: x.Release()})); r == nil || r.MessageType() != dhcpv4.MessageTypeRelease {
		t.Errorf("released by %v", r)
	}
	plain := testExchange()
	if discover := firstSent(plain.Start(now)); discover.Options.Has(dhcpv4.OptionRapidCommit) {
		t.Error("option 80 was not asked for")
	}
	if o := plain.Receive(now, heard(leasetest.Answer(t, firstSent(plain.Start(now)), dhcpv4.MessageTypeAck, rapid))); o.Lease != nil {
		t.Error("a lease was taken that was not asked for")
	}
}
