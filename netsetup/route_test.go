package netsetup

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/netsetup/lease"
)

// Routes go with the word of their family.
func TestRoutesByFamily(t *testing.T) {
	c := parseLine(t, "ip=eth0:dhcp ip=[2001:db8::5]:::64::eth0:none ip=eth1:dhcp rd.route=10.1.0.0/16:10.0.0.9:eth0 rd.route=[2001:db8:1::]/48:[fe80::9]:eth0 "+
		"rd.route=[2001:db8:2::]/48:[2001:db8::9] rd.route=[2001:db8:3::]/48:[2001:db8:ffff::9] rd.route=10.2.0.0/16:10.3.0.9")
	four := lease.Lease{Addr: prefix("10.0.0.5/24")}
	for _, tt := range []struct {
		pos   int
		lease lease.Lease
		dev   string
		want  []string
	}{
		{0, four, "eth0", []string{
			"ip addr add 10.0.0.5/24 brd + dev eth0",
			"ip route replace 10.1.0.0/16 via 10.0.0.9 dev eth0", "ip route replace 10.2.0.0/16 via 10.3.0.9 dev eth0 onlink",
		}},
		{1, lease.Lease{Kept: []netip.Prefix{prefix("2001:db8::5/64")}}, "eth0", []string{
			"ip route replace 2001:db8:1::/48 via fe80::9 dev eth0", "ip route replace 2001:db8:2::/48 via 2001:db8::9 dev eth0",
			"ip route replace 2001:db8:3::/48 via 2001:db8:ffff::9 dev eth0 onlink",
		}},
		{2, four, "eth1", []string{"ip addr add 10.0.0.5/24 brd + dev eth1"}},
	} {
		var got []string
		for _, s := range c.AddressSteps(tt.pos, tt.lease, tt.dev) {
			got = append(got, s.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("word %d (-want +got):\n%s", tt.pos, diff)
		}
	}
}
