package netsetup

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What chooses between networks calls a card by any name that it has, too.
func TestChoiceByAnyName(t *testing.T) {
	by := func(dev string) Needs { return Needs{Hosts: []Host{{Addr: addr("192.168.50.1"), Dev: dev}}} }
	for name, tt := range map[string]struct {
		line  string
		needs Needs
		up    bool   // eth1 is up already, and keeps its name
		want  string // the device that carries the root, or an error
		route string // the default route that goes first
	}{
		"bootdev=": {
			line: "ip=ens3:dhcp ip=enp0s4:dhcp bootdev=enp0s4", want: "enp0s4", route: "route replace default via 10.77.0.1 dev enp0s4",
		},
		"bootdev= of a card that keeps its name": {
			line: "ip=ens3:dhcp ip=enp0s4:dhcp bootdev=enp0s4", up: true, want: "eth1", route: "route replace default via 10.77.0.1 dev eth1",
		},
		"two words": {
			line: "ip=ens4:dhcp ip=enp0s4:single-dhcp ip=ens3:dhcp", up: true, want: "configures eth1 a second time",
		},
		"the device of a target":                                {needs: by("enp0s4"), want: "enp0s4"},
		"the device of a target, of a card that keeps its name": {needs: by("enp0s4"), up: true, want: "eth1"},
		"the kernel's name of the device of a target":           {needs: by("eth1"), want: "eth1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			other := inSlot(ethernet(3, "eth1", macB), "4")
			other.Up = tt.up
			k := newFakeKernel(t, inSlot(ethernet(2, "eth0", macA), "3"), other)
			for _, dev := range []string{"eth0", "ens3"} {
				k.servers[dev] = goodServer(t)
			}
			for _, dev := range []string{"eth1", "ens4", "enp0s4"} {
				k.servers[dev] = after(5*time.Second, leases(t, "10.77.0.24/24"))
			}
			r := tryFor(t, tt.line, tt.needs, time.Minute, k, nil)
			switch {
			case strings.Contains(tt.want, " "):
				if r.err == nil || !strings.Contains(r.err.Error(), tt.want) {
					t.Errorf("%s: %v, %v", name, r.state, r.err)
				}
			case r.err != nil || r.state.Device != tt.want || tt.route != "" && !slices.Contains(r.commands, tt.route):
				t.Errorf("%s: %v, %v, %q", name, r.state, r.err, r.commands)
			case r.state.Called("enp0s4") != tt.want && r.state.Called("eth1") != tt.want:
				t.Errorf("%s: enp0s4 is %s", name, r.state.Called("enp0s4"))
			}
		})
	}
}

// The further addresses of a static word are a way to a target as the first one is.
func TestNeedOfSeveralAddresses(t *testing.T) {
	c := parseLine(t, "ip=10.88.0.9:::24::eth0:none ip=192.168.50.9:::24::eth0:none ip=dhcp")
	c.Needs = wantsHosts("10.88.0.1", "192.168.50.1", "192.168.51.1")
	if got := c.need(1).Hosts; len(got) != 1 || got[0].Addr != addr("192.168.51.1") {
		t.Errorf("%v", got)
	}
}

// What no interface is called by stays as it is, and a name of one goes before
// another name of another.
func TestStateCalled(t *testing.T) {
	s := State{Device: "eth0", Names: []string{"ens3", "eth1"}, Others: []State{{Device: "eth1", Names: []string{"ens4"}}}}
	for name, want := range map[string]string{"eth0": "eth0", "ens3": "eth0", "eth1": "eth1", "ens4": "eth1", "ens5": "ens5", "": ""} {
		if got := s.Called(name); got != want {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// An address calls an interface in Called as it does in ip=: that of an InfiniBand port
// in any spelling, that of an Ethernet adapter whatever address it has now.
func TestStateCalledByAddress(t *testing.T) {
	set := parseLine(t, "").state(Interface{}, Device{Name: "eth0", Type: hwEthernet, Addr: macB, Perm: macA}, Lease{})
	port := guidePort()
	set.Others = []State{parseLine(t, "").state(Interface{}, port, Lease{})}
	for name, want := range map[string]string{
		"00-02-c9-03-00-00-10-39":    "ib0",
		"0x2c90300001039":            "ib0",
		"00-02-c9-00-10-39":          "ib0",
		"00:02:c9:00:10:39":          "ib0",
		"20-00-02-c9-03-00-00-10-39": "ib0",
		"fe80::2:c903:0:1039":        "ib0",
		"80-00-00-48-fe-80-00-00-00-00-00-00-00-02-c9-03-00-00-10-39": "ib0",
		"00-02-c9-00-10-3a":       "00-02-c9-00-10-3a",
		"00-02-c9-03-00-00-10-3a": "00-02-c9-03-00-00-10-3a",
		macA.String():             "eth0",
		macB.String():             macB.String(),
	} {
		if got := set.Called(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
