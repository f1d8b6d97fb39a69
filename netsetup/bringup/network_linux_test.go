package bringup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// up runs Up for a command line.
func up(t *testing.T, line string, timeout time.Duration) (netsetup.State, *lockedBuffer, error) {
	t.Helper()
	before := descriptors(t)
	s, buf, err := upBeside(t, line, timeout)
	eventually(t, "the descriptors to be closed", func() bool { return descriptors(t) == before })
	return s, buf, err
}

func descriptors(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

// show is what the kernel has for a device: flags, MTU, addresses, routes.
func show(t *testing.T, dev string) []string {
	t.Helper()
	l, err := netlink.LinkByName(dev)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{fmt.Sprintf("%s mtu %d %s", dev, l.Attrs().MTU, map[bool]string{true: "up", false: "down"}[l.Attrs().Flags&net.FlagUp != 0])}
	addrs, err := netlink.AddrList(l, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		forever := map[bool]string{true: "for ever", false: "for a time"}[a.ValidLft == 0 || uint32(a.ValidLft) == 1<<32-1]
		lines = append(lines, fmt.Sprintf("%s brd %s %s", a.IPNet, a.Broadcast, forever))
	}
	routes, err := netlink.RouteList(l, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		dst := "default"
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() {
			dst = r.Dst.String()
		}
		if r.Protocol == unix.RTPROT_KERNEL {
			continue // those of the addresses
		}
		lines = append(lines, fmt.Sprintf("%s via %v metric %d flags %v", dst, r.Gw, r.Priority, r.ListFlags()))
	}
	return lines
}

const serverNet = "10.77.0.1/24"

func TestUpStatic(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	newCable(t, "eth0", macA, prefix(serverNet)).plug(true)
	newCable(t, "eth1", macB, prefix("10.78.0.1/24")).plug(true)
	const line = "ip=10.77.0.5:10.77.0.9:10.77.0.1:255.255.255.0:node7:eth0:none:1400 ip=10.78.0.5::10.78.0.1:24::eth1:none " +
		"rd.route=10.5.0.0/16:192.0.2.1 rd.route=10.6.0.0/16::eth1 nameserver=10.77.0.1"
	for range 2 { // a second time changes nothing
		s, _, err := up(t, line, 10*time.Second)
		if err != nil || s.String() != "eth0 10.77.0.5/24 static, eth1 10.78.0.5/24 static" || s.MTU != 1400 || s.MAC != macA {
			t.Errorf("%+v, %v", s, err)
		}
	}
	for dev, want := range map[string][]string{
		"lo": {"lo mtu 65536 up", "127.0.0.1/8 brd <nil> for ever"},
		"eth0": {
			"eth0 mtu 1400 up", "10.77.0.5/24 brd 10.77.0.255 for ever",
			"default via 10.77.0.1 metric 0 flags []", "10.5.0.0/16 via 192.0.2.1 metric 0 flags [onlink]",
		},
		"eth1": {
			"eth1 mtu 1500 up", "10.78.0.5/24 brd 10.78.0.255 for ever",
			"default via 10.78.0.1 metric 101 flags []", "10.6.0.0/16 via <nil> metric 0 flags []",
		},
	} {
		if diff := cmp.Diff(want, show(t, dev)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", dev, diff)
		}
	}
}

func TestUpDHCP(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	log := c.dnsmasq("--dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1h", "--dhcp-host="+macA.String()+",10.77.0.23,node7",
		"--dhcp-option=17,iscsi:10.77.0.2::::iqn.2026-01.example:disk", "--dhcp-boot=pxelinux.0,,10.77.0.2", "--dhcp-option=26,1400",
		"--dhcp-option=6,10.77.0.53,10.77.0.54", "--dhcp-option=42,10.77.0.42", "--domain=cluster.example", "--dhcp-option=119,example,a.example",
		"--dhcp-option-force=203,iqn.2026-01.example:node7", "--dhcp-option=121,10.5.0.0/16,10.77.0.9,0.0.0.0/0,10.77.0.254")
	s, buf, err := up(t, "ip=eth0:dhcp rd.net.dhcp.vendor-class=nodisk-test", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := netsetup.State{
		Device: "eth0", MAC: macA, Addrs: []netip.Prefix{prefix("10.77.0.23/24")}, Gateway: addr("10.77.0.254"), MTU: 1400,
		Source: "DHCP from 10.77.0.1", Hostname: "node7", Domain: "cluster.example", Search: []string{"example", "a.example"},
		DNS: []netip.Addr{addr("10.77.0.53"), addr("10.77.0.54")}, NTP: []netip.Addr{addr("10.77.0.42")},
		Lease: &lease.Lease{
			Protocol: "DHCP",
			Addr:     prefix("10.77.0.23/24"), Gateway: addr("10.77.0.254"), Server: addr("10.77.0.1"), NextServer: addr("10.77.0.2"),
			RootPath: "iscsi:10.77.0.2::::iqn.2026-01.example:disk", Hostname: "node7", Domain: "cluster.example", Search: []string{"example", "a.example"},
			InitiatorName: "iqn.2026-01.example:node7", DNS: []netip.Addr{addr("10.77.0.53"), addr("10.77.0.54")}, NTP: []netip.Addr{addr("10.77.0.42")},
			MTU: 1400, Routes: []link.Route{{Dst: prefix("10.5.0.0/16"), Via: addr("10.77.0.9")}},
			Duration: time.Hour, Renew: 30 * time.Minute, Rebind: 3150 * time.Second,
		},
	}
	took := s.Took
	s.Took, s.Names = 0, nil // sysfs may be of another namespace, with an adapter of that name
	if diff := cmp.Diff(want, s, byValue()); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"eth0 mtu 1400 up", "10.77.0.23/24 brd 10.77.0.255 for ever",
		"default via 10.77.0.254 metric 0 flags []", "10.5.0.0/16 via 10.77.0.9 metric 0 flags []",
	}, show(t, "eth0")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(log(), "vendor class: nodisk-test") {
		t.Error("the server saw no vendor class")
	}
	if d := sinceCarrier(t, buf, "DISCOVER sent"); d > noWait {
		t.Errorf("DISCOVER %v after carrier", d)
	}
	t.Logf("carrier to DISCOVER %v, to REQUEST %v, to address and routes %v; Up took %v", sinceCarrier(t, buf, "DISCOVER sent"),
		sinceCarrier(t, buf, "REQUEST sent"), sinceCarrier(t, buf, "set up"), took)
}

// noWait is less than any wait that somebody could have meant, and enough for a
// busy machine.
const noWait = 300 * time.Millisecond

// sinceCarrier finds how long after carrier a message was sent.
func sinceCarrier(t *testing.T, buf *lockedBuffer, message string) time.Duration {
	t.Helper()
	_, rest, ok := strings.Cut(buf.String(), message+`" after=`)
	text, _, _ := strings.Cut(strings.ReplaceAll(rest, "\n", " "), " ")
	d, err := time.ParseDuration(text)
	if !ok || err != nil {
		t.Errorf("no %s in the log: %v", message, err)
	}
	return d
}

// Carrier comes 1.5 s late on eth0, never on eth1; eth2 has carrier and no
// server; eth3 appears when Up runs already.
func TestUpLate(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	newCable(t, "eth1", macB, prefix("10.78.0.1/24"))
	newCable(t, "eth2", "\x52\x54\x00\x00\x00\x02", prefix("10.79.0.1/24")).plug(true)
	c.plug(true)
	c.dnsmasq("--dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1h")
	c.plug(false)
	timer := time.AfterFunc(1500*time.Millisecond, func() { c.plug(true) })
	defer timer.Stop()
	s, buf, err := up(t, "ip=eth0:dhcp ip=eth1:dhcp ip=eth2:dhcp ip=eth3:dhcp rd.net.timeout.carrier=4 rd.net.timeout.dhcp=4", 20*time.Second)
	if err != nil || s.Device != "eth0" || len(s.Others) > 0 {
		t.Errorf("%v, %v", s, err)
	}
	if d := sinceCarrier(t, buf, "DISCOVER sent"); d > noWait {
		t.Errorf("DISCOVER %v after carrier", d)
	}
	for _, want := range []string{
		"eth1: no carrier for 4 s: check the cable or the switch port; the boot goes on without it", "eth2: no DHCP answer after 4 s (",
		"eth3: no such interface (present: eth0 ",
	} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("the log has no %q", want)
		}
	}
}

func TestUpLateInterface(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	served := make(chan struct{})
	time.AfterFunc(300*time.Millisecond, func() {
		defer close(served)
		c := newCable(t, "eth0", macA, prefix(serverNet))
		c.plug(true)
		c.dnsmasq("--dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1h")
	})
	// Up may be done before this has seen that dnsmasq has started.
	defer func() { <-served }()
	c, err := netsetup.ParseConfig(cmdline.Parse("ip=eth0:dhcp"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if s, err := Up(ctx, c, nil); err != nil || s.Device != "eth0" {
		t.Errorf("%v, %v", s, err)
	}
}

// The server starts 6 s late: the client gets its lease by itself.
func TestUpLateServer(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	served := make(chan struct{})
	time.AfterFunc(6*time.Second, func() {
		defer close(served)
		c.dnsmasq("--dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1h")
	})
	defer func() { <-served }()
	conf, err := netsetup.ParseConfig(cmdline.Parse("ip=eth0:dhcp"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := Up(ctx, conf, nil)
	if err != nil || s.Took < 6*time.Second || s.Took > 10*time.Second {
		t.Errorf("%v, %v after %v", s, err, s.Took)
	}
	t.Logf("took %v", s.Took)
}

func TestUpNoServer(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	newCable(t, "eth0", macA, prefix(serverNet)).plug(true)
	_, _, err := up(t, "ip=eth0:dhcp", 1700*time.Millisecond)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "eth0: no DHCP answer after 2 s (") {
		t.Error(err)
	}
	if got := show(t, "eth0"); len(got) != 1 {
		t.Errorf("an address without a lease: %q", got)
	}
}

// A scripted server: refuses its first offer by NAK, offers without a mask, and
// then behaves.
func TestUpBadServer(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	naks := 0
	c.serve(func(m *dhcpv4.DHCPv4) []byte {
		switch {
		case m.MessageType() == dhcpv4.MessageTypeRequest && naks == 0:
			naks++
			return leasetest.Answer(t, m, dhcpv4.MessageTypeNak, func(a *dhcpv4.DHCPv4) { a.YourIPAddr = nil })
		case m.MessageType() == dhcpv4.MessageTypeRequest:
			return leasetest.Answer(t, m, dhcpv4.MessageTypeAck)
		case naks == 1:
			naks++
			return leasetest.Answer(t, m, dhcpv4.MessageTypeOffer, func(a *dhcpv4.DHCPv4) { a.Options.Del(dhcpv4.OptionSubnetMask) })
		default:
			return leasetest.Answer(t, m, dhcpv4.MessageTypeOffer)
		}
	})
	s, buf, err := up(t, "ip=eth0:dhcp", 10*time.Second)
	if err != nil || s.String() != "eth0 10.77.0.23/24 by DHCP from 10.77.0.1" {
		t.Errorf("%v, %v", s, err)
	}
	for _, want := range []string{"10.77.0.1 refused its own offer (NAK)", "offer of 10.77.0.1 refused: no subnet mask (option 1)"} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("the log has no %q", want)
		}
	}
}

// serve answers at the other end, by broadcast.
func (c *cable) serve(answer fakekernel.Responder) {
	c.t.Helper()
	type made struct {
		s   *server4.Server
		err error
	}
	ready := make(chan made, 1)
	c.in(func() {
		s, err := server4.NewServer(c.peer, nil, func(conn net.PacketConn, _ net.Addr, m *dhcpv4.DHCPv4) {
			if a := answer(m); a != nil {
				if _, err := conn.WriteTo(a, &net.UDPAddr{IP: net.IPv4bcast, Port: lease.ClientPort}); err != nil {
					c.t.Errorf("answer: %v", err)
				}
			}
		})
		ready <- made{s, err}
	})
	m := <-ready
	if m.err != nil {
		c.t.Fatal(m.err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = m.s.Serve()
	}()
	c.t.Cleanup(func() {
		_ = m.s.Close()
		<-done
	})
}

// Two networks have a server: one lease is kept, the other given back.
func TestUpReleases(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, b := newCable(t, "eth0", macA, prefix(serverNet)), newCable(t, "eth1", macB, prefix("10.78.0.1/24"))
	a.plug(true)
	b.plug(true)
	requested, released := make(chan struct{}), make(chan struct{}, 1)
	// The server of eth0 offers, but does not confirm. That of eth1 confirms as
	// soon as eth0 has been asked, so that eth1 wins.
	a.serve(func(m *dhcpv4.DHCPv4) []byte {
		switch m.MessageType() {
		case dhcpv4.MessageTypeDiscover:
			return leasetest.Answer(t, m, dhcpv4.MessageTypeOffer)
		case dhcpv4.MessageTypeRequest:
			close(requested)
		case dhcpv4.MessageTypeRelease:
			if m.ClientIPAddr.String() == "10.77.0.23" {
				released <- struct{}{}
			}
		default:
		}
		return nil
	})
	b.serve(func(m *dhcpv4.DHCPv4) []byte {
		if m.MessageType() == dhcpv4.MessageTypeRequest {
			<-requested
		}
		return fakekernel.Leases(t, "10.78.0.23/24", fakekernel.Gateway(""))(m)
	})
	c := netsetup.Config{Interfaces: []netsetup.Addressing{{Method: lease.MethodDHCP}}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := run(ctx, c, physicalVeth{}, nil)
	if err != nil || s.Device != "eth1" {
		t.Errorf("%v, %v", s, err)
	}
	select {
	case <-released:
	case <-ctx.Done():
		t.Error("no RELEASE came")
	}
}

// physicalVeth takes veth devices for real ones: candidates without a name. They have
// the names of udev that the test gives them.
type physicalVeth struct {
	kernel
	udev map[link.HardwareAddr]link.UdevNames
}

func (v physicalVeth) Watch(ctx context.Context, wg *sync.WaitGroup, ipv6 bool) (<-chan link.Event, error) {
	in, err := link.Kernel{}.Watch(ctx, wg, ipv6)
	if err != nil {
		return nil, err
	}
	out := make(chan link.Event)
	wg.Go(func() {
		for {
			select {
			case e := <-in:
				if e.Udev = v.udev[e.Addr]; e.Type == link.HwEthernet {
					e.Physical, e.Parent = true, 0 // the peer, of another namespace
				}
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return out, nil
}

func TestUpHostname(t *testing.T) {
	if err := ApplyHostname("bad name"); err == nil {
		t.Error("a host name with a space was set")
	}
}
