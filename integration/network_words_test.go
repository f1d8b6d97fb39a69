package integration

import (
	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/rig"
)

// wordCases are further words of the command line, and what DHCP brings.
func wordCases() []rigCase {
	return []rigCase{
		{
			// An interface by its address, with a name of the administrator's and
			// an MTU; a second one by hand; routes from both sides; the root path for
			// those only that say vendor and user class.
			name:   "words",
			expect: []string{byLease("lan"), mounted},
			root: []string{
				`^hostname kiosk7$`, `^link lan .*mtu=1400 `,
				`^route4 10\.99\.0\.0/24 via 10\.77\.0\.1 dev lan`, `^route4 10\.66\.0\.0/16 via 10\.77\.0\.1 dev lan`,
				`^net eth0 10\.88\.0\.5/24$`, `^link eth0 flags=0x\w*[13579bdf] .*mtu=1450 `,
			},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "ifname=lan:{mac1} ip=lan:dhcp:1400 " +
					"ip=10.88.0.5:::24::eth0:none:1450 bootdev=lan" +
					" rd.route=10.99.0.0/24:10.77.0.1:lan nameserver=10.77.0.9 rd.peerdns=0" +
					" rd.net.dhcp.vendor-class=lab-vendor nodisk.dhcp.user-class=lab-user root=dhcp"},
				At: []int{0, 1},
				Wire: []string{"lan c1", "start_dhcp c1 dhcp-range=10.77.0.23,10.77.0.99,255.255.255.0,1h " +
					"dhcp-host={mac1},kiosk7,10.77.0.23" +
					" dhcp-vendorclass=set:vendor,lab-vendor dhcp-userclass=set:user,lab-user" +
					" 'dhcp-option=tag:vendor,tag:user,17,\"iscsi:{server}::3260:1:{target}\"'" +
					" dhcp-option=option:classless-static-route,10.66.0.0/16,10.77.0.1,0.0.0.0/0,10.77.0.1"},
			},
		},
		{
			// Both NICs have a server.
			name:   "bootif",
			expect: []string{byLease("eth1"), mounted},
			root:   []string{`^link eth0 flags=0x\w*[02468ace] `, `^link eth1 flags=0x\w*[13579bdf] `},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "ip=dhcp BOOTIF=01-{dash1} root=dhcp"},
				At:       []int{0, 1}, Wire: []string{flatSwitch, "lan br0", "start_dhcp br0" + serveV4},
			},
		},
		{
			name: "bootp", expect: []string{`nodisk: network \(3/\d\): eth0 10\.77\.0\.\d+/24 by BOOTP`, mounted},
			root: []string{`^route 10\.77\.0\.1$`},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "ip=eth0:bootp" + targetWords},
				Wire:     []string{"lan c0", "start_dhcp c0 bootp-dynamic" + serveV4},
			},
		},
		{
			// Nobody answers RARP.
			name: "both", expect: []string{`nodisk: network \(3/\d\): eth0 10\.77\.0\.\d+/24 by BOOTP`, mounted},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "ip=::::::both" + targetWords},
				Wire:     []string{"lan c0", "start_dhcp c0 bootp-dynamic" + serveV4},
			},
		},
	}
}
