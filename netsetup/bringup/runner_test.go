package bringup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

func TestRunDHCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		k.Servers["eth0"] = fakekernel.GoodServer(t)
		r := try(t, "", time.Minute, k, nil)
		if r.err != nil || r.state.String() != "eth0 10.77.0.23/24 by DHCP from 10.77.0.1" || r.took != lease.ProbeWait {
			t.Errorf("%v, %v, after %v", r.state, r.err, r.took)
		}
		if diff := cmp.Diff([]string{
			"link set lo up", "link set eth0 up", "eth0: DISCOVER", "eth0: REQUEST",
			"addr add 10.77.0.23/24 brd + dev eth0", "route replace default via 10.77.0.1 dev eth0",
		}, r.commands); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if len(r.log) > 0 {
			t.Errorf("a good boot says nothing, but: %q", r.log)
		}
	})
}

// The second interface is as quick as the only one would be, although the
// first has no carrier, the third no server, and the driver of the fourth
// takes its time.
func TestRunSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.NoCarrier(linktest.Ethernet(2, "eth0", macA)), linktest.Ethernet(3, "eth1", macB),
			linktest.Ethernet(4, "eth2", "\x52\x54\x00\x00\x00\x03"), linktest.Ethernet(5, "eth3", "\x52\x54\x00\x00\x00\x04"))
		k.Servers["eth1"] = fakekernel.GoodServer(t)
		k.Opening["eth3"] = 5 * time.Second
		r := try(t, "ip=dhcp", time.Minute, k, nil)
		if r.err != nil || r.state.Device != "eth1" || r.took != lease.ProbeWait {
			t.Errorf("%v, %v, after %v", r.state, r.err, r.took)
		}
		<-time.After(time.Minute) // the driver comes to its end, too
	})
}

// Two get a lease: the first keeps it, the other gives it back.
func TestRunReleasesTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
		good := fakekernel.GoodServer(t)
		k.Servers["eth0"] = func(m *dhcpv4.DHCPv4) []byte {
			if m.MessageType() == dhcpv4.MessageTypeRequest {
				return nil // no confirmation
			}
			return good(m)
		}
		k.Servers["eth1"] = func(m *dhcpv4.DHCPv4) []byte {
			if m.NumSeconds == 0 {
				return nil // the second DISCOVER only
			}
			return fakekernel.Leases(t, "10.77.0.24/24")(m)
		}
		r := try(t, "", time.Minute, k, nil)
		if r.err != nil || r.state.Device != "eth1" {
			t.Fatalf("%v, %v", r.state, r.err)
		}
		want := []string{"eth0: RELEASE 10.77.0.23 -> 10.77.0.1 at " + macB.String(), "link set eth0 down"}
		if diff := cmp.Diff(want, r.commands[len(r.commands)-2:]); diff != "" {
			t.Errorf("last commands (-want +got):\n%s", diff)
		}
	})
}

func TestRunLateInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t)
		k.Servers["eth0"] = fakekernel.GoodServer(t)
		r := try(t, "", time.Minute, k, func() {
			<-time.After(12 * time.Second)
			k.Appear(linktest.NoCarrier(linktest.Ethernet(2, "eth0", macA)))
			<-time.After(13 * time.Second)
			k.Change("eth0", func(d *link.Device) { d.Carrier = true })
		})
		if r.err != nil || r.took != 25*time.Second+lease.ProbeWait {
			t.Errorf("%v, %v after %v", r.state, r.err, r.took)
		}
		if diff := cmp.Diff([]string{
			"10s no network interface found: no driver has claimed a device (none is present): check that the image holds the driver of this machine's interface",
			"20s eth0: no carrier for 8 s: check the cable or the switch port",
		}, r.log); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

// While modules are still loading, whether the image holds the driver cannot be said, of whatever word is without an
// interface; when all are loaded it is.
func TestRunStillLoading(t *testing.T) {
	const loading = "modules are still loading: mlx5_core"
	for line, want := range map[string][2]string{
		"":                                       {"no network interface found: no driver has claimed a device (none is present): ", "check that the image holds the driver of this machine's interface"},
		"ip=eth0:dhcp":                           {"eth0: no such interface (none is present): ", "check its name and that its driver is in the image"},
		"ip=en*:dhcp":                            {"no interface matches en* (none is present): ", netsetup.CheckName},
		"bond=bond0:en* ip=bond0:dhcp":           {"bond0: is not made yet: no interface matches en*: ", netsetup.CheckName},
		"BOOTIF=01-52-54-00-12-34-57":            {"no interface has the address 52:54:00:12:34:57 of BOOTIF= (none is present): ", "check that its driver is in the image"},
		"ip=ib0:dhcp":                            {"ib0: no such interface (none is present): ", netsetup.CheckName + "; no driver has found an InfiniBand adapter: check that the image holds it (profile mlx4, mlx5, ib or opa)"},
		"ip=ENP0S3:dhcp":                         {"ENP0S3: no such interface (none is present): ", "names of the kernel and of udev are in lower case: write enp0s3"},
		"ip=52-54-00-12-34-57:dhcp bootdev=eth7": {"no interface has the address 52:54:00:12:34:57 (none is present)", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t)
			start := time.Now()
			k.Loading = func() string {
				if time.Since(start) < 15*time.Second {
					return loading
				}
				return ""
			}
			r := try(t, line, 25*time.Second, k, nil)
			first := strings.TrimSuffix(want[0], ": ") + ": " + loading
			if len(r.log) != 2 || r.log[0] != "10s "+first || r.log[1] != "20s "+want[0]+want[1] {
				t.Errorf("%s: log:\n%s\nwant\n%s\n%s", line, strings.Join(r.log, "\n"), first, want[0]+want[1])
			}
		})
	}
}

// A driver that hangs may be any device's: after a minute what can be done is told all the same, at
// length the first time, and in the error.
func TestRunLoadingHangs(t *testing.T) {
	const loading, brief = "modules are still loading: stall", netsetup.CheckName
	for line, want := range map[string][3]string{ // each with what goes behind loading
		"":                             {"no network interface found: no driver has claimed a device (none is present): ", "check that the image holds the driver of this machine's interface", ""},
		"ip=ibp1s0:dhcp":               {"ibp1s0: no such interface (none is present): ", "check that its driver is in the image, and the name, which is one of udev's: ", "; no driver has found an InfiniBand adapter: check that the image holds it (profile mlx4, mlx5, ib or opa)"},
		"ip=ib0:dhcp":                  {"ib0: no such interface (none is present): ", brief, "; no driver has found an InfiniBand adapter: check that the image holds it (profile mlx4, mlx5, ib or opa)"},
		"bond=bond0:en* ip=bond0:dhcp": {"bond0: is not made yet: no interface matches en*: ", brief, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t)
			k.Loading = func() string { return loading }
			r := try(t, line, 75*time.Second, k, nil)
			if len(r.log) != 7 {
				t.Fatalf("%s: log:\n%s", line, strings.Join(r.log, "\n"))
			}
			early, late := "50s "+want[0]+loading, r.log[5]
			if r.log[4] != early || !strings.HasPrefix(late, "60s "+want[0]+want[1]) || !strings.HasSuffix(late, "; "+loading+want[2]) {
				t.Errorf("%s: log:\n%s\nwant\n%s%s", line, strings.Join(r.log, "\n"), want[0], want[1])
			}
			if r.err == nil || !strings.Contains(r.err.Error(), "; "+loading+want[2]) {
				t.Errorf("%s: error: %v", line, r.err)
			}
		})
	}
}

func TestRunNoServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.NoCarrier(linktest.Ethernet(3, "eth1", macB)))
		r := try(t, "", 25*time.Second, k, nil)
		if !errors.Is(r.err, context.DeadlineExceeded) || r.took != 25*time.Second {
			t.Errorf("%v after %v", r.err, r.took)
		}
		const want = "eth0: no DHCP answer after 25 s (6 DISCOVERs sent, carrier up): check that a DHCP server serves this network, its pool, and the VLAN of the switch port; eth1: no carrier for 25 s: check the cable or the switch port: context deadline exceeded"
		if !strings.HasSuffix(r.err.Error(), want) {
			t.Errorf("error: %v", r.err)
		}
		if len(r.log) != 2 || !strings.HasPrefix(r.log[0], "10s eth0: no DHCP answer after 10 s (4 DISCOVERs") {
			t.Errorf("log: %q", r.log)
		}
	})
}

// The link that flaps asks anew at once when it is back.
func TestRunFlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		r := try(t, "", time.Minute, k, func() {
			<-time.After(3500 * time.Millisecond)
			k.Change("eth0", func(d *link.Device) { d.Carrier = false })
			<-time.After(time.Second)
			k.Lock()
			k.Servers["eth0"] = fakekernel.GoodServer(t)
			k.Unlock()
			k.Change("eth0", func(d *link.Device) { d.Carrier = true })
		})
		if r.err != nil || r.took != 4500*time.Millisecond+lease.ProbeWait {
			t.Errorf("%v, %v after %v", r.state, r.err, r.took)
		}
	})
}

// A message that left before the queue was open is sent again when it is.
func TestRunRunningLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		r := try(t, "", time.Minute, k, func() {
			<-time.After(2 * time.Millisecond)
			k.Lock()
			k.Servers["eth0"] = fakekernel.GoodServer(t)
			k.Unlock()
			k.Change("eth0", func(d *link.Device) { d.Running = true })
		})
		if r.err != nil || r.took != 2*time.Millisecond+lease.ProbeWait {
			t.Errorf("%v, %v after %v", r.state, r.err, r.took)
		}
	})
}

func TestRunStatic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.NoCarrier(linktest.Ethernet(2, "eth0", macA)), linktest.Ethernet(3, "eth1", macB))
		r := try(t, "ip=10.0.0.5:10.0.0.9:10.0.0.1:24:n7 ifname=lan0:52:54:00:12:34:57", time.Minute, k, nil)
		if r.err != nil || r.state.String() != "lan0 10.0.0.5/24 static" || r.state.Server != addr("10.0.0.9") || r.state.Hostname != "n7" {
			t.Errorf("%+v, %v", r.state, r.err)
		}
		// eth0 is not waited for: its commands may come or not.
		got := slices.DeleteFunc(r.commands, func(s string) bool { return strings.HasPrefix(s, "link set eth0 ") })
		if diff := cmp.Diff([]string{
			"link set lo up", "link set eth1 name lan0", "link set lan0 up",
			"addr add 10.0.0.5/24 brd + dev lan0", "route replace default via 10.0.0.1 dev lan0",
		}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A dead second interface costs its time, not the boot.
func TestRunSpare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			line, device string
			took         time.Duration
			log          string
		}{
			{"ip=eth0:dhcp ip=10.1.0.5:::24::eth1:none", "eth1", 10 * time.Second, "10s eth0: no DHCP answer after 10 s"},
			{"ip=eth1:dhcp ip=10.1.0.5:::24::eth2:none", "eth1", 10 * time.Second, "10s eth2: no carrier for 10 s: check the cable or the switch port; the boot goes on without it"},
			{"ip=10.1.0.5:::24::eth1:none ip=eth9:dhcp rd.net.timeout.carrier=4", "eth1", 4 * time.Second, "4s eth9: no such interface (present: eth0"},
			{"ip=10.1.0.5:::24::eth1:none ip=eth0:dhcp rd.net.timeout.dhcp=3 rd.net.dhcp.retry=2", "eth1", 6 * time.Second, "6s eth0: no DHCP answer after"},
			{"ip=eth0:off ip=eth1:dhcp", "eth1", lease.ProbeWait, ""},
			{"ip=off", "", 0, ""},
		} {
			k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB), linktest.NoCarrier(linktest.Ethernet(4, "eth2", "\x52\x54\x00\x00\x00\x03")))
			k.Servers["eth1"] = fakekernel.GoodServer(t)
			r := try(t, tt.line, time.Hour, k, nil)
			if r.err != nil || r.state.Device != tt.device || r.took != tt.took {
				t.Errorf("%s: %v, %v after %v", tt.line, r.state, r.err, r.took)
			}
			if tt.log != "" && !slices.ContainsFunc(r.log, func(s string) bool { return strings.HasPrefix(s, tt.log) }) {
				t.Errorf("%s: log: %q", tt.line, r.log)
			}
		}
	})
}

// rd.net.* end the wait; bootdev= is what may not be missing.
func TestRunGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for line, want := range map[string]string{
			"ip=dhcp rd.net.timeout.dhcp=5 rd.net.dhcp.retry=2":                              "10s set up network: eth0: no DHCP answer",
			"ip=eth1:dhcp rd.net.timeout.carrier=7":                                          "7s set up network: eth1: no carrier for 7 s",
			"ip=eth0:auto6 rd.net.timeout.ipv6auto=5 rd.net.timeout.dhcp=9":                  "5s set up network: eth0: ",
			"ip=eth0:either6 rd.net.timeout.ipv6auto=5":                                      "5s set up network: eth0: ",
			"ip=eth0:link6 rd.net.timeout.ipv6dad=4":                                         "4s set up network: eth0: ",
			"ip=[2001:db8::5]:::64::eth0:none rd.net.timeout.ipv6dad=4":                      "4s set up network: eth0: ",
			"ip=eth0:dhcp6 rd.net.timeout.ipv6dad=4 rd.net.timeout.dhcp=6":                   "6s set up network: eth0: ",
			"ip=eth9:dhcp rd.net.timeout.carrier=7":                                          "7s set up network: eth9: no such interface",
			"bootdev=eth1 ip=eth1:dhcp ip=10.0.0.5:::24::eth0:none rd.net.timeout.carrier=7": "7s set up network: eth1: no carrier",
		} {
			k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.NoCarrier(linktest.Ethernet(3, "eth1", macB)))
			r := try(t, line, time.Hour, k, nil)
			if r.err == nil {
				t.Errorf("%s: no error, %v", line, r.state)
				continue
			}
			if got := fmt.Sprintf("%ds %v", int(r.took/time.Second), r.err); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s", line, got)
			}
		}
	})
}

// A driver that cannot open its device at first is tried again; an address
// that the kernel refuses is an error, a route is not.
func TestRunKernelRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		k.Servers["eth0"] = fakekernel.GoodServer(t)
		k.Fail["ip link set eth0 up"] = errors.New("input/output error")
		k.Fail["ip route replace default via 10.77.0.1 dev eth0"] = errors.New("network is unreachable")
		r := try(t, "", time.Minute, k, nil)
		if r.err != nil || r.took != time.Second+lease.ProbeWait {
			t.Errorf("%v, %v after %v", r.state, r.err, r.took)
		}
		if diff := cmp.Diff([]string{
			"0s set up eth0: ip link set eth0 up: input/output error; trying again",
			"1s ip route replace default via 10.77.0.1 dev eth0: network is unreachable",
		}, r.log); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		k = fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		k.Fail["ip addr add 10.0.0.5/24 brd + dev eth0"] = errors.New("no buffer space")
		if r := try(t, "ip=10.0.0.5:::24", time.Minute, k, nil); r.err == nil || !strings.Contains(r.err.Error(), "ip addr add 10.0.0.5/24 brd + dev eth0: no buffer space") {
			t.Errorf("%v, %v", r.state, r.err)
		}
	})
}

func TestRunInterfaceGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		r := try(t, "", 20*time.Second, k, func() {
			<-time.After(2 * time.Second)
			k.Events <- link.Event{Device: link.Device{Index: 2, Name: "eth0"}, Gone: true}
			<-time.After(2 * time.Second)
			k.Lock()
			k.Servers["eth0"] = fakekernel.GoodServer(t)
			k.Unlock()
			k.Appear(linktest.Ethernet(7, "eth0", macA))
		})
		if r.err != nil || r.took != 4*time.Second+lease.ProbeWait || !slices.Contains(r.log, "2s eth0: the interface is gone") {
			t.Errorf("%v, %v after %v: %q", r.state, r.err, r.took, r.log)
		}
	})
}

func TestRunWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t)
		k.Events <- link.Event{Err: errors.New("socket gone")}
		if r := try(t, "", time.Minute, k, nil); r.err == nil || r.err.Error() != "watch network interfaces: socket gone" {
			t.Error(r.err)
		}
	})
}
