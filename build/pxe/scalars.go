package pxe

import (
	"net/netip"
	"path"
	"strings"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
	"go.yaml.in/yaml/v4"
)

// value returns that of a key, nil when there is none.
func value(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// elements are those of a list, or the value alone.
func elements(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

// plain reports whether the text can stand in all files without quotes.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := (c|0x20) >= 'a' && (c|0x20) <= 'z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("._-+/", rune(c)) {
			return false
		}
	}
	return s != ""
}

// hostLabel follows RFC 1123 section 2.1.
func hostLabel(s string) bool {
	return plain(s) && len(s) <= 63 && !strings.ContainsAny(s, "._+/") && s[0] != '-' && s[len(s)-1] != '-'
}

// file reads a path below the TFTP directory.
func (p *parser) file(v *yaml.Node, what string) string {
	s := p.text(v, what)
	switch {
	case s == "":
		return ""
	case !plain(s) || path.IsAbs(s) || path.Clean(s) != s || s == "." || s == ".." || strings.HasPrefix(s, "../"):
		p.bad(at(v), "%s %q is not a path below the TFTP directory, of letters, digits and . _ - + /", what, clip(s))
		return ""
	}
	return s
}

// words reads a part of a command line; spaces and newlines are one space. What
// pxelinux, iPXE and GRUB read differently is refused.
func (p *parser) words(v *yaml.Node, what string) string {
	list := strings.Fields(p.text(v, what))
	for _, w := range list {
		if strings.ContainsAny(w, "\"'`\\$") || strings.HasPrefix(w, "#") || w == "||" || w == "&&" || w == ";;" ||
			!ascii(w) {
			p.bad(at(v), "%s: loaders read %q differently (quotes, \\, $, a # in front): put it into the image's "+
				"config file (nodisk build --config)", what, clip(w))
		}
	}
	return strings.Join(list, " ")
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// mac reads the address of an Ethernet port.
func (p *parser) mac(v *yaml.Node, what string) link.HardwareAddr {
	s := p.text(v, what)
	if s == "" {
		return ""
	}
	a, err := ParseMAC(s)
	if err == nil {
		err = port(a)
	}
	if err != nil {
		p.bad(at(v), "%s %q %v: write 52:54:00:77:0a:07, for example; of InfiniBand ports guid:", what, clip(s), err)
		return ""
	}
	return a
}

// addr reads an IPv4 address: loaders name their files by no other.
func (p *parser) addr(v *yaml.Node, what string) netip.Addr {
	s := p.text(v, what)
	if s == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() || a.IsUnspecified() || a.IsMulticast() {
		p.bad(at(v), "%s %q is not an IPv4 address: write 10.0.0.7, for example", what, clip(s))
		return netip.Addr{}
	}
	return a
}

func (p *parser) prefix(v *yaml.Node, what string) netip.Prefix {
	s := p.text(v, what)
	if s == "" {
		return netip.Prefix{}
	}
	x, err := netip.ParsePrefix(s)
	switch {
	case err != nil || !x.Addr().Is4() || x.Bits() == 0:
		p.bad(at(v), "%s %q is not an IPv4 prefix: write 10.0.0.0/24, for example", what, clip(s))
		return netip.Prefix{}
	case x != x.Masked():
		p.bad(at(v), "%s %s has bits after its length: write %v", what, s, x.Masked())
		return netip.Prefix{}
	}
	return x
}

// pool reads FIRST-LAST.
func (p *parser) pool(v *yaml.Node, what string) (first, last netip.Addr) {
	a, b, _ := strings.Cut(p.text(v, what+": range"), "-")
	first, err1 := netip.ParseAddr(strings.TrimSpace(a))
	last, err2 := netip.ParseAddr(strings.TrimSpace(b))
	if err1 != nil || err2 != nil || !first.Is4() || !last.Is4() || last.Less(first) {
		p.bad(at(v), "%s: range %q: write 10.0.0.100-10.0.0.199, for example", what, clip(v.Value))
		return netip.Addr{}, netip.Addr{}
	}
	return first, last
}

// guid reads an InfiniBand identity of at least the eight bytes: the two that
// six bytes lack would be a guess.
func (p *parser) guid(v *yaml.Node, what string) (link.GUID, link.HardwareAddr) {
	s := p.text(v, what+": guid")
	if s == "" {
		return link.GUID{}, ""
	}
	a, err := link.ParsePort(s)
	if err != nil {
		p.bad(at(v), "%s: guid %q %v", what, clip(s), err)
		return link.GUID{}, ""
	}
	g, _ := a.GUID()
	switch len(a) {
	case 6:
		p.bad(at(v), "%s: guid %s has six bytes, and the two between them are not certain: write all eight (ibstat -p)", what, g)
		return link.GUID{}, ""
	case 20:
		return g, a
	case 8:
		if a[0] == typeInfiniBand {
			p.warn(at(v), "%s: guid %s begins with 20: if this is the hardware type and 7 bytes, write all eight "+
				"bytes of the GUID (ibstat -p)", what, g)
		}
		return g, ""
	default:
		return g, ""
	}
}

// clientID reads a form of docs/infiniband.md.
func (p *parser) clientID(v *yaml.Node, what string) string {
	s := strings.ToLower(p.text(v, what+": client-id"))
	if s == "" {
		return ""
	}
	id, err := lease.ParseClientID(s)
	if err != nil {
		p.bad(at(v), "%s: client-id %q: %v", what, clip(s), err)
	}
	return string(id)
}
