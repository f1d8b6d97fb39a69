package lease

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// optionInitiatorName is 203 in the site-specific range; iPXE calls it
// initiator-iqn. The library has no name for it.
const optionInitiatorName = dhcpv4.GenericOptionCode(203)

// maxMessage is an Ethernet frame's worth of DHCP: MTU less IP and UDP headers.
// Without it servers stop at 576 bytes (RFC 2131 section 2) and leave options
// out, or overload sname and file.
const maxMessage = 1500 - IPHeaderLen - UDPHeaderLen

// parameters is the parameter request list. Option 121 is before 3, as RFC 3442
// demands.
func parameters() []byte {
	return []byte{
		1,   // subnet mask
		121, // classless static routes
		3,   // router
		6,   // name servers
		12,  // host name
		15,  // domain
		17,  // root-path
		26,  // MTU
		28,  // broadcast address: some servers tie others to it
		42,  // NTP servers
		51,  // lease time
		54,  // server identifier
		58,  // renewal time
		59,  // rebinding time
		119, // search list
		203, // iSCSI initiator name
	}
}

// message is the part that all messages share.
func (c Client) message(t dhcpv4.MessageType, who int, xid uint32) *dhcpv4.DHCPv4 {
	d := c.Identities[who]
	m := &dhcpv4.DHCPv4{
		OpCode:       dhcpv4.OpcodeBootRequest,
		HWType:       iana.HWType(d.hwType),
		ClientHWAddr: net.HardwareAddr(d.chaddr), // hlen is its length
		Options:      dhcpv4.Options{},
	}
	binary.BigEndian.PutUint32(m.TransactionID[:], xid)
	m.UpdateOption(dhcpv4.OptMessageType(t))
	if c.Broadcast {
		m.SetBroadcast()
	}
	if d.id != nil {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientIdentifier, d.id))
	}
	return m
}

// ask adds what DISCOVER and REQUEST share. since is the time since the
// exchange began.
func (c Client) ask(m *dhcpv4.DHCPv4, since time.Duration) *dhcpv4.DHCPv4 {
	m.NumSeconds = uint16(min(since/time.Second, 1<<16-1))
	m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionParameterRequestList, parameters()))
	m.UpdateOption(dhcpv4.OptMaxMessageSize(maxMessage))
	if c.Vendor != "" {
		m.UpdateOption(dhcpv4.OptClassIdentifier(c.Vendor))
	}
	if c.User != "" {
		// RFC 3004 wants a length before each class. Neither iPXE nor dhclient
		// sends one, and servers compare the bytes.
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte(c.User)))
	}
	if c.Hostname != "" {
		m.UpdateOption(dhcpv4.OptHostName(c.Hostname))
	}
	return m
}

func (c Client) discover(who int, xid uint32, since time.Duration) *dhcpv4.DHCPv4 {
	m := c.ask(c.message(dhcpv4.MessageTypeDiscover, who, xid), since)
	if c.Rapid {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRapidCommit, nil))
	}
	return m
}

// renewal asks for more time: RFC 2131 table 5, columns RENEWING and REBINDING.
func (c Client) renewal(who int, xid uint32, ack *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	m := c.ask(c.message(dhcpv4.MessageTypeRequest, who, xid), 0)
	m.ClientIPAddr = ack.YourIPAddr
	return m
}

// decline refuses an address (RFC 2131 table 5, column DHCPDECLINE).
func (c Client) decline(who int, xid uint32, ack *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	m := c.message(dhcpv4.MessageTypeDecline, who, xid)
	m.UpdateOption(dhcpv4.OptRequestedIPAddress(ack.YourIPAddr))
	m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionServerIdentifier, ack.Options.Get(dhcpv4.OptionServerIdentifier)))
	return m
}

// request takes an offer: RFC 2131 table 5, column SELECTING.
func (c Client) request(who int, xid uint32, since time.Duration, offer *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	m := c.ask(c.message(dhcpv4.MessageTypeRequest, who, xid), since)
	m.UpdateOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr))
	m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionServerIdentifier, offer.Options.Get(dhcpv4.OptionServerIdentifier)))
	return m
}

// release gives the address of an acknowledgement back (RFC 2131 section
// 4.4.6): ciaddr, server identifier and client identifier, nothing else.
func (c Client) release(who int, xid uint32, ack *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	m := c.message(dhcpv4.MessageTypeRelease, who, xid)
	m.ClientIPAddr = ack.YourIPAddr
	m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionServerIdentifier, ack.Options.Get(dhcpv4.OptionServerIdentifier)))
	return m
}

// Offsets of RFC 2131 figure 1.
const (
	offsetHType  = 1
	offsetXID    = 4
	offsetCHAddr = 28
	offsetSName  = 44
	offsetFile   = 108
	offsetCookie = 236
)

// parseReply reads a message. It returns nil without an error for a message of
// another transaction or another client, and an error for one of ours that
// cannot be read.
func parseReply(raw []byte, d Identity, xid uint32) (*dhcpv4.DHCPv4, error) {
	if len(raw) < offsetCookie || raw[0] != byte(dhcpv4.OpcodeBootReply) ||
		binary.BigEndian.Uint32(raw[offsetXID:]) != xid {
		return nil, nil
	}
	// Without chaddr (RFC 4390) the transaction must do, and option 61 below.
	if raw[offsetHType] != d.hwType || !bytes.HasPrefix(raw[offsetCHAddr:offsetSName], []byte(d.chaddr)) {
		return nil, nil
	}
	m, err := dhcpv4.FromBytes(raw)
	if err != nil {
		return nil, fmt.Errorf("answer cannot be read: %w", err)
	}
	// RFC 2131 section 4.1: options may go on in file, then in sname.
	if o := m.Options.Get(dhcpv4.OptionOptionOverload); len(o) == 1 {
		if o[0]&1 != 0 {
			err = m.Options.FromBytes(raw[offsetFile:offsetCookie])
		}
		if err == nil && o[0]&2 != 0 {
			err = m.Options.FromBytes(raw[offsetSName:offsetFile])
		}
		if err != nil {
			return nil, fmt.Errorf("options in file and sname cannot be read: %w", err)
		}
	}
	// RFC 6842: a server that sends the identifier back sends the client's.
	if id := m.Options.Get(dhcpv4.OptionClientIdentifier); d.chaddr == "" && id != nil && !bytes.Equal(id, d.id) {
		return nil, nil
	}
	return m, nil
}
