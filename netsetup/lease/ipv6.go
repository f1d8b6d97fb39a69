package lease

import (
	"time"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A phase6 is where an IPv6 is. The zero value is invalid.
type phase6 int

const (
	phase6Begin      phase6 = iota + 1 // waits for the kernel
	phase6Paused                       // waits for its time to begin again
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
	// waitOptions is how long an address waits for the rest of the router advertisement that it
	// is made of: the kernel reports the parts one by one.
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

// An IPv6 gets the IPv6 address by any of its methods.
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
type IPv6 struct {
	Pacing
	Method Method
	View   *link.IPv6State
	// Obstacle reads why the kernel does not do its part, empty if it does;
	// ra: also the part about router advertisements.
	Obstacle func(ra bool) string
	Client   Client6
	NewXID   func() uint32
	// Judge says what is wrong with a lease for this boot; nil: nothing is.
	Judge  func(Lease) error
	Static *Lease // of a static address

	out   Outcome // of the event at hand
	phase phase6
	begun time.Time
	at    time.Time // when the phase is over
	limit time.Time // when step is to be called next, besides
	since time.Time // when there was an address from a router advertisement
	told  time.Time // when name servers of one were reported
	fails int       // addresses that were refused
	exchange6
	refused string // for the person at the console
}

var _ Protocol = (*IPv6)(nil)

// Channels is DHCPv6, where the method may ask by it.
func (x *IPv6) Channels() []Channel {
	if x.Method == MethodStatic || x.Method == MethodLink6 {
		return nil
	}
	return []Channel{ChannelDHCP6}
}

// Start begins with what the kernel has to check or to ask.
func (x *IPv6) Start(now time.Time) Outcome {
	x.begun, x.at, x.since, x.told = now, time.Time{}, time.Time{}, time.Time{}
	x.phase, x.fails, x.refused = phase6Begin, 0, ""
	x.exchange6 = exchange6{answer: &answer6{}}
	x.note(x.blocked())
	return x.step(now)
}

// Receive takes a message of DHCPv6.
func (x *IPv6) Receive(now time.Time, p Packet) Outcome {
	x.answered(now, p.Payload, p.Src)
	return x.step(now)
}

// Hear notes when name servers are reported: the kernel reports search domains separately, right
// after them.
func (x *IPv6) Hear(now time.Time, e link.News) Outcome {
	if len(e.DNS) > 0 && x.told.IsZero() {
		x.told = now
	}
	return x.step(now)
}

// Deadline is when the phase has to go on.
func (x *IPv6) Deadline() time.Time { return earlier(x.at, x.limit) }

// Tick does what is due.
func (x *IPv6) Tick(now time.Time) Outcome {
	if !x.at.IsZero() && !now.Before(x.at) {
		x.timeout(now)
	}
	return x.step(now)
}

// step goes on with what is known, and returns what there is to do.
func (x *IPv6) step(now time.Time) Outcome {
	x.limit = time.Time{}
	switch {
	case x.phase == phase6Checking:
		x.checked(now)
	case x.phase == phase6Bound:
		x.ended()
	case x.phase > phase6Checking:
	case x.Method == MethodStatic:
		if x.phase == phase6Begin {
			x.check(now, x.Static.Addr)
		}
	case x.Method == MethodLink6:
		if all := x.View.Ready(true); len(all) > 0 {
			x.bind(&Lease{Kept: all})
		}
	default:
		x.auto(now)
		if x.phase == phase6Begin && len(x.View.Ready(true)) > 0 && x.asks(now) {
			x.solicit(now)
		}
	}
	if x.phase == phase6Routing && x.View.Router {
		x.bound()
	}
	o := x.out
	x.out = Outcome{}
	return o
}

func (x *IPv6) note(s string) { x.out.Note = phrase.Sentences(x.out.Note, s) }

func (x *IPv6) do(s link.Step) { x.out.Steps = append(x.out.Steps, s) }

func (x *IPv6) refuse(s string) { x.refused = s; x.note(s) }

// again begins again after a refusal: at once the first time, then after a wait. With a static
// address nothing has changed the first time.
func (x *IPv6) again(now time.Time) {
	x.phase, x.at = phase6Paused, now
	if x.fails > 0 || x.Method == MethodStatic {
		x.at = now.Add(x.Backoff(x.fails))
	}
	x.fails++
}

// bind gives the lease.
func (x *IPv6) bind(l *Lease) {
	x.phase, x.at, x.refused, x.out.Lease = phase6Bound, time.Time{}, "", l
}

// blocked is the sentence about what the kernel does not do.
func (x *IPv6) blocked() string {
	return x.Obstacle(x.Method == MethodAuto6 || x.Method == MethodEither6)
}

// Waiting says what is waited for.
func (x *IPv6) Waiting(now time.Time) string {
	v, after := x.View, phrase.Seconds(now.Sub(x.begun))
	s := x.blocked()
	switch {
	case s != "":
		return s
	case x.phase == phase6Checking:
		return x.addr.Addr().String() + " is still being checked after " + after + link.CheckedBy
	case x.Method == MethodStatic:
		return x.refused + " (tried " + phrase.Times(x.fails) + "): change one of the two"
	case len(v.Ready(true)) == 0:
		return v.LinkLocal(after)
	case x.phase == phase6Routing:
		return "has " + x.addr.String() + " by DHCPv6 of " + x.from.String() + ", and waits for a router advertisement"
	case x.Method == MethodDHCP6, x.Method == MethodEither6 && v.Managed:
		return x.asking(after)
	case x.Method == MethodEither6 && x.counts > 0:
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
