package bringup

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// The kernel's client identifier is sent for the word that has it, the node's for the
// others.
func TestRunClientIDOfWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
		ids := make(map[string]string)
		for dev, lease := range map[string]string{"eth0": "10.77.0.23/24", "eth1": "10.78.0.23/24"} {
			good := fakekernel.Leases(t, lease)
			k.Servers[dev] = func(m *dhcpv4.DHCPv4) []byte {
				ids[dev] = string(m.Options.Get(dhcpv4.OptionClientIdentifier))
				return good(m)
			}
		}
		r := try(t, "ip=eth0:dhcp,1,n7 ip=eth1:dhcp nodisk.dhcp.clientid=hex:0203", time.Minute, k, nil)
		if r.err != nil || ids["eth0"] != "\x01n7" || ids["eth1"] != "\x02\x03" {
			t.Errorf("%v; client identifiers %q", r.err, ids)
		}
	})
}
