package bringup

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/insomniacslk/dhcp/rfc1035label"
	"github.com/vishvananda/netlink"

	"github.com/nodisk/nodisk/netsetup/lease"
)

// A script answers a message by any number of packets, which may be anything.
type script func(m *dhcpv4.DHCPv4) [][]byte

// A scripted server writes down what it heard.
type scripted struct {
	mu    sync.Mutex
	heard []*dhcpv4.DHCPv4
}

// script starts a server of UDP at the other end. Its answers are broadcast.
func (c *cable) script(answers script) *scripted {
	c.t.Helper()
	var (
		s    = &scripted{}
		conn net.PacketConn
		err  error
	)
	c.in(func() { conn, err = server4.NewIPv4UDPConn(c.peer, &net.UDPAddr{Port: lease.ServerPort}) })
	if err != nil {
		c.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, receiveBuffer)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			m, err := dhcpv4.FromBytes(buf[:n])
			if err != nil {
				c.t.Errorf("the node sent % x: %v", buf[:n], err)
				continue
			}
			s.mu.Lock()
			s.heard = append(s.heard, m)
			s.mu.Unlock()
			for _, a := range answers(m) {
				// A link that has just gone down is no fault of the test.
				_, _ = conn.WriteTo(a, &net.UDPAddr{IP: net.IPv4bcast, Port: lease.ClientPort})
			}
		}
	}()
	c.t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return s
}

// connected sets a link up before anything is done with it, and waits until the
// queues of both ends are open, so that no message is lost or sent twice.
func (c *cable) connected(dev string) {
	c.t.Helper()
	if l, err := netlink.LinkByName(dev); err != nil || netlink.LinkSetUp(l) != nil {
		c.t.Fatalf("set %s up: %v", dev, err)
	}
	c.plug(true)
	eventually(c.t, dev+" to be connected", func() bool {
		there := false
		c.in(func() { there = queueOpen(c.peer) })
		return there && queueOpen(dev)
	})
}

// queueOpen reports whether the queue of a link is open.
func queueOpen(name string) bool {
	l, err := netlink.LinkByName(name)
	return err == nil && l.Attrs().OperState == netlink.OperUp
}

// alsoHas gives the other end, or the box before it, a further address: that of a
// neighbour, whose kernel answers ARP for it on any link. It is not on the other end
// itself, where Kea would open a further socket for it and answer twice.
func (c *cable) alsoHas(a netip.Prefix) {
	c.t.Helper()
	where, dev := c, "lo"
	if c.box != nil {
		// The box passes frames on when it gets a processor. A kernel answers ARP
		// whatever else the machine does, and a probe waits for no more.
		where, dev = c.box, c.near
	}
	where.in(func() {
		l, err := netlink.LinkByName(dev)
		if err == nil {
			err = netlink.AddrAdd(l, &netlink.Addr{IPNet: ipNet(a)})
		}
		if err != nil {
			c.t.Errorf("add %s: %v", a, err)
		}
	})
}

// of are the messages of one type.
func (s *scripted) of(kind dhcpv4.MessageType) []*dhcpv4.DHCPv4 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*dhcpv4.DHCPv4
	for _, m := range s.heard {
		if m.MessageType() == kind {
			all = append(all, m)
		}
	}
	return all
}

// String is the types in their order.
func (s *scripted) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kinds []string
	for _, m := range s.heard {
		kinds = append(kinds, m.MessageType().String())
	}
	return strings.Join(kinds, " ")
}

// A change makes a message of a good server another one.
type change func(m *dhcpv4.DHCPv4)

func option(code uint8, value ...byte) change {
	return func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), value)) }
}

func without(code uint8) change {
	return func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.GenericOptionCode(code)) }
}

func yiaddr(a netip.Addr) change {
	return func(m *dhcpv4.DHCPv4) { m.YourIPAddr = a.AsSlice() }
}

// serverID makes it another server's.
func serverID(a netip.Addr) change {
	return func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptServerIdentifier(a.AsSlice())) }
}

// reply is the one that a good server gives, with all options that the node
// looks at; the address ends in 23.
func reply(server netip.Prefix, req *dhcpv4.DHCPv4, kind dhcpv4.MessageType, changes ...change) []byte {
	gateway := net.IP(server.Addr().AsSlice())
	m, err := dhcpv4.NewReplyFromRequest(req,
		dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(in4(server, 23).AsSlice()), dhcpv4.WithServerIP(in4(server, 2).AsSlice()),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(gateway)),
		dhcpv4.WithOption(dhcpv4.OptSubnetMask(net.CIDRMask(server.Bits(), 32))),
		dhcpv4.WithOption(dhcpv4.OptRouter(gateway)),
		dhcpv4.WithOption(dhcpv4.OptDNS(in4(server, 53).AsSlice())),
		dhcpv4.WithOption(dhcpv4.OptNTPServers(in4(server, 42).AsSlice())),
		dhcpv4.WithOption(dhcpv4.OptHostName("node7")),
		dhcpv4.WithOption(dhcpv4.OptDomainName("cluster.example")),
		dhcpv4.WithOption(dhcpv4.OptDomainSearch(&rfc1035label.Labels{Labels: []string{"a.example", "example"}})),
		dhcpv4.WithOption(dhcpv4.OptRootPath("iscsi:10.0.0.2::::iqn.2026-01.example:disk")),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{1400 >> 8, 1400 & 0xff})),
		dhcpv4.WithOption(dhcpv4.OptIPAddressLeaseTime(time.Hour)),
	)
	if err != nil {
		panic(err) // of the request's own type: it has all that a reply needs
	}
	if kind == dhcpv4.MessageTypeNak {
		m.YourIPAddr = nil
		m.Options = dhcpv4.OptionsFromList(dhcpv4.OptMessageType(kind), dhcpv4.OptServerIdentifier(gateway))
	}
	for _, f := range changes {
		f(m)
	}
	return m.ToBytes()
}

// goodLease is what reply gives.
func goodLease(server netip.Prefix) lease.Lease {
	return lease.Lease{
		Protocol: "DHCP", Addr: netip.PrefixFrom(in4(server, 23), server.Bits()), Gateway: server.Addr(), Server: server.Addr(), NextServer: in4(server, 2),
		RootPath: "iscsi:10.0.0.2::::iqn.2026-01.example:disk", Hostname: "node7", Domain: "cluster.example", Search: []string{"a.example", "example"},
		DNS: []netip.Addr{in4(server, 53)}, NTP: []netip.Addr{in4(server, 42)}, MTU: 1400, Duration: time.Hour,
	}
}

// good is the script of a good server. It refuses a request for anything but
// what it offers, and is silent to one that is for another server.
func good(server netip.Prefix) script {
	return func(m *dhcpv4.DHCPv4) [][]byte {
		switch m.MessageType() {
		case dhcpv4.MessageTypeDiscover:
			return [][]byte{reply(server, m, dhcpv4.MessageTypeOffer)}
		case dhcpv4.MessageTypeRequest:
			switch {
			case m.ServerIdentifier().String() != server.Addr().String():
				return nil
			case m.RequestedIPAddress().String() != in4(server, 23).String():
				return [][]byte{reply(server, m, dhcpv4.MessageTypeNak)}
			}
			return [][]byte{reply(server, m, dhcpv4.MessageTypeAck)}
		default:
			return nil
		}
	}
}
