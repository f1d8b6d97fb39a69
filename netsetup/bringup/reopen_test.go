package bringup

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// When the interface goes that has won, while Up still waits for another word, those
// that were let go for it ask at once, though the kernel tells nothing of them.
func TestRunWinnerGone(t *testing.T) {
	for name, tt := range map[string]struct {
		line string
		up   bool // eth1 is up from the start, and so is not set down
		down time.Duration
		took time.Duration
	}{
		"set down":       {"ip=dhcp ip=eth9:dhcp", false, 0, 3 * time.Second},
		"up already":     {"ip=dhcp ip=eth9:dhcp", true, 0, 3 * time.Second},
		"being set down": {"ip=dhcp ip=eth9:dhcp", false, 4 * time.Second, 4*time.Second + 2*lease.ProbeWait},
		"all are wanted": {"ip=dhcp ip=eth9:dhcp rd.neednet", false, 0, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB)
				second.Up = tt.up
				k := fakekernel.New(t, first, second)
				k.Servers["eth0"] = fakekernel.GoodServer(t)
				k.Servers["eth1"] = after(10*time.Millisecond, fakekernel.Leases(t, "10.77.0.24/24"))
				k.Servers["eth9"] = fakekernel.Leases(t, "10.78.0.24/24")
				k.Then = func(s link.Step) {
					if s == (link.Down{Dev: "eth1"}) {
						<-time.After(tt.down)
						k.Lock()
						defer k.Unlock()
						d := k.Devices["eth1"]
						d.Up = false
						k.Devices["eth1"] = d
					}
				}
				r := watched(t, tt.line, time.Second, k, func() {
					<-time.After(2 * time.Second)
					first.Up = true
					k.Events <- link.Event{Device: first, Gone: true}
					<-time.After(time.Second)
					k.Appear(linktest.Ethernet(9, "eth9", "\x52\x54\x00\x00\x00\x09"))
				})
				k.Lock()
				defer k.Unlock()
				if r.err != nil || r.state.Device != "eth1" || r.took > tt.took+lease.ProbeWait || len(r.state.Others) != 1 || !k.Devices["eth1"].Up {
					t.Errorf("%v, %v after %v, %+v\n%q\n%q", r.state, r.err, r.took, k.Devices["eth1"], r.commands, r.log)
				}
			})
		})
	}
}

// A port that the boot goes by is set up again whenever it is back, with the address and
// the place of its routes, whatever the limits of Up, and no other in its place.
func TestRunPortBack(t *testing.T) {
	const timeout = " rd.net.timeout.carrier=20"
	for name, tt := range map[string]struct {
		line   string
		device string
		metric string
		other  bool // the second port comes back, and has a server, before the first
	}{
		"timeout":       {"ip=ib0:dhcp" + timeout, "ib0", "", false},
		"child":         {"ib.pkey=ib0.8001 ip=ib0.8001:dhcp" + timeout, "ib0.8001", "", false},
		"bond":          {"bond=bond0:ib0:mode=1 ip=bond0:dhcp" + timeout, "bond0", "", false},
		"two words":     {"ip=ib0:dhcp ip=eth0:dhcp", "ib0", "", false},
		"second word":   {"ip=eth0:dhcp ip=ib0:dhcp", "ib0", " metric 101", false},
		"any":           {"ip=dhcp", "ib0", "", true},
		"any, timeout":  {"ip=dhcp" + timeout, "ib0", "", true},
		"pattern":       {"ip=ib*:dhcp", "ib0", "", true},
		"driver":        {"ip=driver=mlx4*:dhcp", "ib0", "", true},
		"any static":    {"ip=10.77.0.23::10.77.0.1:24:::none nodisk.arp-probe=0", "ib0", "", true},
		"pattern, bond": {"bond=bond0:ib0:mode=1 ip=dhcp", "bond0", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, rules := ibFabric(t, 4092, 4092)
				k.Servers["ib1"] = fakekernel.Leases(t, "10.77.0.31/24")
				eth := linktest.Ethernet(3, "eth0", macA)
				eth.Carrier = strings.Contains(tt.line, "eth0")
				k.Appear(eth)
				k.Servers["eth0"] = fakekernel.Leases(t, "10.88.0.5/24")
				join := func() {
					for _, dev := range []string{"ib0", "ib0.8001"} {
						<-time.After(time.Second)
						rules.Join(dev, 2044)
					}
				}
				r := watched(t, tt.line+" nodisk.dhcp.clientid=guid", 90*time.Second, k, func() {
					join()
					<-time.After(30 * time.Second)
					rules.Unregister("ib0")
					rules.Unregister("ib1")
					<-time.After(time.Second)
					if tt.other {
						again := secondPort()
						again.Index = 76
						rules.Port(again, 4092, false)
						k.Change("eth0", func(d *link.Device) { d.Carrier = true })
						<-time.After(time.Second)
						rules.Join("ib1", 2044)
					}
					<-time.After(25 * time.Second)
					again := linktest.GuidePort()
					again.Index = 77
					rules.Port(again, 4092, false)
					<-time.After(2 * time.Second)
					join()
				})
				address := "addr add 10.77.0.23/24 brd + dev " + tt.device
				route := "route replace default via 10.77.0.1 dev " + tt.device + tt.metric
				others := slices.DeleteFunc(slices.Clone(r.commands), func(s string) bool {
					return !strings.HasPrefix(s, "addr del") && s != "addr add 10.77.0.31/24 brd + dev ib1" &&
						(!strings.HasPrefix(s, "addr add 10.88") || strings.Contains(tt.line, "eth0"))
				})
				d, _ := rules.Device(tt.device)
				if r.err != nil || len(r.last.Addrs) != 1 || r.last.Addrs[0] != r.state.Addrs[0] || !d.Up ||
					timesOf(r.commands, address) != 2 || timesOf(r.commands, route) != 2 || len(others) > 0 {
					t.Errorf("%v, %v, then %v\n%s\n%s", r.err, r.state, r.last, strings.Join(r.commands, "\n"), strings.Join(r.log, "\n"))
				}
				for _, line := range r.log {
					if strings.Contains(line, "goes on without") || strings.Contains(line, "been opening") {
						t.Error(line)
					}
				}
			})
		})
	}
}

// A virtual function to which its host has given no address has a random one, another with
// each registration. By ip=dhcp it is known again by its place: not one elsewhere, nor one
// that has an address of its own.
func TestKeepRandomAddress(t *testing.T) {
	for name, tt := range map[string]struct {
		come func(d *link.Device)
		back bool
	}{
		"in its place":       {func(*link.Device) {}, true},
		"elsewhere":          {func(d *link.Device) { *d = inSlot(*d, "4") }, false},
		"of another driver":  {func(d *link.Device) { d.Driver = "ixgbevf" }, false},
		"with its own":       {func(d *link.Device) { d.Perm = d.Addr }, false},
		"place is not known": {func(d *link.Device) { d.Udev = link.UdevNames{} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := inSlot(linktest.Ethernet(2, "eth0", macA), "3")
				k := fakekernel.New(t, first)
				good := fakekernel.GoodServer(t)
				k.Servers["eth0"], k.Servers["eth1"] = good, good
				r := watched(t, "ip=dhcp nodisk.ifnames=kernel", time.Minute, k, func() {
					<-time.After(10 * time.Second)
					k.Lock()
					delete(k.Devices, "eth0")
					k.Unlock()
					k.Events <- link.Event{Device: first, Gone: true}
					<-time.After(5 * time.Second)
					again := inSlot(linktest.Ethernet(12, "eth0", macB), "3")
					tt.come(&again)
					k.Appear(again)
				})
				log := strings.Join(r.log, "\n")
				back := timesOf(r.commands, "addr add 10.77.0.23/24 brd + dev eth0") == 2
				if r.err != nil || back != tt.back || strings.Contains(log, "is gone, and no interface with its address") == tt.back {
					t.Errorf("%v, back %v\n%s\n%s", r.err, back, strings.Join(r.commands, "\n"), log)
				}
			})
		})
	}
}

// With rd.neednet an interface may come and go as often as it likes, with an address and
// before it has one: there are no more slots for that, and no more leases.
func TestKeepSlots(t *testing.T) {
	for name, tt := range map[string]struct {
		served  bool
		another bool // it is another adapter each time
		slots   int
	}{
		"without address":                    {false, false, 2},
		"without address, another each time": {false, true, 2},
		"with address":                       {true, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
				fakekernel.UnderRules(k)
				k.Servers["eth0"] = fakekernel.GoodServer(t)
				if tt.served {
					k.Servers["eth1"] = fakekernel.Leases(t, "10.78.0.23/24")
				}
				c, err := netsetup.ParseConfig(cmdline.Parse("ip=dhcp rd.neednet=1 nodisk.arp-probe=0"))
				if err != nil {
					t.Fatal(err)
				}
				r := newRunner(c, node{k}, nil)
				defer r.close()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if _, err = r.up(ctx); err != nil {
					t.Fatal(err)
				}
				go func() {
					for i := range 20 {
						d := linktest.Ethernet(10+i, "eth1", macB)
						if tt.another {
							d.Addr = link.HardwareAddr([]byte{0x52, 0x54, 0, 0, 1, byte(i)})
							d.Perm = d.Addr
						}
						k.Appear(d)
						<-time.After(2 * time.Second)
						k.Rules.Unregister("eth1")
						<-time.After(2 * time.Second)
					}
					k.Appear(linktest.Ethernet(90, "eth1", macB))
				}()
				on, stop := context.WithTimeout(t.Context(), 5*time.Minute)
				defer stop()
				err = r.keep(on)
				leased := 1
				if tt.served {
					leased = 2
				}
				if s := r.result(); err != nil || len(r.jobs) > tt.slots || len(r.have()) != leased || len(s.Others) != leased-1 {
					t.Errorf("%v, %v, %d slots, %d leases", err, s, len(r.jobs), len(r.have()))
				}
			})
		})
	}
}
