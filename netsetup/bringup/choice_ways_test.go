package bringup

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// A lease without a way that is known is taken when nobody has a better one: the
// kernel may know one, or somebody answer for the server. A root path is never done
// without; see TestChoiceRootPathMissing.
func TestChoiceNoWay(t *testing.T) {
	near := func(t *testing.T, k *fakekernel.Kernel) {
		k.Servers["eth0"] = fakekernel.Leases(t, "10.88.0.76/24", fakekernel.Gateway(""))
	}
	both := func(t *testing.T, k *fakekernel.Kernel) {
		near(t, k)
		k.Servers["eth1"] = fakekernel.Leases(t, "10.88.0.77/24", fakekernel.Gateway(""))
	}
	right := func(after30 time.Duration) func(*testing.T, *fakekernel.Kernel) {
		return func(t *testing.T, k *fakekernel.Kernel) {
			near(t, k)
			k.Servers["eth1"] = after(after30, fakekernel.Leases(t, "192.168.50.7/24", fakekernel.Gateway("")))
		}
	}
	dns := func(t *testing.T, k *fakekernel.Kernel) {
		near(t, k)
		k.Servers["eth0"] = after(0, fakekernel.Leases(t, "10.88.0.76/24"))
	}
	byName := netsetup.Needs{Hosts: []netsetup.Host{{Name: "nas"}}}
	withDNS, far := byName, byName
	withDNS.Nameservers = []netip.Addr{addr("10.77.0.53")}
	far.Nameservers = []netip.Addr{addr("127.0.0.53")}
	for name, tt := range map[string]struct {
		line  string
		needs netsetup.Needs
		set   func(*testing.T, *fakekernel.Kernel)
		dark  bool // eth1
		want  string
		took  time.Duration // and a second and a half at most
		log   string
	}{
		"all have answered":                {set: both, want: " by DHCP from 10.77.0.1", took: 10 * time.Second, log: "eth0: no DHCP lease after 10 s (4 DISCOVERs sent, carrier up): 10.88.0.76/24 by DHCP from 10.77.0.1 has no route to 192.168.50.1; eth1: no DHCP lease"},
		"no cable":                         {set: near, dark: true, took: 10 * time.Second, log: "no carrier for 10 s: check the cable or the switch port; no better one has come: taken all the same"},
		"nobody on the other":              {set: near, took: 90 * time.Second, log: "eth1: no DHCP answer after 90 s"},
		"the right one is slow":            {set: right(70 * time.Second), want: "eth1 192.168.50.7/24 by DHCP from 10.77.0.1", took: 70 * time.Second},
		"only one is asked":                {line: "ip=eth*:dhcp rd.net.timeout.dhcp=5", set: near, dark: true, took: 5 * time.Second},
		"rd.neednet=1":                     {line: "rd.neednet=1 ip=dhcp", set: near, dark: true, took: 10 * time.Second},
		"by name":                          {needs: byName, set: dns, dark: true, took: 10 * time.Second, log: "has no name server to look for nas"},
		"the image's name server":          {needs: withDNS, set: dns, dark: true},
		"a name server of the node itself": {needs: far, set: dns, dark: true, took: 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
				if tt.dark {
					k.Change("eth1", func(d *link.Device) { d.Carrier = false })
				}
				tt.set(t, k)
				if tt.needs.Hosts == nil {
					tt.needs = wantsHosts("192.168.50.1")
				}
				r := tryFor(t, tt.line, tt.needs, 3*time.Minute, k, nil)
				if tt.want == "" {
					tt.want = "eth0 10.88.0.76/24 by DHCP from 10.77.0.1"
				}
				if got := r.state.String(); r.err != nil || !strings.HasSuffix(got, tt.want) {
					t.Errorf("%s, %v", got, r.err)
				}
				if r.took < tt.took || r.took > tt.took+8*time.Second {
					t.Errorf("after %v", r.took)
				}
				if !strings.Contains(strings.Join(r.log, "\n"), tt.log) {
					t.Errorf("the console says %q", r.log)
				}
			})
		})
	}
}

// Of several words each that leaves its device to nodisk brings a way, unless another
// has brought one.
func TestChoiceHostsOfWords(t *testing.T) {
	for line, want := range map[string]string{
		"ip=eth0:dhcp ip=dhcp":                              "eth0 10.88.0.76/24, eth2 10.90.0.76/24",
		"ip=eth0:dhcp ip=eth*:dhcp":                         "eth0 10.88.0.76/24, eth2 10.90.0.76/24",
		"ip=eth2:dhcp ip=e*0:dhcp":                          "eth2 10.90.0.76/24, eth0 10.88.0.76/24",
		"ip=dhcp bootdev=eth*":                              "eth2 10.90.0.76/24",
		"ip=eth*:dhcp bootdev=eth*":                         "eth2 10.90.0.76/24",
		"ip=dhcp bootdev=eth1":                              "eth1 10.89.0.76/24",
		"ip=eth*:dhcp bootdev=eth1":                         "eth1 10.89.0.76/24",
		"ip=dhcp BOOTIF=01-" + link.Dashed(macB):            "eth1 10.89.0.76/24",
		"ip=eth*:dhcp BOOTIF=01-" + link.Dashed(macB):       "eth2 10.90.0.76/24",
		"ip=eth0:dhcp ip=10.90.0.5:::24::eth2:none ip=dhcp": "eth0 10.88.0.76/24, eth2 10.90.0.5/24, eth1 10.89.0.76/24",
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB), linktest.Ethernet(4, "eth2", macC))
				k.Servers["eth0"] = fakekernel.Leases(t, "10.88.0.76/24", fakekernel.Gateway(""))
				k.Servers["eth1"] = fakekernel.Leases(t, "10.89.0.76/24", fakekernel.Gateway(""))
				k.Servers["eth2"] = after(2*time.Second, fakekernel.Leases(t, "10.90.0.76/24", fakekernel.Gateway("")))
				r := tryFor(t, line, wantsHosts("10.90.0.1"), time.Minute, k, nil)
				var up []string
				for _, s := range append([]netsetup.State{r.state}, r.state.Others...) {
					up = append(up, s.Device+" "+s.Addrs[0].String())
				}
				slices.Sort(up)
				parts := strings.Split(want, ", ")
				slices.Sort(parts)
				if !slices.Equal(up, parts) || r.err != nil || r.took > 9*time.Second {
					t.Errorf("%q, %v after %v: %q", up, r.err, r.took, r.log)
				}
			})
		})
	}
}

// bootdev= is the interface of whichever word is about it, however that says so.
func TestChoiceBootDev(t *testing.T) {
	main := func(dev string) []string {
		return []string{"route replace default via 10.77.0.1 dev " + dev}
	}
	for line, want := range map[string]struct {
		device string
		took   time.Duration
		ran    []string
		err    string
	}{
		"ip=eth0:dhcp ip=dhcp bootdev=eth1":                                     {device: "eth1", took: 10 * time.Second, ran: main("eth1")},
		"ip=eth0:dhcp ip=eth*:dhcp bootdev=eth1":                                {device: "eth1", took: 10 * time.Second, ran: main("eth1")},
		"ip=eth0:dhcp ip=driver=v*:dhcp bootdev=" + link.Dashed(macB):           {device: "eth1", took: 10 * time.Second, ran: main("eth1")},
		"ip=eth0:dhcp ip=eth*:dhcp bootdev=eth*":                                {device: "eth1", took: 10 * time.Second, ran: main("eth1")},
		"ip=eth*:dhcp bootdev=eth1":                                             {device: "eth1", ran: main("eth1")},
		"ip=dhcp bootdev=eth0":                                                  {err: "eth0: no carrier"},
		"ip=eth1:dhcp ip=dhcp bootdev=eth0 rd.net.timeout.carrier=5":            {err: "eth0: no carrier for 5 s", took: 5 * time.Second},
		"ip=eth1:dhcp ip=eth*:dhcp bootdev=eth0 rd.net.timeout.carrier=5":       {err: "eth0: no carrier for 5 s", took: 5 * time.Second},
		"ip=eth1:dhcp ip=dhcp bootdev=eth9 rd.net.timeout.carrier=5":            {err: "eth9: no such interface", took: 5 * time.Second},
		"ip=eth1:dhcp ip=eth0:dhcp,auto6 bootdev=eth0 rd.net.timeout.carrier=5": {err: "eth0: no carrier for 5 s", took: 5 * time.Second},
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, linktest.NoCarrier(linktest.Ethernet(2, "eth0", macA)), linktest.Ethernet(3, "eth1", macB))
				k.Servers["eth0"], k.Servers["eth1"] = fakekernel.GoodServer(t), fakekernel.Leases(t, "10.77.0.24/24")
				r := try(t, line, time.Minute, k, nil)
				if want.err != "" {
					if r.err == nil || !strings.Contains(r.err.Error(), want.err) {
						t.Errorf("%v, %v", r.state, r.err)
					}
				} else if r.err != nil || r.state.Device != want.device {
					t.Errorf("%v, %v", r.state, r.err)
				}
				if want.took > 0 && r.took != want.took {
					t.Errorf("after %v", r.took)
				}
				for _, c := range want.ran {
					if !slices.Contains(r.commands, c) {
						t.Errorf("no %q in %q", c, r.commands)
					}
				}
			})
		})
	}
	// The root path has to come by it, too.
	for _, line := range []string{
		"ip=eth0:dhcp ip=dhcp bootdev=eth1", "ip=eth0:dhcp ip=eth*:dhcp bootdev=eth1", "ip=eth*:dhcp bootdev=eth1", "ip=driver=virtio*:dhcp bootdev=eth1",
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
			k.Servers["eth0"] = fakekernel.Leases(t, "10.77.0.23/24", fakekernel.RootPath(target))
			k.Servers["eth1"] = after(100*time.Second, fakekernel.Leases(t, "10.77.0.24/24", fakekernel.RootPath(target)))
			quick := fakekernel.Leases(t, "10.77.0.24/24")
			slow := k.Servers["eth1"]
			k.Servers["eth1"] = func(m *dhcpv4.DHCPv4) []byte {
				if a := slow(m); a != nil {
					return a
				}
				return quick(m)
			}
			r := tryFor(t, line, wantsRootPath(), 3*time.Minute, k, nil)
			if r.err != nil || r.state.Device != "eth1" || r.state.Lease.RootPath != target || r.took < 100*time.Second {
				t.Errorf("%s: %v, %v after %v", line, r.state, r.err, r.took)
			}
		})
	}
	// Neither is one that appears first taken for it.
	for _, line := range []string{"ip=eth*:dhcp bootdev=eth1", "ip=driver=virtio*:dhcp bootdev=" + link.Dashed(macB)} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
			k.Servers["eth0"], k.Servers["eth1"] = fakekernel.GoodServer(t), fakekernel.Leases(t, "10.77.0.24/24")
			r := try(t, line, time.Minute, k, func() {
				<-time.After(5 * time.Second)
				k.Appear(linktest.Ethernet(3, "eth1", macB))
			})
			if r.err != nil || r.state.Device != "eth1" || len(r.state.Others) > 0 || slices.Contains(r.commands, "eth0: DISCOVER") {
				t.Errorf("%s: %v, %v: %q", line, r.state, r.err, r.commands)
			}
		})
	}
	// A word that has another interface in it is looked at again when it is known not to
	// be that of bootdev=.
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		k.Servers["eth0"], k.Servers["eth1"] = fakekernel.GoodServer(t), fakekernel.Leases(t, "10.77.0.24/24")
		r := try(t, "ip=eth*:dhcp ip=eth1:dhcp bootdev=eth1", time.Minute, k, func() {
			<-time.After(5 * time.Second)
			k.Appear(linktest.Ethernet(3, "eth1", macB))
		})
		if r.err != nil || r.state.Device != "eth1" || len(r.state.Others) != 1 {
			t.Errorf("%v, %v: %q", r.state, r.err, r.commands)
		}
	})
}

// An address beside (rd.neednet=1) is not what the boot can go on with.
func TestChoiceNeedNetWaits(t *testing.T) {
	for _, carrier := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.NoCarrier(linktest.Ethernet(3, "eth1", macB)))
			k.Servers["eth0"] = fakekernel.Leases(t, "10.88.0.76/24")
			k.Servers["eth1"] = after(2*time.Minute, fakekernel.Leases(t, "10.89.0.76/24", fakekernel.RootPath(target)))
			r := tryFor(t, "ip=dhcp rd.neednet=1", wantsRootPath(), 3*time.Minute, k, func() {
				if !carrier {
					<-time.After(2 * time.Minute)
				}
				k.Change("eth1", func(d *link.Device) { d.Carrier = true })
			})
			if r.err != nil || r.state.Device != "eth1" || len(r.state.Others) != 1 {
				t.Errorf("%v, %v after %v: %q", r.state, r.err, r.took, r.log)
			}
		})
	}
}

// A target at a link-local address is on every link, whatever the router says.
func TestChoiceLinkLocalHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		tell := func(e link.News) { k.Events <- link.Event{Device: link.Device{Index: 2}, News: &e} }
		r := tryFor(t, "ip=auto6", wantsHosts("fe80::1"), time.Minute, k, func() {
			tell(link.News{Addr: linkAddr6, Permanent: true})
			tell(link.News{Router: true})
			<-time.After(time.Second)
			tell(link.News{Addr: autoAddr6})
		})
		if r.err != nil || r.took > 2*time.Second {
			t.Errorf("%v, %v after %v", r.state, r.err, r.took)
		}
	})
}

// What is refused behind its check leaves no address.
func TestChoiceRefused6LeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.NoCarrier(linktest.Ethernet(3, "eth1", macB)))
		k.Server6 = fakekernel.Answers6(t, leaseAddr6.Addr())
		tell := func(e link.News) { k.Events <- link.Event{Device: link.Device{Index: 2}, News: &e} }
		r := tryFor(t, "ip=dhcp6", wantsHosts("2001:db8:9::1"), 8*time.Second, k, func() {
			tell(link.News{Addr: linkAddr6, Permanent: true})
			<-time.After(time.Second)
			tell(link.News{Addr: leaseAddr6, Permanent: true})
			tell(link.News{Router: true}) // too late: the lease was asked for
			<-time.After(time.Second)
			tell(link.News{Addr: leaseAddr6, Gone: true})
		})
		got := ran(r)
		add, del := slices.Index(got, "addr add 2001:db8:1::777/128 dev eth0"), slices.Index(got, "addr del 2001:db8:1::777/128 dev eth0")
		if r.err == nil || add < 0 || del < add || strings.Count(strings.Join(got, "\n"), "addr add") != 1 || !slices.Contains(got, "eth0: RELEASE") {
			t.Errorf("%v: %q", r.err, got)
		}
	})
}
