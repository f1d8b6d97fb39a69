package bringup

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// active is a port that has all the gates open.
func active() link.PortState {
	return link.PortState{Phys: "LinkUp", State: "ACTIVE", PKeys: []uint16{0xffff}}
}

// onlyID answers clients of one identifier.
func onlyID(t *testing.T, id []byte) fakekernel.Responder {
	good := fakekernel.GoodServer(t)
	return func(m *dhcpv4.DHCPv4) []byte {
		if string(m.Options.Get(dhcpv4.OptionClientIdentifier)) != string(id) {
			return nil
		}
		return good(m)
	}
}

// All identities are asked with at once: to be known by another than the first
// costs no time.
func TestRunInfiniBandAuto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.WithCarrier(linktest.GuidePort()))
		guid, _ := linktest.GuideAddr.GUID()
		var headers []string
		server := onlyID(t, guid.Typed())
		k.Servers["ib0"] = func(m *dhcpv4.DHCPv4) []byte {
			if !m.IsBroadcast() {
				t.Error("no broadcast flag")
			}
			headers = append(headers, m.MessageType().String()+" "+m.HWType.String()+" "+m.ClientHWAddr.String())
			return server(m)
		}
		r := try(t, "", time.Minute, k, nil)
		if r.err != nil || r.state.String() != "ib0 10.77.0.23/24 by DHCP from 10.77.0.1" || r.took != lease.ProbeWaitInfiniBand {
			t.Errorf("%v, %v, after %v", r.state, r.err, r.took)
		}
		if diff := cmp.Diff([]string{
			"link set lo up", "link set ib0 up", "ib0: DISCOVER", "ib0: DISCOVER", "ib0: DISCOVER", "ib0: DISCOVER", "ib0: DISCOVER", "ib0: DISCOVER", "ib0: REQUEST",
			"addr add 10.77.0.23/24 brd + dev ib0", "route replace default via 10.77.0.1 dev ib0",
		}, r.commands); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{
			"DISCOVER Infiniband ", "DISCOVER Infiniband ", "DISCOVER Infiniband 00:02:c9:03:00:00:10:39", "DISCOVER Ethernet 00:02:c9:00:10:39", "DISCOVER Infiniband ", "DISCOVER Infiniband ",
			"REQUEST Infiniband ",
		}, headers); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if want := []string{"0s ib0: the DHCP server knows client-id guid 20:00:02:c9:03:00:00:10:39"}; !slices.Equal(r.log, want) {
			t.Errorf("log %q, want %q", r.log, want)
		}
	})
}

// Each gate has its sentence, counted from when it was reached.
func TestRunInfiniBandGates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.GuidePort())
		k.Servers["ib0"] = fakekernel.GoodServer(t)
		set := func(p link.PortState) {
			k.Lock()
			k.Ports["mlx4_0/1"] = p
			k.Unlock()
		}
		p := link.PortState{Phys: "Polling", State: "DOWN", PKeys: []uint16{0xffff}}
		set(p)
		r := try(t, "nodisk.dhcp.clientid=guid", 2*time.Minute, k, func() {
			for _, change := range []func(){
				func() { p.Phys, p.State = "LinkUp", "INIT" },
				func() { p.State, p.PKeys = "ACTIVE", []uint16{0x7fff &^ 0x7ffe} },
				func() { p.PKeys = []uint16{0x7fff} },
			} {
				<-time.After(19 * time.Second)
				change()
				set(p)
			}
			<-time.After(19 * time.Second)
			k.Change("ib0", func(d *link.Device) { d.Carrier = true })
		})
		if r.err != nil || r.took != 76*time.Second+lease.ProbeWaitInfiniBand {
			t.Errorf("%v, %v, after %v", r.state, r.err, r.took)
		}
		if diff := cmp.Diff([]string{
			"10s ib0: port 1 of mlx4_0 has no link (Polling for 10 s): check the cable and that the switch is on",
			"20s ib0: the subnet manager has not configured port 1 of mlx4_0 (state INIT for 0 s): check that one runs on this fabric",
			"30s ib0: the subnet manager has not configured port 1 of mlx4_0 (state INIT for 10 s): check that one runs on this fabric",
			"40s ib0: P_Key 0xffff is not in the table of port 1 of mlx4_0, for 0 s (it has 0x0001): put port GUID 00:02:c9:03:00:00:10:39 into that partition at the subnet manager",
			"50s ib0: P_Key 0xffff is not in the table of port 1 of mlx4_0, for 10 s (it has 0x0001): put port GUID 00:02:c9:03:00:00:10:39 into that partition at the subnet manager",
			"60s ib0: port 1 of mlx4_0 is ACTIVE, but the subnet manager has not let it into the broadcast group of P_Key 0xffff for 0 s: check that the partition is made for IPoIB",
			"70s ib0: port 1 of mlx4_0 is ACTIVE, but the subnet manager has not let it into the broadcast group of P_Key 0xffff for 10 s: check that the partition is made for IPoIB",
		}, r.log); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// rd.net.timeout.carrier= is the time of each gate, not of all of them.
func TestRunInfiniBandTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.GuidePort())
		k.Ports["mlx4_0/1"] = link.PortState{Phys: "Polling", State: "DOWN"}
		r := try(t, "rd.net.timeout.carrier=15", 2*time.Minute, k, func() {
			<-time.After(9 * time.Second)
			k.Lock()
			k.Ports["mlx4_0/1"] = link.PortState{Phys: "LinkUp", State: "INIT"}
			k.Unlock()
		})
		if r.err == nil || r.took != 25*time.Second || !strings.Contains(r.err.Error(), "the subnet manager has not configured port 1 of mlx4_0 (state INIT for 15 s)") {
			t.Errorf("%v, after %v", r.err, r.took)
		}
	})
}

// An adapter whose interface has another name is not said to have none.
func TestRunInfiniBandOtherName(t *testing.T) {
	for _, tt := range []struct {
		adapters []string
		want     string // of what is said of them
	}{
		{[]string{"mlx4_0", "mlx5_0"}, "there is mlx5_0, and no IPoIB interface on it"},
		{[]string{"mlx4_0"}, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t, linktest.GuidePort())
			k.Adapters = tt.adapters
			r := try(t, "ip=ib7:dhcp", 5*time.Second, k, nil)
			if r.err == nil || !strings.Contains(r.err.Error(), "ib7: no such interface (present: ib0 ") {
				t.Fatal(r.err)
			}
			_, said, told := strings.Cut(r.err.Error(), "; there is ")
			if told != (tt.want != "") || !strings.HasPrefix("there is "+said, tt.want) && told {
				t.Errorf("%v: %v", tt.adapters, r.err)
			}
		})
	}
}

func TestRunInfiniBandAbsent(t *testing.T) {
	for name, tt := range map[string]struct {
		line     string
		adapters []string
		want     string
	}{
		"no driver": {"BOOTIF=20-00-02-c9-03-00-00-10-39", nil, "no interface has the address 00:02:c9:03:00:00:10:39 of BOOTIF= (none is present): check that its driver is in the image; " +
			"no driver has found an InfiniBand adapter: check that the image holds it (profile mlx4, mlx5, ib or opa)"},
		"no IPoIB": {"ip=ib0:dhcp", []string{"mlx4_0"}, "ib0: no such interface (none is present): check its name and that its driver is in the image; " +
			"there is mlx4_0, and no IPoIB interface on it: check that ib_ipoib is in the image (profile ib or opa) and the port's link layer is InfiniBand"},
		"no parent": {"ib.pkey=ib0.8001 ip=ib0.8001:dhcp", nil, "ib0.8001: is not made yet: ib0: no such interface (none is present): check its name and that its driver is in the image; no driver has found"},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t)
			k.Adapters = tt.adapters
			r := try(t, tt.line, 5*time.Second, k, nil)
			if r.err == nil || !strings.Contains(r.err.Error(), tt.want) {
				t.Errorf("%s: %v", name, r.err)
			}
		})
	}
}

// The parent is set up, the child is made and asks; the parent does not.
func TestRunChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := linktest.GuidePort()
		k := fakekernel.New(t, linktest.WithCarrier(parent))
		k.Ports["mlx4_0/1"] = active()
		k.Servers["ib0"], k.Servers["ib0.8001"] = fakekernel.GoodServer(t), fakekernel.GoodServer(t)
		child := link.Device{
			Index: 9, Name: "ib0.8001", Type: link.HwInfiniBand, Addr: linktest.GuideAddr, MTU: 2044, Parent: parent.Index,
			Broadcast: "\x00\xff\xff\xff\xff\x12\x40\x1b\x80\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff",
		}
		k.Made = func() { k.Appear(child) }
		// Without a name in ip=, too: the child stands for its parent.
		r := try(t, "ib.pkey=ib0.8001 nodisk.dhcp.clientid=flexboot ip=dhcp", time.Minute, k, func() {
			<-time.After(12 * time.Second)
			k.Change("ib0.8001", func(d *link.Device) { d.Carrier = true })
		})
		if r.err != nil || r.state.Device != "ib0.8001" {
			t.Errorf("%v, %v", r.state, r.err)
		}
		if diff := cmp.Diff([]string{
			"link set lo up", "link set ib0 up", "link add link ib0 name ib0.8001 type ipoib pkey 0x8001", "link set ib0.8001 up", "ib0.8001: DISCOVER", "ib0.8001: REQUEST",
			"addr add 10.77.0.23/24 brd + dev ib0.8001", "route replace default via 10.77.0.1 dev ib0.8001",
		}, r.commands); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		want := []string{"10s ib0.8001: P_Key 0x8001 is not in the table of port 1 of mlx4_0, for 10 s (it has 0xffff): put port GUID 00:02:c9:03:00:00:10:39 into that partition at the subnet manager"}
		if diff := cmp.Diff(want, r.log); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

// The bond becomes an InfiniBand interface with its first port, and asks as one.
func TestRunBond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ib1 := linktest.GuidePort()
		ib1.Index, ib1.Name, ib1.Addr, ib1.Up, ib1.Port = 6, "ib1", linktest.GuideAddr[:19]+"\x3a", true, 2
		k := fakekernel.New(t)
		k.Ports["mlx4_0/1"], k.Ports["mlx4_0/2"] = link.PortState{Phys: "LinkUp", State: "INIT"}, link.PortState{Phys: "Polling", State: "DOWN"}
		k.Servers["bond0"] = fakekernel.GoodServer(t)
		bond := link.Device{Index: 9, Name: "bond0", Type: link.HwEthernet, Addr: macA, MTU: 1500, Broadcast: "\xff\xff\xff\xff\xff\xff"}
		k.Made = func() { k.Appear(bond) }
		r := try(t, "bond=bond0:ib0,ib1:mode=active-backup ip=bond0:dhcp nodisk.dhcp.clientid=guid", time.Minute, k, func() {
			<-time.After(time.Second)
			k.Appear(linktest.GuidePort(), ib1)
			<-time.After(11 * time.Second)
			k.Change("ib0", func(d *link.Device) { d.Master, d.Carrier, d.Up = 9, true, true })
			k.Change("bond0", func(d *link.Device) {
				d.Type, d.Addr, d.Broadcast, d.Carrier = link.HwInfiniBand, linktest.GuideAddr, linktest.GuidePort().Broadcast, true
			})
		})
		if r.err != nil || r.state.Device != "bond0" || r.took != 12*time.Second+lease.ProbeWaitInfiniBand {
			t.Errorf("%v, %v, after %v", r.state, r.err, r.took)
		}
		slices.Sort(r.commands[3:8]) // the two ports side by side
		if diff := cmp.Diff([]string{
			"link set lo up", "link add bond0 type bond mode active-backup miimon 100", "link set bond0 up",
			"link set bond0 mtu 2044", "link set bond0 up", "link set ib0 master bond0", "link set ib1 down", "link set ib1 master bond0",
			"bond0: DISCOVER", "bond0: DISCOVER", "bond0: REQUEST", "addr add 10.77.0.23/24 brd + dev bond0", "route replace default via 10.77.0.1 dev bond0",
		}, r.commands); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		want := []string{
			"10s bond0: none of its ports has carrier: ib0: its link has no carrier; ib1: port 2 of mlx4_0 has no link (Polling for 9 s): check the cable and that the switch is on",
			"12s bond0: the DHCP server knows client-id guid 20:00:02:c9:03:00:00:10:39",
		}
		if diff := cmp.Diff(want, r.log); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

func TestObstacle(t *testing.T) {
	d := linktest.GuidePort()
	for _, tt := range []struct {
		p    link.PortState
		gate link.Gate
		want string
	}{
		{link.PortState{Phys: "Disabled"}, link.GateLink, "port 1 of mlx4_0 has no link (Disabled for 12 s): somebody switched it off, here or at the switch"},
		{link.PortState{Phys: "LinkUp", State: "ARMED"}, link.GateActive, "the subnet manager has not configured port 1 of mlx4_0 (state ARMED for 12 s): check that one runs on this fabric"},
		{link.PortState{Phys: "LinkUp", State: "ACTIVE"}, link.GatePKey, "P_Key 0x8001 is not in the table of port 1 of mlx4_0, for 12 s (it has none): put port GUID 00:02:c9:03:00:00:10:39 into that partition at the subnet manager"},
		{link.PortState{Phys: "LinkUp", State: "ACTIVE", PKeys: []uint16{0x0001}}, link.GateGroup, "has not let it into the broadcast group of P_Key 0x8001 for 12 s"},
	} {
		g := tt.p.Gate(0x8001)
		if got := tt.p.Obstacle(g, d, 0x8001, 12*time.Second); g != tt.gate || !strings.Contains(got, tt.want) {
			t.Errorf("gate %d: %s, want gate %d: %s", g, got, tt.gate, tt.want)
		}
	}
}

// The bond becomes an InfiniBand interface while it is being set up: what was
// opened for Ethernet is of no use.
func TestRunBondTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t)
		k.Servers["bond0"] = fakekernel.GoodServer(t)
		k.Opening["bond0"] = 2 * time.Second
		k.Made = func() {
			k.Appear(link.Device{Index: 9, Name: "bond0", Type: link.HwEthernet, Addr: macA, MTU: 1500, Broadcast: "\xff\xff\xff\xff\xff\xff"})
		}
		r := try(t, "bond=bond0:ib0:mode=active-backup ip=bond0:dhcp nodisk.dhcp.clientid=guid", time.Minute, k, func() {
			<-time.After(time.Second)
			k.Change("bond0", func(d *link.Device) {
				d.Type, d.Addr, d.Broadcast, d.Carrier = link.HwInfiniBand, linktest.GuideAddr, linktest.GuidePort().Broadcast, true
			})
		})
		if r.err != nil || r.state.Device != "bond0" || r.took > 5*time.Second+lease.ProbeWaitInfiniBand {
			t.Errorf("%v, %v, after %v", r.state, r.err, r.took)
		}
	})
}

// A bond is the same node by each of its ports, also by one that has no link
// and by one that appears when it is asking already.
func TestRunBondIdentities(t *testing.T) {
	for name, dead := range map[string]bool{"dead": true, "late": false} {
		synctest.Test(t, func(t *testing.T) {
			first, second := linktest.GuidePort(), linktest.GuidePort()
			second.Index, second.Name, second.Addr, second.Port, second.Carrier = 6, "ib1", linktest.GuideAddr[:19]+"\x3a", 2, true
			bond := linktest.GuidePort()
			bond.Index, bond.Name, bond.Addr, bond.HCA, bond.Port, bond.Physical, bond.Carrier = 9, "bond0", second.Addr, "", 0, false, true
			guid, _ := linktest.GuideAddr.GUID()
			k := fakekernel.New(t)
			k.Servers["bond0"] = onlyID(t, guid.Typed())
			k.Made = func() {
				if dead {
					k.Appear(first)
				}
				k.Appear(second, bond)
			}
			script := func() {
				<-time.After(300 * time.Millisecond)
				k.Appear(first)
			}
			if dead {
				script = nil
			}
			r := try(t, "bond=bond0:ib0,ib1:mode=active-backup ip=bond0:dhcp nodisk.dhcp.clientid=guid", time.Minute, k, script)
			if took := r.took.Milliseconds(); r.err != nil || (dead && took != lease.ProbeWaitInfiniBand.Milliseconds()) || took > 300+lease.ProbeWaitInfiniBand.Milliseconds() {
				t.Errorf("%s: %v, %v, after %v", name, r.state, r.err, r.took)
			}
			if slices.Contains(r.commands, "ib0: DISCOVER") {
				t.Errorf("%s: a port asks: %q", name, r.commands)
			}
		})
	}
}
