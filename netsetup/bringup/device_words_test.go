package bringup

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// Each case is a command line on a node with two cards, in slots 3 and 4, of the
// drivers e1000e and virtio_net, and what comes of it: the interface that carries the
// root, commands that were done, or the error.
func TestRunDeviceWords(t *testing.T) {
	const boot = " BOOTIF=01-52-54-00-12-34-57"
	type want struct {
		device string
		done   []string
		err    string
	}
	for line, want := range map[string]want{
		// Descriptions: the first that serves, as with ip=dhcp. ens3 has no server.
		"ip=en*:dhcp":                                {device: "ens4"},
		"ip=driver=virtio*:dhcp":                     {device: "ens4"},
		"ip=driver=e1000?:dhcp ip=ens4:auto6":        {err: "ens3: no DHCP answer"},
		"ip=enp*:dhcp":                               {err: "no interface matches enp* (present: ens3 (enp0s3"},
		"ip=en*:dhcp ip=ens4:auto6":                  {device: "ens4"}, // no router; IPv4 serves
		"ip=en*:dhcp ip=ens4:none":                   {err: "ens3: no DHCP answer"},
		"ip=en*:dhcp rd.neednet=1":                   {device: "ens4", done: []string{"link set ens3 up"}},
		"ip=en*:dhcp BOOTIF=01-52-54-00-12-34-56":    {device: "ens4"},
		"ip=10.77.0.9::10.77.0.1:24::driver=v*:none": {device: "ens4", done: []string{"addr add 10.77.0.9/24 brd + dev ens4"}},
		"ip=dhcp bootdev=driver=v*":                  {device: "ens4"},
		"ip=dhcp bootdev=en?4":                       {device: "ens4"},
		"ip=dhcp bootdev=52-54-00-12-34-57":          {device: "ens4"},
		"ip=52-54-00-12-34-57:dhcp bootdev=ens4":     {device: "ens4"},
		"ip=ens4:dhcp bootdev=52-54-00-12-34-57":     {device: "ens4"},
		"ip=10.9.0.9:::24::ens3:none ip=en*:dhcp bootdev=en*": {
			device: "ens4", done: []string{"route replace default via 10.77.0.1 dev ens4"},
		},
		"ip=en*:dhcp rd.route=10.9.0.0/16:10.77.0.7:en*":                {device: "ens4", done: []string{"route replace 10.9.0.0/16 via 10.77.0.7 dev ens4"}},
		"ip=ens4:dhcp rd.route=10.9.0.0/16:10.77.0.7:52-54-00-12-34-57": {device: "ens4", done: []string{"route replace 10.9.0.0/16 via 10.77.0.7 dev ens4"}},
		"vlan=vlan5:driver=v* ip=vlan5:dhcp":                            {err: "vlan5", done: []string{"link add link ens4 name vlan5 type vlan id 5"}},
		"vlan=vlan5:en* ip=vlan5:dhcp":                                  {err: "vlan5", done: []string{"link add link ens3 name vlan5 type vlan id 5"}},
		"bridge=br0:driver=v* ip=br0:dhcp":                              {err: "br0", done: []string{"link set ens4 master br0"}},

		// Two names of one card, and what looks so.
		"ip=enp0s4:dhcp bootdev=ens4":                                         {device: "ens4"},
		"ip=ens4:dhcp bootdev=enp0s3":                                         {err: "bootdev=enp0s3: is the device of no ip="},
		"ip=enp0s4:dhcp bootdev=ens9":                                         {err: "bootdev=ens9: is the device of no ip="},
		"ip=52-54-00-12-34-57:dhcp bootdev=ens3":                              {err: "bootdev=ens3: is the device of no ip="},
		"ip=enp0s4:dhcp rd.route=10.9.0.0/16:10.77.0.7:ens4":                  {device: "ens4", done: []string{"route replace 10.9.0.0/16 via 10.77.0.7 dev ens4"}},
		"ip=enp0s4:dhcp rd.route=10.9.0.0/16:10.77.0.7:ens3":                  {err: "rd.route=10.9.0.0/16: ens3 is the device of no ip="},
		"ip=enp0s4:dhcp ip=52-54-00-12-34-57:dhcp:1400":                       {err: "configures enp0s4 a second time, as ip=enp0s4:dhcp does"},
		"ip=enp0s4:dhcp ip=52-54-00-12-34-57:dhcp":                            {device: "enp0s4"},
		"bond=bond0:ens3,ens4:mode=1 ip=enp0s4:dhcp ip=bond0:dhcp":            {err: "ip=ens4:dhcp: ens4 is a port of bond0 and takes no address"},
		"bond=bond0:ens3,ens4:mode=1 ip=52-54-00-12-34-57:dhcp ip=bond0:dhcp": {err: "52-54-00-12-34-57 is a port of bond0 and takes no address"},
		"bond=bond0:ens3:mode=1 bond=bond1:enp0s3:mode=1 ip=bond0:dhcp":       {err: "cannot be a port of it: it is one of bond0 and bond1"},
		"bond=bond0:ens3:mode=1 bridge=br0:52-54-00-12-34-56 ip=bond0:dhcp":   {err: "52-54-00-12-34-56 cannot be a port of it: it is one of bond0 and br0"},
		"bond=bond0:ens3,ens4:mode=1 vlan=vlan5:enp0s3 ip=bond0:dhcp":         {err: "vlan=vlan5: ens3 is a port of bond0 and has no VLANs of its own"},
		"vlan=vlan5:ens3 vlan=v:enp0s3:5 ip=vlan5:dhcp":                       {err: "has the same parent and id as"},
		"bond=bond0:ens3,enp0s4:mode=1,primary=ens4 ip=bond0:dhcp":            {err: "bond0", done: []string{"link set bond0 type bond primary ens4"}},
		"bond=bond0:ens3,enp0s4:mode=1,primary=ens9 ip=bond0:dhcp":            {err: "primary=ens9 is not one of the ports"},

		// BOOTIF is one of them.
		"ip=BOOTIF:dhcp bootdev=enp0s4" + boot:                           {device: "enp0s4"},
		"ip=BOOTIF:dhcp bootdev=ens3" + boot:                             {err: "bootdev=ens3: is the device of no ip="},
		"ip=BOOTIF:dhcp ip=ens4:dhcp:1400" + boot:                        {err: "configures ens4 a second time"},
		"ip=BOOTIF:dhcp ip=ens4:dhcp" + boot:                             {device: "ens4"},
		"ip=BOOTIF:dhcp ip=10.9.0.9:::24::ens3:none bootdev=ens3" + boot: {device: "ens3", done: []string{"addr add 10.9.0.9/24 brd + dev ens3"}},
		"bond=bond0:BOOTIF,ens4:mode=1 ip=bond0:dhcp" + boot:             {err: "cannot be a port of it: it is one of bond0"},
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				one, two := inSlot(linktest.Ethernet(2, "eth0", macA), "3"), inSlot(linktest.Ethernet(3, "eth1", macB), "4")
				one.Driver = "e1000e"
				k := fakekernel.New(t, one, two)
				k.Made = func() {}
				k.Servers["ens4"], k.Servers["enp0s4"] = fakekernel.GoodServer(t), fakekernel.GoodServer(t)
				r := try(t, line, 20*time.Second, k, nil)
				switch {
				case want.err != "" && (r.err == nil || !strings.Contains(r.err.Error(), want.err)):
					t.Errorf("%v, %v; want %s", r.state, r.err, want.err)
				case want.err == "" && (r.err != nil || r.state.Device != want.device):
					t.Errorf("%v, %v; want %s", r.state, r.err, want.device)
				case strings.Contains(want.err, "no ip=") && r.took > time.Second:
					t.Errorf("told after %v", r.took)
				}
				for _, c := range want.done {
					if !slices.ContainsFunc(r.commands, func(done string) bool { return strings.HasPrefix(done, c) }) {
						t.Errorf("%q is not among %q", c, r.commands)
					}
				}
			})
		})
	}
}

// The kernel's name of a card stays known, and so does the one it would have had:
// eth0 is free when the first has become ens3, and the kernel gives it to the next.
func TestRunFormerName(t *testing.T) {
	for name, tt := range map[string]struct {
		line  string
		later string // the kernel's name of the second card, which comes later
		want  map[string]string
		route string
	}{
		"of udev":                 {"ip=ens3:dhcp ip=ens4:dhcp", "eth0", map[string]string{"eth0": "ens3", "eth1": "ens4", "enp0s4": "ens4"}, ""},
		"both at once":            {"ip=ens3:dhcp ip=ens4:dhcp", "eth1", map[string]string{"eth0": "ens3", "eth1": "ens4"}, ""},
		"ifname=":                 {"ifname=lan0:52:54:00:12:34:56 ip=lan0:dhcp ip=ens4:dhcp", "eth0", map[string]string{"eth0": "lan0", "eth1": "ens4"}, ""},
		"ifname= and a route":     {"ifname=lan0:52:54:00:12:34:56 ip=lan0:dhcp ip=ens4:dhcp rd.route=10.9.0.0/16:10.77.0.7:eth0", "eth1", map[string]string{"eth0": "lan0"}, "route replace 10.9.0.0/16 via 10.77.0.7 dev lan0"},
		"ifname= of another card": {"ifname=eth0:52:54:00:12:34:57 ip=eth0:dhcp ip=ens3:dhcp", "eth1", map[string]string{"eth0": "eth0", "ens3": "ens3"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, inSlot(linktest.Ethernet(2, "eth0", macA), "3"))
				for _, dev := range []string{"ens3", "lan0"} {
					k.Servers[dev] = fakekernel.GoodServer(t)
				}
				for _, dev := range []string{"ens4", "eth0", "eth1"} {
					k.Servers[dev] = fakekernel.Leases(t, "10.77.0.24/24")
				}
				r := try(t, tt.line, time.Minute, k, func() {
					if tt.later == "eth0" {
						<-time.After(time.Second)
					}
					k.Appear(inSlot(linktest.Ethernet(3, tt.later, macB), "4"))
				})
				if r.err != nil {
					t.Fatal(r.err)
				}
				for name, dev := range tt.want {
					if got := r.state.Called(name); got != dev {
						t.Errorf("%s is %s, not %s: %+v", name, got, dev, r.state)
					}
				}
				if tt.route != "" && !slices.Contains(r.commands, tt.route) {
					t.Errorf("%q is not among %q", tt.route, r.commands)
				}
			})
		})
	}
}
