package bringup

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/vishvananda/netlink"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
)

// upAgain is Up behind an attempt that left the traces. It returns what there is to
// tell the next.
func upAgain(t *testing.T, line string, needs netsetup.Needs, timeout time.Duration, before netsetup.Traces) (netsetup.State, netsetup.Traces, string, error) {
	t.Helper()
	c, err := netsetup.ParseConfig(cmdline.Parse(line))
	if err != nil {
		t.Fatal(err)
	}
	c.Needs = needs
	buf := &lockedBuffer{}
	n := &Network{newRunner(c, physicalVeth{}, slog.New(slog.NewTextHandler(buf, nil)))}
	n.Resume(before)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	s, err := n.Up(ctx)
	traces := n.Traces()
	n.Close()
	t.Logf("%v, %v, took %v\n%s", s, err, s.Took, buf)
	return s, traces, buf.String(), err
}

// lan joins further cards to the network of the cable, with a switch on which the
// server is.
func (c *cable) lan(server netip.Prefix, cards map[string]link.HardwareAddr) {
	for dev, mac := range cards {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = dev
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "srv-" + dev, PeerNamespace: netlink.NsFd(c.ns)}
		veth.HardwareAddr = net.HardwareAddr(mac)
		if err := netlink.LinkAdd(veth); err != nil {
			c.t.Fatal(err)
		}
	}
	ports := []string{c.peer}
	for dev := range cards {
		ports = append(ports, "srv-"+dev)
	}
	c.peer = "lan"
	c.in(func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = c.peer
		bridge := &netlink.Bridge{LinkAttrs: attrs}
		if err := netlink.LinkAdd(bridge); err != nil {
			c.t.Error(err)
			return
		}
		err := netlink.LinkSetUp(bridge)
		for _, name := range ports {
			l, lerr := netlink.LinkByName(name)
			if lerr == nil {
				_ = netlink.AddrDel(l, &netlink.Addr{IPNet: ipNet(server)}) // the first has it, and it moves
				lerr = netlink.LinkSetMaster(l, bridge)
			}
			if lerr == nil {
				lerr = netlink.LinkSetUp(l)
			}
			if lerr != nil {
				err = lerr
			}
		}
		if err == nil {
			err = netlink.AddrAdd(bridge, &netlink.Addr{IPNet: ipNet(server)})
		}
		if err != nil {
			c.t.Error(err)
		}
	})
}

// Two cards on one network, and an identifier of the whole node, or one entry for both
// addresses: dnsmasq still has the lease that the node goes on with.
func TestUpKeepsTheLease(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	const clientID = "nodisk.dhcp.clientid=hex:6e:6f:64:65:37"
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.lan(prefix(serverNet), map[string]link.HardwareAddr{"eth1": macB, "eth2": "\x52\x54\x00\x00\x00\x03"})
	log := c.dnsmasq("--dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1h", "--dhcp-host=id:6e:6f:64:65:37,10.77.0.7",
		"--dhcp-host="+macA.String()+","+macB.String()+",52:54:00:00:00:03,10.77.0.8")
	var traces netsetup.Traces
	said := 0
	for _, line := range []string{"ip=dhcp " + clientID, "ip=dhcp", "ip=dhcp " + clientID, "ip=dhcp"} {
		s, made, _, err := upAgain(t, line, netsetup.Needs{}, 10*time.Second, traces)
		traces = made
		if err != nil || len(s.Addrs) != 1 {
			t.Fatalf("%s: %v, %v", line, s, err)
		}
		last := ""
		text := log()
		for l := range strings.Lines(text[said:]) {
			if strings.Contains(l, "DHCPACK") || strings.Contains(l, "DHCPRELEASE") {
				last = l
			}
		}
		said = len(text)
		if !strings.Contains(last, "DHCPACK") || !strings.Contains(last, s.Addrs[0].Addr().String()+" "+s.MAC.String()) {
			t.Errorf("%s: %v; the last that the server did is %q", line, s, last)
		}
	}
}

// The quick network has no root path: the other one is taken, by real servers.
func TestUpRootPath(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, b := newCable(t, "eth0", macA, prefix("10.88.0.1/24")), newCable(t, "eth1", macB, prefix("10.89.0.1/24"))
	a.plug(true)
	b.plug(true)
	a.dnsmasq("--dhcp-range=10.88.0.76,10.88.0.76,255.255.255.0,1h")
	b.dnsmasqAsIs("--dhcp-range=10.89.0.76,10.89.0.76,255.255.255.0,1h", "--dhcp-option=17,"+target) // it pings first
	s, _, log, err := upAgain(t, "ip=dhcp", wantsRootPath(), 30*time.Second, netsetup.Traces{})
	if err != nil || s.String() != "eth1 10.89.0.76/24 by DHCP from 10.89.0.1" || s.Lease.RootPath != target {
		t.Errorf("%v, %v", s, err)
	}
	if const1 := "eth0: 10.88.0.76/24 by DHCP from 10.88.0.1 has no root path (option 17)"; strings.Count(log, const1) != 1 {
		t.Errorf("the console says %s", log)
	}
	if diff := cmp.Diff([]string{"eth0 mtu 1500 down"}, show(t, "eth0")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The next attempt leaves nothing of the one before that it does not lease: the kernel
// speaks from the new address, by the new route.
func TestUpAgain(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	other := newCable(t, "eth1", macB, prefix("10.78.0.1/24"))
	other.plug(true)
	var at atomic.Value // the address that c's server has to give, empty for none
	at.Store("")
	c.serve(func(m *dhcpv4.DHCPv4) []byte {
		lease := at.Load().(string)
		if lease == "" {
			return nil
		}
		return fakekernel.Leases(t, lease)(m)
	})
	other.serve(func(m *dhcpv4.DHCPv4) []byte {
		if at.Load() != "" {
			return nil
		}
		return fakekernel.Leases(t, "10.78.0.5/24", fakekernel.Gateway("10.78.0.1"))(m)
	})
	var traces netsetup.Traces
	for i, tt := range []struct {
		addr   string
		silent bool
		on0    []string
	}{
		{"10.77.0.40/24", false, []string{"eth0 mtu 1500 up", "10.77.0.40/24 brd 10.77.0.255 for ever", "default via 10.77.0.1 metric 0 flags []"}},
		{"10.77.0.40/24", false, []string{"eth0 mtu 1500 up", "10.77.0.40/24 brd 10.77.0.255 for ever", "default via 10.77.0.1 metric 0 flags []"}},
		{"10.77.0.41/24", false, []string{"eth0 mtu 1500 up", "10.77.0.41/24 brd 10.77.0.255 for ever", "default via 10.77.0.1 metric 0 flags []"}},
		{"10.77.0.41/24", true, []string{"eth0 mtu 1500 down"}},
		{"10.77.0.42/24", false, []string{"eth0 mtu 1500 up", "10.77.0.42/24 brd 10.77.0.255 for ever", "default via 10.77.0.1 metric 0 flags []"}},
	} {
		at.Store(tt.addr)
		if tt.silent {
			at.Store("")
		}
		// As another process reads it.
		before, err := netsetup.ParseTraces(traces.String())
		if err != nil {
			t.Fatal(err)
		}
		s, made, _, err := upAgain(t, "ip=dhcp", netsetup.Needs{}, 10*time.Second, before)
		if err != nil {
			t.Fatal(err)
		}
		traces = made
		if diff := cmp.Diff(tt.on0, show(t, "eth0")); diff != "" {
			t.Errorf("attempt %d: %v (-want +got):\n%s", i+1, s, diff)
		}
		routes, err := netlink.RouteGet(net.ParseIP("192.0.2.1"))
		if err != nil || len(routes) != 1 || routes[0].Src.String() != s.Addrs[0].Addr().String() {
			t.Errorf("attempt %d: %v, %v", i+1, routes, err)
		}
		if on1 := show(t, "eth1"); (len(on1) > 1) != tt.silent {
			t.Errorf("attempt %d: %q", i+1, on1)
		}
	}
}

// bootdev= decides which way packets go, wherever it stands, with both families.
func TestUpBootDev(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	for dev, mac := range map[string]link.HardwareAddr{"eth0": macA, "eth1": macB} {
		n := dev[3:]
		c := newCable6(t, dev, mac, "2001:db8:"+n+"::1/64")
		c.dnsmasq("--enable-ra", "--dhcp-range=2001:db8:"+n+"::,ra-only")
	}
	for line, want := range map[string]string{
		"ip=10.77.0.5::10.77.0.1:24::eth0:none ip=10.78.0.5::10.78.0.1:24::eth1:none bootdev=eth1 nodisk.arp-probe=0": "192.0.2.1 10.78.0.1 eth1",
		"ip=eth0:auto6 ip=eth1:auto6 bootdev=eth1": "2001:db8:9::1 fe80 eth1",
	} {
		host, rest, _ := strings.Cut(want, " ")
		s, _, _, err := upAgain(t, line, netsetup.Needs{}, 20*time.Second, netsetup.Traces{})
		if err != nil || s.Device != "eth1" {
			t.Fatalf("%s: %v, %v", line, s, err)
		}
		if strings.Contains(host, ":") {
			// Both routers have been heard.
			eventually(t, "both routes", func() bool { return lastGateway(t, "eth0") != "" && lastGateway(t, "eth1") != "" })
		}
		routes, err := netlink.RouteGet(net.ParseIP(host))
		if err != nil || len(routes) != 1 {
			t.Fatalf("%s: %v, %v", line, routes, err)
		}
		l, err := netlink.LinkByIndex(routes[0].LinkIndex)
		if err != nil {
			t.Fatal(err)
		}
		via, dev, _ := strings.Cut(rest, " ")
		if got := fmt.Sprint(routes[0].Gw); l.Attrs().Name != dev || !strings.HasPrefix(got, via) || !slices.Contains([]string{got, "fe80"}, via) {
			t.Errorf("%s: by %s, %v", line, l.Attrs().Name, routes[0])
		}
	}
}
