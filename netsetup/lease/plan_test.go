package lease

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/netsetup/link"
)

func TestLeaseSteps(t *testing.T) {
	for name, tt := range map[string]struct {
		lease Lease
		want  []string
	}{
		"plain": {
			Lease{Addr: prefix("10.77.0.23/24"), Gateway: addr("10.77.0.1")},
			[]string{"ip addr add 10.77.0.23/24 brd + dev eth0", "ip route replace default via 10.77.0.1 dev eth0"},
		},
		"gateway off the link": {
			Lease{Addr: prefix("10.77.0.23/32"), Gateway: addr("10.0.0.1"), MTU: 9000},
			[]string{"ip link set eth0 mtu 9000", "ip addr add 10.77.0.23/32 dev eth0", "ip route replace default via 10.0.0.1 dev eth0 onlink"},
		},
		"routes": {
			Lease{
				Addr: prefix("10.77.0.23/24"), Gateway: addr("10.0.0.1"),
				Routes: []link.Route{{Dst: prefix("10.5.0.0/16"), Via: addr("10.77.0.9")}, {Dst: prefix("10.0.0.1/32")}},
			},
			[]string{
				"ip addr add 10.77.0.23/24 brd + dev eth0", "ip route replace 10.0.0.1/32 dev eth0",
				"ip route replace 10.5.0.0/16 via 10.77.0.9 dev eth0", "ip route replace default via 10.0.0.1 dev eth0",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range tt.lease.Steps("eth0") {
				got = append(got, s.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
