package netsetup

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/link"
)

// address reads an address with or without a mask after it: 10.0.0.1, 10.0.0.1/24, [2001:db8::1],
// [2001:db8::1]/64 and dracut's [2001:db8::1/64]. IPv6 needs no brackets if the value is nothing
// but an address. length is -1 without a mask. what names the field in the report. An address
// that cannot be used is returned as the zero value.
func (p *problems) address(a cmdline.Arg, what, s string) (addr netip.Addr, length int) {
	if what != "" {
		what += " "
	}
	what += strconv.Quote(s)
	if strings.HasPrefix(s, "[") {
		if inner, rest, ok := strings.Cut(s[1:], "]"); ok && (rest == "" || rest[0] == '/') {
			s = inner + rest
		}
	}
	text, mask, hasMask := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil && strings.Contains(s, ",") && a.Key == "ip":
		p.bad(a, what+" is more than one address", "write one in a field (dns0:dns1), further ones as nameserver=")
	case err != nil && strings.Contains(s, ","):
		p.bad(a, what+" is more than one address", "write "+a.Key+"= for each of them")
	case err != nil:
		p.bad(a, what+" is not an address", "write it as 10.0.0.1 or [2001:db8::1]")
	case addr.Zone() != "":
		p.bad(a, what+" has a zone", "write it without %"+addr.Zone()+"; the device has a field of its own")
	case addr.Is4In6():
		p.bad(a, what+" is an IPv4 address in the form of IPv6", "write "+addr.Unmap().String())
	default:
		length = -1
		if hasMask {
			var ok bool
			if length, ok = parseMask(mask, addr.Is6()); !ok {
				p.bad(a, "mask "+mask+" is not a netmask", maskFix)
				return netip.Addr{}, -1
			}
		}
		return addr, length
	}
	return netip.Addr{}, -1
}

const maskFix = "write it as 255.255.255.0 or 24, of IPv6 as 1 to 128"

// addr is address without a mask.
func (p *problems) addr(a cmdline.Arg, what, s string) netip.Addr {
	addr, length := p.address(a, what, s)
	if length < 0 {
		return addr
	}
	p.bad(a, strings.TrimSpace(what+" "+strconv.Quote(s))+" has a mask", "write "+addr.String()+" alone")
	return netip.Addr{}
}

// far is addr for what programs have to reach without being told the interface: a link-local IPv6
// address means nothing to them.
func (p *problems) far(a cmdline.Arg, what, s string) netip.Addr {
	return p.reachable(a, what, p.addr(a, what, s))
}

// reachable is the address, if programs can reach it without being told the interface.
func (p *problems) reachable(a cmdline.Arg, what string, addr netip.Addr) netip.Addr {
	if addr.Is6() && addr.IsLinkLocalUnicast() || addr.IsMulticast() || addr.IsUnspecified() {
		p.bad(
			a,
			strings.TrimSpace(
				what+" "+addr.String(),
			)+" is not an address that programs can reach: link-local, multicast or none",
			"write another address of that server",
		)
		return netip.Addr{}
	}
	return addr
}

// gateway is addr for a router, which has the address of a host.
func (p *problems) gateway(a cmdline.Arg, s string) netip.Addr {
	addr := p.addr(a, "gateway", s)
	if addr.IsValid() && !link.Usable(netip.PrefixFrom(addr, addr.BitLen())) {
		p.bad(
			a,
			"gateway "+addr.String()+" is not the address of a host",
			"write the router's address on this network",
		)
		return netip.Addr{}
	}
	return addr
}

// noAddress reports whether the field says that there is none: pxelinux writes
// 0.0.0.0 for a gateway that does not exist.
func noAddress(s string) bool {
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return s == "" || err == nil && a.IsUnspecified()
}

// parseMask reads 255.255.255.0 or a prefix length: 0 to 32, of IPv6 0 to 128.
func parseMask(s string, ipv6 bool) (length int, ok bool) {
	if link.IsDigits(s) && len(s) <= 3 {
		length, _ = strconv.Atoi(s)
		return length, length <= 32 || ipv6 && length <= 128
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() || ipv6 {
		return 0, false
	}
	return link.MaskBits(a.As4())
}
