package bringup

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// deviceOf is a device of the namespace as the kernel shows it.
func deviceOf(t *testing.T, name string) link.Device {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return link.Device{
		Index: l.Attrs().Index, Name: name, Type: link.HwEthernet, Addr: link.HardwareAddr(l.Attrs().HardwareAddr), MTU: l.Attrs().MTU,
		Broadcast: "\xff\xff\xff\xff\xff\xff",
	}
}

// openWire is a wire on eth0, which is up and has the address.
func openWire(t *testing.T, via lease.Channel, address string) wire {
	t.Helper()
	l, err := netlink.LinkByName("eth0")
	if err == nil {
		err = netlink.LinkSetUp(l)
	}
	if err == nil {
		err = netlink.AddrAdd(l, &netlink.Addr{IPNet: ipNet(prefix(address)), Flags: unix.IFA_F_NODAD})
	}
	if err != nil {
		t.Fatal(err)
	}
	w, err := kernel{}.open(deviceOf(t, "eth0"), via)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// received is the next packet of a wire.
func received(t *testing.T, w wire) lease.Packet {
	t.Helper()
	late := time.AfterFunc(10*time.Second, func() { _ = w.Close() })
	defer late.Stop()
	p, err := w.Receive()
	if err != nil {
		t.Fatalf("waited in vain for a packet: %v", err)
	}
	return p
}

// sendFrom sends a datagram at the other end of the cable.
func (c *cable) sendFrom(from, to netip.AddrPort, payload string) {
	c.t.Helper()
	c.in(func() {
		conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to))
		if err == nil {
			_, err = conn.Write([]byte(payload))
			_ = conn.Close()
		}
		if err != nil {
			c.t.Errorf("send to %s: %v", to, err)
		}
	})
}

// unreachables is how many ICMP messages of that kind the namespace has sent
// (/proc/net/snmp). The first thread of the process, which "self" is, may be one
// that went to the other end of a cable.
func unreachables(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/thread-self/net/snmp")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if f[0] != "Icmp:" {
			continue
		}
		for i, name := range names {
			if name == "OutDestUnreachs" {
				return f[i]
			}
		}
		names = f
	}
	t.Fatalf("no counter in:\n%s", b)
	return ""
}

// The ACK of a renewal comes by unicast to an address that the interface has:
// the kernel must not answer that nobody listens.
func TestWireRenewalIsHeard(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	w := openWire(t, lease.ChannelDHCP, "10.77.0.23/24")
	// A packet socket hears a datagram before UDP does; when it hears the next
	// one, UDP is done with the first.
	for range 3 {
		c.sendFrom(netip.MustParseAddrPort("10.77.0.1:67"), netip.MustParseAddrPort("10.77.0.23:68"), "ack")
		if p := received(t, w); string(p.Payload) != "ack" || !p.Unicast {
			t.Errorf("%+v", p)
		}
	}
	if got := unreachables(t); got != "0" {
		t.Errorf("%s destinations unreachable", got)
	}
	// A second wire, of another interface or another run, is no hindrance.
	second, err := kernel{}.open(deviceOf(t, "eth0"), lease.ChannelDHCP)
	if err != nil {
		t.Fatal(err)
	}
	_ = second.Close()
}

// Where the link does not tell who sent an ACK (IPoIB), the kernel finds the way
// to its server: a frame for one node, which a router passes on.
func TestWireRenewalByNeighbour(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	w := openWire(t, lease.ChannelDHCP, "10.77.0.23/24")
	if err := (link.Route{Dst: prefix("0.0.0.0/0"), Via: addr("10.77.0.1"), Dev: "eth0"}).Apply(link.Kernel{}); err != nil {
		t.Fatal(err)
	}
	var far wire
	c.in(func() {
		d := deviceOf(t, c.peer)
		// Its filter is that of a client.
		p, err := openPacket(d, lease.ChannelDHCP)
		if err == nil {
			err = unix.SetsockoptInt(int(p.file.Fd()), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
		}
		if err != nil {
			t.Errorf("listen at the other end: %v", err)
			return
		}
		far = p
	})
	if far == nil {
		return
	}
	defer func() { _ = far.Close() }()
	for _, tt := range []struct {
		name     string
		src, dst netip.Addr
		to       link.HardwareAddr
		want     string
	}{
		{"on the link", addr("10.77.0.23"), addr("10.77.0.1"), "", "unicast from 10.77.0.23"},
		{"behind a router", addr("10.77.0.23"), addr("192.0.2.9"), "", "unicast from 10.77.0.23"},
		{"link address known", addr("10.77.0.23"), addr("192.0.2.9"), deviceOf(t, "eth0").Broadcast, "broadcast from 10.77.0.23"},
		{"an address of nobody", addr("10.77.0.99"), addr("10.77.0.1"), "", "broadcast from 10.77.0.99"},
	} {
		if err := w.Send(lease.Message{Via: lease.ChannelDHCP, What: "REQUEST", Payload: []byte("renew"), Src: tt.src, Dst: tt.dst, To: tt.to}); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := sighted(t, far.(*packetConn)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// sighted is how the next datagram to port 67 came, and from where.
func sighted(t *testing.T, c *packetConn) string {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	if err := c.file.SetReadDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	for {
		var n int
		var from unix.Sockaddr
		var rerr error
		if err := c.raw.Read(func(fd uintptr) bool {
			n, from, rerr = unix.Recvfrom(int(fd), c.buf, 0)
			return rerr != unix.EAGAIN
		}); err != nil || rerr != nil {
			t.Fatalf("waited in vain for a datagram: %v, %v", err, rerr)
		}
		src, dst, payload, err := lease.ParseUDP(c.buf[:n], false)
		if err != nil || dst.Port() != lease.ServerPort || string(payload) != "renew" || src.Port() != lease.ClientPort {
			continue
		}
		if from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_BROADCAST {
			return "broadcast from " + src.Addr().String()
		}
		return "unicast from " + src.Addr().String()
	}
}

// RFC 8415 says on which ports to listen, and nothing of those to send from.
func TestWireDHCPv6SourcePorts(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable6(t, "eth0", macSix, "2001:db8:1::1/64")
	w := openWire(t, lease.ChannelDHCP6, "2001:db8:1::23/64")
	for _, port := range []uint16{5555, 547} {
		c.sendFrom(netip.AddrPortFrom(netip.MustParseAddr("2001:db8:1::1"), port), netip.MustParseAddrPort("[2001:db8:1::23]:546"), "reply")
		if p := received(t, w); string(p.Payload) != "reply" || p.Src != netip.MustParseAddr("2001:db8:1::1") {
			t.Errorf("from port %d: %+v", port, p)
		}
	}
}

// A bridge and its port have the MTU of the bridge's lease: what is sent is not
// dropped on the way.
func TestUpBridgeMTU(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.in(func() {
		l, err := netlink.LinkByName(c.peer)
		if err == nil {
			err = netlink.LinkSetMTU(l, 9000)
		}
		if err != nil {
			t.Error(err)
		}
	})
	c.plug(true)
	l, err := netlink.LinkByName("eth0")
	if err == nil {
		err = netlink.LinkSetUp(l) // a cable has carrier only then
	}
	if err != nil {
		t.Fatal(err)
	}
	c.dnsmasq("--dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1h", "--dhcp-option=26,9000")
	s, _, err := up(t, "bridge=br0:eth0 ip=br0:dhcp", 20*time.Second)
	if err != nil || s.Device != "br0" || s.MTU != 9000 {
		t.Fatalf("%v, MTU %d, %v", s, s.MTU, err)
	}
	for _, dev := range []string{"br0", "eth0"} {
		if got := deviceOf(t, dev).MTU; got != 9000 {
			t.Errorf("%s has MTU %d", dev, got)
		}
	}
	var packets net.PacketConn
	c.in(func() { packets, err = new(net.ListenConfig).ListenPacket(t.Context(), "udp", "10.77.0.1:5000") })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = packets.Close() }()
	if err := packets.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "udp", "10.77.0.1:5000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, size := range []int{1000, 4000, 8000} {
		if _, err := conn.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 9000)
		if n, _, err := packets.ReadFrom(buf); err != nil || n != size {
			t.Errorf("%d bytes sent, %d came: %v", size, n, err)
		}
	}
}

// What nodisk sets for the time of the boot is as before behind it; what a word
// asks for stays.
func TestUpRestores6(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	newCable6(t, "eth0", macSix, "2001:db8:1::1/64")
	read := func(name string) string {
		b, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	c, err := netsetup.ParseConfig(cmdline.Parse("ip=eth0:link6"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := read("eth0/accept_ra"); got != "0" {
		t.Errorf("with link6 accept_ra is %s", got)
	}
	n.Close()
	if got, want := read("eth0/router_solicitation_delay"), read("default/router_solicitation_delay"); got != want {
		t.Errorf("router_solicitation_delay is left as %s, it was %s", got, want)
	}
	if got := read("eth0/accept_ra"); got != "0" {
		t.Errorf("behind a boot with link6 accept_ra is %s: the next advertisement makes an address", got)
	}
}
