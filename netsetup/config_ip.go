package netsetup

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/init/cmdline"
)

const ipFix = "write dhcp, device:dhcp, or client:server:gateway:netmask:hostname:device:none, with brackets around IPv6 addresses"

// parseIP reads one ip= word. The kernel's form is that of
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
	before := len(p.errs)
	var (
		n    Interface
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
			p.bad(a, "names no method behind the device", ipFix)
			return
		}
	default:
		n.parseKernelForm(a, field, p)
		word = field(6)
		tail = fields[min(len(fields), 7):]
	}
	n.parseTail(a, tail, p)
	if len(p.errs) > before {
		p.method(a, word) // one more error, if it is wrong too
		return
	}
	off := n.setMethod(a, word, p)
	switch {
	case len(p.errs) > before:
	case off && n.empty():
		c.Off = true
	default:
		c.Interfaces = append(c.Interfaces, n)
	}
}

// addressLike tells whether a first field is meant as an address, be it a wrong
// one, or is empty as the kernel's form allows; else it is a device.
func addressLike(s string) bool {
	return strings.Trim(s, "0123456789./") == "" || strings.HasPrefix(s, "[")
}

// parseKernelForm reads client:server:gateway:mask:hostname:device.
func (n *Interface) parseKernelForm(a cmdline.Arg, field func(int) string, p *problems) {
	var client netip.Addr
	length := -1
	if f := field(0); f != "" {
		client, length = p.address(a, "client", f)
	}
	if f := field(1); !noAddress(f) {
		n.Server = p.far(a, "server", f)
	}
	if f := field(2); !noAddress(f) {
		n.Gateway = p.gateway(a, f)
	}
	if m := field(3); !noAddress(m) {
		bits, ok := parseMask(m, client.Is6())
		switch {
		case !ok || bits == 0:
			p.bad(a, "netmask "+m+" is not a netmask", maskFix)
		case length >= 0 && length != bits:
			p.bad(a, "netmask "+m+" is another than the /"+strconv.Itoa(length)+" of the client address", "write one of them")
		}
		length = bits
	}
	n.Hostname = field(4)
	if n.Hostname != "" && !validHostname(n.Hostname) {
		p.bad(a, "hostname "+strconv.Quote(n.Hostname)+" is not a host name", hostnameFix)
	}
	if f := field(5); f != "" {
		n.setDevice(a, f, p)
	}
	n.Bits = max(0, length)
	if !client.IsValid() {
		return
	}
	if length < 0 {
		length = usualBits(client)
	}
	n.Bits = 0 // it is in Address
	n.Address = netip.PrefixFrom(client, length)
	if !usable(n.Address) {
		p.bad(a, "client address "+client.String()+"/"+strconv.Itoa(length)+" is not that of a host", "check address and netmask")
	}
}

const hostnameFix = "use letters, digits, dashes and dots, at most 64"

// setDevice takes a name, or an address with dashes (colons separate fields).
func (n *Interface) setDevice(a cmdline.Arg, s string, p *problems) {
	if addr, err := parseAddress(s); err == nil {
		n.Match = addr
		return
	}
	n.Device = p.deviceName(a, s)
}

// parseTail reads what is behind the method: dns0:dns1:ntp0 (kernel) or
// mtu:address (dracut). An MTU is digits only, which no address is.
func (n *Interface) parseTail(a cmdline.Arg, tail []string, p *problems) {
	if len(tail) == 0 {
		return
	}
	mac := strings.Join(tail[1:], ":")
	addr, err := ParseHardwareAddr(mac)
	switch {
	case isDigits(tail[0]) || (tail[0] == "" && err == nil):
		if tail[0] != "" {
			n.MTU = p.number(a, tail[0], minMTU, 65535)
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
		p.bad(a, "has more than three addresses behind the method", "write the tail as dns0:dns1:ntp0 or mtu:aa:bb:cc:dd:ee:ff")
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

// setMethod settles the method, and tells whether the word is one of those
// that switch the network off when nothing else is said.
func (n *Interface) setMethod(a cmdline.Arg, word string, p *problems) (off bool) {
	m, ok := p.method(a, word)
	if !ok {
		return false
	}
	n.Method = m
	switch client := n.Address.IsValid(); {
	case client && (word == "" || m == MethodNone || m == MethodStatic):
		n.Method = MethodStatic
	case client:
		p.bad(a, "asks for "+word+" and gives a client address", "leave the client address out, or write none for a static address")
	case m == MethodStatic:
		p.bad(a, "static needs a client address", ipFix)
	case m == MethodNone && !n.named():
		if !n.empty() {
			p.bad(a, word+" gives neither client address nor device", ipFix)
		}
		return true
	}
	n.checkFields(a, p)
	return false
}

// minMTU6 is the least MTU of IPv6 (RFC 8200 section 5): with less the kernel
// takes IPv6 off the interface.
const minMTU6 = 1280

// checkFields looks for fields that the method cannot use.
func (n *Interface) checkFields(a cmdline.Arg, p *problems) {
	word := n.Method.String()
	refuse := func(what string) {
		p.bad(a, word+" has no use for "+what, "leave it out")
	}
	switch {
	case n.Bits != 0 && (n.Method == MethodNone || n.Method.six() || n.Method == MethodIBFT):
		refuse("a netmask")
	case n.Gateway.IsValid() && (n.Method == MethodNone || n.Method == MethodLink6):
		refuse("a gateway")
	case n.six() && n.MTU != 0 && n.MTU < minMTU6:
		p.bad(a, "MTU "+strconv.Itoa(n.MTU)+" is too small for IPv6", "write at least "+strconv.Itoa(minMTU6))
	}
	if n.Method == MethodNone || n.Method == MethodIBFT {
		return // of either family
	}
	mine, other := "IPv4", "IPv6"
	if n.six() {
		mine, other = other, mine
	}
	for _, x := range append(append([]netip.Addr{n.Server, n.Gateway}, n.DNS...), n.NTP...) {
		if x.IsValid() && x.Is6() != n.six() {
			p.bad(a, x.String()+" is an address of "+other+", but "+word+" is of "+mine+" here", "write one ip= for each family; nameserver= takes both")
		}
	}
}

// empty tells whether nothing but the method was given.
func (n *Interface) empty() bool {
	return !n.named() && !n.Address.IsValid() && !n.Server.IsValid() && !n.Gateway.IsValid() && n.Bits == 0 &&
		n.Hostname == "" && n.MTU == 0 && n.NewAddr == "" && len(n.DNS) == 0 && len(n.NTP) == 0
}

// String writes the word in the form closest to how it can have been given.
func (n Interface) String() string {
	device := n.Device
	if n.Match != "" {
		device = strings.ReplaceAll(n.Match.String(), ":", "-")
	}
	text := func(a netip.Addr) string {
		switch {
		case !a.IsValid():
			return ""
		case a.Is6():
			return "[" + a.String() + "]"
		default:
			return a.String()
		}
	}
	tail := ""
	switch {
	case n.MTU != 0 || n.NewAddr != "":
		tail = ":"
		if n.MTU != 0 {
			tail += strconv.Itoa(n.MTU)
		}
		if n.NewAddr != "" {
			tail += ":" + n.NewAddr.String()
		}
	case len(n.DNS) > 0 || len(n.NTP) > 0:
		dns := append(append([]netip.Addr{}, n.DNS...), netip.Addr{}, netip.Addr{})
		tail = ":" + text(dns[0]) + ":" + text(dns[1])
		if len(n.NTP) > 0 {
			tail += ":" + text(n.NTP[0])
		}
	}
	client, mask := "", ""
	if n.Bits != 0 {
		mask = strconv.Itoa(n.Bits)
	}
	if n.Address.IsValid() {
		client, mask = text(n.Address.Addr()), strconv.Itoa(n.Address.Bits())
	}
	if client == "" && !n.Server.IsValid() && !n.Gateway.IsValid() && mask == "" && n.Hostname == "" {
		if len(n.DNS) == 0 && len(n.NTP) == 0 && !addressLike(device) {
			return device + ":" + n.Method.String() + tail
		}
		if device == "" && tail == "" {
			return n.Method.String()
		}
	}
	return strings.Join([]string{client, text(n.Server), text(n.Gateway), mask, n.Hostname, device, n.Method.String()}, ":") + tail
}
