package bringup

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// What chooses between networks calls a card by any name that it has, too.
func TestChoiceByAnyName(t *testing.T) {
	by := func(dev string) netsetup.Needs {
		return netsetup.Needs{Hosts: []netsetup.Host{{Addr: addr("192.168.50.1"), Dev: dev}}}
	}
	for name, tt := range map[string]struct {
		line  string
		needs netsetup.Needs
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
			other := inSlot(linktest.Ethernet(3, "eth1", macB), "4")
			other.Up = tt.up
			k := fakekernel.New(t, inSlot(linktest.Ethernet(2, "eth0", macA), "3"), other)
			for _, dev := range []string{"eth0", "ens3"} {
				k.Servers[dev] = fakekernel.GoodServer(t)
			}
			for _, dev := range []string{"eth1", "ens4", "enp0s4"} {
				k.Servers[dev] = after(5*time.Second, fakekernel.Leases(t, "10.77.0.24/24"))
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
