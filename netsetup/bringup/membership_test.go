package bringup

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// Two limited members do not hear each other, though both have carrier: the sentence
// of a question that nobody answers tells of it, by the partition of the interface.
func TestWaitingLimitedMember(t *testing.T) {
	const says = " is only a limited member ("
	for name, tt := range map[string]struct {
		line   string
		pkeys  []uint16
		index0 uint16 // of the broadcast address, 0 for 0xffff
		want   string // after "10s ", the beginning and the end
	}{
		"default":           {"ip=ib0:dhcp", []uint16{0x7fff}, 0, "ib0: no DHCP answer|; the port is only a limited member (0x7fff): it hears full members only"},
		"full":              {"ip=ib0:dhcp", []uint16{0xffff}, 0, "ib0: no DHCP answer|"},
		"both":              {"ip=ib0:dhcp", []uint16{0x7fff, 0xffff}, 0, "ib0: no DHCP answer|"},
		"another index 0":   {"ip=ib0:dhcp", []uint16{0x0001, 0xffff}, 0x8001, "ib0: no DHCP answer|; the port is only a limited member (0x0001): it hears full members only"},
		"another, full":     {"ip=ib0:dhcp", []uint16{0x8001, 0x7fff}, 0x8001, "ib0: no DHCP answer|"},
		"child":             {"ib.pkey=ib0.8001 ip=ib0.8001:dhcp", []uint16{0xffff, 0x0001}, 0, "ib0.8001: no DHCP answer|; the port is only a limited member (0x0001): it hears full members only"},
		"child, full":       {"ib.pkey=ib0.8001 ip=ib0.8001:dhcp", []uint16{0x7fff, 0x8001}, 0, "ib0.8001: no DHCP answer|"},
		"BOOTP":             {"ip=ib0:bootp", []uint16{0x7fff}, 0, "ib0: no BOOTP answer|; the port is only a limited member (0x7fff): it hears full members only"},
		"bond":              {"bond=bond0:ib0:mode=1 ip=bond0:dhcp", []uint16{0x7fff}, 0, "bond0: no DHCP answer|; its port ib0 is only a limited member (0x7fff): it hears full members only"},
		"bond of the child": {"ib.pkey=ib0.8001 bond=bond0:ib0.8001:mode=1 ip=bond0:dhcp", []uint16{0x0001, 0xffff}, 0, "bond0: no DHCP answer|; its port ib0.8001 is only a limited member (0x0001): it hears full members only"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, rules := ibFabric(t)
				clear(k.Servers)
				k.Ports["mlx4_0/1"] = link.PortState{Phys: "LinkUp", State: "ACTIVE", PKeys: tt.pkeys}
				port := linktest.GuidePort()
				if tt.index0 != 0 {
					port.Broadcast = port.Broadcast[:8] + link.HardwareAddr([]byte{byte(tt.index0 >> 8), byte(tt.index0)}) + port.Broadcast[10:]
				}
				rules.Port(port, 2044, false)
				r := try(t, tt.line, 15*time.Second, k, func() {
					<-time.After(time.Second)
					rules.Join("ib0", 2044)
					<-time.After(time.Second)
					rules.Join("ib0.8001", 2044)
				})
				begin, end, _ := strings.Cut(tt.want, "|")
				last := ""
				if len(r.log) > 0 {
					last = r.log[len(r.log)-1]
				}
				if !strings.HasPrefix(last, "10s "+begin) || !strings.HasSuffix(last, end) || end == "" && strings.Contains(last, says) {
					t.Errorf("got  %s\nwant %s", last, tt.want)
				}
			})
		})
	}
}

// A server that has answered is heard: its sentence is another.
func TestWaitingLimitedHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, rules := ibFabric(t, 2044)
		good := fakekernel.GoodServer(t)
		k.Servers["ib0"] = func(m *dhcpv4.DHCPv4) []byte {
			if m.MessageType() != dhcpv4.MessageTypeDiscover {
				return nil // it offers, and does not confirm
			}
			return good(m)
		}
		k.Ports["mlx4_0/1"] = link.PortState{Phys: "LinkUp", State: "ACTIVE", PKeys: []uint16{0x7fff}}
		r := try(t, "ip=ib0:dhcp nodisk.dhcp.clientid=guid", 15*time.Second, k, func() {
			<-time.After(time.Second)
			rules.Join("ib0", 2044)
		})
		if text := strings.Join(r.log, "\n"); !strings.Contains(text, "has not confirmed it") || strings.Contains(text, "limited member") {
			t.Errorf("%q", r.log)
		}
	})
}
