package lease

import (
	"errors"
	"net/netip"
	"time"

	"github.com/nodisk/nodisk/netsetup/lease/arp"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A rarp asks for the address that belongs to a hardware address (RFC 903). The answer has no
// netmask: unless ip= gives one it is that of the class, as in the kernel (net/ipv4/ipconfig.c),
// and the server is where an NFS root is. No Go library was found that speaks RARP.
type rarp struct {
	addr link.HardwareAddr
	bits int // prefix length, 0 for that of the class
	// server is the only one whose replies are taken, if it is valid
	// (Documentation/admin-guide/nfs/nfsroot.rst on server-ip).
	server netip.Addr
}

func newRARP(d link.Device, c Client) asker {
	r := &rarp{d.Addr, c.Bits, c.Server}
	return asker{
		via:      ChannelRARP,
		name:     "RARP",
		asks:     d.Addr,
		server:   c.Server,
		question: r.question,
		answer:   r.answer,
	}
}

func (r *rarp) question(time.Duration) []byte {
	p := arp.Packet{HwType: link.HwEthernet, Op: arp.RARPRequest, Sender: r.addr, Target: r.addr}
	return p.Bytes()
}

func (r *rarp) answer(payload []byte) (*Lease, []string, error) {
	a, ok := arp.Parse(payload, link.HwEthernet)
	if !ok || a.Op != arp.RARPReply || a.Target != r.addr || r.server.IsValid() && a.SenderIP != r.server {
		return nil, nil, nil
	}
	l := &Lease{Protocol: "RARP", Server: a.SenderIP, NextServer: a.SenderIP}
	if a.TargetIP.IsValid() {
		l.Addr = netip.PrefixFrom(a.TargetIP, classBits(a.TargetIP, r.bits))
	}
	if !link.Usable(l.Addr) {
		return nil, nil, errors.New(l.Addr.String() + " is not the address of a host")
	}
	return l, nil, nil
}

// classBits is the prefix length to use for an address that came without one.
func classBits(a netip.Addr, bits int) int {
	if bits == 0 {
		return link.UsualBits(a)
	}
	return bits
}
