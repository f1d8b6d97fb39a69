package lease

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/netsetup/lease/arp"
)

// Of several static addresses of one interface each is asked for, announced and
// defended.
func TestProbedSeveralAddresses(t *testing.T) {
	l := Lease{Addr: prefix("10.77.0.5/24"), More: []netip.Prefix{prefix("10.77.0.6/24"), prefix("192.168.50.5/24")}}
	d := newDesk(t, eth0, NewFixed(l, macA), netip.Addr{})
	d.start()
	if got := d.p.Waiting(d.now); got != "looking whether another node uses 10.77.0.5, 10.77.0.6, 192.168.50.5" {
		t.Error(got)
	}
	d.until(time.Millisecond)
	d.arp(arp.Reply, other, "192.168.50.5", "", true)
	d.until(2 * time.Millisecond)
	d.want(
		"0s ARP probe for 10.77.0.5", "0s ARP probe for 10.77.0.6", "0s ARP probe for 192.168.50.5",
		"1ms note: 192.168.50.5 is in use by 52:54:00:00:fe:99: check the client address of ip= here, and that machine; trying again until it is free",
	)
	d.lines = nil
	d.until(d.p.Deadline().Sub(d.begun))
	d.arp(arp.Request, other, "", "10.77.0.6", false) // another one probes for it, too
	if len(d.lines) != 4 || !strings.Contains(d.lines[3], "10.77.0.6 is in use by") {
		t.Errorf("%q", d.lines)
	}
	d.until(d.p.Deadline().Sub(d.begun))
	d.lines, d.begun = nil, d.now
	d.until(time.Second)
	d.want("20ms ARP announcement of 10.77.0.5", "20ms ARP announcement of 10.77.0.6", "20ms ARP announcement of 192.168.50.5", "20ms lease 10.77.0.5/24")
	d.lines = nil
	d.arp(arp.Reply, other, "10.77.0.6", "", false)
	d.want("1s ARP announcement of 10.77.0.6", "1s note: 52:54:00:00:fe:99 also uses 10.77.0.6, the address of this node: connections of both will break; give one of them another address")
}
