package bringup

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// jumbo is a server that gives an MTU of 9000.
func jumboServer(t *testing.T) fakekernel.Responder {
	mtu := func(m *dhcpv4.DHCPv4) {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{0x23, 0x28}))
	}
	return func(m *dhcpv4.DHCPv4) []byte {
		switch m.MessageType() {
		case dhcpv4.MessageTypeRequest:
			return leasetest.Answer(t, m, dhcpv4.MessageTypeAck, mtu)
		case dhcpv4.MessageTypeDiscover:
			return leasetest.Answer(t, m, dhcpv4.MessageTypeOffer, mtu)
		default:
			return nil
		}
	}
}

// bridged is a kernel that makes br0.
func bridged(t *testing.T) *fakekernel.Kernel {
	k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
	k.Servers["br0"] = jumboServer(t)
	k.Made = func() {
		if _, ok := k.Devices["br0"]; !ok {
			k.Appear(link.Device{Index: 10, Name: "br0", Type: link.HwEthernet, Addr: macA, MTU: 1500, Carrier: true})
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
			k.Appear(linktest.Ethernet(4, "eth1", macB))
		})
		want := []string{"link set eth0 mtu 9000", "link set br0 mtu 9000", "link set eth1 mtu 9000"}
		if diff := cmp.Diff(want, mtus(r.commands)); diff != "" || r.err != nil || r.state.MTU != 9000 {
			t.Errorf("%v, MTU %d (-want +got):\n%s", r.err, r.state.MTU, diff)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		k := bridged(t)
		k.Fail["ip link set eth0 mtu 9000"] = fmt.Errorf("invalid argument")
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
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		small := func(m *dhcpv4.DHCPv4) {
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{0x03, 0xe8}))
		}
		k.Servers["eth0"] = func(m *dhcpv4.DHCPv4) []byte {
			if m.MessageType() == dhcpv4.MessageTypeRequest {
				return leasetest.Answer(t, m, dhcpv4.MessageTypeAck, small)
			}
			return leasetest.Answer(t, m, dhcpv4.MessageTypeOffer, small)
		}
		k.Events <- link.Event{Device: link.Device{Index: 2}, News: &link.News{Addr: linkAddr6, Permanent: true}}
		k.Events <- link.Event{Device: link.Device{Index: 2}, News: &link.News{Addr: autoAddr6}}
		r := try(t, "ip=eth0:dhcp ip=eth0:auto6", time.Minute, k, nil)
		if r.err != nil || slices.Contains(r.commands, "link set eth0 mtu 1000") || r.state.MTU != 1500 {
			t.Errorf("%v, MTU %d, %q", r.err, r.state.MTU, r.commands)
		}
	})
}
