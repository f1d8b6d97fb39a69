package bringup

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The other servers of IPv6: radvd tells the prefix, name servers and flags,
// Kea leases addresses.
func TestUpServers6(t *testing.T) {
	const kea = kea6
	for name, c := range map[string]sixServers{
		"dhcp6": {
			line: "ip=eth0:dhcp6", addr: "2001:db8:1::777/128", lease: "DHCPv6", kea: kea,
			radvd: "AdvManagedFlag on; prefix 2001:db8:1::/64 { AdvAutonomous off; };",
		},
		"either6": {
			line: "ip=eth0:either6", addr: "2001:db8:1::777/128", lease: "DHCPv6", kea: kea,
			radvd: "AdvManagedFlag on; prefix 2001:db8:1::/64 { AdvAutonomous off; };",
		},
		"either6 without M and A": {
			line: "ip=eth0:either6", addr: "2001:db8:1::777/128", lease: "DHCPv6", kea: kea,
			radvd: "prefix 2001:db8:1::/64 { AdvAutonomous off; };",
		},
		"auto6": {
			line: "ip=eth0:auto6", addr: "2001:db8:1:0:5054:ff:fe12:3456/64", lease: "router advertisement",
			radvd: "prefix 2001:db8:1::/64 { }; RDNSS 2001:db8:1::53 { }; DNSSL example.org { };",
		},
		"stateless": {
			line: "ip=eth0:auto6", addr: "2001:db8:1:0:5054:ff:fe12:3456/64", lease: "router advertisement", kea: kea,
			radvd: "AdvOtherConfigFlag on; prefix 2001:db8:1::/64 { };",
		},
	} {
		t.Run(name, func(t *testing.T) { c.try(t) })
	}
}

// kea6 is a configuration of Kea: one address of 2001:db8:1::/64.
const kea6 = `{"Dhcp6": {"interfaces-config": {"interfaces": ["srv-eth0"]}, "lease-database": {"type": "memfile", "persist": false},
		"loggers": [{"name": "kea-dhcp6", "severity": "INFO", "output_options": [{"output": "stdout", "flush": true}]}],
		"server-id": {"type": "LL", "htype": 1, "identifier": "525400123457", "persist": false}, "valid-lifetime": 3600, "subnet6": [{"interface": "srv-eth0", "subnet": "2001:db8:1::/64",
		"pools": [{"pool": "2001:db8:1::777 - 2001:db8:1::777"}],
		"option-data": [{"name": "dns-servers", "data": "2001:db8:1::53"}, {"name": "domain-search", "data": "example.org"}]}]}}`

// A network for storage alone: the router says what is on the link, and that it leads
// nowhere else (RFC 4861 section 4.2, a lifetime of 0).
func TestUpOnLink6(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	sixServers{
		kea: kea6, radvd: "AdvManagedFlag on; AdvDefaultLifetime 0; prefix 2001:db8:1::/64 { AdvAutonomous off; };",
	}.serve(t)
	c := parseLine(t, "ip=dhcp6")
	c.Needs = wantsHosts("2001:db8:1::1")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := run(ctx, c, physicalVeth{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Lease == nil || len(s.Lease.Routes) > 0 || !slices.Contains(s.Lease.Reached, prefix("2001:db8:1::/64")) {
		t.Errorf("%v: %+v", s, s.Lease)
	}
}

// sixServers are what the servers are told, and what comes of an ip= word.
type sixServers struct {
	line, radvd, kea string
	addr, lease      string
}

func (c sixServers) try(t *testing.T) {
	t.Helper()
	if !inNamespace(t) {
		return
	}
	c.serve(t)
	// The link is up, and the kernel may have taken in an advertisement already.
	s, _, err := up(t, c.line, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Addrs) != 1 || s.Addrs[0].String() != c.addr || s.Lease == nil || s.Lease.Protocol != c.lease {
		t.Errorf("%+v, %+v", s, s.Lease)
	}
	if have, gateway := addresses6(t, "eth0"); !slices.Contains(have, c.addr) || gateway == "" {
		t.Errorf("the kernel has %v, gateway %q", have, gateway)
	}
	if !slices.Equal(s.DNS, []netip.Addr{addr("2001:db8:1::53")}) || !slices.Equal(s.Search, []string{"example.org"}) {
		t.Errorf("DNS %v, search %v", s.DNS, s.Search)
	}
}

// serve starts the servers on a cable, eth0 at our end.
func (c sixServers) serve(t *testing.T) {
	t.Helper()
	cable := newCable6(t, "eth0", macSix, "2001:db8:1::1/64")
	write := func(name, text string) string {
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	// Both servers want a link-local address, which comes with carrier.
	cable.connected("eth0")
	eventually(t, "the server's link-local address", func() bool {
		there := false
		cable.in(func() { there = hasLinkLocal(cable.peer) })
		return there
	})
	if c.kea != "" {
		cable.daemon("kea-dhcp6", "kea-dhcp6-server", []string{"-c", write("kea.conf", c.kea)}, "DHCP6_STARTED")
	}
	conf := "interface srv-eth0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; " + c.radvd + " };\n"
	cable.daemon("radvd", "radvd", []string{"--nodaemon", "--logmethod=stderr", "--debug=5", "--config=" + write("radvd.conf", conf), "--pidfile=" + write("radvd.pid", "")},
		"sending RA", "version 2")
}

// hasLinkLocal reports whether a link has a link-local address that is checked.
func hasLinkLocal(name string) bool {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return false
	}
	list, err := netlink.AddrList(l, netlink.FAMILY_V6)
	return err == nil && slices.ContainsFunc(list, func(a netlink.Addr) bool {
		return a.IP.IsLinkLocalUnicast() && a.Flags&unix.IFA_F_TENTATIVE == 0
	})
}
