package link

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/kernfile"
)

// Messages about IPv6 are read here and not by the library: its subscriptions for links,
// addresses and routes are three sockets, whose messages are not ordered relative to each other,
// and it has none for the options of router advertisements.

// groups6 are the multicast groups of rtnetlink for IPv6: addresses, routes, the
// flags of an interface, and the options of router advertisements that the
// kernel leaves to others.
const groups6 = 1<<(unix.RTNLGRP_IPV6_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1) |
	1<<(unix.RTNLGRP_IPV6_IFINFO-1) | 1<<(unix.RTNLGRP_ND_USEROPT-1)

// Flags of include/net/if_inet6.h in IFLA_INET6_FLAGS.
const (
	raReceived = 0x20
	raManaged  = 0x40
	raOther    = 0x80
)

// A key6 is what a fact is about: an address, a gateway, a route, or (neither) the
// flags of an interface.
type key6 struct {
	index          int
	gateway, route bool
	addr           netip.Prefix
}

// A fact6 is what was last reported about it.
type fact6 struct {
	news  *News
	stale bool // not in the dumps under way, so far
}

// message6 handles a message about IPv6.
func (w *watcher) message6(ctx context.Context, kind uint16, body []byte) {
	e := &News{Gone: kind == unix.RTM_DELADDR || kind == unix.RTM_DELROUTE}
	key := key6{}
	switch kind {
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		key.index = parseAddr6(body, e)
		key.addr = e.Addr
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		key.index = parseRoute6(body, e)
		key.addr, key.route = e.Route, true
		if e.Gateway.IsValid() {
			key.addr, key.gateway, key.route = netip.PrefixFrom(e.Gateway, 0), true, false
		}
	case unix.RTM_NEWNDUSEROPT:
		// Each is reported: there is no list of them to ask for.
		w.news(ctx, parseOption6(body, e), e)
		return
	default:
		key.index = parseInfo6(body, e)
	}
	if key.index > 0 {
		w.fact(ctx, key, e)
	}
}

func (w *watcher) news(ctx context.Context, index int, e *News) {
	if index > 0 {
		w.emit(ctx, Event{Device: Device{Index: index}, News: e})
	}
}

// fact passes on what is new.
func (w *watcher) fact(ctx context.Context, key key6, e *News) {
	old := w.known6[key].news
	if e.Gone {
		delete(w.known6, key)
	} else {
		w.known6[key] = fact6{news: e}
	}
	if old == nil && e.Gone || old != nil && !e.Gone && old.Tentative == e.Tentative && old.Duplicate == e.Duplicate &&
		old.Managed == e.Managed && old.Other == e.Other {
		return
	}
	w.news(ctx, key.index, e)
}

// fresh ends the dumps: what they did not show is gone.
func (w *watcher) fresh(ctx context.Context) {
	for key, f := range w.known6 {
		if f.stale && key.addr.Addr().IsValid() {
			e := *f.news
			e.Gone = true
			w.fact(ctx, key, &e)
		}
	}
}

// attributes calls f for each attribute (rtnetlink(7)).
func attributes(b []byte, f func(kind uint16, value []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofRtAttr || length > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofRtAttr:length])
		b = b[min(len(b), (length+3)&^3):]
	}
}

// body6 takes the header off a message about IPv6, which has the index of the interface, and
// returns the rest; nil if the message is about something else.
func body6(b []byte, head int, index *int) []byte {
	if len(b) < head || b[0] != unix.AF_INET6 {
		return nil
	}
	*index = int(int32(binary.NativeEndian.Uint32(b[4:])))
	return b[head:]
}

// parseAddr6 reads the body of RTM_NEWADDR: struct ifaddrmsg and attributes. It
// returns the index of the interface, 0 if the address does not matter.
func parseAddr6(b []byte, e *News) (index int) {
	rest := body6(b, unix.SizeofIfAddrmsg, &index)
	if rest == nil {
		return 0
	}
	flags := uint32(b[2])
	var addr netip.Addr
	attributes(rest, func(kind uint16, v []byte) {
		switch {
		// Of a point-to-point address IFA_ADDRESS is the other side.
		case kind == unix.IFA_LOCAL && len(v) == 16, kind == unix.IFA_ADDRESS && len(v) == 16 && !addr.IsValid():
			addr = netip.AddrFrom16([16]byte(v))
		case kind == unix.IFA_FLAGS && len(v) == 4:
			flags = binary.NativeEndian.Uint32(v)
		}
	})
	e.Addr = netip.PrefixFrom(addr, int(b[1]))
	e.Duplicate = flags&unix.IFA_F_DADFAILED != 0
	// An optimistic address (RFC 4429) can be used while it is checked.
	e.Tentative = flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC) == unix.IFA_F_TENTATIVE && !e.Duplicate
	// The kernel sets this on what it makes from a prefix (addrconf_prefix_rcv of
	// net/ipv6/addrconf.c), also when that holds forever.
	e.Permanent = flags&unix.IFA_F_MANAGETEMPADDR == 0
	// Temporary ones (RFC 8981) come and go.
	if !e.Addr.IsValid() || flags&unix.IFA_F_TEMPORARY != 0 {
		return 0
	}
	return index
}

// parseRoute6 reads the body of RTM_NEWROUTE: struct rtmsg and attributes. It
// returns 0 if that is neither a default route of the main table nor one that the
// kernel has made itself.
func parseRoute6(b []byte, e *News) (index int) {
	rest := body6(b, unix.SizeofRtMsg, &index)
	if rest == nil || b[4] != unix.RT_TABLE_MAIN || b[7] != unix.RTN_UNICAST {
		return 0
	}
	bits, own := int(b[1]), b[5] == unix.RTPROT_KERNEL || b[5] == unix.RTPROT_RA
	if bits > 0 && !own {
		return 0
	}
	index = 0 // that was no index
	attributes(rest, func(kind uint16, v []byte) {
		switch {
		case kind == unix.RTA_DST && len(v) == 16 && bits > 0:
			e.Route = netip.PrefixFrom(netip.AddrFrom16([16]byte(v)), bits)
		case kind == unix.RTA_GATEWAY && len(v) == 16 && bits == 0:
			e.Gateway = netip.AddrFrom16([16]byte(v))
		case kind == unix.RTA_OIF && len(v) == 4:
			index = int(int32(binary.NativeEndian.Uint32(v)))
		}
	})
	if !e.Gateway.IsValid() && !e.Route.IsValid() {
		return 0
	}
	return index
}

// parseInfo6 reads the body of an RTM_NEWLINK of family AF_INET6. It returns 0
// if no router advertisement is known to have come.
func parseInfo6(b []byte, e *News) (index int) {
	attributes(body6(b, unix.SizeofIfInfomsg, &index), func(kind uint16, v []byte) {
		if kind == unix.IFLA_PROTINFO {
			attributes(v, func(kind uint16, v []byte) {
				if kind == unix.IFLA_INET6_FLAGS && len(v) == 4 {
					flags := binary.NativeEndian.Uint32(v)
					// The first is set only by the answer to a solicitation,
					// and nobody is told when that changes it alone
					// (ndisc_router_discovery of net/ipv6/ndisc.c).
					e.Router = flags&(raReceived|raManaged|raOther) != 0
					e.Managed, e.Other = flags&raManaged != 0, flags&raOther != 0
				}
			})
		}
	})
	if !e.Router {
		return 0
	}
	return index
}

// The options of RFC 8106 section 5.
const (
	optionRDNSS = 25
	optionDNSSL = 31
)

// parseOption6 reads the body of RTM_NEWNDUSEROPT: struct nduseroptmsg and
// options of a router advertisement. It returns 0 if there is nothing in them.
func parseOption6(b []byte, e *News) (index int) {
	const routerAdvertisement = 134
	rest := body6(b, unix.SizeofNdUseroptmsg, &index)
	if rest == nil || b[8] != routerAdvertisement {
		return 0
	}
	rest = rest[:min(int(binary.NativeEndian.Uint16(b[2:])), len(rest))]
	for len(rest) >= 8 {
		n := int(rest[1]) * 8
		if n == 0 || n > len(rest) {
			break
		}
		// A lifetime of zero takes them back.
		value, lifetime := rest[8:n], binary.BigEndian.Uint32(rest[4:])
		switch {
		case lifetime == 0:
		case rest[0] == optionRDNSS:
			e.DNS = Addrs6(e.DNS, value)
		case rest[0] == optionDNSSL:
			e.Search = ParseNames(e.Search, value)
		}
		rest = rest[n:]
	}
	if len(e.DNS)+len(e.Search) == 0 {
		return 0
	}
	return index
}

// Where the kernel has its IPv6 settings, and a machine its UUID.
const (
	sysctl6     = "/proc/sys/net/ipv6"
	dmiUUID     = "/sys/class/dmi/id/product_uuid"
	conf6       = "net.ipv6.conf."
	switchItOff = "check sysctl settings, and ipv6.disable_ipv6 on the command line"
)

// ProductUUID is that of the firmware, empty if there is none.
func (Kernel) ProductUUID() string {
	b, _ := kernfile.ReadFile(dmiUUID)
	return string(b)
}

// Hasten6 removes the random wait of up to a second from every check for duplicates
// (addrconf_dad_kick of net/ipv6/addrconf.c; RFC 4862 section 5.4.2 wants it for nodes that are
// switched on together). A boot has two or three checks one after the other; why it does not wait
// is at firstRetransmit.
func (Kernel) Hasten6(dev string) {
	_ = os.WriteFile(sysctl6+"/conf/"+dev+"/router_solicitation_delay", []byte("0"), 0)
}

// Restore6 undoes Hasten6.
func (Kernel) Restore6(dev string) error {
	const name = "router_solicitation_delay"
	b, err := kernfile.ReadFile(sysctl6 + "/conf/default/" + name)
	if err != nil {
		return err
	}
	return os.WriteFile(sysctl6+"/conf/"+dev+"/"+name, b, 0)
}

// NoRouters makes the kernel ignore router advertisements on a device.
func (Kernel) NoRouters(dev string) error {
	return os.WriteFile(sysctl6+"/conf/"+dev+"/accept_ra", []byte("0"), 0)
}

// Obstacle6 says why the kernel does not do IPv6 on a device, empty if it does.
func (Kernel) Obstacle6(dev string, ra bool) string { return obstacle6(sysctl6, dev, ra) }

// obstacle6 reads the settings of a device below root.
func obstacle6(root, dev string, ra bool) string {
	value := func(name string) string {
		b, err := kernfile.ReadFile(root + "/conf/" + dev + "/" + name)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	if _, err := os.Stat(root); err != nil {
		return "the kernel has no IPv6: check ipv6.disable=1 on the command line, and that the module ipv6 is in " +
			"the image if it is one"
	}
	accept := value("accept_ra")
	switch {
	case value("disable_ipv6") == "1":
		return "IPv6 is switched off on " + dev + " (" + conf6 + dev + ".disable_ipv6): " + switchItOff
	case ra && accept == "0":
		return dev + " takes in no router advertisements (" + conf6 + dev + ".accept_ra is 0)"
	case ra && accept == "1" && value("forwarding") == "1":
		return dev + " is a router and takes in no router advertisements (" + conf6 + dev + ".forwarding is 1, and " +
			"accept_ra is not 2)"
	default:
		return ""
	}
}
