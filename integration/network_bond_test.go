package integration

import (
	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/rig"
)

// failover loses both links of bond0 in turn, while the root reads and writes its disk.
func failover() []lab.Act {
	return []lab.Act{
		{On: `nodisk-root: io up up losses 0`, Pull: []int{0}},
		{On: `nodisk-root: io down up losses 1`, Plug: []int{0}},
		{On: `nodisk-root: io up up losses 1`, Pull: []int{1}},
		{On: `nodisk-root: io up down losses 2`, Plug: []int{1}},
	}
}

const (
	failedOver = `nodisk-root: io done 2 losses`
	// In the order in which they were ready.
	bothPorts = `^bonding bond0 slaves=(eth0 eth1|eth1 eth0)$`
)

func bondCases() []rigCase {
	two := []int{0, 1}
	// Ports that a switch knows nothing of.
	single := []string{flatSwitch, "lan br0", "start_dhcp br0" + serveV4}
	// The far end is a bond as well.
	together := func(options string) []string {
		return []string{"bond " + options, "lan bond0", "start_dhcp bond0" + serveV4}
	}
	return []rigCase{
		{
			// The classic diskless desktop.
			name:   "bond-failover",
			expect: []string{`nodisk: network \(3/\d\): bond0 10\.77\.0\.23/24`, mounted, failedOver},
			root:   []string{`^bonding bond0 mode=active-backup 1$`, `^bonding bond0 miimon=100$`, bothPorts},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "bond=bond0:eth0,eth1:mode=active-backup,miimon=100 " +
					"ip={client}:{server}:{gateway}:{mask}:{name}:bond0:none" +
					targetWords + " rw " + lab.IOWord + "=2"},
				At: two, Wire: []string{flatSwitch, "lan br0"}, Script: failover(),
			},
		},
		{
			name:   "bond-lacp-failover",
			expect: []string{byLease("bond0"), mounted, failedOver},
			root: []string{
				`^bonding bond0 mode=802\.3ad 4$`, `^bonding bond0 lacp_rate=fast 1$`, `^bonding bond0 miimon=100$`,
				`^bonding bond0 ad_partner_mac=52:54:00:78:`, `^bonding bond0 ad_num_ports=2$`,
			},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "bond=bond0:eth0,eth1:mode=802.3ad,lacp_rate=fast ip=bond0:dhcp " +
					"root=dhcp rw " + lab.IOWord + "=2"},
				At: two, Wire: together("mode 802.3ad lacp_rate fast"), Script: failover(),
			},
		},
		{
			// The kernel's mode, ports by their addresses.
			name:   "bond-balance-rr",
			expect: []string{byLease("bond0"), mounted},
			root:   []string{`^bonding bond0 mode=balance-rr 0$`, `^bonding bond0 miimon=100$`, bothPorts},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "bond=bond0:{dash0},{dash1} ip=bond0:dhcp root=dhcp"},
				At:       two, Wire: together("mode balance-rr"),
			},
		},
		{
			// With options, and the MTU of the bond.
			name:   "bond-balance-xor",
			expect: []string{byLease("bond0"), mounted},
			root: []string{
				`^bonding bond0 mode=balance-xor 2$`, `^bonding bond0 miimon=50$`, `^bonding bond0 updelay=100$`,
				`^bonding bond0 downdelay=200$`,
				`^bonding bond0 xmit_hash_policy=layer3\+4 1$`, `^link bond0 .*mtu=1400`,
			},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "bond=bond0:eth0,eth1:mode=balance-xor,miimon=50,updelay=100,downdelay=200,xmit_hash_policy=layer3+4:1400 ip=bond0:dhcp root=dhcp"},
				At:       two, Wire: together("mode balance-xor"),
			},
		},
		{
			// By number. Every frame comes twice.
			name:   "bond-broadcast-nfs",
			fs:     "nfs",
			expect: []string{byLease("bond0"), mounted},
			root:   []string{`^bonding bond0 mode=broadcast 3$`, bothPorts},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Root: lab.RootNFS3, Cmdline: "bond=bond0:eth0,eth1:mode=3 ip=bond0:dhcp root=/dev/nfs " +
					"nfsroot={server}:{export},vers=3"},
				At: two, Wire: together("mode broadcast"),
			},
		},
		{
			// Ports by a pattern of names, one of them for preference.
			name:   "bond-balance-tlb",
			expect: []string{byLease("bond0"), mounted},
			root: []string{
				`^bonding bond0 mode=balance-tlb 5$`, bothPorts,
				`^bonding bond0 primary=eth1$`, `^bonding bond0 active_slave=eth1$`,
			},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "bond=bond0:eth*:mode=balance-tlb,primary=eth1 ip=bond0:dhcp root=dhcp"},
				At:       two, Wire: single,
			},
		},
		{
			// Ports by their driver.
			name:   "bond-balance-alb",
			expect: []string{byLease("bond0"), mounted},
			root:   []string{`^bonding bond0 mode=balance-alb 6$`, bothPorts},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "bond=bond0:driver=virtio*:mode=balance-alb ip=bond0:dhcp root=dhcp"},
				At:       two, Wire: single,
			},
		},
		{
			// A port that the bond has, whose cable comes when the bond is up.
			name:   "bond-late-carrier",
			expect: []string{`bond0: \(slave eth1\): link status definitely up`, byLease("bond0"), mounted},
			root:   []string{bothPorts, `^bonding bond0 mii_status=up$`},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "bond=bond0:eth0,eth1:mode=active-backup ip=bond0:dhcp root=dhcp"},
				At:       two, Wire: []string{flatSwitch, "lan br0"}, Out: []int{0, 1},
				Script: []lab.Act{
					{On: `bond0: \(slave eth1\): Enslaving`, Plug: []int{1}},
					{On: `bond0: \(slave eth1\): link status definitely up`, Server: "start_dhcp br0" + serveV4},
				},
			},
		},
		{
			// A port that is put in when the bond is up.
			name: "bond-late-port",
			expect: []string{
				`bond0: \(slave eth0\): Enslaving`, `bond0: \(slave eth1\): Enslaving`,
				byLease("bond0"), mounted,
			},
			root: []string{bothPorts},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "bond=bond0:eth0,eth1:mode=active-backup ip=bond0:dhcp root=dhcp"},
				At:       two, Wire: []string{flatSwitch, "lan br0"}, Absent: []int{1},
				Script: []lab.Act{
					{On: `bond0: \(slave eth0\): Enslaving`, Insert: []int{1}},
					{On: `bond0: \(slave eth1\): Enslaving`, Server: "start_dhcp br0" + serveV4},
				},
			},
		},
		{
			// The same after the address: the node waits for its target.
			name:   "bond-late-port-addressed",
			errors: true, // of attach
			expect: []string{`nodisk: network \(3/\d\): bond0`, `bond0: \(slave eth1\): Enslaving`, mounted},
			root:   []string{bothPorts},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "bond=bond0:eth0,eth1:mode=active-backup " +
					"ip={client}:{server}:{gateway}:{mask}:{name}:bond0:none" + targetWords},
				At: two, Absent: []int{1},
				Wire: []string{flatSwitch, "lan br0", "tgt --op unbind --mode target --tid {tid} -I ALL"},
				Script: []lab.Act{
					{On: `nodisk: network \(3/`, Insert: []int{1}},
					{On: `bond0: \(slave eth1\): Enslaving`, Server: "tgt --op bind --mode target --tid {tid} -I ALL"},
				},
			},
		},
	}
}
