package netsetup

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/netsetup/link"
)

// Unreached says what else it means that one of the hosts is not reached (EHOSTUNREACH
// of connect(2)), beside what it means on every network; empty if that is all. On
// InfiniBand a neighbour's address is not enough: IPoIB asks the subnet administrator
// for the path to its GUID, and drops the packets when nobody answers (path_rec_start
// of drivers/infiniband/ulp/ipoib/ipoib_main.c). The port stays ACTIVE and the
// interface has carrier when the subnet manager ends.
func (s State) Unreached(hosts []Host) string {
	var over []string
	for _, h := range hosts {
		for _, by := range s.towards(h) {
			if by.device().Type == link.HwInfiniBand && !slices.Contains(over, by.Device) {
				over = append(over, by.Device)
			}
		}
	}
	if len(over) == 0 {
		return ""
	}
	return "over InfiniBand (" + strings.Join(
		over,
		", ",
	) + ") it also means that nobody answers path queries: the subnet manager may have ended (check sminfo)"
}

// towards are the interfaces that lead to a host: those on its own network, else those with a
// gateway. If only the name is known, all of them.
func (s State) towards(h Host) []State {
	a := h.Addr.Unmap().WithZone("")
	on := func(p netip.Prefix) bool { return p.Masked().Contains(a) }
	var near, far []State
	for _, by := range append([]State{s}, s.Others...) {
		switch {
		case h.Dev != "" && h.Dev != by.Device:
		case !a.IsValid(), slices.ContainsFunc(by.Addrs, on):
			near = append(near, by)
		case by.Gateway.IsValid() || by.Lease != nil && len(by.Lease.Routes) > 0:
			far = append(far, by)
		}
	}
	if near != nil {
		return near
	}
	return far
}
