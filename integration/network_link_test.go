package integration

import (
	"regexp"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/rig"
)

// linkCases are VLANs, bridges, and what is made of them.
func linkCases() []rigCase {
	return []rigCase{
		{
			name:   "vlan",
			expect: []string{byLease("eth0.5"), mounted},
			root:   []string{`^vlan eth0\.5 5 eth0$`},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "vlan=eth0.5:eth0 ip=eth0.5:dhcp root=dhcp"},
				Wire:     []string{"tag c0 5", "lan vlan5", "start_dhcp vlan5" + serveV4},
			},
		},
		{
			name:   "vlan-bond",
			expect: []string{byLease("vlan5"), mounted},
			root:   []string{`^vlan vlan5 5 bond0$`, bothPorts},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "bond=bond0:eth0,eth1:mode=802.3ad vlan=vlan5:bond0 " +
					"ip=vlan5:dhcp root=dhcp"},
				At: []int{0, 1}, Wire: []string{
					"bond mode 802.3ad lacp_rate fast", "tag bond0 5", "lan vlan5",
					"start_dhcp vlan5" + serveV4,
				},
			},
		},
		{
			// The server is behind the second port.
			name:   "bridge",
			expect: []string{byLease("br0"), mounted},
			root:   []string{`^link eth0 .*master=br0$`, `^link eth1 .*master=br0$`},
			more: func(t *testing.T, res rig.Result) {
				// The first port's, which does not change.
				first := regexp.MustCompile(`(?m)^link eth0 .* addr=(\S+)`).
					FindStringSubmatch(strings.Join(res.Root.Lines, "\n"))
				if first == nil || !strings.Contains(strings.Join(res.Root.Lines, "\n"), "link br0 ") {
					t.Fatalf("no eth0 or br0 in %q", res.Root.Lines)
				}
				if res.Count("DHCPACK(c1) 10.77.0.23 "+first[1]) == 0 {
					t.Errorf("the server gave no lease to %s:\n%s", first[1], strings.Join(res.Server, "\n"))
				}
			},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "bridge=br0:eth0,eth1 ip=br0:dhcp root=dhcp"},
				At:       []int{0, 1}, Wire: []string{"lan c1", "start_dhcp c1" + serveV4},
			},
		},
		{
			// All of them, and both links of the bond fail in turn.
			name:   "bridge-vlan-bond",
			expect: []string{byLease("br0"), mounted, failedOver},
			root:   []string{`^link bond0\.7 .*master=br0$`, `^vlan bond0\.7 7 bond0$`, bothPorts},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "bond=bond0:eth0,eth1:mode=active-backup vlan=bond0.7:bond0 " +
					"bridge=br0:bond0.7 ip=br0:dhcp root=dhcp rw " + lab.IOWord + "=2"},
				At: []int{0, 1}, Wire: []string{
					flatSwitch, "tag br0 7", "lan vlan7",
					"start_dhcp vlan7" + serveV4,
				}, Script: failover(),
			},
		},
	}
}

// manyCases are nodes with many NICs. All have a carrier, and one a server.
func manyCases() []rigCase {
	// The network's own time begins where that of the drivers ends, which have 16
	// devices to find.
	toLease := func(t *testing.T, res rig.Result) {
		t.Helper()
		t.Logf("%v of the guest from the drivers to the lease",
			stampOf(t, res.BootResult, `nodisk: network \(3/`)-stampOf(t, res.BootResult, `nodisk: drivers \(2/`))
	}
	// up counts the links that are up.
	up := func(t *testing.T, res rig.Result, want int) {
		t.Helper()
		n := len(regexp.MustCompile(`(?m)^link eth\d+ flags=0x[0-9a-f]*[13579bdf] `).
			FindAllString(strings.Join(res.Root.Lines, "\n"), -1))
		if n != want {
			t.Errorf("%d links are up, want %d; the root said:\n%s", n, want, strings.Join(res.Root.Lines, "\n"))
		}
	}
	wire := []string{"lan c0", "start_dhcp c0" + serveV4}
	return []rigCase{
		{
			name: "sixteen-nics", expect: []string{byLease("eth11"), mounted},
			boot: rig.Boot{BootSpec: lab.BootSpec{NICs: 16, Cmdline: "ip=dhcp root=dhcp"}, At: []int{11}, Wire: wire},
			root: []string{`^link eth11 flags=0x\w*[13579bdf] `},
			more: func(t *testing.T, res rig.Result) { toLease(t, res); up(t, res, 1) },
		},
		{
			name: "sixteen-nics-neednet", expect: []string{byLease("eth11"), mounted},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{NICs: 16, Cmdline: "ip=dhcp root=dhcp rd.neednet=1"}, At: []int{11},
				Wire: wire,
			},
			more: func(t *testing.T, res rig.Result) { up(t, res, 16) },
		},
	}
}
