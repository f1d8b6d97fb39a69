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

// A virtual function's port before its host has set it up.
func zeroPort() link.Device {
	d := linktest.GuidePort()
	d.Addr, d.Driver, d.HCA = linktest.GuideAddr[:12]+"\x00\x00\x00\x00\x00\x00\x00\x00", "mlx5_core", "mlx5_2"
	return d
}

// Nobody is asked as a port whose GUID is zero: all such nodes would be one client and
// share a lease. When the GUID comes the boot goes on: at once where the kernel tells of
// it, with the next look at the port where it does not.
func TestRunZeroGUID(t *testing.T) {
	const sentence = "port GUID is zero (port 1 of mlx5_2, for 10 s): the host must set it (ip link set PF vf N node_guid/port_guid)"
	for name, tt := range map[string]struct {
		line    string
		carrier bool // before it has a GUID
		come    func(k *fakekernel.Kernel)
		took    time.Duration
	}{
		"with carrier": {"ip=dhcp", false, func(k *fakekernel.Kernel) {
			k.Change("ib0", func(d *link.Device) { d.Addr, d.Carrier = linktest.GuideAddr, true })
		}, 12 * time.Second},
		"told": {"ip=ib0:dhcp", true, func(k *fakekernel.Kernel) {
			k.Change("ib0", func(d *link.Device) { d.Addr = linktest.GuideAddr })
		}, 12 * time.Second},
		"not told": {"ip=dhcp", true, func(k *fakekernel.Kernel) {
			k.Lock()
			p := active()
			p.GID = linktest.GuideAddr[4:]
			k.Ports["mlx5_2/1"] = p
			k.Unlock()
		}, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := zeroPort()
				d.Carrier = tt.carrier
				k := fakekernel.New(t, d)
				p := link.PortState{Phys: "LinkUp", State: "INIT", GID: d.Addr[4:]}
				if tt.carrier {
					p.State, p.PKeys = "ACTIVE", []uint16{0xffff}
				}
				k.Ports["mlx5_2/1"] = p
				var asked []string
				good := fakekernel.GoodServer(t)
				k.Servers["ib0"] = func(m *dhcpv4.DHCPv4) []byte {
					asked = append(asked, link.HardwareAddr(m.Options.Get(dhcpv4.OptionClientIdentifier)).String())
					return good(m)
				}
				r := try(t, tt.line+" nodisk.dhcp.clientid=guid", time.Minute, k, func() {
					<-time.After(12 * time.Second)
					tt.come(k)
				})
				if r.err != nil || r.state.Device != "ib0" || r.state.MAC != linktest.GuideAddr[12:] || r.took != tt.took+lease.ProbeWaitInfiniBand {
					t.Errorf("%v, %v, after %v", r.state, r.err, r.took)
				}
				if len(r.log) == 0 || r.log[0] != "10s ib0: "+sentence {
					t.Errorf("log %q, want %q", r.log, sentence)
				}
				if diff := cmp.Diff([]string{"20:00:02:c9:03:00:00:10:39", "20:00:02:c9:03:00:00:10:39"}, asked); diff != "" {
					t.Errorf("asked as (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The one gate has the time that the others have.
func TestRunZeroGUIDTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := zeroPort()
		d.Carrier = true
		r := try(t, "rd.net.timeout.carrier=15", 2*time.Minute, fakekernel.New(t, d), nil)
		if r.err == nil || r.took != 15*time.Second || !strings.Contains(r.err.Error(), "ib0: port GUID is zero (port 1 of mlx5_2, for 15 s)") {
			t.Errorf("%v, after %v", r.err, r.took)
		}
	})
}

// An address that is written needs no identity.
func TestRunZeroGUIDStatic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := zeroPort()
		d.Carrier = true
		r := try(t, "ip=10.77.0.23:::24::ib0:none", time.Minute, fakekernel.New(t, d), nil)
		if r.err != nil || r.state.String() != "ib0 10.77.0.23/24 static" {
			t.Errorf("%v, %v", r.state, r.err)
		}
	})
}

// A word that looks for a port by its GUID finds it when the port gets it; until then
// the port without one is named.
func TestRunZeroGUIDByGUID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, zeroPort())
		k.Servers["ib0"] = fakekernel.GoodServer(t)
		k.Ports["mlx5_2/1"] = link.PortState{Phys: "Polling", State: "DOWN"}
		r := try(t, "ip=0x2c90300001039:dhcp nodisk.dhcp.clientid=guid", time.Minute, k, func() {
			<-time.After(12 * time.Second)
			p := active()
			p.GID = linktest.GuideAddr[4:]
			k.Lock()
			k.Ports["mlx5_2/1"] = p
			k.Unlock()
			<-time.After(10 * time.Second)
			k.Change("ib0", func(d *link.Device) { d.Addr, d.Carrier = linktest.GuideAddr, true })
		})
		if r.err != nil || r.state.Device != "ib0" || r.took != 22*time.Second+lease.ProbeWaitInfiniBand {
			t.Errorf("%v, %v, after %v", r.state, r.err, r.took)
		}
		want := "no interface has the address 00:02:c9:03:00:00:10:39 (present: ib0 00:00:00:00:00:00:00:00); ib0: port GUID is zero (port 1 of mlx5_2, for 10 s)"
		if len(r.log) == 0 || !strings.Contains(r.log[0], want) {
			t.Errorf("log %q, want %q", r.log, want)
		}
	})
}

// A bond asks as those of its ports that have a GUID.
func TestRunBondZeroGUID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := zeroPort(), linktest.GuidePort()
		second.Index, second.Name, second.Port, second.Carrier = 6, "ib1", 2, true
		bond := zeroPort()
		bond.Index, bond.Name, bond.HCA, bond.Port, bond.Physical, bond.Carrier = 9, "bond0", "", 0, false, true
		k := fakekernel.New(t)
		var asked []string
		good := fakekernel.GoodServer(t)
		k.Servers["bond0"] = func(m *dhcpv4.DHCPv4) []byte {
			asked = append(asked, link.HardwareAddr(m.Options.Get(dhcpv4.OptionClientIdentifier)).String())
			return good(m)
		}
		k.Made = func() { k.Appear(first, bond) }
		r := try(t, "bond=bond0:ib0,ib1:mode=active-backup ip=bond0:dhcp nodisk.dhcp.clientid=guid", time.Minute, k, func() {
			<-time.After(12 * time.Second)
			k.Appear(second)
		})
		if r.err != nil || r.took < 12*time.Second || r.took > 21*time.Second {
			t.Errorf("%v, %v, after %v", r.state, r.err, r.took)
		}
		if len(asked) == 0 || slices.ContainsFunc(asked, func(id string) bool { return id != "20:00:02:c9:03:00:00:10:39" }) {
			t.Errorf("asked as %q", asked)
		}
		if len(r.log) == 0 || r.log[0] != "10s bond0: port GUID is zero (for 10 s): the host must set it (ip link set PF vf N node_guid/port_guid)" {
			t.Errorf("log %q", r.log)
		}
	})
}
