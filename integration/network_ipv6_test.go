package integration

import (
	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/rig"
)

// ipv6Cases have their root's server by IPv6 only, but for those that say so.
func ipv6Cases() []rigCase {
	// The name server's answer names the node: it has come, and was asked.
	const (
		serve = "DNS=53 start_dhcp c0 enable-ra dhcp-option=option6:dns-server,[{server6}] " +
			"host-record=found.lab.nodisk.test,{client6} host-record=found.lab.nodisk.test,{slaac6}"
		slaac    = serve + " dhcp-range=2001:db8:77::,ra-only,64"
		light    = serve + " dhcp-range=2001:db8:77::,ra-stateless,64"
		stateful = serve + " dhcp-range=2001:db8:77::23,2001:db8:77::23,64,1h"

		ask    = " nodisk.hostname=reverse"
		own    = `^net6 eth0 2001:db8:77::23/\d+ global$`
		made   = `^net6 eth0 2001:db8:77:0:5054:ff:fe77:\w+/64 global$`
		router = `^route6 default via fe80::`
		found  = `^hostname found$`
	)
	wire := func(commands ...string) []string { return append([]string{"lan c0"}, commands...) }
	network := `nodisk: network \(3/\d\): eth0 2001:db8:77:`
	return []rigCase{
		{
			name: "auto6", expect: []string{network, mounted}, root: []string{made, router, found},
			boot: rig.Boot{BootSpec: lab.BootSpec{Cmdline: "ip=eth0:auto6" + targetWords6 + ask}, Wire: wire(slaac)},
		},
		{
			name: "auto6-stateless", expect: []string{network, mounted}, root: []string{made, router, found},
			boot: rig.Boot{BootSpec: lab.BootSpec{Cmdline: "ip=auto6" + targetWords6 + ask}, Wire: wire(light)},
		},
		{
			name: "dhcp6", expect: []string{network, mounted}, root: []string{own, router, found},
			boot: rig.Boot{BootSpec: lab.BootSpec{Cmdline: "ip=dhcp6" + targetWords6 + ask}, Wire: wire(stateful)},
		},
		{
			name: "either6", expect: []string{network, mounted}, root: []string{
				`^net6 eth0 2001:db8:77:`,
				router, found,
			},
			boot: rig.Boot{BootSpec: lab.BootSpec{Cmdline: "ip=eth0:either6" + targetWords6 + ask}, Wire: wire(stateful)},
		},
		{
			// Router advertisements change nothing. The root comes by IPv4.
			name: "link6", expect: []string{`nodisk: network \(3/\d\): .*eth0`, mounted},
			root: []string{`^net6 eth0 fe80::`}, never: []string{`^net6 eth0 2001:`},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "ip=eth0:dhcp ip=eth0:link6 root=dhcp"},
				Wire:     wire(slaac + serveV4),
			},
		},
		{
			name: "static6", expect: []string{`nodisk: network \(3/\d\): eth0 2001:db8:77::23/64`, mounted},
			root: []string{
				`^net6 eth0 2001:db8:77::23/64 global$`, `^route6 default via 2001:db8:77::1 dev eth0`,
				found,
			},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Cmdline: "ip=[{client6}]::[{server6}]:64::eth0:none nameserver={server6}" +
					targetWords6 + ask},
				Wire: wire(stateful),
			},
		},
		{
			name: "nfs6", fs: "nfs4", expect: []string{`nodisk: network \(3/\d\): eth0 2001:db8:77::23/64`, mounted},
			boot: rig.Boot{
				BootSpec: lab.BootSpec{Root: lab.RootNFS4, Cmdline: "ip=[{client6}]:::64:{name}:eth0:none " +
					"root=nfs4:[{server6}]:{export}"},
				Wire: wire(),
			},
		},
	}
}
