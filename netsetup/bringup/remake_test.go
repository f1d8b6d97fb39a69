package bringup

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// timesOf counts a command.
func timesOf(commands []string, command string) int {
	return len(slices.DeleteFunc(slices.Clone(commands), func(s string) bool { return s != command }))
}

// An adapter that is registered again takes its bond or its children with it, as its
// firmware's reset or a port that changes its type does: they are made again, before
// the network is up and when the boot goes by it.
func TestRunRegisteredAnew(t *testing.T) {
	for name, tt := range map[string]struct {
		line, made string
		device     string
		join       []string
		most       int // how often it is made
	}{
		"bond":  {"bond=bond0:ib0:mode=1 ip=bond0:dhcp", "link add bond0 type bond mode active-backup miimon 100", "bond0", []string{"ib0"}, 2},
		"child": {"ib.pkey=ib0.8001 ip=ib0.8001:dhcp", "link add link ib0 name ib0.8001 type ipoib pkey 0x8001", "ib0.8001", []string{"ib0", "ib0.8001"}, 3},
		"bond of a child": {
			"ib.pkey=ib0.8001 bond=bond0:ib0.8001:mode=1 ip=bond0:dhcp",
			"link add bond0 type bond mode active-backup miimon 100", "bond0",
			[]string{"ib0", "ib0.8001"},
			3,
		},
		"port": {"ip=ib0:dhcp", "link set ib0 up", "ib0", []string{"ib0"}, 3},
	} {
		for when, wait := range map[string]time.Duration{"before": 3 * time.Second, "after": 0} {
			t.Run(name+" "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, rules := ibFabric(t, 4092)
					join := func() {
						for _, dev := range tt.join {
							<-time.After(time.Second)
							rules.Join(dev, 2044)
						}
					}
					r := watched(t, tt.line+" nodisk.dhcp.clientid=guid", 40*time.Second, k, func() {
						<-time.After(time.Second)
						if wait == 0 { // it is up, then
							join()
							<-time.After(5 * time.Second)
						}
						rules.Unregister("ib0")
						<-time.After(5 * time.Second)
						again := linktest.GuidePort()
						again.Index = 77
						rules.Port(again, 4092, false)
						<-time.After(2 * time.Second)
						join()
					})
					d, ok := rules.Device(tt.device)
					if n := timesOf(r.commands, tt.made); r.err != nil || !ok || !d.Carrier || d.MTU != 2044 || n < 2 || n > tt.most ||
						len(r.commands) > 40 || timesOf(r.commands, "addr add 10.77.0.23/24 brd + dev "+tt.device) > 2 {
						t.Fatalf("%v, %v, %+v, made %d times\n%s\n%s", r.err, r.state, d, n, strings.Join(r.commands, "\n"), strings.Join(r.log, "\n"))
					}
					// What it waits for is the port, not lo, in whose steps bonds are made.
					if text := strings.Join(r.log, "\n"); strings.Contains(text, "lo:") {
						t.Error(text)
					}
					// The new interface has the address: it is given behind the second making.
					made, addr := -1, -1
					for i, s := range r.commands {
						switch s {
						case tt.made:
							made = i
						case "addr add 10.77.0.23/24 brd + dev " + tt.device:
							addr = i
						}
					}
					if addr < made {
						t.Errorf("%s", strings.Join(r.commands, "\n"))
					}
				})
			})
		}
	}
}

// A child that the kernel refuses to make again is tried at growing intervals, what it
// says is told, and neither the rest of the network waits for it nor its parent changes.
func TestRunChildRefused(t *testing.T) {
	const add = "link add link ib0 name ib0.8001 type ipoib pkey 0x8001"
	for line, told := range map[string]string{
		"ip=ib0:dhcp ib.pkey=ib0.8001 ip=ib0.8001:dhcp": "ib0.8001: is not made yet: ip " + add + ": file exists (tried ",
		"ip=ib0:dhcp ib.pkey=ib0.8001":                  "links on ib0: ip " + add + ": file exists; trying again",
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, rules := ibFabric(t, 4092)
				k.Servers["ib0.8001"] = fakekernel.Leases(t, "10.78.0.23/24")
				refuse := func(refused map[string]error, opening time.Duration) {
					k.Lock()
					defer k.Unlock()
					k.Refuse, k.Opening["ib0"] = refused, opening
				}
				r := watched(t, line+" nodisk.dhcp.clientid=guid", 10*time.Minute, k, func() {
					for _, dev := range []string{"ib0", "ib0.8001"} {
						<-time.After(time.Second)
						rules.Join(dev, 2044)
					}
					<-time.After(10 * time.Second)
					refuse(map[string]error{"ip " + add: errors.New("file exists")}, 0)
					rules.Unregister("ib0.8001")
					<-time.After(8 * time.Minute)
					refuse(nil, 45*time.Second) // a driver that takes long
				})
				_, made := rules.Device("ib0.8001")
				if n := timesOf(r.commands, add); r.err != nil || !made || n < 50 || n > 70 ||
					timesOf(r.commands, "addr add 10.77.0.23/24 brd + dev ib0") != 1 || timesOf(r.commands, "link set ib0 down") != 0 {
					t.Errorf("%v, made %v, tried %d times\n%s", r.err, made, n, strings.Join(r.commands, "\n"))
				}
				lines := slices.DeleteFunc(slices.Clone(r.log), func(s string) bool { return !strings.Contains(s, told) })
				if n := len(lines); n < 1 || strings.HasPrefix(told, "links") && n > 1 {
					t.Errorf("%d\n%s", n, strings.Join(r.log, "\n"))
				}
				// What is waited for is told while the driver takes its time.
				if strings.HasPrefix(told, "ib0.8001") && !slices.ContainsFunc(r.log, func(s string) bool { return strings.HasPrefix(s, "520s ib0.8001: is not made yet") }) {
					t.Errorf("%s", strings.Join(r.log, "\n"))
				}
			})
		})
	}
}

// A link that somebody deletes whenever it is there is made again at growing intervals,
// and at once when that was long ago.
func TestRunDeletedAgain(t *testing.T) {
	for line, tt := range map[string]struct{ dev, add string }{
		"vlan=vlan5:eth0 ip=vlan5:dhcp":         {"vlan5", "link add link eth0 name vlan5 type vlan id 5"},
		"vlan=vlan5:eth0 ip=eth0:dhcp":          {"vlan5", "link add link eth0 name vlan5 type vlan id 5"},
		"bond=bond0:eth0:mode=1 ip=bond0:dhcp":  {"bond0", "link add bond0 type bond mode active-backup miimon 100"},
		"ib.pkey=ib0.8001 ip=ib0.8001:dhcp":     {"ib0.8001", "link add link ib0 name ib0.8001 type ipoib pkey 0x8001"},
		"ib.pkey=ib0.8001 ip=ib0:dhcp ip=dhcp6": {"ib0.8001", "link add link ib0 name ib0.8001 type ipoib pkey 0x8001"},
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, rules := ibFabric(t, 4092)
				k.Appear(linktest.Ethernet(2, "eth0", macA))
				for _, dev := range []string{"eth0", "vlan5", "bond0", "ib0", "ib0.8001"} {
					k.Servers[dev] = fakekernel.GoodServer(t)
				}
				var hostile atomic.Bool
				k.Then = func(s link.Step) {
					switch s.(type) {
					case link.VLANAdd, link.BondAdd, link.ChildAdd:
						if hostile.Load() {
							go func() {
								<-time.After(time.Microsecond)
								rules.Unregister(tt.dev)
							}()
						}
					}
				}
				during := 0
				r := watched(t, line+" nodisk.dhcp.clientid=guid rd.net.timeout.dhcp=5", 8*time.Minute, k, func() {
					<-time.After(time.Second)
					rules.Join("ib0", 2044)
					<-time.After(time.Second)
					rules.Join("ib0.8001", 2044)
					<-time.After(40 * time.Second)
					hostile.Store(true)
					rules.Unregister(tt.dev)
					<-time.After(2 * time.Minute)
					hostile.Store(false)
					k.Lock()
					during = timesOf(k.Commands, tt.add)
					k.Unlock()
					<-time.After(time.Minute)
					rules.Unregister(tt.dev)
				})
				_, made := rules.Device(tt.dev)
				after := timesOf(r.commands, tt.add) - during
				gone := slices.DeleteFunc(slices.Clone(r.log), func(s string) bool { return !strings.Contains(s, "the interface") })
				if r.err != nil || !made || during < 5 || during > 20 || after < 1 || after > 2 || len(gone) > 16 || len(r.commands) > 200 {
					t.Errorf("%v, %v, made %d times and then %d\n%s\n%s", r.err, made, during, after, strings.Join(gone, "\n"), strings.Join(r.commands, "\n"))
				}
			})
		})
	}
}

// An interface that was registered again and gets another address has that one: the
// network says so, and that connections of the old one are lost.
func TestRunOtherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, rules := ibFabric(t, 4092)
		var other atomic.Bool
		first, second := fakekernel.Leases(t, "10.77.0.23/24"), fakekernel.Leases(t, "10.77.0.99/24")
		k.Servers["ib0"] = func(m *dhcpv4.DHCPv4) []byte {
			if other.Load() {
				return second(m)
			}
			return first(m)
		}
		r := watched(t, "ip=ib0:dhcp nodisk.dhcp.clientid=guid", time.Minute, k, func() {
			<-time.After(time.Second)
			rules.Join("ib0", 2044)
			<-time.After(5 * time.Second)
			other.Store(true)
			rules.Unregister("ib0")
			<-time.After(time.Second)
			again := linktest.GuidePort()
			again.Index = 77
			rules.Port(again, 4092, false)
			<-time.After(time.Second)
			rules.Join("ib0", 2044)
		})
		const told = "ib0: has another address now that it is back, ib0 10.77.0.99/24 by DHCP from 10.77.0.1 instead of ib0 10.77.0.23/24 by DHCP from 10.77.0.1: " +
			"connections from the old one are lost"
		if text := strings.Join(r.log, "\n"); r.err != nil || len(r.last.Addrs) != 1 || r.last.Addrs[0] != prefix("10.77.0.99/24") ||
			strings.Count(text, told) != 1 || strings.Contains(text, "goes on") || timesOf(r.commands, "addr add 10.77.0.99/24 brd + dev ib0") != 1 {
			t.Errorf("%v, %v\n%s\n%s", r.err, r.last, text, strings.Join(r.commands, "\n"))
		}
	})
}

// A port that stays out of a bond, because it is of another type than the one that joined
// before, joins when that one has gone.
func TestRunOtherTypeAfterLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t)
		rules := fakekernel.UnderRules(k)
		eth := linktest.WithCarrier(link.Device{Index: 3, Name: "one", Type: link.HwEthernet, Addr: macA, MTU: 1500, Physical: true, Broadcast: "\xff\xff\xff\xff\xff\xff"})
		r := watched(t, "bond=bond0:one,two:mode=active-backup ip=bond0:dhcp nodisk.dhcp.clientid=guid", time.Minute, k, func() {
			k.Appear(eth)
			<-time.After(time.Second)
			rules.Port(named(linktest.GuidePort(), "two"), 2044, false)
			<-time.After(time.Second)
			rules.Join("two", 2044)
			<-time.After(time.Second)
			k.Lock()
			k.Servers["bond0"] = fakekernel.GoodServer(t)
			k.Unlock()
			rules.Unregister("one")
			<-time.After(5 * time.Second)
			rules.Join("two", 2044)
		})
		bond, _ := rules.Device("bond0")
		if r.err != nil || bond.Type != link.HwInfiniBand || !slices.Equal(rules.PortsOf(bond), []string{"two"}) || timesOf(r.commands, "link set two master bond0") != 2 {
			t.Errorf("%v, %+v with %v\n%s\n%s", r.err, bond, rules.PortsOf(bond), strings.Join(r.log, "\n"), strings.Join(r.commands, "\n"))
		}
	})
}
