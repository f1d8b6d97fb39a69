package netsetup

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// Packets go by the ports of a bridge and by what a VLAN is on: these get the MTU
// of a server first.
func TestRaise(t *testing.T) {
	eth0, eth1 := linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB)
	made := func(name string) link.Device {
		return link.Device{Index: 10, Name: name, Type: link.HwEthernet, Addr: macA, MTU: 1500}
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
		have   []link.Device
		leased map[string]int
		want   string // the devices in their order, or an error
	}{
		"an adapter":            {"ip=eth0:dhcp", "eth0", []link.Device{eth0}, nil, "eth0"},
		"bridge":                {"bridge=br0:eth0,eth1 ip=br0:dhcp", "br0", []link.Device{eth0, jumbo}, nil, "eth0 br0"},
		"VLAN":                  {"vlan=vlan5:eth0 ip=vlan5:dhcp", "vlan5", []link.Device{eth0, eth1}, nil, "eth0 vlan5"},
		"bridge over VLAN":      {"vlan=vlan5:eth0 bridge=br0:vlan5 ip=br0:dhcp", "br0", []link.Device{eth0, made("vlan5")}, nil, "eth0 vlan5 br0"},
		"VLAN over bond":        {"bond=bond0:eth0,eth1:mode=1 vlan=vlan5:bond0 ip=vlan5:dhcp", "vlan5", []link.Device{eth0, eth1, made("bond0")}, nil, "bond0 vlan5"},
		"bond":                  {"bond=bond0:eth0,eth1:mode=1 ip=bond0:dhcp", "bond0", []link.Device{eth0, eth1, made("bond0")}, nil, "bond0"},
		"written below":         {"vlan=vlan5:eth0 ip=eth0:none:1500 ip=vlan5:dhcp", "vlan5", []link.Device{eth0}, nil, left("eth0", written)},
		"written for the bond":  {"bond=bond0:eth0:mode=1:1500 vlan=vlan5:bond0 ip=vlan5:dhcp", "vlan5", []link.Device{eth0, made("bond0")}, nil, left("bond0", written)},
		"leased below":          {"vlan=vlan5:eth0 ip=eth0:dhcp ip=vlan5:dhcp", "vlan5", []link.Device{eth0}, map[string]int{"eth0": 1500}, left("eth0", leased)},
		"enough below":          {"vlan=vlan5:eth1 ip=vlan5:dhcp", "vlan5", []link.Device{eth0, jumbo}, nil, "vlan5"},
		"VLAN on an address":    {"vlan=vlan5:52-54-00-12-34-56 ip=vlan5:dhcp", "vlan5", []link.Device{eth0, eth1}, nil, "eth0 vlan5"},
		"another one's bridge":  {"bridge=br0:eth0 bridge=br1:eth1 ip=br1:dhcp", "br1", []link.Device{eth0, eth1}, nil, "eth1 br1"},
		"bridge over the bond":  {"bond=bond0:eth0,eth1:mode=1 bridge=br0:bond0 ip=br0:dhcp", "br0", []link.Device{eth0, eth1, made("bond0")}, nil, "bond0 br0"},
		"P_Key child is itself": {"ib.pkey=ib0.8001 ip=ib0.8001:dhcp", "ib0.8001", []link.Device{linktest.GuidePort()}, nil, "ib0.8001"},
	} {
		t.Run(name, func(t *testing.T) {
			steps, err := parseLine(t, tt.line).Raise(made(tt.dev), 9000, tt.have, tt.leased)
			var got []string
			for _, s := range steps {
				got = append(got, s.(link.SetMTU).Dev)
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
