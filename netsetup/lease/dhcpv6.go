package lease

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/internal/sets"
	"github.com/nodisk/nodisk/netsetup/link"
)

// An exchange6 is the part of an IPv6 that speaks DHCPv6 (RFC 8415 section 18.2). The times are
// those of DHCP: see firstRetransmit. RFC 8415 has a second before the first SOLICIT and up to an
// hour between two later ones; a server that wants fewer can say so (SOL_MAX_RT). The first
// ADVERTISE is taken at once and not after a second, in which a better one might come; one of a
// higher preference is still taken until the lease is there.
type exchange6 struct {
	xid       uint32
	solicited uint32 // the xid of the SOLICIT
	sent      int    // messages of the current phase, for back-off
	counts    int    // SOLICITs
	maxRT     time.Duration

	server []byte
	prefer byte
	from   netip.Addr   // the server's address
	addr   netip.Prefix // what was offered, or is being checked
	answer *answer6
	// Of the lease: when to ask for more, and when it ends; zero for never.
	renew, rebind, expire time.Time
}

// solicit begins again.
func (x *IPv6) solicit(now time.Time) {
	x.server, x.prefer, x.addr = nil, 0, netip.Prefix{}
	x.enter(now, phase6Soliciting)
	x.solicited = x.xid
}

// enter begins a phase in which messages are sent.
func (x *IPv6) enter(now time.Time, p phase6) {
	x.phase, x.sent = p, 0
	x.newTransaction()
	x.transmit(now)
}

func (x *IPv6) newTransaction() { x.xid = x.NewXID() & 0xffffff }

// transmit sends the message of the phase and sets the time of the next.
func (x *IPv6) transmit(now time.Time) {
	wait := x.Backoff(x.sent)
	// A server may want longer times than nodisk has.
	for i := 3; i < x.sent && wait < x.maxRT; i++ {
		wait = min(2*wait, x.maxRT)
	}
	x.sent++
	since := now.Sub(x.begun)
	kind, until := dhcpv6.MessageTypeSolicit, time.Time{}
	switch x.phase {
	case phase6Requesting:
		kind = dhcpv6.MessageTypeRequest
	case phase6Renewing:
		kind, until = dhcpv6.MessageTypeRenew, x.rebind
	case phase6Rebinding:
		kind, until = dhcpv6.MessageTypeRebind, x.expire
	case phase6Informing:
		kind = dhcpv6.MessageTypeInformationRequest
	default:
		x.counts++
	}
	if !until.IsZero() {
		// As with DHCP, half of what is left.
		left := until.Sub(now)
		wait, since = max(left/2, min(leastRenew, left)), 0
	}
	x.at = now.Add(wait)
	x.send(kind, since)
}

func (x *IPv6) send(kind dhcpv6.MessageType, since time.Duration) {
	server := x.server
	if kind == dhcpv6.MessageTypeRebind || kind == dhcpv6.MessageTypeInformationRequest {
		server = nil
	}
	x.out.Send = append(x.out.Send, Message{
		Via: ChannelDHCP6, What: kind.String(), Payload: x.Client.message(kind, x.xid, since, server, x.addr.Addr()),
	})
}

// timeout is called when the phase is over.
func (x *IPv6) timeout(now time.Time) {
	switch x.phase {
	case phase6Paused:
		x.phase, x.at = phase6Begin, time.Time{}
	case phase6Requesting:
		if x.sent < MaxRequests {
			x.transmit(now)
			return
		}
		x.refuse(
			x.from.String() + " offered " + x.addr.Addr().
				String() +
				" and does not confirm it (" + phrase.Count(
				x.sent,
				"REQUEST",
			) + " sent), asking again",
		)
		x.solicit(now)
	case phase6Checking:
		x.refuse("the kernel has not taken " + x.addr.String() + " within " + phrase.Seconds(waitCheck))
		x.takeBack(now)
	case phase6Routing:
		x.bound()
	case phase6Bound, phase6Renewing, phase6Rebinding:
		x.prolong(now)
	default:
		x.transmit(now)
	}
}

// prolong asks for more time, or reports that there was none.
func (x *IPv6) prolong(now time.Time) {
	p := phase6Renewing
	switch {
	case !now.Before(x.expire):
		x.refuse("the lease of " + x.addr.Addr().String() + " has ended: " + x.from.String() + " has not renewed it")
		x.out.Lost = true
		x.solicit(now)
		return
	case !now.Before(x.rebind):
		p = phase6Rebinding
	}
	if p == x.phase {
		x.transmit(now)
	} else {
		x.enter(now, p)
	}
}

// answered handles a message of a server (RFC 8415 section 18.2.10).
func (x *IPv6) answered(now time.Time, payload []byte, from netip.Addr) {
	a := parseAnswer6(payload, x.Client.IAID)
	reply := a.kind == dhcpv6.MessageTypeReply && a.xid == x.xid
	offer := a.kind == dhcpv6.MessageTypeAdvertise && a.xid == x.solicited &&
		(x.phase == phase6Soliciting || x.phase == phase6Requesting && a.preference > x.prefer)
	switch {
	case !reply && !offer:
		return
	case a.bad != 0:
		x.refuse(
			"the answer of " + from.String() + " cannot be read: its option " + strconv.Itoa(
				int(a.bad),
			) + " is cut off",
		)
		return
	case !bytes.Equal(a.client, x.Client.DUID):
		return // another client's
	case a.server == nil:
		x.refuse("the answer of " + from.String() + " has no server identifier")
		return
	}
	if a.maxRT != 0 && x.phase == phase6Soliciting {
		x.maxRT = time.Duration(a.maxRT) * time.Second
	}
	known := bytes.Equal(a.server, x.server)
	switch {
	case offer:
		if x.grants(a, from) && x.suits(a, from) {
			x.take(a, from)
			x.enter(now, phase6Requesting)
		}
	case x.phase == phase6Soliciting && a.rapid && x.Client.Rapid, x.phase == phase6Requesting && known:
		if !x.grants(a, from) {
			x.again(now)
			return
		}
		x.take(a, from)
		x.hold(now)
		x.check(now, x.addr)
	case x.phase == phase6Renewing && known, x.phase == phase6Rebinding:
		if x.grants(a, from) && a.addr == x.addr.Addr() {
			x.take(a, from)
			x.hold(now)
			x.phase, x.at = phase6Bound, x.renew
			return
		}
		// Another address: the old one has no more time.
		x.out.Lost = true
		x.again(now)
	case x.phase == phase6Informing:
		x.phase, x.at, x.answer, x.from = phase6Informed, time.Time{}, a, from
	}
}

func (x *IPv6) take(a *answer6, from netip.Addr) {
	x.answer, x.server, x.prefer, x.from = a, a.server, a.preference, from
	x.addr = netip.PrefixFrom(a.addr, 128)
}

// grants reports whether the answer has an address; if not, why.
func (x *IPv6) grants(a *answer6, from netip.Addr) bool {
	if a.status == iana.StatusSuccess && a.addr.IsValid() {
		return true
	}
	why := "it has no address for this node"
	switch a.status {
	case iana.StatusSuccess:
	case iana.StatusNoAddrsAvail:
		why += " (NoAddrsAvail): check its pool, and whether it serves this network"
	case iana.StatusNotOnLink:
		why = "the address is not one of this network (NotOnLink)"
	case iana.StatusNoBinding:
		why = "it does not know the lease (NoBinding)"
	case iana.StatusUseMulticast:
		why = "it wants multicast, which was sent (UseMulticast): look for a relay that changes messages"
	default:
		why = "status " + strconv.Itoa(int(a.status))
	}
	if a.text != "" && phrase.Printable(a.text) {
		why += ": " + a.text
	}
	x.refuse("the answer of " + from.String() + " is refused: " + why)
	return false
}

// hold notes when the lease is to be renewed. What the server leaves open is
// half and four fifths of the preferred time (RFC 8415 section 21.4).
func (x *IPv6) hold(now time.Time) {
	ia := x.answer
	x.renew, x.rebind, x.expire = time.Time{}, time.Time{}, time.Time{}
	if ia.valid == forever6 {
		return
	}
	base := ia.preferred
	if base == 0 {
		base = ia.valid
	}
	t1, t2 := ia.t1, ia.t2
	if t2 == 0 || t2 > ia.valid {
		t2 = base / 5 * 4
	}
	if t1 == 0 || t1 > t2 {
		t1 = min(base/2, t2)
	}
	after := func(s uint32) time.Time { return now.Add(time.Duration(s) * time.Second) }
	x.renew, x.rebind, x.expire = after(t1), after(t2), after(ia.valid)
}

// anywhere6 are networks that all addresses are in, without a default route.
var anywhere6 = []netip.Prefix{netip.MustParsePrefix("::/1"), netip.MustParsePrefix("8000::/1")}

// suits reports whether what is offered is of use to the boot; if not, why.
func (x *IPv6) suits(a *answer6, from netip.Addr) bool {
	if x.Judge == nil {
		return true
	}
	said := x.out.Note
	l := x.granted(a, from)
	x.out.Note = said // and told when the lease is there
	if !x.View.Router {
		l.Reached = anywhere6 // it may say yet where the lease leads
	}
	err := x.Judge(*l)
	if err != nil {
		x.refuse(err.Error())
	}
	return err == nil
}

// granted is the lease of an answer, with the address on the interface.
func (x *IPv6) granted(a *answer6, from netip.Addr) *Lease {
	l := x.leaseBy(a, from)
	l.Kept = []netip.Prefix{netip.PrefixFrom(a.addr, 128)}
	if a.valid != forever6 {
		l.Duration = time.Duration(a.valid) * time.Second
	}
	if v := x.View; !v.Gateway.IsValid() && !v.OnLink(a.addr) {
		// The prefix of the link is for a router to say (RFC 5942). Where none
		// does, the other nodes of a cluster are more likely in the same /64
		// than nowhere.
		dev, _ := a.addr.Prefix(64)
		l.Routes = []link.Route{{Dst: dev}}
		why := "no router advertisement within " + phrase.Seconds(waitRouter) + ", and DHCPv6 gives no route"
		if v.Router {
			why = "neither the router advertisement nor DHCPv6 gives a route"
		}
		x.note(why + ": taking " + dev.String() + " for the link, and no gateway")
	}
	return l
}

// bound ends the exchange: the address is checked.
func (x *IPv6) bound() {
	x.bind(x.granted(x.answer, x.from))
	x.at, x.fails, x.since = x.renew, 0, time.Time{}
}

// lease is what the last answer and the kernel say, without an address.
func (x *IPv6) lease() *Lease { return x.leaseBy(x.answer, x.from) }

func (x *IPv6) leaseBy(a *answer6, from netip.Addr) *Lease {
	v := x.View
	l := &Lease{
		Protocol: "DHCPv6",
		Server:   from,
		Router:   v.Gateway,
		Reached:  slices.Clone(v.Routes),
		DNS: link.Zoned(
			sets.Union(a.dns, v.DNS),
			v.Dev,
		),
		Search:   sets.Union(a.search, v.Search),
		NTP:      link.Zoned(a.ntp, v.Dev),
		Hostname: a.fqdn,
	}
	// The URL of a boot loader is not a root; nodisk's own forms are.
	form, _, _ := strings.Cut(a.url, ":")
	switch {
	case form != "iscsi" && form != "nfs" && form != "nfs4":
	case phrase.Printable(a.url):
		l.RootPath = a.url
	default:
		x.note("root path " + phrase.Quoted(a.url) + " (option 59) is not usable")
	}
	return l
}

// Release gives back what a server may hold for this node.
func (x *IPv6) Release() []Message {
	x.out = Outcome{}
	x.giveBack()
	sent := x.out.Send
	x.out.Send = nil
	return sent
}

func (x *IPv6) giveBack() {
	if x.server != nil {
		x.newTransaction()
		x.send(dhcpv6.MessageTypeRelease, 0)
		x.server = nil
	}
}

// asking says what is waited for from DHCPv6.
func (x *IPv6) asking(after string) string {
	if x.phase == phase6Requesting {
		return x.from.String() + " offered " + x.addr.Addr().
			String() +
			" but has not confirmed it after " + after + " (" + phrase.Count(
			x.sent,
			"REQUEST",
		) + " sent)"
	}
	sent := " after " + after + " (" + phrase.Count(x.counts, "SOLICIT") + " sent, carrier up): "
	if x.refused != "" {
		return "no DHCPv6 lease" + sent + x.refused
	}
	routers := "; no router advertisement was seen either"
	switch {
	case x.View.Managed:
		routers = "; a router advertisement was seen, its flag M points to DHCPv6"
	case x.View.Router && x.Method == MethodEither6:
		routers = "" // said before
	case x.View.Router:
		routers = "; a router advertisement was seen, without flag M: is it ip=auto6 that is meant?"
	}
	return "no DHCPv6 answer" + sent + "check that a DHCPv6 server serves this network, its pool, and the VLAN of " +
		"the switch port" + routers
}
