package bringup

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// The chain is made event by event: a bridge over a VLAN over a bond, whose
// second port comes late.
func TestUpChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		k.Servers["br0"] = fakekernel.GoodServer(t)
		links := map[string]link.Device{
			"link add bond0 type bond mode active-backup miimon 100":                         {Index: 10, Name: "bond0", Type: link.HwEthernet, MTU: 1500},
			"link add link bond0 name vlan5 type vlan id 5":                                  {Index: 11, Name: "vlan5", Type: link.HwEthernet, Parent: 10, MTU: 1500},
			"link add br0 address 52:54:00:12:34:56 type bridge stp_state 0 forward_delay 0": {Index: 12, Name: "br0", Type: link.HwEthernet, Addr: macA, MTU: 1500},
		}
		k.Made = func() {
			k.Lock()
			d := links[k.Commands[len(k.Commands)-1]]
			k.Unlock()
			if _, ok := k.Devices[d.Name]; d.Name != "" && !ok {
				k.Appear(d)
			}
		}
		r := try(t, "bond=bond0:eth*:mode=1 vlan=vlan5:bond0 bridge=br0:vlan5 ip=br0:dhcp", time.Minute, k, func() {
			<-time.After(12 * time.Second)
			// The kernel's part: the bond takes the address of its port.
			k.Change("bond0", func(d *link.Device) { d.Addr, d.Carrier = macA, true })
			k.Change("vlan5", func(d *link.Device) { d.Addr, d.Carrier = macA, true })
			<-time.After(time.Second)
			k.Appear(linktest.Ethernet(3, "eth1", macB))
			k.Change("br0", func(d *link.Device) { d.Carrier = true })
		})
		if r.err != nil || r.state.Device != "br0" {
			t.Fatalf("%v, %s", r.err, r.state)
		}
		want := []string{
			"link set lo up", "link add bond0 type bond mode active-backup miimon 100", "link set eth0 master bond0",
			"link set bond0 up", "link add link bond0 name vlan5 type vlan id 5", "link set vlan5 up",
			"link add br0 address 52:54:00:12:34:56 type bridge stp_state 0 forward_delay 0", "link set vlan5 master br0", "link set br0 up",
			"link set eth1 master bond0", "br0: DISCOVER",
		}
		for _, w := range want {
			if !slices.Contains(r.commands, w) {
				t.Errorf("%q is not done", w)
			}
		}
		if i, j := slices.Index(r.commands, "link set vlan5 up"), slices.Index(r.commands, "link set vlan5 master br0"); i > j {
			t.Errorf("%q", r.commands)
		}
		log := "10s br0: is not made yet: vlan5: none of its ports has carrier: bond0: none of its ports has carrier: eth0 is ready"
		if !slices.Contains(r.log, log) {
			t.Errorf("%q is not in %q", log, r.log)
		}
	})
}

// An adapter that has the name of a bond is not taken for it: the word waits, and
// says why.
func TestUpLinkNameTaken(t *testing.T) {
	for line, step := range map[string]string{
		"bond=eth0:eth1:mode=1 ip=eth0:dhcp": "ip link add eth0 type bond mode active-backup miimon 100",
		"bridge=eth0:eth1 ip=eth0:dhcp":      "ip link add eth0 address 52:54:00:12:34:57 type bridge stp_state 0 forward_delay 0",
		"vlan=eth0:eth1:5 ip=eth0:dhcp":      "ip link add link eth1 name eth0 type vlan id 5",
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
			k.Servers["eth0"] = fakekernel.GoodServer(t)
			k.Made = func() {}
			k.Refuse = map[string]error{step: errors.New("eth0 exists already and is an adapter: choose another name for the link")}
			r := try(t, line, 14*time.Second, k, nil)
			last := ""
			if len(r.log) > 0 {
				last = r.log[len(r.log)-1]
			}
			if r.err == nil || slices.Contains(r.commands, "eth0: DISCOVER") || slices.Contains(r.commands, "link set eth0 up") ||
				!strings.Contains(last, "eth0: is not made yet: ") || !strings.Contains(last, "eth0 exists already and is an adapter: choose another name") {
				t.Errorf("%s: %v\n%q\n%q", line, r.err, r.commands, r.log)
			}
		})
	}
}

// A bond with min_links has no carrier with fewer ports.
func TestWaitingMinLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.NoCarrier(linktest.Ethernet(3, "eth1", macB)))
		k.Made = func() { k.Appear(link.Device{Index: 10, Name: "bond0", Type: link.HwEthernet, MTU: 1500}) }
		r := try(t, "bond=bond0:eth0,eth1:mode=4,min_links=2 ip=bond0:dhcp", 15*time.Second, k, nil)
		const want = "10s bond0: 1 port with carrier, and min_links is 2: eth0 is ready; eth1: its link has no carrier"
		if !slices.Contains(r.log, want) {
			t.Errorf("%q", r.log)
		}
	})
}

// A link that is gone with what it was made of is made again.
func TestUpParentReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.NoCarrier(linktest.Ethernet(2, "eth0", macA)))
		k.Servers["vlan5"] = fakekernel.GoodServer(t)
		rules := fakekernel.UnderRules(k)
		r := try(t, "vlan=vlan5:eth0", time.Minute, k, func() {
			<-time.After(5 * time.Second)
			rules.Unregister("eth0")
			<-time.After(time.Second)
			k.Appear(linktest.Ethernet(4, "eth0", macA))
		})
		if r.err != nil || r.state.Device != "vlan5" || r.took != 6*time.Second+lease.ProbeWait {
			t.Fatalf("%v, %s after %v, %q", r.err, r.state, r.took, r.commands)
		}
		if d, ok := rules.Device("vlan5"); !ok || d.Parent != 4 {
			t.Errorf("%+v, %q", d, r.commands)
		}
	})
}

// What waits: a name that no interface has, an address, a driver.
func TestUpPortsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t)
		k.Made = func() { k.Appear(link.Device{Index: 10, Name: "bond0", Type: link.HwEthernet, MTU: 1500}) }
		r := try(t, "bond=bond0:eth5,driver=mlx5*,52-54-00-12-34-57 ip=bond0:dhcp", 15*time.Second, k, nil)
		want := "10s bond0: none of its ports has carrier: eth5: no such interface (present: bond0): check its name and that its driver is in the image; " +
			"no interface matches driver=mlx5*: check its name and that its driver is in the image; no interface has the address 52:54:00:12:34:57 (present: bond0)"
		if r.err == nil || !slices.Contains(r.log, want) {
			t.Errorf("%v, %q", r.err, r.log)
		}
	})
}

// A bridge, and a VLAN on a bond, are what BOOTIF= means whichever port it names
// and whatever address they have.
func TestRunBootIFBelow(t *testing.T) {
	const name1 = "BOOTIF=01-52-54-00-12-34-57 "
	for line, want := range map[string]string{
		"ip=dhcp bridge=br0:eth0,eth1":                                          "br0",
		"ip=dhcp bond=bond0:eth0,eth1:mode=1":                                   "bond0",
		"ip=dhcp bond=bond0:eth0,eth1:mode=1 vlan=vlan5:bond0":                  "vlan5",
		"ip=dhcp bond=bond0:eth0,eth1:mode=1 vlan=vlan5:bond0 bridge=br0:vlan5": "br0",
		"ip=dhcp bridge=br0:eth0":                                               "eth1",
		"ip=dhcp vlan=vlan5:eth0 vlan=vlan6:eth1":                               "vlan6",
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
				index := 10
				k.Made = func() {
					words := strings.Fields(k.Commands[len(k.Commands)-1])
					d := link.Device{Index: index, Type: link.HwEthernet, Addr: macA, MTU: 1500, Carrier: true}
					switch words[2] {
					case "link":
						d.Name = words[5]
					default:
						d.Name = words[2]
					}
					if _, ok := k.Devices[d.Name]; !ok {
						index++
						k.Appear(d)
					}
				}
				for _, d := range []string{"br0", "bond0", "vlan5", "vlan6", "eth0", "eth1"} {
					k.Servers[d] = fakekernel.GoodServer(t)
				}
				// The port that the firmware used is the later one.
				r := try(t, name1+line, 15*time.Second, k, func() {
					<-time.After(time.Second)
					k.Appear(linktest.Ethernet(3, "eth1", macB))
				})
				if r.err != nil || r.state.Device != want {
					t.Errorf("%s: %v, %v; want %s", line, r.state, r.err, want)
				}
			})
		})
	}
}

// The port that appears first joins first, whatever the others do meanwhile: the
// bridge has its address.
func TestUpTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
		k.Opening["eth0"] = 2 * time.Second
		k.Servers["br0"] = fakekernel.GoodServer(t)
		once := false
		k.Made = func() {
			if !once {
				once = true
				k.Appear(link.Device{Index: 9, Name: "br0", Type: link.HwEthernet, Addr: macA, MTU: 1500, Carrier: true})
			}
		}
		r := try(t, "bridge=br0:eth*", time.Minute, k, nil)
		if i := slices.Index(r.commands, "link add br0 address 52:54:00:12:34:56 type bridge stp_state 0 forward_delay 0"); r.err != nil || i < 0 ||
			slices.Contains(r.commands[:i], "link set eth1 up") {
			t.Errorf("%v, %q", r.err, r.commands)
		}
	})
}
