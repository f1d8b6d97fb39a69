package bringup

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// What looks like two devices is one, and a link would be made of itself.
func TestRunOwnName(t *testing.T) {
	for _, line := range []string{
		"net.ifnames=0 vlan=eth0:enp0s3:5 ip=eth0:dhcp",
		"net.ifnames=0 vlan=eth0:enp0s3:5 ip=eth0:dhcp6 ip=eth0:dhcp",
		"net.ifnames=0 vlan=eth0:vlan7:5 vlan=vlan7:enp0s3 ip=eth0:dhcp,auto6",
		"net.ifnames=0 bridge=eth0:enp0s3 ip=eth0:dhcp",
		"net.ifnames=0 bond=eth0:enp0s3 ip=eth0:dhcp",
		"net.ifnames=0 bridge=eth0:vlan7 vlan=vlan7:enp0s3 ip=eth0:dhcp",
	} {
		synctest.Test(t, func(t *testing.T) {
			one, two := inSlot(linktest.Ethernet(2, "eth0", macA), "3"), inSlot(linktest.Ethernet(3, "eth1", macB), "4")
			k := fakekernel.New(t, one, two)
			r := try(t, line, time.Minute, k, nil)
			if r.err == nil || !strings.Contains(r.err.Error(), "eth0: is made of itself; leave one of the links out") || strings.Contains(r.err.Error(), "is a port of eth0 and") || r.took > 0 {
				t.Errorf("%s: %v, %v", line, r.state, r.err)
			}
			for _, c := range r.commands {
				if c != "link set lo up" && !strings.HasPrefix(c, "link add eth0 type bond") && !strings.HasPrefix(c, "link set eth0 type bond") {
					t.Errorf("%s: %q is done", line, c)
				}
			}
			if _, err := parseLine(t, line).Steps([]link.Device{one, two}); err == nil || !strings.Contains(err.Error(), "is made of itself") {
				t.Errorf("%s: %v", line, err)
			}
		})
	}
}

// What the kernel called a card, the next attempt knows as well, be it of another process.
func TestRunGivenAgain(t *testing.T) {
	for line, want := range map[string]string{
		"ifname=lan0:52:54:00:12:34:56 ip=lan0:dhcp bootdev=eth0":                        "route replace default via 10.77.0.1 dev lan0",
		"ifname=lan0:52:54:00:12:34:56 ip=lan0:dhcp rd.route=10.9.0.0/16:10.77.0.9:eth0": "route replace 10.9.0.0/16 via 10.77.0.9 dev lan0",
		"": "route replace default via 10.77.0.1 dev ens3",
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t, inSlot(linktest.Ethernet(2, "eth0", macA), "3"))
			k.Servers["eth0"] = fakekernel.GoodServer(t)
			text := ""
			for i := range 3 {
				traces, err := netsetup.ParseTraces(text)
				if err != nil {
					t.Fatal(err)
				}
				r := newRunner(parseLine(t, line), node{k}, nil)
				r.before = traces
				s, err := r.up(t.Context())
				r.close()
				synctest.Wait()
				if err != nil || s.Called("eth0") != s.Device || s.Device == "eth0" || !slices.Contains(k.Commands, want) {
					t.Errorf("%q, attempt %d: %v, %v; eth0 is %s; %q", line, i+1, s, err, s.Called("eth0"), k.Commands)
				}
				text, k.Commands = r.traces().String(), nil
				for len(k.Events) > 0 {
					<-k.Events
				}
				for _, d := range k.Devices {
					k.Events <- link.Event{Device: d}
				}
			}
		})
	}
}

// The kernel gives a name again that nodisk has taken away: whenever a card comes, it is
// called what it would be if all had come at once.
func TestRunGivenNames(t *testing.T) {
	const lan = "ifname=lan0:52:54:00:12:34:56 ip=lan0:dhcp "
	for name, tt := range map[string]struct {
		line  string
		at    map[time.Duration][]link.Device // when they appear
		busy  []string
		named map[link.HardwareAddr]string
		fails string
	}{
		"at once": {
			lan + "ip=10.99.0.5:::24::eth1:none",
			map[time.Duration][]link.Device{0: {linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB), linktest.Ethernet(4, "eth2", macC)}},
			nil,
			map[link.HardwareAddr]string{macA: "lan0", macB: "eth1", macC: "eth2"},
			"",
		},
		"one after another": {
			lan + "ip=10.99.0.5:::24::eth1:none ip=10.98.0.5:::24::eth2:none",
			map[time.Duration][]link.Device{0: {linktest.Ethernet(2, "eth0", macA)}, 1: {linktest.Ethernet(3, "eth0", macB)}, 2: {linktest.Ethernet(4, "eth0", macC)}},
			nil,
			map[link.HardwareAddr]string{macA: "lan0", macB: "eth1", macC: "eth2"},
			"",
		},
		"two at once behind the first": {
			lan + "ip=10.99.0.5:::24::eth1:none",
			map[time.Duration][]link.Device{0: {linktest.Ethernet(2, "eth0", macA)}, 1: {linktest.Ethernet(3, "eth0", macB), linktest.Ethernet(4, "eth1", macC)}},
			nil,
			map[link.HardwareAddr]string{macA: "lan0", macB: "eth1", macC: "eth2"},
			"",
		},
		"udev's names, and cards without": {
			"ip=ens3:dhcp",
			map[time.Duration][]link.Device{0: {inSlot(linktest.Ethernet(2, "eth0", macA), "3")}, 1: {linktest.Ethernet(3, "eth0", macB)}},
			nil,
			map[link.HardwareAddr]string{macA: "ens3"},
			"",
		},
		"the name is that of a link": {
			lan + "vlan=eth1:lan0:5",
			map[time.Duration][]link.Device{0: {linktest.Ethernet(2, "eth0", macA)}, 1: {linktest.Ethernet(3, "eth0", macB)}},
			nil,
			map[link.HardwareAddr]string{macA: "lan0"},
			"",
		},
		"the name is taken by a program's": {
			lan + "ip=10.99.0.5:::24::eth0:none",
			map[time.Duration][]link.Device{0: {linktest.Ethernet(2, "eth0", macA), {Index: 9, Name: "eth1", Type: link.HwEthernet, Addr: macC}}, 1: {linktest.Ethernet(3, "eth0", macB)}},
			nil,
			map[link.HardwareAddr]string{macA: "lan0", macB: "eth2"},
			"eth0: no such interface",
		},
		"the name is another of its own": {
			lan + "ip=10.99.0.5:::24::eth0:none",
			map[time.Duration][]link.Device{0: {linktest.Ethernet(2, "eth0", macA)}, 1: {func() link.Device { d := linktest.Ethernet(3, "eth0", macB); d.Alt = "eth1"; return d }()}},
			nil,
			map[link.HardwareAddr]string{macA: "lan0", macB: "eth0"},
			"",
		},
		"it cannot be renamed": {
			lan + "ip=10.99.0.5:::24::eth0:none",
			map[time.Duration][]link.Device{0: {linktest.Ethernet(2, "eth0", macA)}, 1: {linktest.Ethernet(3, "eth0", macB)}},
			[]string{"eth0 eth1"},
			map[link.HardwareAddr]string{macA: "lan0", macB: "eth0"},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, tt.at[0]...)
				k.Servers["eth0"] = fakekernel.GoodServer(t)
				k.Refuse = map[string]error{}
				for _, b := range tt.busy {
					k.Refuse["ip link set "+strings.Replace(b, " ", " name ", 1)] = errors.New("device or resource busy")
				}
				done := make(chan struct{})
				r := try(t, tt.line, 20*time.Second, k, func() {
					defer close(done)
					for i := time.Duration(1); i < 3; i++ {
						<-time.After(time.Second)
						k.Appear(tt.at[i]...)
					}
				})
				<-done
				if tt.fails != "" && (r.err == nil || !strings.Contains(r.err.Error(), tt.fails)) && !slices.ContainsFunc(r.log, func(l string) bool { return strings.Contains(l, tt.fails) }) {
					t.Errorf("%v, %v, %q", r.state, r.err, r.log)
				}
				k.Lock()
				defer k.Unlock()
				for mac, want := range tt.named {
					if k.Devices[want].Addr != mac {
						t.Errorf("%s is %v: %q", want, k.Devices[want].Addr, r.commands)
					}
				}
				if strings.Contains(tt.line, "10.99.0.5") && tt.fails == "" {
					if len(r.state.Others) == 0 || r.state.Others[0].MAC != macB {
						t.Errorf("%v, %v, %+v: %q, %q", r.state, r.err, r.state.Others, r.commands, r.log)
					}
				}
			})
		})
	}
}

// A word means a card, not the one that has its name later.
func TestRunReplug(t *testing.T) {
	for _, line := range []string{
		"net.ifnames=0 ip=enp0s3:dhcp",
		"net.ifnames=0 ip=52-54-00-12-34-56:dhcp",
		"net.ifnames=0 ip=ens3:dhcp bootdev=enp0s3 rd.route=10.9.0.0/16:10.77.0.9:52-54-00-12-34-56",
		"net.ifnames=0 bridge=br0:enp0s3 ip=br0:dhcp",
		"net.ifnames=0 vlan=vlan5:enp0s3 ip=ens3:dhcp",
	} {
		synctest.Test(t, func(t *testing.T) {
			first := linktest.NoCarrier(inSlot(linktest.Ethernet(2, "eth0", macA), "3"))
			k := fakekernel.New(t, first)
			k.Servers["eth0"], k.Servers["eth1"] = fakekernel.GoodServer(t), fakekernel.GoodServer(t)
			gone := 0
			r := try(t, line, 20*time.Second, k, func() {
				<-time.After(time.Second)
				k.Lock()
				gone = len(k.Commands)
				delete(k.Devices, "eth0")
				k.Events <- link.Event{Device: first, Gone: true}
				k.Unlock()
				k.Appear(inSlot(linktest.Ethernet(3, "eth0", macB), "4"))
				<-time.After(time.Second)
				k.Appear(inSlot(linktest.Ethernet(4, "eth1", macA), "3"))
			})
			got := slices.DeleteFunc(slices.Clone(r.commands[gone:]), func(c string) bool { return !strings.Contains(c, "eth0") })
			if len(got) > 0 {
				t.Errorf("%s: %q", line, got)
			}
			again := slices.ContainsFunc(r.commands[gone:], func(c string) bool { return strings.Contains(c, "eth1") })
			if !again || !strings.Contains(line, "br0") && (r.err != nil || r.state.Device != "eth1") {
				t.Errorf("%s: %v, %v, %q", line, r.state, r.err, r.commands)
			}
		})
	}
}

// Two words that turn out to say the same of one card are one.
func TestRunTwoNames(t *testing.T) {
	for line, want := range map[string]struct {
		state    string
		commands []string
	}{
		"ip=ens3:dhcp ip=enp0s3:dhcp": {
			"ens3 10.77.0.23/24 by DHCP from 10.77.0.1", []string{"route replace default via 10.77.0.1 dev ens3"},
		},
		"ip=enp0s3:dhcp ip=52-54-00-12-34-56:dhcp bootdev=ens3": {
			"ens3 10.77.0.23/24 by DHCP from 10.77.0.1", []string{"route replace default via 10.77.0.1 dev ens3"},
		},
		"ip=ens3:dhcp ip=enp0s3:dhcp ip=ens4:dhcp ip=enp0s4:dhcp": {
			"ens3 10.77.0.23/24 by DHCP from 10.77.0.1, ens4 10.77.0.24/24 by DHCP from 10.77.0.1",
			[]string{"route replace default via 10.77.0.1 dev ens3", "route replace default via 10.77.0.1 dev ens4 metric 101"},
		},
		"ip=ens3:dhcp ip=enp0s3:dhcp ip=ens4:dhcp bootdev=enp0s4": {
			"ens4 10.77.0.24/24 by DHCP from 10.77.0.1, ens3 10.77.0.23/24 by DHCP from 10.77.0.1",
			[]string{"route replace default via 10.77.0.1 dev ens4", "route replace default via 10.77.0.1 dev ens3 metric 101"},
		},
		"ip=10.77.0.5::10.77.0.1:24::ens3:none ip=10.77.1.5:::24::enp0s3:none ip=10.77.2.5:::24::52-54-00-12-34-56:none": {
			"ens3 10.77.0.5/24 10.77.1.5/24 10.77.2.5/24 static",
			[]string{"addr add 10.77.2.5/24 brd + dev ens3", "route replace default via 10.77.0.1 dev ens3"},
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t, inSlot(linktest.Ethernet(2, "eth0", macA), "3"), inSlot(linktest.Ethernet(3, "eth1", macB), "4"))
			k.Servers["eth0"], k.Servers["eth1"] = fakekernel.GoodServer(t), fakekernel.Leases(t, "10.77.0.24/24")
			r := try(t, line, 20*time.Second, k, nil)
			if r.err != nil || r.state.String() != want.state || r.took > time.Second {
				t.Errorf("%s: %v, %v after %v; %q", line, r.state, r.err, r.took, r.log)
			}
			for _, c := range want.commands {
				if !slices.Contains(r.commands, c) {
					t.Errorf("%s: %q is not among %q", line, c, r.commands)
				}
			}
			asked := slices.DeleteFunc(slices.Clone(r.commands), func(c string) bool { return !strings.Contains(c, "DISCOVER") })
			slices.Sort(asked)
			if len(slices.Compact(slices.Clone(asked))) != len(asked) {
				t.Errorf("%s: %q", line, asked)
			}
		})
	}
}

// A VLAN on the first card that is so is made on the next when that one goes.
func TestRunReplugDescribed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := inSlot(linktest.Ethernet(2, "eth0", macA), "3")
		k := fakekernel.New(t, first, inSlot(linktest.Ethernet(3, "eth1", macB), "4"))
		r := try(t, "net.ifnames=0 vlan=vlan5:driver=virtio* ip=vlan5:dhcp", 10*time.Second, k, func() {
			<-time.After(time.Second)
			k.Events <- link.Event{Device: first, Gone: true}
		})
		for _, c := range []string{"link add link eth0 name vlan5 type vlan id 5", "link add link eth1 name vlan5 type vlan id 5"} {
			if !slices.Contains(r.commands, c) {
				t.Errorf("%q is not among %q", c, r.commands)
			}
		}
	})
}

// A card that comes behind the boot, and by which the words contradict each other, is left
// alone; what is up is looked after all the same.
func TestKeepContradiction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, inSlot(linktest.Ethernet(2, "eth0", macA), "3"))
		k.Servers["eth0"] = fakekernel.GoodServer(t)
		k.Made = func() {}
		lines := &logLines{start: time.Now()}
		r := newRunner(parseLine(t, "net.ifnames=0 ip=eth0:dhcp bond=bond0:eth1,ens4:mode=1"), node{k}, slog.New(lines))
		if _, err := r.up(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() {
			<-time.After(time.Second)
			k.Appear(inSlot(linktest.Ethernet(3, "eth1", macB), "4"))
			<-time.After(time.Second)
			k.Change("eth0", func(d *link.Device) { d.Carrier = false })
		}()
		if err := r.keep(ctx); err != nil {
			t.Error(err)
		}
		r.close()
		text := strings.Join(lines.lines, "\n")
		for _, want := range []string{"a new interface is left alone: bond=bond0: eth1 cannot be a port of it", "eth0: carrier lost"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in %s", want, text)
			}
		}
		if slices.ContainsFunc(k.Commands, func(c string) bool { return strings.HasPrefix(c, "link set eth1") }) {
			t.Errorf("%q", k.Commands)
		}
	})
}
