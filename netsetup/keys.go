package netsetup

import (
	"slices"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// Keys returns the keys of the command line that ParseConfig reads, with an example of each.
func Keys() []cmdline.Key {
	done := func(from, examples string) []cmdline.Key { return cmdline.KeyRows(from, cmdline.KeyDone, "", examples) }
	return slices.Concat(
		cmdline.NetworkKeys(slices.Concat(
			done(cmdline.ByKernel, "ip=dhcp"),
			done(cmdline.ByTools, bootIFWord+"=01-52-54-00-12-34-56"),
			done(cmdline.ByDracut, "bond=bond0:eth0 vlan=vlan5:eth0 bridge=br0:eth0"),
			done("", "ib.pkey=ib0.8001"),
		)),
		done(cmdline.ByDracut, `ifname=lan0:52:54:00:12:34:56 nameserver=10.0.0.1
			rd.route=10.1.0.0/16:10.0.0.1 rd.neednet=1 bootdev=eth0 rd.bootif=1 rd.peerdns=0
			rd.net.timeout.carrier=10 rd.net.timeout.dhcp=10 rd.net.timeout.ipv6auto=10 rd.net.timeout.ipv6dad=10
			rd.net.dhcp.retry=3 rd.net.dhcp.vendor-class=a net.ifnames=0`,
		),
		done(cmdline.ByUdev, "net.naming_scheme=v252 net.ifname_policy=keep,path"),
		done(cmdline.ByNM, clientIDKey+"=eth0:01-52-54-00-12-34-56 rd.net.dns=10.0.0.53"),
		done("", `nodisk.arp-probe=0 nodisk.dhcp.clientid=mac nodisk.dhcp.user-class=a
			nodisk.hostname=n7 nodisk.ifnames=kernel nodisk.ib.mode=datagram nodisk.ib.port=1`),
		cmdline.KeyRows(
			cmdline.ByDracut,
			cmdline.KeyRefused,
			"team devices need a daemon that nodisk does not have: write bond= with the same ports",
			"team=team0:eth0,eth1",
		),
	)
}
