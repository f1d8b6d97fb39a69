package lease

import (
	"time"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/link"
)

// asks reports whether an address is to be asked for by DHCPv6.
func (x *IPv6) asks(now time.Time) bool {
	if x.Method != MethodEither6 || x.View.Managed {
		return x.Method != MethodAuto6
	}
	// If no router answers, or none gives a prefix that the kernel makes an address of, auto6 has
	// failed.
	return !x.waits(now, x.begun.Add(waitAdvertised)) && !x.View.Makes()
}

// waits reports whether a time is still to come; if so, step is called at that time.
func (x *IPv6) waits(now, until time.Time) bool {
	if !now.Before(until) {
		return false
	}
	x.limit = earlier(x.limit, until)
	return true
}

// auto takes the address that the kernel has made of a router advertisement.
func (x *IPv6) auto(now time.Time) {
	v := x.View
	all := v.Ready(false)
	if len(all) == 0 || x.Method == MethodDHCP6 {
		return
	}
	managed := v.Managed && x.Method == MethodEither6
	if managed && x.waits(now, x.begun.Add(waitManaged)) {
		return
	}
	if x.since.IsZero() {
		x.since = now
	}
	complete, from, wait := len(v.DNS) > 0 && (len(v.Search) > 0 || x.told.IsZero()), x.since, waitOptions
	switch {
	case len(v.DNS) > 0:
		from = x.told
	case v.Solicited:
		wait = waitSolicited
	}
	idle := x.phase == phase6Begin || x.phase == phase6Informing || x.phase == phase6Informed
	// Where addresses are given by DHCPv6, so is the rest (RFC 4861 section
	// 4.2).
	if idle && (v.Other || v.Managed && len(v.DNS) == 0) {
		if x.phase == phase6Begin {
			x.enter(now, phase6Informing)
		}
		complete, from, wait = x.phase == phase6Informed, x.since, waitInform
	}
	if !complete && x.waits(now, from.Add(wait)) {
		return
	}
	switch {
	case managed:
		x.note(
			"the router advertisement points to DHCPv6, and there is no lease after " + phrase.Seconds(
				now.Sub(x.begun),
			) + ": taking its prefix",
		)
	case x.phase == phase6Informing:
		x.note(
			"the router advertisement points to DHCPv6 for name servers, and no server has " +
				"answered within " + phrase.Seconds(
				waitInform,
			),
		)
	}
	x.giveBack()
	l := x.lease()
	l.Protocol, l.Kept = "router advertisement", all
	x.bind(l)
}

// ended reports that the addresses of the lease are gone.
func (x *IPv6) ended() {
	if !x.since.IsZero() && len(x.View.Ready(false)) == 0 {
		x.since, x.out.Lost = time.Time{}, true
		x.note("its addresses are gone: the router advertisements that they were made of have ended")
	}
}

// advertised says why there is no address from a router advertisement.
func (x *IPv6) advertised(after string) string {
	v := x.View
	if all := v.Ready(false); len(all) > 0 {
		return "has " + all[0].String() + ", and waits for the name servers of DHCPv6"
	}
	for i := range v.Addrs {
		a := &v.Addrs[i]
		switch {
		case a.Permanent || a.Prefix.Addr().IsLinkLocalUnicast():
		case a.Duplicate:
			return "another node has the address " + a.Prefix.Addr().
				String() +
				" that was made of the router advertisement" + link.CheckedBy + ": look for one with the same " +
				"hardware address"
		default:
			return a.Prefix.Addr().String() + " is still being checked after " + after + link.CheckedBy
		}
	}
	if !v.Router {
		return "no router advertisement after " + after + " (carrier up): check that a router sends them to this " +
			"network, and the VLAN of the switch port"
	}
	text := "the router advertisement has no prefix of 64 bits with flag A (autoconfiguration): "
	if v.Managed {
		return text + "its flag M points to DHCPv6, write ip=dhcp6"
	}
	return text + "check what the router announces"
}
