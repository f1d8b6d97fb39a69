package bringup

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/netsetup/link"
)

// sysctl writes a setting of the namespace.
func sysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name, []byte(value), 0o644); err != nil {
		t.Error(err)
	}
}

// newCable6 is a cable whose other end has addresses of IPv6, which need no
// check. It has carrier at once.
func newCable6(t *testing.T, dev string, mac link.HardwareAddr, server string) *cable {
	t.Helper()
	c := newCable(t, dev, mac, netip.MustParsePrefix("10.77.0.1/24"))
	c.in(func() {
		sysctl(t, c.peer+"/accept_dad", "0")
		sysctl(t, c.peer+"/keep_addr_on_down", "1")
		l, err := netlink.LinkByName(c.peer)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err == nil {
			err = netlink.AddrAdd(l, &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix(server)), Flags: unix.IFA_F_NODAD})
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	return c
}

// list6 is a device with its addresses of IPv6.
func list6(t *testing.T, dev string) (netlink.Link, []netlink.Addr) {
	t.Helper()
	l, err := netlink.LinkByName(dev)
	if err != nil {
		t.Fatal(err)
	}
	list, err := netlink.AddrList(l, netlink.FAMILY_V6)
	if err != nil {
		t.Fatal(err)
	}
	return l, list
}

// addresses6 are those of the device that can be used, and the default route's
// gateway.
func addresses6(t *testing.T, dev string) (addrs []string, gateway string) {
	t.Helper()
	l, list := list6(t, dev)
	for _, a := range list {
		if a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) == 0 {
			addrs = append(addrs, a.IPNet.String())
		}
	}
	slices.Sort(addrs)
	routes, err := netlink.RouteList(l, netlink.FAMILY_V6)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if r.Gw != nil && (r.Dst == nil || r.Dst.IP.IsUnspecified()) {
			gateway = r.Gw.String()
		}
	}
	return addrs, gateway
}

// lastGateway is that of the default route which comes last.
func lastGateway(t *testing.T, dev string) string {
	_, gateway := addresses6(t, dev)
	return gateway
}

const (
	macSix   = link.HardwareAddr("\x52\x54\x00\x12\x34\x56")
	localSix = "fe80::5054:ff:fe12:3456"
)

func TestIPv6Methods(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, line string
		server     []string // of dnsmasq; none: no server
		addr, dns  string
		lease      string
		log        string
		search     string
	}{
		{
			name: "auto6", line: "ip=eth0:auto6", addr: "2001:db8:1:0:5054:ff:fe12:3456/64", dns: "2001:db8:1::53", lease: "router advertisement", search: "example.org",
			server: []string{"--enable-ra", "--dhcp-range=2001:db8:1::,ra-only", "--dhcp-option=option6:dns-server,[2001:db8:1::53]", "--dhcp-option=option6:domain-search,example.org"},
		},
		{
			name: "stateless", line: "ip=eth0:auto6", addr: "2001:db8:1:0:5054:ff:fe12:3456/64", dns: "2001:db8:1::53", lease: "router advertisement",
			server: []string{"--enable-ra", "--dhcp-range=2001:db8:1::,ra-stateless", "--dhcp-option=option6:dns-server,[2001:db8:1::53]", "--dhcp-option=option6:ntp-server,[2001:db8:1::7]"},
			log:    "INFORMATION-REQUEST",
		},
		{
			name: "dhcp6", line: "ip=eth0:dhcp6", addr: "2001:db8:1::777/128", dns: "2001:db8:1::53", lease: "DHCPv6",
			server: []string{"--enable-ra", "--dhcp-range=2001:db8:1::777,2001:db8:1::777", "--dhcp-option=option6:dns-server,[2001:db8:1::53]"},
		},
		{
			name: "dhcp6 without router", line: "ip=eth0:dhcp6", addr: "2001:db8:1::777/128", lease: "DHCPv6",
			server: []string{"--dhcp-range=2001:db8:1::777,2001:db8:1::777"}, log: "no router advertisement within 5 s",
		},
		{
			name: "either6 managed", line: "ip=eth0:either6", addr: "2001:db8:1::777/128", lease: "DHCPv6",
			server: []string{"--enable-ra", "--dhcp-range=2001:db8:1::777,2001:db8:1::777"},
		},
		{
			name: "either6 prefix", line: "ip=eth0:either6", addr: "2001:db8:1:0:5054:ff:fe12:3456/64", lease: "router advertisement",
			server: []string{"--enable-ra", "--dhcp-range=2001:db8:1::,ra-only"},
		},
		{name: "static beyond", line: "ip=[2001:db8:1::5]::[2001:db8:2:ff::1]:64::eth0:none", addr: "2001:db8:1::5/64"},
		{name: "link6", line: "ip=eth0:link6", addr: localSix + "/64"},
		{
			// Its gateway goes before the router that was heard.
			name: "beside a router", line: "ip=[2001:db8:1::5]::[2001:db8:1::9]:64::eth0:none", addr: "2001:db8:1::5/64",
			server: []string{"--enable-ra", "--dhcp-range=2001:db8:1::,ra-only"},
		},
		{name: "static", line: "ip=[2001:db8:1::5]::[2001:db8:1::1]:64::eth0:none", addr: "2001:db8:1::5/64"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			if !inNamespace(t) {
				return
			}
			cable := newCable6(t, "eth0", macSix, "2001:db8:1::1/64")
			if c.server != nil {
				cable.dnsmasq(c.server...)
			}
			s, log, err := up(t, c.line, 20*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Addrs) != 1 || s.Addrs[0].String() != c.addr {
				t.Errorf("addresses %v", s.Addrs)
			}
			have, gateway := addresses6(t, "eth0")
			if !slices.Contains(have, c.addr) {
				t.Errorf("the kernel has %v", have)
			}
			if c.dns != "" && (len(s.DNS) != 1 || s.DNS[0].String() != c.dns) {
				t.Errorf("DNS %v", s.DNS)
			}
			if c.search != "" && !slices.Equal(s.Search, []string{c.search}) {
				t.Errorf("search %v", s.Search)
			}
			if c.lease != "" && (s.Lease == nil || s.Lease.Protocol != c.lease) {
				t.Errorf("lease %+v", s.Lease)
			}
			if c.name == "beside a router" {
				eventually(t, "the route of the router", func() bool { return strings.HasPrefix(lastGateway(t, "eth0"), "fe80::") })
				routes, err := netlink.RouteGet(net.ParseIP("2001:db8:9::1"))
				if err != nil || routes[0].Gw.String() != "2001:db8:1::9" || s.Gateway.String() != "2001:db8:1::9" {
					t.Errorf("gateway %v, the kernel's %v, %v", s.Gateway, routes, err)
				}
			} else if slices.Contains(c.server, "--enable-ra") && (gateway == "" || s.Gateway.String() != gateway) ||
				c.name == "static" && gateway != "2001:db8:1::1" || c.name == "static beyond" && gateway != "2001:db8:2:ff::1" {
				t.Errorf("gateway %v, the kernel's is %s", s.Gateway, gateway)
			}
			if !strings.Contains(log.String(), c.log) {
				t.Errorf("not in the log: %q", c.log)
			}
		})
	}
}

// What keeps an address from coming.
func TestIPv6Trouble(t *testing.T) {
	t.Parallel()
	const pool = "--dhcp-range=2001:db8:1::100,2001:db8:1::1ff"
	for _, c := range []struct {
		name    string
		line    string
		server  []string
		before  func(t *testing.T, c *cable) // before Up
		beside  func(t *testing.T, c *cable) // beside it
		timeout time.Duration
		fails   bool
		addr    string // a part of it
		log     []string
	}{
		{
			// The other node goes away after a while.
			name: "static-duplicate", line: "ip=[2001:db8:1::5]:::64::eth0:none", timeout: 20 * time.Second, addr: "2001:db8:1::5/64",
			before: func(t *testing.T, c *cable) { address6(t, c, "2001:db8:1::5/64", true) },
			beside: func(t *testing.T, c *cable) {
				<-time.After(3 * time.Second)
				address6(t, c, "2001:db8:1::5/64", false)
			},
			log: []string{"2001:db8:1::5 is in use by another node of this network"},
		},
		{
			name: "dhcp6-duplicate", line: "ip=eth0:dhcp6", timeout: 20 * time.Second, addr: "2001:db8:1::2",
			server: []string{"--enable-ra", "--dhcp-range=2001:db8:1::200,2001:db8:1::201", "--dhcp-host=52:54:00:12:34:56,[2001:db8:1::200]"},
			before: func(t *testing.T, c *cable) { address6(t, c, "2001:db8:1::200/128", true) },
			log:    []string{"2001:db8:1::200 is in use by another node of this network", "DECLINE sent"},
		},
		{
			name: "late-router", line: "ip=eth0:auto6", timeout: 25 * time.Second, addr: "2001:db8:1:0:5054:ff:fe12:3456/64",
			beside: func(t *testing.T, c *cable) {
				<-time.After(6 * time.Second)
				advertise(t, c)
			},
		},
		{name: "no-router", line: "ip=eth0:auto6", timeout: 4 * time.Second, fails: true, log: []string{"no router advertisement after 4 s"}},
		{name: "no-server", line: "ip=eth0:dhcp6", timeout: 4 * time.Second, fails: true, log: []string{"no DHCPv6 answer after 4 s"}},
		{
			name: "switched-off", line: "ip=eth0:auto6", timeout: time.Second, fails: true, log: []string{"IPv6 is switched off on eth0 (net.ipv6.conf.eth0.disable_ipv6)"},
			before: func(t *testing.T, _ *cable) { sysctl(t, "eth0/disable_ipv6", "1") },
		},
		{
			name: "pool-empty", line: "ip=eth0:dhcp6", timeout: 5 * time.Second, fails: true, log: []string{"NoAddrsAvail"},
			server: []string{"--enable-ra", pool + ",static"},
		},
		{
			name: "late-carrier", line: "ip=eth0:dhcp6", timeout: 20 * time.Second, server: []string{"--enable-ra", pool}, addr: "2001:db8:1::1",
			before: func(_ *testing.T, c *cable) { c.plug(false) },
			beside: func(_ *testing.T, c *cable) {
				<-time.After(2 * time.Second)
				c.plug(true)
			},
		},
		{
			// Both families on one interface; and name servers of both.
			name: "both-families", line: "ip=eth0:dhcp ip=eth0:auto6", timeout: 20 * time.Second, addr: "10.77.0.9/24 2001:db8:1:0:5054:ff:fe12:3456/64",
			server: []string{"--dhcp-range=10.77.0.9,10.77.0.9", "--enable-ra", "--dhcp-range=2001:db8:1::,ra-only", "--dhcp-option=option6:dns-server,[2001:db8:1::53]"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !inNamespace(t) {
				return
			}
			cable := newCable6(t, "eth0", macSix, "2001:db8:1::1/64")
			if c.server != nil {
				cable.dnsmasq(c.server...)
			}
			if c.before != nil {
				c.before(t, cable)
			}
			if c.beside != nil {
				ended := make(chan bool)
				go func() {
					defer close(ended)
					c.beside(t, cable)
				}()
				defer func() { <-ended }()
			}
			s, log, err := up(t, c.line, c.timeout)
			if (err != nil) != c.fails {
				t.Fatal(err)
			}
			text := log.String()
			if err != nil {
				text += err.Error()
			}
			if got := sprintAddrs(s.Addrs); !strings.HasPrefix(got, c.addr) {
				t.Errorf("addresses %s", got)
			}
			for _, want := range c.log {
				if !strings.Contains(text, want) {
					t.Errorf("not said: %q", want)
				}
			}
		})
	}
}

func sprintAddrs(addrs []netip.Prefix) string {
	var f []string
	for _, a := range addrs {
		f = append(f, a.String())
	}
	return strings.Join(f, " ")
}

// address6 gives the other end an address, or takes it.
func address6(t *testing.T, c *cable, addr string, add bool) {
	t.Helper()
	c.in(func() {
		l, err := netlink.LinkByName(c.peer)
		a := &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix(addr)), Flags: unix.IFA_F_NODAD}
		switch {
		case err != nil:
		case add:
			err = netlink.AddrAdd(l, a)
		default:
			err = netlink.AddrDel(l, a)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// advertise sends one router advertisement (RFC 4861 section 4.2) from the other
// end: a router for 30 minutes, without flags, and the prefix 2001:db8:1::/64
// with the flags L and A.
func advertise(t *testing.T, c *cable) {
	t.Helper()
	c.in(func() {
		l, err := netlink.LinkByName(c.peer)
		if err != nil {
			t.Error(err)
			return
		}
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = unix.Close(fd) }()
		ra := append([]byte{134, 0, 0, 0, 64, 0, 7, 8}, make([]byte, 8)...)
		ra = append(ra, 3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0)
		ra = append(ra, netip.MustParseAddr("2001:db8:1::").AsSlice()...)
		to := &unix.SockaddrInet6{ZoneId: uint32(l.Attrs().Index), Addr: netip.MustParseAddr("ff02::1").As16()}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255); err != nil {
			t.Error(err)
		}
		if err := unix.Sendto(fd, ra, 0, to); err != nil {
			t.Error(err)
		}
	})
}
