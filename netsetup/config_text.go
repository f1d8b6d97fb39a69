package netsetup

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/netsetup/link"
)

// String writes the argument in the form closest to how it may have been given. One with further
// addresses becomes several, as they would be on a command line: "10.0.0.5:::24::eth0:static
// ip=10.0.0.6:::24::eth0:static".
func (n Addressing) String() string {
	device := n.PortMatch().String()
	dns, ntp := n.DNS, n.NTP
	var tail string
	if n.MTU != 0 || n.NewAddr != "" {
		tail = ":"
		if n.MTU != 0 {
			tail += strconv.Itoa(n.MTU)
		}
		if n.NewAddr != "" {
			tail += ":" + n.NewAddr.String()
		}
	} else {
		tail, dns, ntp = serverTail(dns, ntp)
	}
	client, server, mask := "", addrWord(n.Server), ""
	if n.Bits != 0 {
		mask = strconv.Itoa(n.Bits)
	}
	if n.Address.IsValid() {
		client, mask = addrWord(n.Address.Addr()), strconv.Itoa(n.Address.Bits())
	}
	if n.Peer.IsValid() {
		server += "/" + strconv.Itoa(n.Peer.Bits())
	}
	if client == "" && !n.Server.IsValid() && !n.Gateway.IsValid() && mask == "" && n.Hostname == "" {
		if len(n.DNS) == 0 && len(n.NTP) == 0 && !addressLike(device) {
			return device + ":" + n.word() + tail
		}
		if device == "" && tail == "" {
			return n.word()
		}
	}
	words := []string{
		strings.Join([]string{client, server, addrWord(n.Gateway), mask, n.Hostname, device, n.word()}, ":") + tail,
	}
	for _, a := range n.More {
		tail, dns, ntp = serverTail(dns, ntp)
		words = append(
			words,
			strings.Join([]string{addrWord(a.Addr()), "", "", strconv.Itoa(a.Bits()), "", device, n.word()}, ":")+tail,
		)
	}
	return strings.Join(words, " ip=")
}

// Word is the argument as it was written, as far as that is known: one for the device of BOOTIF=
// names it BOOTIF.
func (c Config) Word(n Addressing) string {
	if c.BootWord && n.PortMatch() == (link.PortMatch{}) {
		n.Device = bootIFWord
	}
	return n.String()
}

// serverTail writes as many servers as fit in one argument, and returns the rest.
func serverTail(dns, ntp []netip.Addr) (tail string, moreDNS, moreNTP []netip.Addr) {
	if len(dns) == 0 && len(ntp) == 0 {
		return "", nil, nil
	}
	words := make([]string, 2, 3)
	for i := range words {
		if i < len(dns) {
			words[i] = addrWord(dns[i])
		}
	}
	if len(ntp) > 0 {
		words = append(words, addrWord(ntp[0]))
	}
	return ":" + strings.Join(words, ":"), dns[min(2, len(dns)):], ntp[min(1, len(ntp)):]
}

// addrWord is an address as a field, empty if there is none.
func addrWord(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return ""
	case a.Is6():
		return "[" + a.String() + "]"
	default:
		return a.String()
	}
}
