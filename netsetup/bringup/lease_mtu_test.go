package bringup

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// The MTU of a lease is set again where the device was busy; one that is busy forever is
// told of once, and left alone.
func TestKeepLeasedMTUBusy(t *testing.T) {
	const set = "link set eth0 mtu 9000"
	for _, forever := range []bool{false, true} {
		t.Run(fmt.Sprint(forever), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
				k.Servers["eth0"] = jumboServer(t)
				k.Refuse = map[string]error{"ip " + set: syscall.EBUSY}
				r := watched(t, "ip=eth0:dhcp", 5*time.Minute, k, func() {
					<-time.After(5 * time.Second)
					k.Lock()
					defer k.Unlock()
					if !forever {
						k.Refuse = nil
					}
				})
				want, most, said := 9000, link.MostBusy, 0
				if forever {
					want, most, said = 1500, link.MostBusy+1, 1
				}
				log := strings.Join(r.log, "\n")
				n := timesOf(r.commands, set)
				if r.err != nil || r.last.MTU != want || n < 2 || n > most || strings.Count(log, "the MTU of eth0 stays 1500") != said {
					t.Errorf("%v, MTU %d, set %d times\n%s", r.err, r.last.MTU, n, log)
				}
			})
		})
	}
}

// An MTU that is to be set again when the network is closed is told: nobody sets it then.
func TestKeepLeasedMTUOwed(t *testing.T) {
	for _, line := range []string{"ip=eth0:dhcp", "vlan=vlan5:eth0 ip=vlan5:dhcp"} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t)
				fakekernel.UnderRules(k)
				k.Servers["eth0"], k.Servers["vlan5"] = jumboServer(t), jumboServer(t)
				k.Refuse = map[string]error{"ip link set eth0 mtu 9000": syscall.EBUSY}
				r := watched(t, line, 500*time.Millisecond, k, func() { k.Appear(linktest.Ethernet(2, "eth0", macA)) })
				_, dev, _ := strings.Cut(strings.TrimSuffix(line, ":dhcp"), "ip=")
				want := "ip link set eth0 mtu 9000: device or resource busy: the MTU of " + dev + " stays 1500"
				if r.err != nil || r.last.MTU != 1500 || len(r.log) != 1 || !strings.HasSuffix(r.log[0], want) {
					t.Errorf("%v, MTU %d\n%s\nwant %s", r.err, r.last.MTU, strings.Join(r.log, "\n"), want)
				}
			})
		})
	}
}

// A port that cannot have the MTU of the bond's lease leaves: the bond has it then.
func TestKeepLeasedMTURefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t)
		rules := fakekernel.UnderRules(k)
		rules.Max["eth1"] = 1500
		k.Servers["bond0"] = jumboServer(t)
		r := watched(t, "bond=bond0:eth0,eth1:mode=1 ip=bond0:dhcp", 2*time.Minute, k, func() {
			k.Appear(linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
			<-time.After(20 * time.Second)
			k.Change("eth0", func(d *link.Device) { d.Carrier = false }) // nothing that matters
			k.Change("eth0", func(d *link.Device) { d.Carrier = true })
			<-time.After(20 * time.Second)
			rules.Unregister("eth1")
		})
		log := strings.Join(r.log, "\n")
		const set = "link set bond0 mtu 9000"
		if n := timesOf(r.commands, set); r.err != nil || r.last.MTU != 9000 || n != 2 ||
			strings.Count(log, "0s ip "+set+": invalid argument: the MTU of bond0 stays 1500") != 1 || !strings.Contains(log, "40s bond0: the MTU is 9000 now") {
			t.Errorf("%v, MTU %d, set %d times\n%s\n%s", r.err, r.last.MTU, n, strings.Join(r.commands, "\n"), log)
		}
	})
}

// A link that is made again gets the MTU of its lease again, whether it was refused before
// or not.
func TestKeepLeasedMTURemade(t *testing.T) {
	for _, refused := range []bool{false, true} {
		t.Run(fmt.Sprint(refused), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t)
				rules := fakekernel.UnderRules(k)
				if refused {
					rules.Max["eth0"] = 1500
				}
				k.Servers["vlan5"] = jumboServer(t)
				r := watched(t, "vlan=vlan5:eth0 ip=vlan5:dhcp", 2*time.Minute, k, func() {
					k.Appear(linktest.Ethernet(2, "eth0", macA))
					<-time.After(20 * time.Second)
					rules.Unregister("eth0")
					<-time.After(5 * time.Second)
					rules.RTNL.Lock()
					delete(rules.Max, "eth0") // its firmware is another now
					rules.RTNL.Unlock()
					k.Appear(linktest.Ethernet(12, "eth0", macA))
				})
				eth0, _ := rules.Device("eth0")
				if r.err != nil || r.last.MTU != 9000 || eth0.MTU != 9000 {
					t.Errorf("%v, MTU %d on %d\n%s\n%s", r.err, r.last.MTU, eth0.MTU, strings.Join(r.commands, "\n"), strings.Join(r.log, "\n"))
				}
			})
		})
	}
}
