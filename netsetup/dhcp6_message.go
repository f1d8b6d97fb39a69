package netsetup

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"time"
)

// The messages of RFC 8415 section 7.3 that a client sends or takes.
// RECONFIGURE is not among them: it is not asked for.
const (
	solicit6   = 1
	advertise6 = 2
	request6   = 3
	renew6     = 5
	rebind6    = 6
	reply6     = 7
	release6   = 8
	decline6   = 9
	inform6    = 11
)

// names6 are the names of the messages by their numbers.
var names6 = [...]string{
	"", "SOLICIT", "ADVERTISE", "REQUEST", "", "RENEW", "REBIND", "REPLY", "RELEASE", "DECLINE", "", "INFORMATION-REQUEST",
}

// The options: RFC 8415 section 21, and where another document is named.
const (
	option6ClientID    = 1
	option6ServerID    = 2
	option6IANA        = 3
	option6Address     = 5
	option6Request     = 6
	option6Preference  = 7
	option6Elapsed     = 8
	option6Status      = 13
	option6Rapid       = 14
	option6UserClass   = 15
	option6VendorClass = 16
	option6DNS         = 23 // RFC 3646
	option6Search      = 24 // RFC 3646
	option6SNTP        = 31 // RFC 4075
	option6FQDN        = 39 // RFC 4704
	option6NTP         = 56 // RFC 5908
	option6URL         = 59 // RFC 5970
	option6SolMaxRT    = 82
	option6InfMaxRT    = 83
)

// The status codes of RFC 8415 section 21.13.
const (
	status6None      = 2 // NoAddrsAvail
	status6NoBinding = 3
	status6NotOnLink = 4
	status6Multicast = 5 // UseMulticast
)

// enterprise6 is what a vendor class belongs to: 343, Intel, as PXE and HTTP
// boot of UEFI have it.
const enterprise6 = 343

// client6 is what a DHCPv6 server is told about this node.
type client6 struct {
	duid []byte
	iaid uint32 // of the interface
	// rapid asks for the lease at once (option 14).
	rapid    bool
	vendor   string // option 16
	user     string // option 15
	hostname string // option 39
}

// newDUID makes the identifier of the node, which is to stay the same for ever.
//
// It is the UUID of the firmware (RFC 6355), its bytes in the order in which it
// is written: what iPXE sends (src/net/udp/dhcpv6.c). UEFI has the first
// three of its fields the other way round, as they are in SMBIOS; to a server,
// that is another client. Without a UUID it is the link-layer address
// (DUID-LL, RFC 8415 section 11.4); of InfiniBand the GUID, the part that stays.
func newDUID(uuid string, d Device) []byte {
	if b, ok := parseUUID(uuid); ok {
		return append([]byte{0, 4}, b...)
	}
	return append([]byte{0, 3, byte(d.Type >> 8), byte(d.Type)}, d.lasting()...)
}

// parseUUID reads 01234567-89ab-cdef-0123-456789abcdef. One of only zeros or
// only ones stands for none (SMBIOS specification, section 7.2.1).
func parseUUID(s string) ([]byte, bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(s), "-", ""))
	if err != nil || len(b) != 16 {
		return nil, false
	}
	all := byte(0xff)
	some := byte(0)
	for _, c := range b {
		all &= c
		some |= c
	}
	return b, some != 0 && all != 0xff
}

// iaidOf numbers the interface's addresses. It is what iPXE sends: the CRC-32
// of the hardware address, begun with zero and not inverted. A server that gave
// iPXE an address gives the same one to the initramfs then; with another number
// it would be a second address, for which a reservation may have no room. UEFI
// takes a random number. On InfiniBand iPXE shows the six bytes made of the GUID.
func iaidOf(d Device) uint32 {
	addr := d.Addr
	if guid, ok := addr.GUID(); ok && d.Type == hwInfiniBand {
		addr = guid.MAC()
	}
	crc := uint32(0)
	for i := range len(addr) {
		crc ^= uint32(addr[i])
		for range 8 {
			crc = crc>>1 ^ 0xedb88320&-(crc&1)
		}
	}
	return crc
}

// forever6 is a time without an end.
const forever6 = 1<<32 - 1

// head6 appends the head of an option, whose value of n bytes follows.
func head6(b []byte, code, n int) []byte {
	return append(b, byte(code>>8), byte(code), byte(n>>8), byte(n))
}

// text6 appends an option that is a text behind some bytes.
func text6(b []byte, code int, before []byte, text string) []byte {
	b = head6(b, code, len(before)+len(text))
	return append(append(b, before...), text...)
}

// message makes a message; server and addr are left out where there is none.
// All but INFORMATION-REQUEST hold the IA_NA.
func (c *client6) message(kind byte, xid uint32, since time.Duration, server []byte, addr netip.Addr) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(kind)<<24|xid&0xffffff)
	b = text6(b, option6ClientID, c.duid, "")
	if server != nil {
		b = text6(b, option6ServerID, server, "")
	}
	if kind != inform6 {
		n := 12
		if addr.IsValid() {
			n += 28
		}
		b = binary.BigEndian.AppendUint32(head6(b, option6IANA, n), c.iaid)
		b = append(b, make([]byte, 8)...) // T1 and T2 are the server's
		if addr.IsValid() {
			b = append(head6(b, option6Address, 24), addr.AsSlice()...)
			b = append(b, make([]byte, 8)...) // and so are the lifetimes
		}
	}
	hundredths := min(since/(10*time.Millisecond), 1<<16-1)
	b = append(head6(b, option6Elapsed, 2), byte(hundredths>>8), byte(hundredths))
	if kind == release6 || kind == decline6 {
		return b
	}
	if kind == solicit6 && c.rapid {
		b = head6(b, option6Rapid, 0)
	}
	ask := "\x00\x17\x00\x18\x00\x1f\x00\x27\x00\x38\x00\x3b\x00\x52" // 23 24 31 39 56 59 82
	if kind == inform6 {
		ask += "\x00\x20\x00\x53" // 32 83
	}
	b = text6(b, option6Request, nil, ask)
	if c.user != "" {
		b = text6(b, option6UserClass, []byte{0, byte(len(c.user))}, c.user)
	}
	if c.vendor != "" {
		b = text6(b, option6VendorClass, []byte{0, 0, enterprise6 >> 8, enterprise6 & 0xff, 0, byte(len(c.vendor))}, c.vendor)
	}
	if name := labels6(c.hostname); name != "" {
		// The server is to make the name known: flag S (RFC 4704 section 4.1).
		b = text6(b, option6FQDN, []byte{1}, name)
	}
	return b
}

// An answer6 is what a server sent. What it left out is zero. Times are in
// seconds, or forever6.
type answer6 struct {
	kind           byte
	xid            uint32
	bad            int // the option that cannot be read
	client, server []byte
	preference     byte
	rapid          bool
	// status is that of the whole or of the IA_NA, whichever is not success;
	// text is the server's own.
	status int
	text   string
	// addr is the one address of the IA_NA that is used.
	addr                     netip.Addr
	t1, t2, preferred, valid uint32
	dns, ntp                 []netip.Addr
	search                   []string
	fqdn, url                string
	maxRT                    uint32 // SOL_MAX_RT or INF_MAX_RT
}

// parseAnswer6 reads a message of a server about the IA_NA iaid. Of one that is
// none only the kind is set.
func parseAnswer6(b []byte, iaid uint32) *answer6 {
	a := &answer6{}
	if len(b) >= 4 {
		a.kind, a.xid = b[0], binary.BigEndian.Uint32(b)&0xffffff
	}
	if a.kind == advertise6 || a.kind == reply6 {
		a.options(b[4:], iaid, 0)
	}
	return a
}

// least6 is how many bytes an option has at least: the ones that are read
// without a further look.
func least6(code int) int {
	switch code {
	case option6Preference:
		return 1
	case option6Status:
		return 2
	case option6ServerID: // RFC 8415 section 11.1
		return 3
	case option6SolMaxRT, option6InfMaxRT:
		return 4
	case option6IANA:
		return 12
	case option6Address:
		return 24
	default:
		return 0
	}
}

// options takes options, those of the message or (in) of another option.
func (a *answer6) options(b []byte, iaid uint32, in int) {
	for len(b) > 0 {
		if len(b) < 4 {
			a.bad = max(1, in)
			return
		}
		code, n := int(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+n || in != option6NTP && n < least6(code) {
			a.bad = code
			return
		}
		v := b[4 : 4+n]
		b = b[4+n:]
		if in == option6NTP {
			if code == 1 { // the address of a server (RFC 5908 section 4.1)
				a.ntp = addrs6(a.ntp, v)
			}
			continue
		}
		switch code {
		case option6ClientID:
			a.client = v
		case option6ServerID:
			a.server = v
		case option6Preference:
			a.preference = v[0]
		case option6Rapid:
			a.rapid = true
		case option6Status:
			if status := int(binary.BigEndian.Uint16(v)); status != 0 && a.status == 0 {
				a.status, a.text = status, clip(string(v[2:]))
			}
		case option6IANA:
			if in == 0 && binary.BigEndian.Uint32(v) == iaid {
				a.t1, a.t2 = binary.BigEndian.Uint32(v[4:]), binary.BigEndian.Uint32(v[8:])
				a.options(v[12:], iaid, code)
			}
		case option6Address:
			addr := netip.AddrFrom16([16]byte(v))
			preferred, valid := binary.BigEndian.Uint32(v[16:]), binary.BigEndian.Uint32(v[20:])
			// One without time left is taken back; the first of the others
			// is used (RFC 8415 section 21.6).
			if in == option6IANA && !a.addr.IsValid() && valid != 0 && preferred <= valid && host6(addr) {
				a.addr, a.preferred, a.valid = addr, preferred, valid
			}
		case option6DNS:
			a.dns = addrs6(a.dns, v)
		case option6SNTP:
			a.ntp = addrs6(a.ntp, v)
		case option6NTP:
			a.options(v, iaid, code)
		case option6Search:
			a.search = parseNames(a.search, v)
		case option6FQDN:
			if names := parseNames(nil, v[min(1, n):]); len(names) == 1 {
				a.fqdn = names[0]
			}
		case option6URL:
			a.url = string(v)
		case option6SolMaxRT, option6InfMaxRT:
			// RFC 8415 section 21.24: others are to be ignored.
			if s := binary.BigEndian.Uint32(v); s >= 60 && s <= 86400 {
				a.maxRT = s
			}
		}
	}
}

// host6 tells whether a node can have the address.
func host6(a netip.Addr) bool {
	return usable(netip.PrefixFrom(a, 128)) && !a.IsLinkLocalUnicast()
}

// addrs6 appends those addresses of a list that a server can have.
func addrs6(all []netip.Addr, v []byte) []netip.Addr {
	for ; len(v) >= 16; v = v[16:] {
		if a := netip.AddrFrom16([16]byte(v)); serves(a) && len(all) < mostNames {
			all = append(all, a)
		}
	}
	return all
}
