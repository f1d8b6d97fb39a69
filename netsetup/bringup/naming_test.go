package bringup

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

const macC = link.HardwareAddr("\x52\x54\x00\x12\x34\x58")

// inSlot is a card as QEMU has it: in a slot on bus 0.
func inSlot(d link.Device, slot string) link.Device {
	d.Udev = link.UdevNames{Slot: "ens" + slot, Path: "enp0s" + slot, MAC: "enx" + strings.ReplaceAll(d.Addr.String(), ":", "")}
	return d
}

// Each case is a command line, the interfaces in the order in which they appear,
// the renames that are done, and what carries the root then.
func TestRunNames(t *testing.T) {
	card := func(index int, name string, mac link.HardwareAddr, slot string) link.Device {
		return inSlot(linktest.Ethernet(index, name, mac), slot)
	}
	eth0, eth1, eth2 := card(2, "eth0", macA, "3"), card(3, "eth1", macB, "4"), card(4, "eth2", macC, "5")
	with := func(d link.Device, f func(d *link.Device)) link.Device { f(&d); return d }
	for name, tt := range map[string]struct {
		line    string
		have    []link.Device
		renames []string
		device  string // with the address
	}{
		"of udev, without a word":            {"", []link.Device{eth0}, []string{"eth0 ens3"}, "ens3 " + macA.String()},
		"by slot":                            {"ip=ens4:dhcp", []link.Device{eth0, eth1}, []string{"eth0 ens3", "eth1 ens4"}, "ens4 " + macB.String()},
		"by path, as this root has it":       {"ip=enp0s4:dhcp", []link.Device{eth0, eth1}, []string{"eth0 ens3", "eth1 enp0s4"}, "enp0s4 " + macB.String()},
		"by address":                         {"ip=enx525400123456:dhcp", []link.Device{eth0, eth1}, []string{"eth0 enx525400123456", "eth1 ens4"}, "enx525400123456 " + macA.String()},
		"by address with dashes":             {"ip=52-54-00-12-34-57:dhcp", []link.Device{eth0, eth1}, []string{"eth0 ens3", "eth1 ens4"}, "ens4 " + macB.String()},
		"the kernel's name":                  {"ip=eth0:dhcp", []link.Device{eth0, eth1}, nil, "eth0 " + macA.String()},
		"one of the kernel's, one of udev's": {"ip=eth0:none ip=enp0s4:dhcp bootdev=enp0s4", []link.Device{eth0, eth1}, nil, "eth1 " + macB.String()},
		"net.ifnames=0":                      {"net.ifnames=0", []link.Device{eth0}, nil, "eth0 " + macA.String()},
		"net.ifnames=0, by path":             {"net.ifnames=0 ip=enp0s4:dhcp", []link.Device{eth0, eth1}, nil, "eth1 " + macB.String()},
		"nodisk.ifnames=kernel":              {"nodisk.ifnames=kernel", []link.Device{eth0}, nil, "eth0 " + macA.String()},
		"nodisk.ifnames=udev":                {"nodisk.ifnames=udev net.ifnames=0", []link.Device{eth0}, []string{"eth0 ens3"}, "ens3 " + macA.String()},
		"alternative name":                   {"ip=uplink:dhcp", []link.Device{eth0, with(eth1, func(d *link.Device) { d.Alt = "north/uplink" })}, nil, "eth1 " + macB.String()},
		"up already":                         {"ip=enp0s3:dhcp", []link.Device{with(eth0, func(d *link.Device) { d.Up = true })}, nil, "eth0 " + macA.String()},
		"named already":                      {"", []link.Device{with(eth0, func(d *link.Device) { d.Name, d.Udev.Kept = "wan", true })}, nil, "wan " + macA.String()},
		"a policy, by path":                  {"net.ifname_policy=keep,path", []link.Device{eth0}, []string{"eth0 enp0s3"}, "enp0s3 " + macA.String()},
		"a policy, by address":               {"net.ifname-policy=mac", []link.Device{eth0}, []string{"eth0 enx525400123456"}, "enx525400123456 " + macA.String()},
		"a policy, the kernel's":             {"net.ifname_policy=keep", []link.Device{eth0}, nil, "eth0 " + macA.String()},
		"a policy for another":               {"net.ifname_policy=mac,52:54:00:12:34:57", []link.Device{eth0}, []string{"eth0 ens3"}, "ens3 " + macA.String()},
		"a policy for it and one for all":    {"net.ifname_policy=path net.ifname_policy=mac,52:54:00:12:34:56", []link.Device{eth0}, []string{"eth0 enx525400123456"}, "enx525400123456 " + macA.String()},
		"a policy that is none":              {"net.ifname_policy=predictable", []link.Device{eth0}, []string{"eth0 ens3"}, "ens3 " + macA.String()},
		"a policy and net.ifnames=0":         {"net.ifnames=0 net.ifname_policy=path", []link.Device{eth0}, nil, "eth0 " + macA.String()},
		"a VLAN on it": {
			"vlan=enp0s3.5:enp0s3 ip=enp0s3.5:dhcp",
			[]link.Device{eth0, {Index: 9, Name: "enp0s3.5", Type: link.HwEthernet, Addr: macA, Parent: 2, Carrier: true}},
			[]string{"eth0 enp0s3"},
			"enp0s3.5 " + macA.String(),
		},
		"ifname= of the other":              {"ifname=eth0:52:54:00:12:34:57 ip=eth0:dhcp net.ifnames=0", []link.Device{eth0, eth1}, []string{"eth0 rename2", "eth1 eth0", "rename2 eth1"}, "eth0 " + macB.String()},
		"ifname= both":                      {"ifname=eth0:52:54:00:12:34:57 ifname=eth1:52:54:00:12:34:56 ip=eth0:dhcp", []link.Device{eth0, eth1}, nil, "eth0 " + macB.String()},
		"ifname= both, in the other order":  {"ifname=eth0:52:54:00:12:34:57 ifname=eth1:52:54:00:12:34:56 ip=eth0:dhcp", []link.Device{eth1, eth0}, nil, "eth0 " + macB.String()},
		"ifname= three round":               {"ifname=eth1:52:54:00:12:34:56 ifname=eth2:52:54:00:12:34:57 ifname=eth0:52:54:00:12:34:58 ip=eth2:dhcp", []link.Device{eth0, eth1, eth2}, nil, "eth2 " + macB.String()},
		"ifname= of one that is to come":    {"ifname=eth0:52:54:00:12:34:59 ip=dhcp", []link.Device{eth0}, []string{"eth0 ens3"}, "ens3 " + macA.String()},
		"ifname= and the others are udev's": {"ifname=eth0:52:54:00:12:34:57 ip=eth0:dhcp", []link.Device{eth0, eth1}, []string{"eth0 ens3", "eth1 eth0"}, "eth0 " + macB.String()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, tt.have...)
				k.Made = func() {}
				for _, d := range []string{"eth0", "eth1", "eth2", "ens3", "ens4", "enp0s3", "enp0s4", "enp0s3.5", "enx525400123456", "wan"} {
					k.Servers[d] = fakekernel.GoodServer(t)
				}
				r := try(t, tt.line, time.Minute, k, nil)
				if got := r.state.Device + " " + r.state.MAC.String(); r.err != nil || got != tt.device {
					t.Errorf("%s, %v; want %s", got, r.err, tt.device)
				}
				var renames []string
				for _, c := range r.commands {
					if dev, name, ok := strings.Cut(strings.TrimPrefix(c, "link set "), " name "); ok && strings.HasPrefix(c, "link set ") {
						renames = append(renames, dev+" "+name)
					}
				}
				if tt.renames != nil || !strings.Contains(tt.line, "ifname=") {
					if diff := cmp.Diff(tt.renames, renames); diff != "" {
						t.Errorf("renames (-want +got):\n%s", diff)
					}
				}
			})
		})
	}
}

// Where ifname= cannot be done, no other card takes its place.
func TestRunNameBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
		k.Servers["eth0"] = fakekernel.GoodServer(t)
		k.Busy = map[string]error{"eth0": errors.New("device or resource busy")}
		r := try(t, "ifname=eth0:52:54:00:12:34:57 ip=eth0:dhcp", 15*time.Second, k, nil)
		const want = "eth0: no such interface (present: eth0 52:54:00:12:34:56, eth1 52:54:00:12:34:57): check its name and that its driver is in the image; " +
			"eth0 has a name that ifname= gives to another: ip link set eth0 name eth2: device or resource busy; " +
			"eth1 cannot become eth0 (ifname=): ip link set eth0 name rename2: device or resource busy"
		if r.err == nil || !strings.Contains(r.err.Error(), want) {
			t.Errorf("%v, %v", r.state, r.err)
		}
		if slices.ContainsFunc(r.commands, func(c string) bool {
			return strings.Contains(c, "DISCOVER") || strings.HasSuffix(c, " up") && c != "link set lo up"
		}) {
			t.Errorf("a card of another name was used: %q", r.commands)
		}
	})
}

// What the kernel still tells under the old name is about the card of the new.
func TestRunNameOfBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := inSlot(linktest.Ethernet(2, "eth0", macA), "3")
		k := fakekernel.New(t, linktest.NoCarrier(d))
		k.Servers["ens3"] = fakekernel.GoodServer(t)
		d.MTU = 9000
		k.Events <- link.Event{Device: d} // before anything was done
		r := try(t, "", time.Minute, k, func() {
			<-time.After(time.Second)
			k.Change("ens3", func(d *link.Device) { d.Carrier = true })
		})
		if r.err != nil || r.state.Device != "ens3" || len(r.log) > 0 {
			t.Errorf("%v, %v, %q", r.state, r.err, r.log)
		}
	})
}
