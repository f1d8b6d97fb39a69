package bringup

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// Words that contradict what turns out to be there: a sentence says so.
func TestRunKinds(t *testing.T) {
	eth := linktest.WithCarrier(link.Device{Index: 3, Name: "eth0", Type: link.HwEthernet, Addr: macA, MTU: 1500, Physical: true, Broadcast: "\xff\xff\xff\xff\xff\xff"})
	for name, tt := range map[string]struct {
		line string
		have []link.Device
		want string
	}{
		"port of nobody": {
			"ip=dhcp nodisk.ib.port=mlx5_0",
			[]link.Device{eth, linktest.GuidePort()},
			"nodisk.ib.port=mlx5_0 selects none of the ports here (mlx4_0:1 ib0 00:02:c9:03:00:00:10:39)",
		},
		"GUID of nobody":   {"ip=dhcp nodisk.ib.port=00-02-c9-03-00-00-10-40", []link.Device{eth, linktest.GuidePort()}, "nodisk.ib.port=00-02-c9-03-00-00-10-40 selects none"},
		"no ports":         {"ip=dhcp nodisk.ib.port=mlx5_0:2", []link.Device{eth}, "nodisk.ib.port=mlx5_0:2 selects nothing: no InfiniBand interface is here"},
		"child":            {"ip=storage.8001:dhcp ib.pkey=storage.8001", []link.Device{{Index: 3, Name: "storage", Type: link.HwEthernet, Addr: macA, Physical: true}}, "ib.pkey=storage.8001: storage is no port of InfiniBand, and has no partitions"},
		"hardware address": {"ip=storage:dhcp::52:54:00:12:34:99", []link.Device{named(linktest.GuidePort(), "storage")}, "it is InfiniBand, which takes none"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, tt.have...)
				r := try(t, tt.line, 15*time.Second, k, nil)
				if r.err == nil || !strings.Contains(r.err.Error(), tt.want) {
					t.Errorf("%v", r.err)
				}
				told := func(s string) bool { return strings.Contains(s, tt.want) }
				if !slices.ContainsFunc(r.log, told) {
					t.Errorf("%q is not in the log:\n%s", tt.want, strings.Join(r.log, "\n"))
				}
			})
		})
	}
}

func named(d link.Device, name string) link.Device {
	d.Name = name
	return d
}

// What had no effect on a boot that went by Ethernet is told in the end.
func TestRunIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eth := linktest.WithCarrier(link.Device{Index: 3, Name: "eth0", Type: link.HwEthernet, Addr: macA, MTU: 1500, Physical: true})
		r := try(t, "ip=10.77.0.5::10.77.0.1:255.255.255.0::eth0:none nodisk.arp-probe=0 nodisk.ib.mode=connected nodisk.ib.port=2", time.Minute, fakekernel.New(t, eth), nil)
		for _, want := range []string{
			"0s nodisk.ib.port=2 selects nothing: no InfiniBand interface is here",
			"0s nodisk.ib.mode=connected: without effect, no InfiniBand interface is here yet",
		} {
			if r.err != nil || !slices.Contains(r.log, want) {
				t.Errorf("%v; %q is not in %q", r.err, want, r.log)
			}
		}
	})
}

// A port of another kind stays out of the bond, which works without it.
func TestRunBondKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t)
		rules := fakekernel.UnderRules(k)
		eth := linktest.WithCarrier(link.Device{Index: 3, Name: "one", Type: link.HwEthernet, Addr: macA, MTU: 1500, Physical: true, Broadcast: "\xff\xff\xff\xff\xff\xff"})
		line := "bond=bond0:one,two:mode=active-backup ip=10.77.0.5::10.77.0.1:255.255.255.0::bond0:none nodisk.arp-probe=0"
		r := watched(t, line, 5*time.Second, k, func() {
			k.Appear(eth)
			<-time.After(time.Second)
			rules.Port(named(linktest.GuidePort(), "two"), 2044, false)
		})
		want := []string{"1s bond0 is Ethernet by one; two is InfiniBand and cannot be in it"}
		if r.err != nil || !slices.Equal(r.log, want) {
			t.Errorf("%v\n%q\n got %q\nwant %q", r.err, r.commands, r.log, want)
		}
	})
}

// A port of another kind that the bond is to prefer, or one that never comes, is told
// once and not tried again: the bond works without it.
func TestRunBondPrefersForeign(t *testing.T) {
	for option, tt := range map[string]struct{ refused, want string }{
		"primary=two":      {"ip link set bond0 type bond primary two", "; bond0 goes on without primary two"},
		"active_slave=two": {"", "; bond0 goes on without active_slave two"},
		"primary=three":    {"", ""},
	} {
		t.Run(option, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t)
				rules := fakekernel.UnderRules(k)
				if tt.refused != "" {
					k.Refuse = map[string]error{tt.refused: fakekernel.ErrInvalid}
				}
				eth := linktest.WithCarrier(link.Device{Index: 3, Name: "one", Type: link.HwEthernet, Addr: macA, MTU: 1500, Physical: true, Broadcast: "\xff\xff\xff\xff\xff\xff"})
				line := "bond=bond0:one,two,three:mode=active-backup," + option + " ip=10.77.0.5::10.77.0.1:255.255.255.0::bond0:none nodisk.arp-probe=0"
				r := watched(t, line, 5*time.Minute, k, func() {
					k.Appear(eth)
					<-time.After(time.Second)
					rules.Port(linktest.WithCarrier(named(linktest.GuidePort(), "two")), 2044, false)
					for range 5 {
						<-time.After(30 * time.Second)
						k.Change("two", func(d *link.Device) { d.Carrier = !d.Carrier })
					}
				})
				log := strings.Join(r.log, "\n")
				tries := 0
				for _, c := range r.commands {
					if strings.HasPrefix(c, "link set bond0 type bond ") {
						tries++
					}
				}
				said := strings.Count(log, "cannot be in it"+tt.want)
				if option == "primary=three" {
					said = strings.Count(log, "0s bond0 goes on without primary three: no such interface is here yet")
				}
				if r.err != nil || said != 1 || tries > 1 || strings.Contains(log, "trying again") {
					t.Errorf("%v, tried %d times\n%s\n%s", r.err, tries, strings.Join(r.commands, "\n"), log)
				}
			})
		})
	}
}
