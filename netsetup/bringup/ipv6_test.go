package bringup

import (
	"net/netip"
)

var (
	linkAddr6   = netip.MustParsePrefix("fe80::5054:ff:fe12:3456/64")
	autoAddr6   = netip.MustParsePrefix("2001:db8:1:0:5054:ff:fe12:3456/64")
	leaseAddr6  = netip.MustParsePrefix("2001:db8:1::777/128")
	router6     = netip.MustParseAddr("fe80::1")
	nameserver6 = netip.MustParseAddr("2001:db8:1::53")
)
