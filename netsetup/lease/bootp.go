package lease

import (
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/link"
)

// A bootp asks a BOOTP server (RFC 951, RFC 1542) for the address that belongs to a hardware
// address. It works as ip=bootp does in the kernel: the netmask is that of option 1, else of ip=,
// else of the class; siaddr is the boot server; an answer by DHCP is not for us.
type bootp struct {
	client Client
	xid    uint32
}

// newBOOTP has one identity of the client, a hardware address of 6 bytes: BOOTP
// knows no identifiers. The device is one that is identified.
func newBOOTP(c Client, d link.Device, xid uint32) asker {
	c.Identities = ClientID("none").identities(d)
	b := &bootp{c, xid}
	return asker{via: ChannelDHCP, name: "BOOTP", asks: c.Identities[0].chaddr, question: b.question, answer: b.answer}
}

// question has a vendor field of the cookie and an end (RFC 1542 section 3.4).
func (b *bootp) question(since time.Duration) []byte {
	m := b.client.message(dhcpv4.MessageTypeNone, 0, b.xid)
	m.Options.Del(dhcpv4.OptionDHCPMessageType)
	m.NumSeconds = uint16(min(since/time.Second, 1<<16-1))
	return m.ToBytes()
}

// bootpCookie is that of the vendor field of RFC 1497, followed by an end option.
const bootpCookie = "\x63\x82\x53\x63\xff"

func (b *bootp) answer(raw []byte) (*Lease, []string, error) {
	switch {
	case len(raw) < offsetCookie:
		return nil, nil, nil
	case len(raw) < offsetCookie+4 || string(raw[offsetCookie:offsetCookie+4]) != bootpCookie[:4]:
		// A vendor field of another kind, or none.
		raw = append(raw[:offsetCookie:offsetCookie], bootpCookie...)
	default:
		// Servers of RFC 951 fill the field up with zeros, without an end; what follows an end is
		// not read.
		raw = append(slices.Clip(raw), bootpCookie[4:]...)
	}
	m, err := parseReply(raw, b.client.Identities[0], b.xid)
	if m == nil || m.Options.Has(dhcpv4.OptionDHCPMessageType) {
		return nil, nil, err
	}
	want := b.client.Expected
	if a, _ := netip.AddrFromSlice(m.YourIPAddr.To4()); a.IsValid() {
		want.Bits = classBits(a, want.Bits)
	}
	l, notes, err := parseLease(m, want)
	if err != nil {
		return nil, nil, err
	}
	l.Protocol = "BOOTP"
	if !l.Server.IsValid() {
		l.Server = l.NextServer
	}
	l.Duration, l.Renew, l.Rebind = 0, 0, 0 // forever
	return &l, notes, nil
}
