package netsetup

import (
	"errors"
	"net/netip"
	"time"
)

// A rarp asks for the address that belongs to a hardware address (RFC 903). The
// answer has no netmask: without one of ip= it is that of the class, as in the
// kernel (net/ipv4/ipconfig.c), and the server is where an NFS root is.
type rarp struct {
	addr HardwareAddr
	bits int // prefix length, 0 for that of the class
	// server is the only one whose replies are taken, if it is valid
	// (Documentation/admin-guide/nfs/nfsroot.rst on server-ip).
	server netip.Addr
}

func newRARP(d Device, c client) asker {
	r := &rarp{d.Addr, c.bits, c.server}
	return asker{via: channelRARP, name: "RARP", asks: d.Addr, server: c.server, question: r.question, answer: r.answer}
}

func (r *rarp) question(time.Duration) []byte {
	p := arpPacket{hwType: hwEthernet, op: rarpRequest, sender: r.addr, target: r.addr}
	return p.bytes()
}

func (r *rarp) answer(payload []byte) (*Lease, []string, error) {
	a, ok := parseARP(payload, hwEthernet)
	if !ok || a.op != rarpReply || a.target != r.addr || r.server.IsValid() && a.senderIP != r.server {
		return nil, nil, nil
	}
	l := &Lease{Protocol: "RARP", Server: a.senderIP, NextServer: a.senderIP}
	if a.targetIP.IsValid() {
		l.Addr = netip.PrefixFrom(a.targetIP, classBits(a.targetIP, r.bits))
	}
	if !usable(l.Addr) {
		return nil, nil, errors.New(l.Addr.String() + " is not the address of a host")
	}
	return l, nil, nil
}

// classBits is the prefix length to use for an address that came without one.
func classBits(a netip.Addr, bits int) int {
	if bits == 0 {
		return usualBits(a)
	}
	return bits
}
