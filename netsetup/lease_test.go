package netsetup

import (
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// leaseWith is what comes of an offer with these options, and the notes.
func leaseWith(t *testing.T, options map[uint8]string) (lease.Lease, string) {
	t.Helper()
	x := testExchange()
	now := time.Unix(1000, 0)
	change := func(m *dhcpv4.DHCPv4) {
		for code, value := range options {
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), []byte(value)))
		}
	}
	offer := leasetest.Answer(t, firstSent(x.Start(now)), dhcpv4.MessageTypeOffer, change)
	request := firstSent(x.Receive(now, heard(offer)))
	if request == nil {
		t.Fatal("the offer is not taken")
	}
	o := x.Receive(now, heard(leasetest.Answer(t, request, dhcpv4.MessageTypeAck, change)))
	if o.Lease == nil {
		t.Fatalf("no lease: %s", o.Note)
	}
	return *o.Lease, o.Note
}

// The limit of sethostname(2) is that of the first label.
func TestLeaseLongHostname(t *testing.T) {
	const long = "node7.compute.datacenter-frankfurt-1.internal.cloud.long-example-company.com"
	l, note := leaseWith(t, map[uint8]string{12: long})
	s := Config{}.State(Addressing{Method: lease.MethodDHCP}, link.Device{Name: "eth0"}, l)
	if note != "" || s.Hostname != "node7" || s.Domain != strings.TrimPrefix(long, "node7.") {
		t.Errorf("host %q, domain %q, note %q", s.Hostname, s.Domain, note)
	}
}

// Who has IPv6, by whatever word.
func TestSixOn(t *testing.T) {
	eth := func(name string) link.Device { return linktest.Ethernet(2, name, macA) }
	for line, want := range map[string]map[string]bool{
		"ip=eth0:dhcp ip=eth0:auto6": {"eth0": true, "eth1": false},
		"ip=dhcp ip=auto6":           {"eth0": true, "eth1": true},
		"ip=dhcp":                    {"eth0": false},
		"vlan=vlan5:eth0 ip=eth0:dhcp ip=vlan5:auto6":                             {"eth0": true, "eth1": false},
		"vlan=vlan5:eth0 vlan=q:vlan5:7 ip=eth0:dhcp ip=q:auto6":                  {"eth0": true},
		"vlan=vlan5:eth0 ip=eth0:dhcp ip=vlan5:dhcp":                              {"eth0": false},
		"ip=eth0:dhcp ip=[2001:db8::7]::[2001:db8::1]:64::eth0:none bootdev=eth0": {"eth0": true},
	} {
		c := parseLine(t, line)
		for dev, ipv6 := range want {
			if got := c.IPv6On(eth(dev)); got != ipv6 {
				t.Errorf("%s: %s: %v", line, dev, got)
			}
		}
	}
}
