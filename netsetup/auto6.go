package netsetup

import "time"

// asks tells whether an address is to be asked for by DHCPv6.
func (x *six) asks(now time.Time) bool {
	if x.method != MethodEither6 || x.view.managed {
		return x.method != MethodAuto6
	}
	// Where no router speaks, or none gives a prefix that the kernel makes an
	// address of, auto6 has failed.
	return !x.waits(now, x.begun.Add(waitAdvertised)) && !x.view.makes()
}

// waits tells whether a time is still to come; then step is called at that time.
func (x *six) waits(now, until time.Time) bool {
	if !now.Before(until) {
		return false
	}
	x.limit = earlier(x.limit, until)
	return true
}

// auto takes the address that the kernel has made of a router advertisement.
func (x *six) auto(now time.Time) {
	v := x.view
	all := v.ready(false)
	if len(all) == 0 || x.method == MethodDHCP6 {
		return
	}
	managed := v.managed && x.method == MethodEither6
	if managed && x.waits(now, x.begun.Add(waitManaged)) {
		return
	}
	if x.since.IsZero() {
		x.since = now
	}
	complete, from, wait := len(v.dns) > 0 && (len(v.search) > 0 || x.told.IsZero()), x.since, waitOptions
	switch {
	case len(v.dns) > 0:
		from = x.told
	case v.solicited:
		wait = waitSolicited
	}
	idle := x.phase == phase6Begin || x.phase == phase6Informing || x.phase == phase6Informed
	// Where addresses are given by DHCPv6, so is the rest (RFC 4861 section
	// 4.2).
	if idle && (v.other || v.managed && len(v.dns) == 0) {
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
		x.note("the router advertisement points to DHCPv6, and there is no lease after " + seconds(now.Sub(x.begun)) + ": taking its prefix")
	case x.phase == phase6Informing:
		x.note("the router advertisement points to DHCPv6 for name servers, and no server has answered within " + seconds(waitInform))
	}
	x.giveBack()
	l := x.lease()
	l.Protocol, l.Kept = "router advertisement", all
	x.bind(l)
}

// ended tells when the addresses of the lease are no more.
func (x *six) ended() {
	if !x.since.IsZero() && len(x.view.ready(false)) == 0 {
		x.since, x.out.lost = time.Time{}, true
		x.note("its addresses are gone: the router advertisements that they were made of have ended")
	}
}

// advertised says why there is no address of a router advertisement.
func (x *six) advertised(after string) string {
	v := x.view
	if all := v.ready(false); len(all) > 0 {
		return "has " + all[0].String() + ", and waits for the name servers of DHCPv6"
	}
	for i := range v.addrs {
		a := &v.addrs[i]
		switch {
		case a.permanent || a.prefix.Addr().IsLinkLocalUnicast():
		case a.duplicate:
			return "another node has the address " + a.prefix.Addr().String() + " that was made of the router advertisement" + checkedBy + ": look for one with the same hardware address"
		default:
			return a.prefix.Addr().String() + " is still being checked after " + after + checkedBy
		}
	}
	if !v.router {
		return "no router advertisement after " + after + " (carrier up): check that a router sends them to this network, and the VLAN of the switch port"
	}
	text := "the router advertisement has no prefix of 64 bits with flag A (autoconfiguration): "
	if v.managed {
		return text + "its flag M points to DHCPv6, write ip=dhcp6"
	}
	return text + "check what the router announces"
}
