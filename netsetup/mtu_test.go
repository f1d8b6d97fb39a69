package netsetup

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Packets go by the ports of a bridge and by what a VLAN is on: these get the MTU
// of a server first.
func TestRaise(t *testing.T) {
	eth0, eth1 := ethernet(2, "eth0", macA), ethernet(3, "eth1", macB)
	made := func(name string) Device {
		return Device{Index: 10, Name: name, Type: hwEthernet, Addr: macA, MTU: 1500}
	}
	jumbo := eth1
	jumbo.MTU = 9000
	const written, leased = " by the command line", " by its own lease"
	left := func(dev, by string) string {
		return "MTU 9000 (option 26) is left out: " + dev + ", which carries its packets, has 1500" + by
	}
	for name, tt := range map[string]struct {
		line   string
		dev    string
		have   []Device
		leased map[string]int
		want   string // the devices in their order, or an error
	}{
		"an adapter":            {"ip=eth0:dhcp", "eth0", []Device{eth0}, nil, "eth0"},
		"bridge":                {"bridge=br0:eth0,eth1 ip=br0:dhcp", "br0", []Device{eth0, jumbo}, nil, "eth0 br0"},
		"VLAN":                  {"vlan=vlan5:eth0 ip=vlan5:dhcp", "vlan5", []Device{eth0, eth1}, nil, "eth0 vlan5"},
		"bridge over VLAN":      {"vlan=vlan5:eth0 bridge=br0:vlan5 ip=br0:dhcp", "br0", []Device{eth0, made("vlan5")}, nil, "eth0 vlan5 br0"},
		"VLAN over bond":        {"bond=bond0:eth0,eth1:mode=1 vlan=vlan5:bond0 ip=vlan5:dhcp", "vlan5", []Device{eth0, eth1, made("bond0")}, nil, "bond0 vlan5"},
		"bond":                  {"bond=bond0:eth0,eth1:mode=1 ip=bond0:dhcp", "bond0", []Device{eth0, eth1, made("bond0")}, nil, "bond0"},
		"written below":         {"vlan=vlan5:eth0 ip=eth0:none:1500 ip=vlan5:dhcp", "vlan5", []Device{eth0}, nil, left("eth0", written)},
		"written for the bond":  {"bond=bond0:eth0:mode=1:1500 vlan=vlan5:bond0 ip=vlan5:dhcp", "vlan5", []Device{eth0, made("bond0")}, nil, left("bond0", written)},
		"leased below":          {"vlan=vlan5:eth0 ip=eth0:dhcp ip=vlan5:dhcp", "vlan5", []Device{eth0}, map[string]int{"eth0": 1500}, left("eth0", leased)},
		"enough below":          {"vlan=vlan5:eth1 ip=vlan5:dhcp", "vlan5", []Device{eth0, jumbo}, nil, "vlan5"},
		"VLAN on an address":    {"vlan=vlan5:52-54-00-12-34-56 ip=vlan5:dhcp", "vlan5", []Device{eth0, eth1}, nil, "eth0 vlan5"},
		"another one's bridge":  {"bridge=br0:eth0 bridge=br1:eth1 ip=br1:dhcp", "br1", []Device{eth0, eth1}, nil, "eth1 br1"},
		"bridge over the bond":  {"bond=bond0:eth0,eth1:mode=1 bridge=br0:bond0 ip=br0:dhcp", "br0", []Device{eth0, eth1, made("bond0")}, nil, "bond0 br0"},
		"P_Key child is itself": {"ib.pkey=ib0.8001 ip=ib0.8001:dhcp", "ib0.8001", []Device{guidePort()}, nil, "ib0.8001"},
	} {
		t.Run(name, func(t *testing.T) {
			steps, err := parseLine(t, tt.line).raise(made(tt.dev), 9000, tt.have, tt.leased)
			var got []string
			for _, s := range steps {
				got = append(got, s.(LinkMTU).Dev)
			}
			if err != nil {
				got = []string{err.Error()}
			}
			if text := strings.Join(got, " "); text != tt.want {
				t.Errorf("got  %s\nwant %s", text, tt.want)
			}
		})
	}
}

// jumbo is a server that gives an MTU of 9000.
func jumboServer(t *testing.T) fakeServer {
	mtu := func(m *dhcpv4.DHCPv4) {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{0x23, 0x28}))
	}
	return func(m *dhcpv4.DHCPv4) []byte {
		switch m.MessageType() {
		case dhcpv4.MessageTypeRequest:
			return answer(t, m, dhcpv4.MessageTypeAck, mtu)
		case dhcpv4.MessageTypeDiscover:
			return answer(t, m, dhcpv4.MessageTypeOffer, mtu)
		default:
			return nil
		}
	}
}

// bridged is a kernel that makes br0.
func bridged(t *testing.T) *fakeKernel {
	k := newFakeKernel(t, ethernet(2, "eth0", macA))
	k.servers["br0"] = jumboServer(t)
	k.made = func() {
		if _, ok := k.devices["br0"]; !ok {
			k.appear(Device{Index: 10, Name: "br0", Type: hwEthernet, Addr: macA, MTU: 1500, Carrier: true})
		}
	}
	return k
}

// A port that joins later has the MTU of the bridge's lease as well; one that
// cannot have it keeps the bridge at what it was.
func TestKeepBridgeMTU(t *testing.T) {
	mtus := func(commands []string) []string {
		return slices.DeleteFunc(slices.Clone(commands), func(s string) bool { return !strings.Contains(s, "mtu") })
	}
	synctest.Test(t, func(t *testing.T) {
		k := bridged(t)
		r := keep(t, "bridge=br0:eth0,eth1 ip=br0:dhcp", time.Minute, k, func() {
			<-time.After(20 * time.Second)
			k.appear(ethernet(4, "eth1", macB))
		})
		want := []string{"link set eth0 mtu 9000", "link set br0 mtu 9000", "link set eth1 mtu 9000"}
		if diff := cmp.Diff(want, mtus(r.commands)); diff != "" || r.err != nil || r.state.MTU != 9000 {
			t.Errorf("%v, MTU %d (-want +got):\n%s", r.err, r.state.MTU, diff)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		k := bridged(t)
		k.fail["ip link set eth0 mtu 9000"] = fmt.Errorf("invalid argument")
		r := keep(t, "bridge=br0:eth0 ip=br0:dhcp", time.Minute, k, nil)
		const told = "0s ip link set eth0 mtu 9000: invalid argument: the MTU of br0 stays 1500"
		if diff := cmp.Diff([]string{"link set eth0 mtu 9000"}, mtus(r.commands)); diff != "" || r.state.MTU != 1500 || !slices.Contains(r.log, told) {
			t.Errorf("MTU %d, %q (-want +got):\n%s", r.state.MTU, r.log, diff)
		}
	})
}

// An MTU that would end IPv6 on the interface is left out, whatever the server
// says.
func TestRunMTU6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel(t, ethernet(2, "eth0", macA))
		small := func(m *dhcpv4.DHCPv4) {
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{0x03, 0xe8}))
		}
		k.servers["eth0"] = func(m *dhcpv4.DHCPv4) []byte {
			if m.MessageType() == dhcpv4.MessageTypeRequest {
				return answer(t, m, dhcpv4.MessageTypeAck, small)
			}
			return answer(t, m, dhcpv4.MessageTypeOffer, small)
		}
		k.events <- linkEvent{Device: Device{Index: 2}, news: &news{addr: linkAddr6, permanent: true}}
		k.events <- linkEvent{Device: Device{Index: 2}, news: &news{addr: autoAddr6}}
		r := try(t, "ip=eth0:dhcp ip=eth0:auto6", time.Minute, k, nil)
		if r.err != nil || slices.Contains(r.commands, "link set eth0 mtu 1000") || r.state.MTU != 1500 {
			t.Errorf("%v, MTU %d, %q", r.err, r.state.MTU, r.commands)
		}
	})
}
