package integration

import (
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/rig"
)

// started is the kernel's line about /init.
const started = `^Run \S+ as init process`

// hostileCases are networks that do not work for a while. The longest is the first.
func hostileCases() []rigCase {
	cases := []rigCase{
		{
			name:  "late-dhcp-server",
			waits: `nodisk: warning: .*eth0: .*DHCP`,
			boot: rig.Boot{
				Wire:   []string{"lan c0"},
				Script: []lab.Act{{On: started, After: 2 * time.Minute, Server: "start_dhcp c0" + serveV4}},
			},
			more: func(t *testing.T, res rig.Result) {
				t.Helper()
				if n := res.Count("DHCPDISCOVER("); n > 2 {
					t.Errorf("the server got %d DHCPDISCOVER, want one or two", n)
				}
			},
		},
		{
			// A switch port that listens and learns for 15 s each.
			name:  "spanning-tree",
			waits: `nodisk: warning: .*eth0: .*DHCP`,
			boot: rig.Boot{
				Wire:   []string{"switch br0 stp_state 1 forward_delay 1500", "lan br0", "start_dhcp br0" + serveV4},
				Out:    []int{0},
				Script: []lab.Act{{On: started, Plug: []int{0}}},
			},
		},
		{
			name:  "late-carrier",
			waits: `nodisk: warning: .*eth0: no carrier`,
			boot: rig.Boot{
				Wire:   []string{"lan c0", "start_dhcp c0" + serveV4},
				Out:    []int{0},
				Script: []lab.Act{{On: started, After: 30 * time.Second, Plug: []int{0}}},
			},
		},
		{
			// DHCP has begun, and nobody answers, when the carrier goes, and comes
			// for less than the answer would take.
			name:  "flapping-carrier",
			waits: `nodisk: warning: .*eth0: no `,
			boot: rig.Boot{
				Wire: []string{"lan c0"},
				Script: []lab.Act{
					{On: `nodisk: warning: .*eth0: .*DHCP`, Pull: []int{0}},
					{After: time.Second, Plug: []int{0}},
					{After: 300 * time.Millisecond, Pull: []int{0}},
					{After: 2 * time.Second, Plug: []int{0}},
					{After: 100 * time.Millisecond, Pull: []int{0}},
					{After: time.Second, Plug: []int{0}, Server: "start_dhcp c0" + serveV4},
					{After: 20 * time.Millisecond, Pull: []int{0}},
					{After: time.Second, Plug: []int{0}},
				},
			},
		},
		{
			// The line is good again when there is an address: this is about DHCP,
			// not about TCP.
			name: "lossy",
			boot: rig.Boot{
				Wire: []string{"lossy 30", "lan lan0", "start_dhcp lan0" + serveV4},
				Script: []lab.Act{{On: `nodisk: network \(3/`, Server: "tc qdisc delete dev c0 root; tc qdisc delete " +
					"dev far0 root"}},
			},
			more: func(t *testing.T, res rig.Result) {
				t.Helper()
				t.Logf("the server saw %d DHCPDISCOVER, %d DHCPREQUEST", res.Count("DHCPDISCOVER("),
					res.Count("DHCPREQUEST("))
			},
		},
	}
	for i := range cases {
		c := &cases[i]
		c.long = true
		c.boot.Cmdline = "ip=dhcp root=dhcp"
		c.expect = []string{byLease("eth0"), mounted}
	}
	return cases
}
