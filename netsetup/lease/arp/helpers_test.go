package arp

import (
	"net/netip"

	"github.com/nodisk/nodisk/netsetup/link"
)

// ipoibA and ipoibB are addresses of ports: flags, queue pair, subnet prefix,
// GUID.
const (
	ipoibA = link.HardwareAddr("\x80\x00\x00\x48\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x10\x39")
	ipoibB = link.HardwareAddr("\x80\x00\x00\x49\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x20\x41")
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

const (
	macA = link.HardwareAddr("\x52\x54\x00\x12\x34\x56")
	macB = link.HardwareAddr("\x52\x54\x00\x12\x34\x57")
)
