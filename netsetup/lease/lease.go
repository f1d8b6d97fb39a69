package lease

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A Lease is what a DHCP server gave. Fields it did not give are zero.
type Lease struct {
	// Protocol says how it was got: DHCP, BOOTP, RARP, DHCPv6 or "router
	// advertisement".
	Protocol string
	Addr     netip.Prefix // yiaddr and option 1
	// More are further addresses of a static argument, of which nobody is asked.
	More []netip.Prefix
	// Kept are addresses that the interface has already: for IPv6 the kernel makes them, or has
	// to check them first.
	Kept    []netip.Prefix
	Gateway netip.Addr // option 3, or the default route of option 121
	// Router is the default router that the kernel has taken from router
	// advertisements: no route is to be made.
	Router netip.Addr
	// Reached are the networks, beside that, to which the kernel has routes by router
	// advertisements: no route is to be made.
	Reached []netip.Prefix
	Server  netip.Addr // option 54, who gave it
	// NextServer is siaddr, the boot server; an NFS root that names no
	// server is there.
	NextServer    netip.Addr
	RootPath      string // option 17
	Hostname      string // option 12
	Domain        string // option 15
	Search        []string
	InitiatorName string // option 203, as iPXE uses it: the iSCSI initiator
	DNS, NTP      []netip.Addr
	MTU           int          // option 26
	Routes        []link.Route // option 121, without a default route; Dev is empty
	// Duration is how long the lease lasts, Renew and Rebind when to ask again, all from the
	// answer on. Duration 0 is forever.
	Duration, Renew, Rebind time.Duration
}

// First is the address that stands for the lease.
func (l Lease) First() netip.Prefix {
	if !l.Addr.IsValid() && len(l.Kept) > 0 {
		return l.Kept[0]
	}
	return l.Addr
}

// Steps returns the changes that put the lease to use.
func (l Lease) Steps(dev string) []link.Step {
	var steps []link.Step
	if l.MTU != 0 {
		steps = append(steps, link.SetMTU{Dev: dev, MTU: l.MTU})
	}
	if l.Addr.IsValid() {
		steps = append(steps, link.AddrAdd{Dev: dev, Addr: l.Addr})
	}
	for _, a := range l.More {
		steps = append(steps, link.AddrAdd{Dev: dev, Addr: a})
	}
	// Routes to what is on the link come first: others need them.
	for _, onLink := range []bool{true, false} {
		for _, r := range l.Routes {
			if r.Via.IsValid() == onLink {
				continue
			}
			r.Dev = dev
			r.OnLink = l.Beyond(r.Via)
			steps = append(steps, r)
		}
	}
	if l.Gateway.IsValid() {
		steps = append(
			steps,
			link.Route{Dst: DefaultRoute(l.Gateway), Via: l.Gateway, Dev: dev, OnLink: l.Beyond(l.Gateway)},
		)
	}
	return steps
}

// DefaultRoute is the destination "all" of the family of a.
func DefaultRoute(a netip.Addr) netip.Prefix {
	if a.Is6() {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// Expected is what the node knows of a lease beforehand.
type Expected struct {
	Bits int // prefix length where the server gives none, 0 for no such
	// IPv6 is set if the interface, or something made of it, has IPv6, for which the MTU must not
	// be too small.
	IPv6 bool
}

// parseLease reads an OFFER or ACK. An error means that the answer is of no use, a note that part
// of it is not.
func parseLease(m *dhcpv4.DHCPv4, want Expected) (l Lease, notes []string, err error) {
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	bits := want.Bits

	l.Protocol = "DHCP"
	if l.Server = serverOf(m); !l.Server.IsValid() && m.Options.Has(dhcpv4.OptionDHCPMessageType) {
		return Lease{}, nil, errors.New("no server identifier (option 54)")
	}
	addr, _ := netip.AddrFromSlice(m.YourIPAddr.To4())
	if !addr.IsValid() || addr.IsUnspecified() {
		return Lease{}, nil, errors.New("no address")
	}
	switch mask := m.Options.Get(dhcpv4.OptionSubnetMask); len(mask) {
	case 4:
		var ok bool
		if bits, ok = link.MaskBits([4]byte(mask)); !ok || bits == 0 {
			return Lease{}, nil, fmt.Errorf("netmask %s is not a netmask", net.IP(mask))
		}
	case 0:
		if bits == 0 {
			return Lease{}, nil, errors.New("no subnet mask (option 1)")
		}
	default:
		return Lease{}, nil, fmt.Errorf("subnet mask of %d bytes", len(mask))
	}
	l.Addr = netip.PrefixFrom(addr, bits)
	if !link.Usable(l.Addr) {
		return Lease{}, nil, fmt.Errorf("%s is not the address of a host", l.Addr)
	}
	if a, _ := netip.AddrFromSlice(m.ServerIPAddr.To4()); a.IsValid() && !a.IsUnspecified() {
		l.NextServer = a
	}
	if routers := optionAddrs(m, dhcpv4.OptionRouter); len(routers) > 0 {
		l.Gateway = routers[0]
	}
	// RFC 3442: with option 121 the router option is to be ignored.
	if raw := m.Options.Get(dhcpv4.OptionClasslessStaticRoute); len(raw) > 0 {
		routes, gateway, ok := parseRoutes(raw)
		if ok {
			l.Routes, l.Gateway = routes, gateway
		} else {
			note("routes (option 121) cannot be read, using the router option")
		}
	}
	servers := func(code dhcpv4.OptionCode, what string) (list []netip.Addr) {
		for _, a := range optionAddrs(m, code) {
			if !link.Serves(a) {
				note("%s %s is not the address of a server", what, a)
				continue
			}
			list = append(list, a)
		}
		return list
	}
	l.DNS = servers(dhcpv4.OptionDomainNameServer, "name server")
	l.NTP = servers(dhcpv4.OptionNTPServers, "time server")
	text := func(code dhcpv4.OptionCode, name string, valid func(string) bool) string {
		s := optionText(m, code)
		if s != "" && !valid(s) {
			note("%s %s is not usable", name, phrase.Quoted(s))
			return ""
		}
		return s
	}
	l.RootPath = text(dhcpv4.OptionRootPath, "root-path", phrase.Printable)
	// All of it may be long: the node's name is only the first label.
	l.Hostname = text(dhcpv4.OptionHostName, "host name", link.ValidName)
	l.setDomains(m, note)
	l.InitiatorName = text(optionInitiatorName, "initiator name", InitiatorName)
	if raw := m.Options.Get(dhcpv4.OptionInterfaceMTU); len(raw) == 2 {
		switch mtu := int(binary.BigEndian.Uint16(raw)); {
		case mtu < link.MinMTU:
			note("MTU %d is too small", mtu)
		case want.IPv6 && mtu < link.MinMTU6:
			note(
				"MTU %d (option 26) is left out: with less than %d the kernel takes IPv6 off the interface",
				mtu,
				link.MinMTU6,
			)
		default:
			l.MTU = mtu
		}
	}
	l.Duration = optionSeconds(m, dhcpv4.OptionIPAddressLeaseTime)
	l.Renew = optionSeconds(m, dhcpv4.OptionRenewTimeValue)
	l.Rebind = optionSeconds(m, dhcpv4.OptionRebindingTimeValue)
	return l, notes, nil
}

// setDomains takes the domain (option 15) and the search list (option 119). A domain of several
// names is a search list from before RFC 3397, which resolvers and dhclient-script(8) take as
// such; without option 119 it is one.
func (l *Lease) setDomains(m *dhcpv4.DHCPv4, note func(string, ...any)) {
	usable := func(names []string, what string) (good []string) {
		for _, s := range names {
			if !link.ValidName(s) {
				note("%s %s is not usable", what, phrase.Quoted(s))
			} else if len(good) < link.MostNames {
				good = append(good, s)
			}
		}
		return good
	}
	words := []string{optionText(m, dhcpv4.OptionDomainName)}
	if phrase.Printable(words[0]) {
		words = strings.Fields(words[0])
	}
	if words = usable(words, "domain"); len(words) > 0 {
		l.Domain = words[0]
	}
	if len(words) > 1 {
		l.Search = words
	}
	if raw := m.Options.Get(dhcpv4.OptionDNSDomainSearchList); len(raw) > 0 {
		names, err := link.ReadNames(raw, true)
		if err != nil {
			note("search list (option 119) cannot be read: %v", err)
		}
		if names = usable(names, "search domain"); len(names) > 0 {
			l.Search = names
		}
	}
}

// serverOf returns the server identifier of a message (option 54).
func serverOf(m *dhcpv4.DHCPv4) netip.Addr {
	raw := m.Options.Get(dhcpv4.OptionServerIdentifier)
	if len(raw) != 4 || [4]byte(raw) == [4]byte{} {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(raw))
}

// optionAddrs returns the addresses of a list; what is left after the last whole one is ignored.
func optionAddrs(m *dhcpv4.DHCPv4, code dhcpv4.OptionCode) []netip.Addr {
	var addrs []netip.Addr
	for raw := range slices.Chunk(m.Options.Get(code), 4) {
		if len(raw) == 4 && [4]byte(raw) != [4]byte{} && len(addrs) < link.MostNames {
			addrs = append(addrs, netip.AddrFrom4([4]byte(raw)))
		}
	}
	return addrs
}

// optionText returns a string option without the NULs some servers end it by
// (RFC 2132 section 2 asks clients to expect them).
func optionText(m *dhcpv4.DHCPv4, code dhcpv4.OptionCode) string {
	return strings.TrimRight(string(m.Options.Get(code)), "\x00")
}

// optionSeconds returns a time; 0xffffffff is infinity and returned as 0.
func optionSeconds(m *dhcpv4.DHCPv4, code dhcpv4.OptionCode) time.Duration {
	raw := m.Options.Get(code)
	if len(raw) != 4 {
		return 0
	}
	s := binary.BigEndian.Uint32(raw)
	if s == 1<<32-1 {
		return 0
	}
	return time.Duration(s) * time.Second
}

// parseRoutes reads option 121 (RFC 3442): prefix length, as many bytes of the destination as it
// needs, gateway; and so on. A default route is returned as the gateway.
func parseRoutes(b []byte) (routes []link.Route, gateway netip.Addr, ok bool) {
	for len(b) > 0 {
		length := int(b[0])
		n := (length + 7) / 8
		if length > 32 || len(b) < 1+n+4 {
			return nil, netip.Addr{}, false
		}
		var dst, via [4]byte
		copy(dst[:], b[1:1+n])
		copy(via[:], b[1+n:])
		b = b[1+n+4:]
		r := link.Route{Dst: netip.PrefixFrom(netip.AddrFrom4(dst), length).Masked()}
		if via != [4]byte{} {
			r.Via = netip.AddrFrom4(via)
		}
		if length == 0 && r.Via.IsValid() {
			// Routers are in the order of preference (RFC 2132 section 3.5).
			if !gateway.IsValid() {
				gateway = r.Via
			}
			continue
		}
		routes = append(routes, r)
	}
	return routes, gateway, true
}
