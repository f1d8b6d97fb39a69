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
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// What a device cannot have is told once, and tried again when another device has its
// name: not because time passes, nor when its carrier comes and goes.
func TestRunContradictionOnce(t *testing.T) {
	card := link.Device{Index: 3, Name: "storage", Type: link.HwEthernet, Addr: macA, MTU: 1500, Physical: true, Broadcast: "\xff\xff\xff\xff\xff\xff"}
	port := named(linktest.GuidePort(), "storage")
	for line, tt := range map[string]struct {
		is, becomes link.Device
		told, after string
	}{
		"ip=storage.8001:dhcp ib.pkey=storage.8001": {
			card, port,
			"set up storage: ib.pkey=storage.8001: storage is no port of InfiniBand, and has no partitions: leave it out",
			"link add link storage name storage.8001 type ipoib pkey 0x8001",
		},
		"ip=storage:dhcp::52:54:00:12:34:99": {
			port, card,
			"set up storage: ip=storage:dhcp::52:54:00:12:34:99 gives it another hardware address, and it is InfiniBand, which takes none: leave it out",
			"link set storage address 52:54:00:12:34:99",
		},
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t)
				rules := fakekernel.UnderRules(k)
				show := func(d link.Device, index int) {
					d.Index = index
					if d.Type == link.HwInfiniBand {
						rules.Port(d, 2044, false)
					} else {
						k.Appear(d)
					}
				}
				show(tt.is, 3)
				before := 0
				r := try(t, line, 5*time.Minute, k, func() {
					for range 5 {
						<-time.After(30 * time.Second)
						k.Change("storage", func(d *link.Device) { d.Carrier = !d.Carrier })
					}
					<-time.After(30 * time.Second)
					k.Lock()
					before = len(k.Commands)
					k.Unlock()
					rules.Unregister("storage")
					<-time.After(time.Second)
					show(tt.becomes, 77) // its port has changed its type
				})
				told := slices.DeleteFunc(slices.Clone(r.log), func(s string) bool { return !strings.Contains(s, " set up storage: ") })
				if len(told) != 1 || !strings.HasSuffix(told[0], tt.told) || before > 2 || !slices.Contains(r.commands[before:], tt.after) {
					t.Errorf("%d commands before: %s\n%s", before, strings.Join(r.commands, "\n"), strings.Join(r.log, "\n"))
				}
				// Nobody is to wait for another try.
				if strings.Contains(strings.Join(r.log, "\n"), "tried") {
					t.Error(strings.Join(r.log, "\n"))
				}
			})
		})
	}
}

// The one device that takes another type and stays is a bond without ports: what
// contradicted it as InfiniBand is tried when it is Ethernet.
func TestRunContradictionOfBond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t)
		rules := fakekernel.UnderRules(k)
		k.Servers["bond0"] = fakekernel.GoodServer(t)
		rules.Port(named(linktest.GuidePort(), "two"), 2044, false)
		r := try(t, "bond=bond0:one,two:mode=active-backup ip=bond0:dhcp::52:54:00:12:34:99", time.Minute, k, func() {
			<-time.After(time.Second)
			rules.Join("two", 2044)
			k.Appear(linktest.WithCarrier(link.Device{Index: 3, Name: "one", Type: link.HwEthernet, Addr: macA, MTU: 1500, Physical: true, Broadcast: "\xff\xff\xff\xff\xff\xff"}))
			<-time.After(20 * time.Second)
			k.Change("two", func(d *link.Device) { d.Master, d.Up = 0, false }) // ip link set two nomaster
		})
		const told = "bond0 is InfiniBand by two; one is Ethernet and cannot be in it"
		if log := strings.Join(r.log, "\n"); r.err != nil || strings.Count(log, "which takes none: leave it out") < 1 || strings.Contains(log, "tried") ||
			!strings.Contains(log, told) || !slices.Contains(r.commands, "link set bond0 address 52:54:00:12:34:99") {
			t.Errorf("%v, %v\n%s\n%s", r.err, r.state, log, strings.Join(r.commands, "\n"))
		}
	})
}

// A link that cannot be made takes neither the address of what it is made of away, nor
// the other links.
func TestRunLinkRefused(t *testing.T) {
	const impossible = "set up storage: ib.pkey=storage.8001: storage is no port of InfiniBand, and has no partitions: leave it out"
	const vlan5 = "link add link eth0 name vlan5 type vlan id 5"
	const refused = "ip " + vlan5 + ": file exists; trying again"
	for line, tt := range map[string]struct {
		refuse string
		want   []string // devices with an address
		told   string
		tries  int // at the link, at least
	}{
		"ip=storage:dhcp ib.pkey=storage.8001":                                  {"", []string{"storage"}, impossible, 0},
		"ip=storage:dhcp ib.pkey=storage.8001 vlan=vlan5:storage ip=vlan5:dhcp": {"", []string{"storage", "vlan5"}, impossible, 0},
		"ib.pkey=storage.8001 vlan=vlan5:storage ip=vlan5:dhcp":                 {"", []string{"vlan5"}, impossible, 0},
		"ip=eth0:dhcp vlan=vlan5:eth0":                                          {vlan5, []string{"eth0"}, "links on eth0: " + refused, 4},
		"ip=eth0:dhcp vlan=vlan5:eth0 vlan=vlan6:eth0 ip=vlan6:dhcp":            {vlan5, []string{"eth0", "vlan6"}, "links on eth0: " + refused, 4},
		"vlan=vlan5:eth0 vlan=vlan6:eth0 ip=vlan6:dhcp":                         {vlan5, []string{"vlan6"}, "set up eth0: " + refused, 4},
		"bond=bond0:eth0:mode=1 bond=bond1:storage:mode=1 ip=bond1:dhcp": {
			"link add bond0 type bond mode active-backup miimon 100",
			[]string{"bond1"},
			"set up lo: ip link add bond0 type bond mode active-backup miimon 100: file exists; trying again", 4,
		},
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t)
				fakekernel.UnderRules(k)
				for i, name := range []string{"storage", "eth0"} {
					d := linktest.Ethernet(3+i, name, macA[:5]+link.HardwareAddr([]byte{byte(i)}))
					d.Broadcast = "\xff\xff\xff\xff\xff\xff"
					k.Appear(d)
				}
				for i, name := range []string{"storage", "eth0", "vlan5", "vlan6", "bond1"} {
					k.Servers[name] = fakekernel.Leases(t, "10.7"+string(rune('0'+i))+".0.23/24", func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionRouter) })
				}
				if tt.refuse != "" {
					k.Refuse = map[string]error{"ip " + tt.refuse: errors.New("file exists")}
				}
				r := watched(t, line, 30*time.Second, k, func() {})
				for _, name := range tt.want {
					if !slices.ContainsFunc(r.commands, func(s string) bool { return strings.HasPrefix(s, "addr add ") && strings.HasSuffix(s, " dev "+name) }) {
						t.Errorf("%s has no address", name)
					}
				}
				tries := timesOf(r.commands, tt.refuse)
				if log := strings.Join(r.log, "\n"); r.err != nil || r.took > 3*time.Second || strings.Count(log, tt.told) != 1 || tries < tt.tries || tries > 10 ||
					timesOf(r.commands, "link add bond1 type bond mode active-backup miimon 100") > 1 {
					t.Errorf("%v after %v, tried %d times\n%s\n%s", r.err, r.took, tries, log, strings.Join(r.commands, "\n"))
				}
			})
		})
	}
}

// A link that is refused at first is made later, though its interface has lost against
// another by then, and is not set down before.
func TestRunLinkOfLoserRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const add = "link add link eth0 name vlan5 type vlan id 5"
		k := fakekernel.New(t)
		fakekernel.UnderRules(k)
		k.Opening["eth0"] = 2 * time.Second
		k.Fail = map[string]error{"ip " + add: errors.New("device or resource busy")}
		k.Servers["eth1"], k.Servers["vlan5"] = fakekernel.GoodServer(t), fakekernel.Leases(t, "10.78.0.23/24")
		k.Appear(linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
		r := watched(t, "ip=eth*:dhcp vlan=vlan5:eth0 ip=vlan5:dhcp", 5*time.Second, k, func() {})
		if r.err != nil || timesOf(r.commands, add) != 2 || slices.Contains(r.commands, "link set eth0 down") ||
			!slices.Contains(r.commands, "addr add 10.78.0.23/24 brd + dev vlan5") {
			t.Errorf("%v, %v\n%s\n%s", r.err, r.state, strings.Join(r.log, "\n"), strings.Join(r.commands, "\n"))
		}
	})
}
