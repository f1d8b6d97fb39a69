package bringup

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/lease/arp"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// A lease goes on being prolonged, and others that use its address are heard of, when the
// broadcast address has become another: by another P_Key at index 0 of the port, or as a
// bond gets the type of another port. What is asked by broadcast reaches the server, too.
func TestKeepWithOtherBroadcast(t *testing.T) {
	ib := "nodisk.dhcp.clientid=guid ip="
	pkey := func(k *fakekernel.Kernel, _ *fakekernel.Rules) {
		k.Change("ib0", func(d *link.Device) { d.Broadcast = d.Broadcast[:9] + "\x02" + d.Broadcast[10:] })
	}
	for name, tt := range map[string]struct {
		line, dev string
		change    func(k *fakekernel.Kernel, rules *fakekernel.Rules)
		fail      string
		told      int // lines besides those of all
		eth       bool
	}{
		"P_Key":   {ib + "ib0:dhcp", "ib0", pkey, "", 0, false},
		"no file": {ib + "ib0:dhcp", "ib0", pkey, "open ARP on ib0", 1, false},
		"twice": {ib + "ib0:dhcp", "ib0", func(k *fakekernel.Kernel, rules *fakekernel.Rules) {
			pkey(k, rules)
			k.Change("ib0", func(d *link.Device) { d.Broadcast = d.Broadcast[:9] + "\x03" + d.Broadcast[10:] })
		}, "", 0, false},
		"fail-over": {ib + "bond0:dhcp bond=bond0:ib0,ib1:mode=active-backup", "bond0", func(k *fakekernel.Kernel, _ *fakekernel.Rules) {
			k.Change("bond0", func(d *link.Device) { d.Addr = secondPort().Addr }) // fail_over_mac=active
		}, "", 0, false},
		"type of a bond": {ib + "bond0:dhcp bond=bond0:one,two:mode=active-backup", "bond0", func(_ *fakekernel.Kernel, rules *fakekernel.Rules) {
			rules.Unregister("one")
			<-time.After(time.Second)
			rules.Join("two", 2044)
		}, "", 3, true}, // the port of another type; carrier lost, and back
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t)
				rules := fakekernel.UnderRules(k)
				var asked []time.Duration
				start := time.Now()
				good := fakekernel.Leases(t, "10.77.0.23/24", func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptIPAddressLeaseTime(time.Minute)) })
				k.Servers[tt.dev] = func(m *dhcpv4.DHCPv4) []byte {
					k.Lock()
					defer k.Unlock()
					asked = append(asked, time.Since(start))
					return good(m)
				}
				if tt.eth {
					eth := linktest.WithCarrier(link.Device{Index: 3, Name: "one", Type: link.HwEthernet, Addr: macA, MTU: 1500, Physical: true, Broadcast: "\xff\xff\xff\xff\xff\xff"})
					k.Appear(eth)
				}
				r := watched(t, tt.line, 4*time.Minute, k, func() {
					<-time.After(time.Second)
					if tt.eth {
						rules.Port(named(linktest.GuidePort(), "two"), 2044, false)
					} else {
						rules.Port(linktest.GuidePort(), 2044, false)
						rules.Join("ib0", 2044)
					}
					<-time.After(10 * time.Second)
					if tt.fail != "" {
						k.Lock()
						k.Fail[tt.fail] = errors.New("too many open files")
						k.Unlock()
					}
					tt.change(k, rules)
					<-time.After(20 * time.Second)
					k.Lock()
					d := k.Devices[tt.dev]
					w := k.Wires[tt.dev][lease.ChannelARP]
					k.Unlock()
					other := arp.Packet{
						HwType: d.Type, Op: arp.Request, Sender: d.Addr[:len(d.Addr)-1] + "\x99",
						SenderIP: addr("10.77.0.23"), TargetIP: addr("10.77.0.1"),
					}
					w.Answers <- other.Bytes()
				})
				d, _ := rules.Device(tt.dev)
				log := strings.Join(r.log, "\n")
				late := slices.DeleteFunc(slices.Clone(asked), func(at time.Duration) bool { return at < 15*time.Second })
				if r.err != nil || len(late) < 6 || !strings.Contains(log, "also uses 10.77.0.23") || len(r.log) != 1+tt.told {
					t.Errorf("%v, asked at %v\n%s\n%s", r.err, asked, log, strings.Join(r.commands, "\n"))
				}
				// It is defended as the device that has it now.
				if n := len(k.Announced); n < 2 || k.Announced[n-1] != d.Addr {
					t.Errorf("announced as %q, want %q", k.Announced, d.Addr)
				}
				if n := timesOf(r.commands, tt.dev+": DISCOVER"); n > 1 {
					t.Errorf("begun anew: %d times\n%s", n, strings.Join(r.commands, "\n"))
				}
			})
		})
	}
}
