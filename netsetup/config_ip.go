package netsetup

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

const ipFix = "write dhcp, device:dhcp, or client:server:gateway:netmask:hostname:device:none, with brackets " +
	"around IPv6 addresses"

// parseIP reads one ip= argument. The kernel's form is that of
// Documentation/admin-guide/nfs/nfsroot.rst; dracut.cmdline(7) adds the tail
// :mtu:address and the form device:method[:mtu[:address]].
func (c *Config) parseIP(a cmdline.Arg, p *problems) {
	fields, ok := splitFields(a.Value)
	if !ok {
		p.bad(a, "has a bracket that is not closed", ipFix)
		return
	}
	if text, _, _ := strings.Cut(a.Value, "/"); fields[0] != "" && strings.Contains(text, ":") {
		if _, err := netip.ParseAddr(text); err == nil {
			p.bad(a, "is an IPv6 address without brackets", "write ["+text+"]")
			return
		}
	}
	if mac, rest, ok := colonAddress(fields); ok {
		p.bad(a, "has an address with colons, which separate fields here", "write it with dashes: ip="+mac+rest)
		return
	}
	if six, rest, ok := bareAddress(fields); ok {
		p.bad(a, "has an IPv6 address without brackets", "write ip=["+six+"]"+rest)
		return
	}
	if guid, ok := bracketedGID(fields); ok {
		p.bad(
			a,
			"names a port by its GID in brackets, which are for the addresses of IP",
			"write ip="+link.Dashed(guid)+":"+strings.Join(fields[1:], ":"),
		)
		return
	}
	before := len(p.errs)
	var (
		n    Addressing
		word string
		tail []string
	)
	field := func(i int) string {
		if i < len(fields) {
			return fields[i]
		}
		return ""
	}
	switch {
	case len(fields) == 1 && (fields[0] == "" || !addressLike(fields[0])):
		word = fields[0]
	case !addressLike(fields[0]):
		// device:method[:mtu[:address]]
		n.setDevice(a, fields[0], p)
		word = field(1)
		tail = fields[2:]
		if word == "" {
			p.bad(a, "names no method after the device", ipFix)
			return
		}
	default:
		if p.shifted(a, fields); len(p.errs) > before {
			return
		}
		n.parseKernelForm(a, field, p)
		word = field(6)
		tail = fields[min(len(fields), 7):]
	}
	n.parseTail(a, tail, p)
	methods, id := p.methods(a, word)
	if len(p.errs) > before {
		return
	}
	n.ClientID = id
	for _, m := range methods {
		one := n
		if len(methods) > 1 {
			one = n.only(m.IPv6())
		}
		off := one.setMethod(a, m, p)
		switch {
		case len(p.errs) > before:
		case off && one.empty():
			c.Off = true
		default:
			c.Interfaces = append(c.Interfaces, one)
		}
	}
}

// colonAddress finds an address written with colons where a device is expected. No client address
// begins like this: each of the fields would be one.
func colonAddress(fields []string) (addr, rest string, ok bool) {
	// The longest first: a GUID begins with what could be a MAC.
	for _, n := range [...]int{21, 20, 16, 9, 8, 7, 6, 5, 4, 3} {
		if len(fields) <= n {
			continue
		}
		text := strings.Join(fields[:n], ":")
		a, err := link.ParseAddress(text)
		if err != nil {
			continue
		}
		if clientAddress(text, fields[n]) {
			return "", "", false
		}
		addr = strings.ReplaceAll(text, ":", "-")
		if strings.Contains(text, "::") { // cannot be written with dashes
			addr = link.PortMatch{Addr: a}.String()
		}
		return addr, ":" + strings.Join(fields[n:], ":"), true
	}
	return "", "", false
}

// bareAddress finds an IPv6 client address at the beginning, without its brackets.
func bareAddress(fields []string) (addr, rest string, ok bool) {
	for n := min(8, len(fields)-1); n > 2 && fields[0] != ""; n-- {
		if text := strings.Join(fields[:n], ":"); clientAddress(text, fields[n]) {
			return text, ":" + strings.Join(fields[n:], ":"), true
		}
	}
	return "", "", false
}

// clientAddress reports whether a text with colons is the address of a client, going by the field
// after it: a client address is followed by a server, and the GID of a port by a method. No
// client has a link-local address, as most GIDs are, nor one of bytes.
func clientAddress(text, next string) bool {
	a, err := netip.ParseAddr(text)
	bytes := len(text) == len("00:02:c9:03:00:00:10:39") && !strings.Contains(text, "::")
	for f := range strings.SplitSeq(text, ":") {
		bytes = bytes && len(f) == 2
	}
	return err == nil && !bytes && a.Is6() && !a.IsLinkLocalUnicast() && (noAddress(next) || addressLike(next))
}

// bracketedGID finds the GID of a port in brackets where a client's address could be: a
// link-local one, followed by a method.
func bracketedGID(fields []string) (link.HardwareAddr, bool) {
	text, ok := strings.CutPrefix(fields[0], "[")
	text, closed := strings.CutSuffix(text, "]")
	if !ok || !closed || len(fields) < 2 || noAddress(fields[1]) || addressLike(fields[1]) ||
		!strings.HasPrefix(strings.ToLower(text), "fe80:") {
		return "", false
	}
	guid, err := link.ParseAddress(text)
	return guid, err == nil
}

// only is the part of an argument for both families (dhcp,dhcp6) that is about one of them.
func (n Addressing) only(ipv6 bool) Addressing {
	other := func(a netip.Addr) bool { return a.IsValid() && a.Is6() != ipv6 }
	if other(n.Address.Addr()) {
		n.Address = netip.Prefix{}
	}
	if other(n.Server) {
		n.Server, n.Peer = netip.Addr{}, netip.Prefix{}
	}
	if other(n.Gateway) {
		n.Gateway = netip.Addr{}
	}
	if ipv6 {
		n.Bits = 0
	}
	n.DNS = slices.DeleteFunc(slices.Clone(n.DNS), other)
	n.NTP = slices.DeleteFunc(slices.Clone(n.NTP), other)
	return n
}

// addressLike reports whether a first field is meant as an address, even a wrong one, or is empty
// as the kernel's form allows; otherwise it is a device.
func addressLike(s string) bool {
	return strings.Trim(s, "0123456789./") == "" && !link.ResemblesAddress(s) || strings.HasPrefix(s, "[")
}

// parseKernelForm reads client:server:gateway:mask:hostname:device.
func (n *Addressing) parseKernelForm(a cmdline.Arg, field func(int) string, p *problems) {
	var client netip.Addr
	length := -1
	if f := field(0); !noAddress(f) {
		client, length = p.address(a, "client", f)
	}
	if f := field(1); !noAddress(f) {
		server, bits := p.address(a, "server", f)
		if n.Server = p.reachable(a, "server", server); bits >= 0 && n.Server.IsValid() {
			n.Peer = netip.PrefixFrom(server, bits)
		}
	}
	if f := field(2); !noAddress(f) {
		n.Gateway = p.gateway(a, f)
	}
	// [::] is not an address either; without an address there is no prefix length.
	if m := field(3); !noAddress(m) && (client.IsValid() || !strings.HasPrefix(field(0), "[")) {
		bits, ok := parseMask(m, client.Is6())
		switch {
		case !ok || bits == 0:
			p.bad(a, "netmask "+m+" is not a netmask", maskFix)
		case length >= 0 && length != bits:
			p.bad(
				a,
				"netmask "+m+" differs from the /"+strconv.Itoa(length)+" of the client address",
				"write one of them",
			)
		}
		length = bits
	}
	n.Hostname = strings.TrimSuffix(field(4), ".")
	if f := field(4); f != "" && !ValidHostname(f) {
		p.bad(a, "hostname "+strconv.Quote(f)+" is not a host name", hostnameFix)
	}
	if f := field(5); f != "" {
		n.setDevice(a, f, p)
	}
	n.Bits = max(0, length)
	if !client.IsValid() {
		return
	}
	if length < 0 {
		length = link.UsualBits(client)
	}
	if n.Server == client {
		p.bad(
			a,
			"names "+client.String()+" as client and as server",
			"write the address of the boot server in the second field, or leave it empty",
		)
	}
	n.Bits = 0 // it is in Address
	n.Address = netip.PrefixFrom(client, length)
	if !link.Usable(n.Address) {
		p.bad(
			a,
			"client address "+client.String()+"/"+strconv.Itoa(length)+" is not that of a host",
			"check address and netmask",
		)
	}
}

const hostnameFix = "use letters, digits and dashes, at most 63 between two dots and 253 in all"

// setDevice takes a name, or an address with dashes (colons separate fields).
//
// BOOTIF is the device of that address, or what is made of it: to the runner this is an argument
// without a device, to which BOOTIF= applies.
func (n *Addressing) setDevice(a cmdline.Arg, s string, p *problems) {
	addr, err := link.ParseAddress(s)
	switch {
	case err == nil:
		n.Match = addr
	case link.ResemblesAddress(s):
		p.bad(a, strconv.Quote(s)+" "+link.ErrName(s).Error(), addressFix)
	case strings.HasPrefix(s, "driver="):
		n.Driver = link.DeviceMatch(p.deviceWord(a, s)).Driver
	case s == bootIFWord && p.boot == "":
		p.bad(a, noBootIF, noBootIFFix)
	case s == bootIFWord:
		p.bootWord = true
	case strings.Contains(s, "%"):
		p.bad(a, strconv.Quote(s)+" is a pattern of the kernel's", "write * for the number")
	default:
		n.Device = p.deviceName(a, s)
	}
}

const (
	noBootIF    = "names the interface of BOOTIF=, which is not there or not used"
	noBootIFFix = "add IPAPPEND 2 to pxelinux.cfg, which appends BOOTIF=, or name the device"
)

// parseTail reads what follows the method: dns0:dns1:ntp0 (kernel) or mtu:address (dracut). An
// MTU is digits only, which no address is.
//
// Empty fields at the end say nothing, however many they are (ip_auto_config_setup
// of net/ipv4/ipconfig.c).
func (n *Addressing) parseTail(a cmdline.Arg, tail []string, p *problems) {
	for len(tail) > 0 && tail[len(tail)-1] == "" {
		tail = tail[:len(tail)-1]
	}
	if len(tail) == 0 {
		return
	}
	mac := strings.Join(tail[1:], ":")
	addr, err := link.ParseHardwareAddr(mac)
	switch {
	case link.IsDigits(tail[0]) || (tail[0] == "" && err == nil):
		if tail[0] != "" {
			n.MTU = p.number(a, tail[0], link.MinMTU, 65535)
		}
		switch {
		case mac == "":
		case err != nil:
			p.bad(a, "the hardware address "+err.Error(), "write the tail as mtu:aa:bb:cc:dd:ee:ff")
		case addr[0]&1 != 0:
			p.bad(a, "the hardware address is a multicast address", "write the tail as mtu:aa:bb:cc:dd:ee:ff")
		default:
			n.NewAddr = addr
		}
	case len(tail) > 3:
		p.bad(
			a,
			"has more than three addresses after the method",
			"write the tail as dns0:dns1:ntp0 or mtu:aa:bb:cc:dd:ee:ff",
		)
	default:
		for i, f := range tail {
			if noAddress(f) {
				continue
			}
			s := p.far(a, [...]string{"dns0", "dns1", "ntp0"}[i], f)
			if i < 2 {
				n.DNS = append(n.DNS, s)
			} else {
				n.NTP = append(n.NTP, s)
			}
		}
	}
}

// setMethod settles the method, and reports whether the argument is one of those that switch the
// network off unless another argument asks for it.
//
// With a client address, autoconfiguration only has to fill in what is missing (ip_auto_config of
// net/ipv4/ipconfig.c), so "dhcp", "on" and "any" are then static, as "none" is. Static without
// an address sets the link up.
func (n *Addressing) setMethod(a cmdline.Arg, m lease.Method, p *problems) (off bool) {
	n.Method = m
	switch client := n.Address.IsValid(); {
	case m == lease.MethodIBFT && n.PortMatch().Glob():
		p.bad(a, "ibft is about the device that the firmware's table names", "write ip=ibft")
	case client && m.Static(n.Address.Addr().Is6()):
		n.Method, n.ClientID = lease.MethodStatic, ""
	case client:
		p.bad(
			a,
			"asks for "+m.String()+" and gives a client address",
			"leave the client address out, or write none for a static address",
		)
	case m == lease.MethodStatic && n.Named():
		n.Method = lease.MethodNone
	case m == lease.MethodStatic:
		p.bad(a, "static needs a client address", ipFix)
	case m == lease.MethodNone && !n.Named():
		if n.PortMatch().Glob() {
			p.bad(a, m.String()+" gives no address to no certain device", "write its name or its address with dashes")
		} else if !n.empty() || p.bootWord {
			p.bad(a, m.String()+" gives neither client address nor the name of a device", ipFix)
		}
		return true
	}
	if n.Method != lease.MethodStatic {
		n.Peer = netip.Prefix{}
	}
	n.checkFields(a, p)
	return false
}

// checkFields finds fields that the method cannot use.
func (n *Addressing) checkFields(a cmdline.Arg, p *problems) {
	word := n.Method.String()
	refuse := func(what string) {
		p.bad(a, word+" has no use for "+what, "leave it out")
	}
	switch {
	case n.Bits != 0 && (n.Method == lease.MethodNone || n.Method.IPv6() || n.Method == lease.MethodIBFT):
		refuse("a netmask")
	case n.Gateway.IsValid() && (n.Method == lease.MethodNone || n.Method == lease.MethodLink6):
		refuse("a gateway")
	case n.IPv6() && n.MTU != 0 && n.MTU < link.MinMTU6:
		p.bad(a, "MTU "+strconv.Itoa(n.MTU)+" is too small for IPv6", "write at least "+strconv.Itoa(link.MinMTU6))
	}
	if n.Method == lease.MethodNone || n.Method == lease.MethodIBFT {
		return // of either family
	}
	mine, other := "IPv4", "IPv6"
	if n.IPv6() {
		mine, other = other, mine
	}
	for _, x := range append(append([]netip.Addr{n.Server, n.Gateway}, n.DNS...), n.NTP...) {
		if x.IsValid() && x.Is6() != n.IPv6() {
			p.bad(
				a,
				x.String()+" is an address of "+other+", but "+word+" is of "+mine+" here",
				"write one ip= for each family; nameserver= takes both",
			)
		}
	}
}

// empty reports whether nothing but the method was given.
func (n *Addressing) empty() bool {
	return n.PortMatch() == link.PortMatch{} && !n.Address.IsValid() && !n.Server.IsValid() &&
		!n.Gateway.IsValid() && n.Bits == 0 &&
		n.Hostname == "" && n.MTU == 0 && n.NewAddr == "" &&
		len(n.DNS) == 0 &&
		len(n.NTP) == 0
}
