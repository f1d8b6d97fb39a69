package lease

import (
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// An answer that belongs to another client of the same transaction number is
// not ours: there is no hardware address to tell.
func TestInfiniBandForeignAnswer(t *testing.T) {
	x := NewExchange(Client{Addr: linktest.GuideAddr, Identities: ClientID("guid").identities(linktest.GuidePort()), Broadcast: true}, func() uint32 { return 7 })
	now := time.Unix(1000, 0)
	discover := firstSent(x.Start(now))
	for id, ours := range map[string]bool{"\x20other": false, string(x.client.Identities[0].id): true, "": true} {
		x.phase = phaseSelecting
		o := x.Receive(now, heard(leasetest.Answer(t, discover, dhcpv4.MessageTypeOffer, func(m *dhcpv4.DHCPv4) {
			m.Options.Del(dhcpv4.OptionClientIdentifier)
			if id != "" {
				m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientIdentifier, []byte(id)))
			}
		})))
		if (o.Send != nil) != ours {
			t.Errorf("offer to %q: %+v", id, o)
		}
	}
}
