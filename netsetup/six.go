package netsetup

import (
	"math/rand/v2"
	"time"
)

// A phase6 is where a six is. The zero value is invalid.
type phase6 int

const (
	phase6Begin      phase6 = iota + 1 // waits for the kernel
	phase6Paused                       // waits for its time to begin anew
	phase6Soliciting                   // SOLICIT sent
	phase6Requesting                   // REQUEST sent
	phase6Informing                    // INFORMATION-REQUEST sent
	phase6Informed                     // and answered
	phase6Checking                     // the kernel looks for a duplicate
	phase6Routing                      // waits for a router advertisement
	phase6Bound                        // the lease is made
	phase6Renewing
	phase6Rebinding
)

const (
	// waitCheck is how long the kernel may take to check an address; it needs
	// one to two seconds (RFC 4862 section 5.4).
	waitCheck = 10 * time.Second
	// waitRouter is how long an address of DHCPv6 waits for a router
	// advertisement: hosts ask for one every 4 s (RFC 4861 section 10).
	waitRouter = 5 * time.Second
	// waitOptions is how long an address waits for the rest of the router
	// advertisement that it is made of: the kernel tells the parts one by one.
	waitOptions = 50 * time.Millisecond
	// waitSolicited is that time where routers had to be asked once more: they
	// answer within half a second, but not sooner than three seconds after
	// their last advertisement (RFC 4861 section 6.2.6).
	waitSolicited = 3600 * time.Millisecond
	// waitInform is how long it waits for the name servers of DHCPv6.
	waitInform = 3 * time.Second
	// waitAdvertised is how long either6 waits for a router with a prefix before
	// it asks for DHCPv6 without: the link-local address takes up to two seconds,
	// and routers answer within half a second (RFC 4861 section 10).
	waitAdvertised = 4 * time.Second
	// waitManaged is how long DHCPv6 may take where the router points to it,
	// and gives prefixes as well.
	waitManaged = 10 * time.Second
)

// A six gets the address of IPv6 by any of its methods.
//
//   - link6 waits until the link-local address is checked.
//   - A static address is added and checked (static6.go).
//   - auto6 waits for an address that the kernel makes of a router
//     advertisement (RFC 4862); what that does not say a DHCPv6 server is asked
//     for, if flag O or M says that there is one (auto6.go).
//   - dhcp6 asks a DHCPv6 server for it (dhcp6.go).
//   - either6 does what the router advertisement says: DHCPv6 with flag M, else
//     its prefix. If there is neither, or only one of the two works, it takes
//     that: "if auto6 fails, then dhcp6" (dracut.cmdline(7)).
type six struct {
	pacing
	method Method
	view   *view6
	// obstacle reads why the kernel does not do its part, empty if it does;
	// ra: also the part about router advertisements.
	obstacle func(ra bool) string
	client   client6
	newXID   func() uint32
	// judge says what is wrong with a lease for this boot; nil: nothing is.
	judge  func(Lease) error
	static *Lease // of a static address

	out   outcome // of the event at hand
	phase phase6
	begun time.Time
	at    time.Time // when the phase is over
	limit time.Time // when step is to be called next, besides
	since time.Time // when there was an address of a router advertisement
	told  time.Time // when name servers of one were told
	fails int       // addresses that were refused
	exchange6
	refused string // for the person at the console
}

var _ protocol = (*six)(nil)

// newSix is how the interface gets its address of IPv6.
func (r *runner) newSix(n *nic, d Device) protocol {
	s := n.slot
	v := r.view(d.Index)
	v.dev = d.Name
	static, as := s.lease(), r.asker(d)
	return &six{
		pacing: newPacing(as.lasting()), method: s.Method, view: v, newXID: rand.Uint32, static: &static,
		obstacle: func(ra bool) string { return r.sys.obstacle6(d.Name, ra) },
		client: client6{
			duid: newDUID(r.sys.productUUID(), as), iaid: iaidOf(as), rapid: r.only(n),
			vendor: r.config.VendorClass, user: r.config.UserClass, hostname: s.Hostname,
		},
		judge: r.judge(n),
	}
}

// view is what the kernel has told about IPv6 on an interface.
func (r *runner) view(index int) *view6 {
	v := r.views[index]
	if v == nil {
		v = &view6{}
		r.views[index] = v
	}
	return v
}

func (x *six) channels() []channel {
	if x.method == MethodStatic || x.method == MethodLink6 {
		return nil
	}
	return []channel{channelDHCP6}
}

func (x *six) start(now time.Time) outcome {
	x.begun, x.at, x.since, x.told = now, time.Time{}, time.Time{}, time.Time{}
	x.phase, x.fails, x.refused = phase6Begin, 0, ""
	x.exchange6 = exchange6{answer: &answer6{}}
	x.note(x.blocked())
	return x.step(now)
}

func (x *six) receive(now time.Time, p packet) outcome {
	x.answered(now, p.payload, p.src)
	return x.step(now)
}

// hear notes when name servers are told: the kernel tells search domains apart,
// right behind them.
func (x *six) hear(now time.Time, e news) outcome {
	if len(e.dns) > 0 && x.told.IsZero() {
		x.told = now
	}
	return x.step(now)
}

func (x *six) deadline() time.Time { return earlier(x.at, x.limit) }

func (x *six) tick(now time.Time) outcome {
	if !x.at.IsZero() && !now.Before(x.at) {
		x.timeout(now)
	}
	return x.step(now)
}

// step goes on with what is known, and returns what there is to do.
func (x *six) step(now time.Time) outcome {
	x.limit = time.Time{}
	switch {
	case x.phase == phase6Checking:
		x.checked(now)
	case x.phase == phase6Bound:
		x.ended()
	case x.phase > phase6Checking:
	case x.method == MethodStatic:
		if x.phase == phase6Begin {
			x.check(now, x.static.Addr)
		}
	case x.method == MethodLink6:
		if all := x.view.ready(true); len(all) > 0 {
			x.bind(&Lease{Kept: all})
		}
	default:
		x.auto(now)
		if x.phase == phase6Begin && len(x.view.ready(true)) > 0 && x.asks(now) {
			x.solicit(now)
		}
	}
	if x.phase == phase6Routing && x.view.router {
		x.bound()
	}
	o := x.out
	x.out = outcome{}
	return o
}

func (x *six) note(s string)   { x.out.note = sentences(x.out.note, s) }
func (x *six) do(s Step)       { x.out.steps = append(x.out.steps, s) }
func (x *six) refuse(s string) { x.refused = s; x.note(s) }

// again begins anew behind a refusal: at once the first time, then after a
// wait. With a static address nothing has changed the first time.
func (x *six) again(now time.Time) {
	x.phase, x.at = phase6Paused, now
	if x.fails > 0 || x.method == MethodStatic {
		x.at = now.Add(x.backoff(x.fails))
	}
	x.fails++
}

// bind gives the lease.
func (x *six) bind(l *Lease) {
	x.phase, x.at, x.refused, x.out.lease = phase6Bound, time.Time{}, "", l
}

// blocked is the sentence about what the kernel does not do.
func (x *six) blocked() string {
	return x.obstacle(x.method == MethodAuto6 || x.method == MethodEither6)
}

const checkedBy = " (duplicate address detection)"

func (x *six) waiting(now time.Time) string {
	v, after := x.view, seconds(now.Sub(x.begun))
	s := x.blocked()
	switch {
	case s != "":
		return s
	case x.phase == phase6Checking:
		return x.addr.Addr().String() + " is still being checked after " + after + checkedBy
	case x.method == MethodStatic:
		return x.refused + " (tried " + times(x.fails) + "): change one of both"
	case len(v.ready(true)) == 0:
		return v.linkLocal(after)
	case x.phase == phase6Routing:
		return "has " + x.addr.String() + " by DHCPv6 of " + x.from.String() + ", and waits for a router advertisement"
	case x.method == MethodDHCP6, x.method == MethodEither6 && v.managed:
		return x.asking(after)
	case x.method == MethodEither6 && x.counts > 0:
		return x.advertised(after) + "; " + x.asking(after)
	default:
		return x.advertised(after)
	}
}

// earlier is the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
