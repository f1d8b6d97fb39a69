package netsetup_test

import (
	"fmt"
	"log"
	"net/netip"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
)

// The kernel's own syntax (Documentation/admin-guide/nfs/nfsroot.rst) and dracut's.
func ExampleParseConfig() {
	c, err := netsetup.ParseConfig(cmdline.Parse("ip=10.0.0.7::10.0.0.254:255.255.255.0:node7:eth0:none nameserver=10.0.0.53"))
	if err != nil {
		log.Print(err)
		return
	}
	for _, i := range c.Interfaces {
		fmt.Println(i)
	}
	fmt.Println(c.Nameservers)
	// Output:
	// 10.0.0.7::10.0.0.254:24:node7:eth0:static
	// [10.0.0.53]
}

// What a lease changes is data, which can be printed and compared.
func ExampleLease_Steps() {
	l := netsetup.Lease{
		Protocol: "DHCP",
		Addr:     netip.MustParsePrefix("10.0.0.7/24"),
		Gateway:  netip.MustParseAddr("10.0.0.254"),
	}
	for _, s := range l.Steps("eth0") {
		fmt.Println(s)
	}
	// Output:
	// ip addr add 10.0.0.7/24 brd + dev eth0
	// ip route replace default via 10.0.0.254 dev eth0
}

// The same port, as sysfs, as ibstat and as the firmware of a card spell it.
func ExampleParseGUID() {
	var guids []netsetup.GUID
	for _, s := range []string{"fe80:0000:0000:0000:0002:c903:0000:1039", "0x2c90300001039", "00:02:c9:00:10:39"} {
		g, err := netsetup.ParseGUID(s)
		if err != nil {
			log.Print(err)
			return
		}
		guids = append(guids, g)
	}
	fmt.Println(guids[0])
	fmt.Println(guids[0].Is(guids[1]), guids[0].Is(guids[2]))
	// Output:
	// 00:02:c9:03:00:00:10:39
	// true true
}
