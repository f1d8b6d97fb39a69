package lease_test

import (
	"fmt"
	"net/netip"

	"github.com/nodisk/nodisk/netsetup/lease"
)

// What a lease changes is data, which can be printed and compared.
func ExampleLease_Steps() {
	l := lease.Lease{
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
