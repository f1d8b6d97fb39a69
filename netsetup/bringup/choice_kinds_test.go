package bringup

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// Of IPv6 the kernel has the addresses already: a network without a way to the target
// is passed over all the same, and looked at again.
func TestChoiceHosts6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
		tell := func(index int, e link.News) { k.Events <- link.Event{Device: link.Device{Index: index}, News: &e} }
		r := tryFor(t, "ip=auto6", wantsHosts("2001:db8:2::1"), time.Minute, k, func() {
			<-time.After(time.Second)
			for _, index := range []int{2, 3} {
				tell(index, link.News{Addr: prefix(fmt.Sprintf("fe80::%d/64", index)), Permanent: true})
			}
			tell(2, link.News{Router: true})
			tell(2, link.News{Addr: prefix("2001:db8:1::7/64")})
			<-time.After(20 * time.Second)
			tell(3, link.News{Router: true})
			tell(3, link.News{Addr: prefix("2001:db8:2::7/64")})
		})
		if r.err != nil || r.state.Device != "eth1" || r.took < 21*time.Second || r.took > 22*time.Second {
			t.Errorf("%v, %v after %v", r.state, r.err, r.took)
		}
		const line = "s eth0: 2001:db8:1::7/64 by router advertisement has no route to 2001:db8:2::1"
		if n := strings.Count(strings.Join(r.log, "\n"), line); n != 3 { // once, and twice in what is waited for
			t.Errorf("%d times: %q", n, r.log)
		}
	})
	synctest.Test(t, func(t *testing.T) { // a router that comes later is a way
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		tell := func(e link.News) { k.Events <- link.Event{Device: link.Device{Index: 2}, News: &e} }
		r := tryFor(t, "ip=auto6", wantsHosts("2001:db8:2::1"), time.Minute, k, func() {
			<-time.After(time.Second)
			tell(link.News{Addr: prefix("fe80::2/64"), Permanent: true})
			tell(link.News{Router: true})
			tell(link.News{Addr: prefix("2001:db8:1::7/64")})
			<-time.After(5 * time.Second)
			tell(link.News{Gateway: addr("fe80::1")})
		})
		if r.err != nil || r.took < 6*time.Second || r.took > 20*time.Second {
			t.Errorf("%v, %v after %v: %q", r.state, r.err, r.took, r.log)
		}
	})
}

// The port is known to the server by several identifiers: the one counts that has the
// root path.
func TestChoiceRootPathOfIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.WithCarrier(linktest.GuidePort()))
		guid, _ := linktest.GuideAddr.GUID()
		k.Servers["ib0"] = func(m *dhcpv4.DHCPv4) []byte {
			if string(m.Options.Get(dhcpv4.OptionClientIdentifier)) == string(guid.Typed()) {
				return fakekernel.Leases(t, "10.77.0.24/24", fakekernel.RootPath(target))(m)
			}
			return fakekernel.Leases(t, "10.77.0.99/24")(m) // of the pool
		}
		r := tryFor(t, "", wantsRootPath(), time.Minute, k, nil)
		if r.err != nil || r.state.String() != "ib0 10.77.0.24/24 by DHCP from 10.77.0.1" || r.took != lease.ProbeWaitInfiniBand {
			t.Errorf("%v, %v, after %v: %q", r.state, r.err, r.took, r.log)
		}
	})
}

// What is written is not judged: the firmware's lease (IPAPPEND 3), static addresses.
func TestChoiceStatic(t *testing.T) {
	needs := wantsHosts("192.168.50.1")
	needs.RootPath = wantsRootPath().RootPath
	for _, line := range []string{
		"ip=10.88.0.9:10.88.0.1:10.88.0.1:255.255.255.0 BOOTIF=01-52-54-00-12-34-56", "ip=10.88.0.9:::24", "ip=10.88.0.9:::24::eth0:none", "ip=eth0:off",
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
			if r := tryFor(t, line, needs, time.Minute, k, nil); r.err != nil || r.state.Device != "eth0" || r.took > 3*time.Second {
				t.Errorf("%s: %v, %v, after %v", line, r.state, r.err, r.took)
			}
		})
	}
}

// A boot that goes on is content with any address: a server that takes the lost one's
// place has no root path, and is told of, not refused.
func TestChoiceKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		start := time.Now()
		minute := func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptIPAddressLeaseTime(time.Minute)) }
		k.Servers["eth0"] = func(m *dhcpv4.DHCPv4) []byte {
			switch since := time.Since(start); {
			case since < 20*time.Second:
				return fakekernel.Leases(t, "10.77.0.23/24", fakekernel.RootPath(target), minute)(m)
			case since < 61*time.Second:
				return nil
			default:
				return fakekernel.Leases(t, "10.77.0.24/24", minute)(m)
			}
		}
		r := keepFor(t, "ip=dhcp", wantsRootPath(), 100*time.Second, k, nil)
		text := strings.Join(r.log, "\n")
		if r.err != nil || !strings.Contains(text, "eth0: leased 10.77.0.24/24 now; the boot goes on with eth0 10.77.0.23/24") || strings.Contains(text, "root path") {
			t.Errorf("%v: %s", r.err, text)
		}
	})
}

// What to do about the only lease, where it is of no use.
func TestChoiceRemedy(t *testing.T) {
	for want, needs := range map[string]netsetup.Needs{
		"has no route to 192.168.50.1: set option 3 (router) or 121 (routes) in the DHCP server, or write rd.route=": wantsHosts("192.168.50.1"),
		"has no name server to look for tgt.example: set option 6 in the DHCP server, or write nameserver=":          {Hosts: []netsetup.Host{{Name: "tgt.example"}}},
		"has no root path (option 17): set it in the DHCP server, or name the root on the command line":              wantsRootPath(),
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
			k.Servers["eth0"] = fakekernel.Leases(t, "10.88.0.76/24", fakekernel.Gateway(""))
			r := tryFor(t, "ip=dhcp", needs, 5*time.Second, k, nil)
			if len(r.log) == 0 || !strings.HasSuffix(r.log[0], want) {
				t.Errorf("the console says %q, want %q", r.log, want)
			}
		})
	}
}
