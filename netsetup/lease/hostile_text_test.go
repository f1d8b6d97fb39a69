package lease

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A refusal holds the server's words: what a terminal would take for an order is
// left out.
func TestHostileTextOfRefusals(t *testing.T) {
	for name, hostile := range leasetest.HostileTexts() {
		now := time.Unix(1000, 0)
		x := testExchange()
		request := firstSent(x.Receive(now, heard(leasetest.Answer(t, firstSent(x.Start(now)), dhcpv4.MessageTypeOffer))))
		o := x.Receive(now, heard(leasetest.Answer(t, request, dhcpv4.MessageTypeNak, func(m *dhcpv4.DHCPv4) {
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionMessage, []byte(hostile)))
		})))
		leasetest.Clean(t, name+": note", o.Note)
		leasetest.Clean(t, name+": waiting", x.Waiting(now))
	}
	// 70 letters of two bytes: the end is between two of them.
	now := time.Unix(1000, 0)
	x := testExchange()
	request := firstSent(x.Receive(now, heard(leasetest.Answer(t, firstSent(x.Start(now)), dhcpv4.MessageTypeOffer))))
	o := x.Receive(now, heard(leasetest.Answer(t, request, dhcpv4.MessageTypeNak, func(m *dhcpv4.DHCPv4) {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionMessage, []byte("x"+strings.Repeat("ö", 70))))
	})))
	leasetest.Clean(t, "note", o.Note)
}

// The lists of a server have an end, and so has what is said of them: option 119
// packs hundreds of names into one packet.
func TestHostileLists(t *testing.T) {
	now := time.Unix(1000, 0)
	x := testExchange()
	var search, servers []byte
	for i := range 100 {
		search = append(search, leasetest.Labels(fmt.Sprintf("d%d.example", i%50))...)
		search = append(search, leasetest.Labels(fmt.Sprintf("bad name %d", i))...)
		servers = append(servers, 10, 0, 0, byte(i+1))
	}
	spoil := func(m *dhcpv4.DHCPv4) {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionDNSDomainSearchList, search))
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionDomainNameServer, servers))
	}
	request := firstSent(x.Receive(now, heard(leasetest.Answer(t, firstSent(x.Start(now)), dhcpv4.MessageTypeOffer, spoil))))
	o := x.Receive(now, heard(leasetest.Answer(t, request, dhcpv4.MessageTypeAck, spoil)))
	if o.Lease == nil {
		t.Fatalf("no lease: %s", o.Note)
	}
	if len(o.Lease.Search) != link.MostNames || len(o.Lease.DNS) != link.MostNames {
		t.Errorf("%d search domains, %d name servers", len(o.Lease.Search), len(o.Lease.DNS))
	}
	if len(o.Note) > 400 || !strings.Contains(o.Note, `search domain "bad name 0" is not usable`) || !strings.Contains(o.Note, " more") {
		t.Errorf("note of %d bytes: %s", len(o.Note), o.Note)
	}
}
