package netsetup

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// clientIDKey is the client identifier of one interface, of nm-initrd-generator(8).
const clientIDKey = "rd.net.dhcp.client-id"

// parseClientIDs gives the arguments of ip= that ask by DHCP the identifiers of
// rd.net.dhcp.client-id=INTERFACE:ID: bytes in hexadecimal with dashes or colons between them, or
// @ and a text, which is prefixed with a zero byte (RFC 2132 section 9.14).
func (c *Config) parseClientIDs(args cmdline.Args, p *problems) {
	const fix = "write INTERFACE:01-52-54-00-12-34-56, with the bytes that the server knows the node by, or " +
		"INTERFACE:@TEXT"
	for _, a := range args {
		if !cmdline.SameKey(a.Key, clientIDKey) {
			continue
		}
		dev, text, _ := strings.Cut(a.Value, ":")
		m, err := p.portMatch(a, dev)
		id := hexOf(text)
		switch {
		case err != nil && link.ResemblesAddress(dev):
			p.bad(a, strconv.Quote(dev)+" "+err.Error(), addressFix)
		case err != nil || !m.One():
			p.bad(a, "names no interface before the colon", fix)
		case id == "":
			p.bad(a, "is not a client identifier of 2 to 254 bytes", fix)
		case !c.identify(m, id):
			p.bad(
				a,
				m.String()+" is the device of no ip= that asks by DHCP",
				"add ip="+m.String()+":dhcp, or write nodisk.dhcp.clientid="+string(id)+" for every interface",
			)
		}
	}
}

// hexOf is the identifier that NetworkManager makes of the text, empty if it is none.
func hexOf(text string) lease.ClientID {
	b := lease.SeparatedBytes(text, "-:")
	if name, ok := strings.CutPrefix(text, "@"); ok {
		b = append([]byte{0}, name...)
	}
	if len(b) < 2 || len(b) > 254 {
		return ""
	}
	return lease.ClientID("hex:" + hex.EncodeToString(b))
}

// identify gives the identifier to the arguments of the device that ask by DHCP for IPv4,
// and reports whether there is one.
func (c *Config) identify(m link.PortMatch, id lease.ClientID) bool {
	found := false
	want := c.deviceKey(Addressing{Device: m.Name, Match: m.Addr})
	for i := range c.Interfaces {
		n := &c.Interfaces[i]
		if c.deviceKey(*n) == want && (n.Method == lease.MethodDHCP || n.Method == lease.MethodSingle) {
			n.ClientID, found = id, true
		}
	}
	return found
}

// parseDNS reads rd.net.dns= of nm-initrd-generator(8): an address, which needs no
// brackets, or a URI of one.
func (c *Config) parseDNS(a cmdline.Arg, p *problems) {
	text, ok := strings.CutPrefix(a.Value, "dns+udp://")
	if scheme, _, uri := strings.Cut(a.Value, "://"); uri && !ok {
		p.bad(
			a,
			"asks for name service by "+scheme+", which nodisk does not speak",
			"write nameserver= and the address of a server that answers by UDP",
		)
		return
	}
	if addr := p.far(a, "", text); addr.IsValid() {
		c.Nameservers = append(c.Nameservers, addr)
	}
}

// A NamePolicy is net.ifname_policy=, which systemd-network-generator(8) writes into a
// .link file for udev.
type NamePolicy struct {
	Text  string            // as it was written
	Order []string          // words of NamePolicy= in systemd.link(5); none if the text has another
	Addr  link.HardwareAddr // of the device it applies to, empty for all
}

// namePolicies are the words of NamePolicy=.
const namePolicies = "kernel database onboard slot path mac keep"

// parseNamePolicy reads net.ifname_policy=WORD[,WORD...][,MAC].
func parseNamePolicy(text string) NamePolicy {
	n := NamePolicy{Text: text, Order: strings.Split(text, ",")}
	last := len(n.Order) - 1
	if addr, err := link.ParseHardwareAddr(n.Order[last]); err == nil {
		n.Order, n.Addr = n.Order[:last], addr
	}
	known := strings.Fields(namePolicies)
	if slices.ContainsFunc(n.Order, func(word string) bool { return !slices.Contains(known, word) }) {
		n.Order = nil
	}
	return n
}

// namingWarnings are about arguments for udev that udev, or nodisk, does not understand.
func (c Config) namingWarnings() []string {
	var list []string
	if _, ok := link.ParseScheme(c.NamingScheme); !ok {
		list = append(
			list,
			"net.naming_scheme="+c.NamingScheme+": not a scheme that nodisk knows: names are those of the latest "+
				"that it does",
		)
	}
	for _, n := range c.NamePolicies {
		if len(n.Order) == 0 {
			list = append(
				list,
				"net.ifname_policy="+n.Text+": without effect: write some of "+strings.ReplaceAll(
					namePolicies,
					" ",
					", ",
				)+", and an address if it is about one interface",
			)
		}
	}
	return list
}

// namePolicy is the order in which udev of the root tries the names of a device: of the
// file for its address, of that for all (the first, where there are several), of
// Debian's for NICs on USB, or of systemd's 99-default.link, as far as it can be known
// here: the root's hardware database is not at hand.
func (c Config) namePolicy(d link.Device) []string {
	for _, all := range []bool{false, true} {
		for _, n := range c.NamePolicies {
			if len(n.Order) > 0 && (n.Addr == "") == all && (all || n.Addr.Identifies(d)) {
				return n.Order
			}
		}
	}
	if d.Udev.USB && c.USBNaming() == USBByAddress {
		return []string{"keep", "kernel", "mac"}
	}
	return link.DefaultNamePolicy()
}
