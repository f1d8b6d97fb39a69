package lease

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/link"
)

// Messages are built and read by dhcpv6 of github.com/insomniacslk/dhcp, with three exceptions:
//   - It does not choose by itself how an option is read (see answer6.option): it would read each kind that it knows
//     inside any other, relayed and DHCPv4 messages too, and refuse an answer for an option that does not matter here.
//   - A DUID is opaque (RFC 8415 section 11): the library refuses one of a known kind and an unknown form.
//   - Lists of addresses and names are read as those of router advertisements are: of names the library follows the
//     compression that RFC 8415 section 10 forbids, and it writes a part of a name (RFC 4704 section 4.2) as a whole.

// enterprise6 is what a vendor class belongs to: 343, Intel, as PXE and HTTP
// boot of UEFI have it.
const enterprise6 = 343

// Client6 is what a DHCPv6 server is told about this node.
type Client6 struct {
	DUID []byte
	IAID uint32 // of the interface
	// Rapid asks for the lease at once (option 14).
	Rapid    bool
	Vendor   string // option 16
	User     string // option 15
	Hostname string // option 39
}

// NewDUID makes the identifier of the node, which is to stay the same forever.
//
// It is the UUID of the firmware (RFC 6355), its bytes in the order in which it
// is written: what iPXE sends (src/net/udp/dhcpv6.c). UEFI has the first
// three of its fields the other way round, as they are in SMBIOS; to a server,
// that is another client. Without a UUID it is the link-layer address
// (DUID-LL, RFC 8415 section 11.4); of InfiniBand the GUID, the part that stays.
func NewDUID(uuid string, d link.Device) []byte {
	if b, ok := parseUUID(uuid); ok {
		return dhcpv6.DUIDUUID{UUID: [16]byte(b)}.ToBytes()
	}
	return dhcpv6.DUIDLL{HWType: iana.HWType(d.Type), LinkLayerAddr: net.HardwareAddr(d.Lasting())}.ToBytes()
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

// IAIDOf numbers the interface's addresses. It is what iPXE sends: the CRC-32
// of the hardware address, begun with zero and not inverted. A server that gave
// iPXE an address gives the same one to the initramfs then; with another number
// it would be a second address, for which a reservation may have no room. UEFI
// takes a random number. On InfiniBand iPXE shows the six bytes made of the GUID.
func IAIDOf(d link.Device) uint32 {
	addr := d.Addr
	if guid, ok := addr.GUID(); ok && d.Type == link.HwInfiniBand {
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

// option6 is an option of which only the bytes matter.
func option6(code dhcpv6.OptionCode, value []byte) dhcpv6.Option {
	return &dhcpv6.OptionGeneric{OptionCode: code, OptionData: value}
}

// message makes a message; server and addr are left out where there is none.
// All but INFORMATION-REQUEST hold the IA_NA.
func (c *Client6) message(
	kind dhcpv6.MessageType, xid uint32, since time.Duration, server []byte, addr netip.Addr,
) []byte {
	m := &dhcpv6.Message{MessageType: kind, TransactionID: [3]byte{byte(xid >> 16), byte(xid >> 8), byte(xid)}}
	m.AddOption(option6(dhcpv6.OptionClientID, c.DUID))
	if server != nil {
		m.AddOption(option6(dhcpv6.OptionServerID, server))
	}
	if kind != dhcpv6.MessageTypeInformationRequest {
		ia := &dhcpv6.OptIANA{} // T1 and T2 are the server's
		binary.BigEndian.PutUint32(ia.IaId[:], c.IAID)
		if addr.IsValid() {
			ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: addr.AsSlice()}) // and so are the lifetimes
		}
		m.AddOption(ia)
	}
	const hundredth = 10 * time.Millisecond // the library rounds, and knows no limit
	m.AddOption(dhcpv6.OptElapsedTime(min(since.Truncate(hundredth), (1<<16-1)*hundredth)))
	if kind == dhcpv6.MessageTypeRelease || kind == dhcpv6.MessageTypeDecline {
		return m.ToBytes()
	}
	if kind == dhcpv6.MessageTypeSolicit && c.Rapid {
		m.AddOption(option6(dhcpv6.OptionRapidCommit, nil))
	}
	ask := []dhcpv6.OptionCode{
		dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList, dhcpv6.OptionSNTPServerList,
		dhcpv6.OptionFQDN, dhcpv6.OptionNTPServer, dhcpv6.OptionBootfileURL, dhcpv6.OptionSolMaxRT,
	}
	if kind == dhcpv6.MessageTypeInformationRequest {
		ask = append(ask, dhcpv6.OptionInformationRefreshTime, dhcpv6.OptionInfMaxRT)
	}
	m.AddOption(dhcpv6.OptRequestedOption(ask...))
	if c.User != "" {
		m.AddOption(&dhcpv6.OptUserClass{UserClasses: [][]byte{[]byte(c.User)}})
	}
	if c.Vendor != "" {
		m.AddOption(&dhcpv6.OptVendorClass{EnterpriseNumber: enterprise6, Data: [][]byte{[]byte(c.Vendor)}})
	}
	if name := link.Labels6(c.Hostname); name != "" {
		// The server is to make the name known: flag S (RFC 4704 section 4.1).
		m.AddOption(option6(dhcpv6.OptionFQDN, append([]byte{1}, name...)))
	}
	return m.ToBytes()
}

// An answer6 is what a server sent. What it left out is zero. Times are in
// seconds, or forever6.
type answer6 struct {
	kind           dhcpv6.MessageType
	xid            uint32
	bad            dhcpv6.OptionCode // the option that cannot be read
	client, server []byte
	preference     byte
	rapid          bool
	// status is that of the whole or of the IA_NA, whichever is not success;
	// text is the server's own.
	status iana.StatusCode
	text   string
	// addr is the one address of the IA_NA that is used.
	addr                     netip.Addr
	t1, t2, preferred, valid uint32
	dns, ntp                 []netip.Addr
	search                   []string
	fqdn, url                string
	maxRT                    uint32 // SOL_MAX_RT or INF_MAX_RT
}

// parseAnswer6 reads a message of a server about the IA_NA iaid. If it is not one, only the kind
// is set.
func parseAnswer6(b []byte, iaid uint32) *answer6 {
	a := &answer6{}
	if len(b) >= dhcpv6.MessageHeaderSize {
		a.kind, a.xid = dhcpv6.MessageType(b[0]), binary.BigEndian.Uint32(b)&0xffffff
	}
	if a.kind == dhcpv6.MessageTypeAdvertise || a.kind == dhcpv6.MessageTypeReply {
		all, _ := a.read(b[dhcpv6.MessageHeaderSize:], iaid, 0) // a.bad says so
		a.take(all)
	}
	return a
}

// least6 is how many bytes an option has at least: those that are read without further checks.
func least6(code dhcpv6.OptionCode) int {
	switch code {
	case dhcpv6.OptionPreference:
		return 1
	case dhcpv6.OptionStatusCode:
		return 2
	case dhcpv6.OptionServerID: // RFC 8415 section 11.1
		return 3
	case dhcpv6.OptionSolMaxRT, dhcpv6.OptionInfMaxRT:
		return 4
	case dhcpv6.OptionIANA:
		return 12
	case dhcpv6.OptionIAAddr:
		return 24
	default:
		return 0
	}
}

var errCut6 = errors.New("an option is cut off")

// read reads options, those of the message or (in) of another option. What is read before one that is cut off
// is returned with the error.
func (a *answer6) read(b []byte, iaid uint32, in dhcpv6.OptionCode) (dhcpv6.Options, error) {
	var all dhcpv6.Options
	err := all.FromBytesWithParser(b, func(code dhcpv6.OptionCode, v []byte) (dhcpv6.Option, error) {
		// The library gives nil for one that is longer than the rest.
		if v == nil || in != dhcpv6.OptionNTPServer && len(v) < least6(code) {
			a.bad = cmp.Or(a.bad, code)
			return nil, errCut6
		}
		return a.option(code, v, iaid, in)
	})
	if err != nil && a.bad == 0 {
		a.bad = max(1, in) // bytes after the last option
	}
	return all, err
}

// option reads one option: by the library those with options inside, or more than one value; of all others, and
// of the servers of the time (NTP), the bytes.
func (a *answer6) option(code dhcpv6.OptionCode, v []byte, iaid uint32, in dhcpv6.OptionCode) (dhcpv6.Option, error) {
	switch {
	case in == dhcpv6.OptionNTPServer:
		return option6(code, v), nil
	case code == dhcpv6.OptionNTPServer:
		all, err := a.read(v, iaid, code)
		return &dhcpv6.OptNTPServer{Suboptions: all}, err
	case code == dhcpv6.OptionIANA && in == 0 && binary.BigEndian.Uint32(v) == iaid:
		ia, head := &dhcpv6.OptIANA{}, least6(code)
		err := ia.FromBytes(v[:head])
		if err == nil {
			ia.Options.Options, err = a.read(v[head:], iaid, code)
		}
		return ia, err
	case code == dhcpv6.OptionIAAddr && in == dhcpv6.OptionIANA:
		addr := &dhcpv6.OptIAAddress{} // what else it has is not looked at
		return addr, addr.FromBytes(v[:least6(code)])
	case code == dhcpv6.OptionStatusCode:
		status := &dhcpv6.OptStatusCode{}
		return status, status.FromBytes(v)
	default:
		return option6(code, v), nil
	}
}

// take takes the options of the message, or of its IA_NA.
func (a *answer6) take(all dhcpv6.Options) {
	for _, o := range all {
		switch o := o.(type) {
		case *dhcpv6.OptStatusCode:
			if o.StatusCode != iana.StatusSuccess && a.status == iana.StatusSuccess {
				a.status, a.text = o.StatusCode, phrase.Clip(o.StatusMessage)
			}
		case *dhcpv6.OptIANA:
			a.t1, a.t2 = seconds6(o.T1), seconds6(o.T2)
			a.take(o.Options.Options)
		case *dhcpv6.OptIAAddress:
			addr, _ := netip.AddrFromSlice(o.IPv6Addr)
			preferred, valid := seconds6(o.PreferredLifetime), seconds6(o.ValidLifetime)
			// One without time left is revoked; the first of the others is used (RFC 8415 section
			// 21.6).
			if !a.addr.IsValid() && valid != 0 && preferred <= valid && link.Host6(addr) {
				a.addr, a.preferred, a.valid = addr, preferred, valid
			}
		case *dhcpv6.OptionGeneric:
			a.bytes(o.OptionCode, o.OptionData)
		case *dhcpv6.OptNTPServer:
			for _, sub := range o.Suboptions.Get(dhcpv6.NTPSuboptionSrvAddrCode) {
				a.ntp = link.Addrs6(a.ntp, sub.ToBytes())
			}
		}
	}
}

// bytes handles an option that the library has not read.
func (a *answer6) bytes(code dhcpv6.OptionCode, v []byte) {
	switch code {
	case dhcpv6.OptionClientID:
		a.client = v
	case dhcpv6.OptionServerID:
		a.server = v
	case dhcpv6.OptionPreference:
		a.preference = v[0]
	case dhcpv6.OptionRapidCommit:
		a.rapid = true
	case dhcpv6.OptionDNSRecursiveNameServer:
		a.dns = link.Addrs6(a.dns, v)
	case dhcpv6.OptionSNTPServerList:
		a.ntp = link.Addrs6(a.ntp, v)
	case dhcpv6.OptionBootfileURL:
		a.url = string(v)
	case dhcpv6.OptionDomainSearchList:
		a.search = link.ParseNames(a.search, v)
	case dhcpv6.OptionFQDN:
		if names := link.ParseNames(nil, v[min(1, len(v)):]); len(names) == 1 {
			a.fqdn = names[0]
		}
	case dhcpv6.OptionSolMaxRT, dhcpv6.OptionInfMaxRT:
		// RFC 8415 section 21.24: others are to be ignored.
		if s := binary.BigEndian.Uint32(v); s >= 60 && s <= 86400 {
			a.maxRT = s
		}
	default: // of no use here
	}
}

// seconds6 are those of a time, forever6 too.
func seconds6(d time.Duration) uint32 { return uint32(d / time.Second) }
