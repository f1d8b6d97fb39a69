package netsetup

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/netsetup/link"
)

func TestBeside(t *testing.T) {
	own := State{Device: "eth0", Hostname: "n7", DNS: []netip.Addr{addr("10.0.0.1")}, Search: []string{"a"}}
	other := State{
		Device: "eth1", Hostname: "n8", Domain: "b.example", Server: addr("10.1.0.9"), Gateway: addr("10.1.0.1"),
		DNS: []netip.Addr{addr("10.1.0.1"), addr("10.0.0.1")}, Search: []string{"b"}, NTP: []netip.Addr{addr("10.1.0.2")},
	}
	want := State{
		Device: "eth0", Hostname: "n7", Domain: "b.example", Server: addr("10.1.0.9"),
		DNS: []netip.Addr{addr("10.0.0.1"), addr("10.1.0.1")}, Search: []string{"a", "b"}, NTP: []netip.Addr{addr("10.1.0.2")},
	}
	if diff := cmp.Diff(want, own.Beside(other), byValue()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnnamed(t *testing.T) {
	c := parseLine(t, "ifname=lan0:52:54:00:12:34:56 ifname=lan1:52:54:00:12:34:57")
	have := []link.Device{{Name: "lan0", Type: link.HwEthernet, Physical: true, Addr: macA}, {Name: "bond0", Type: link.HwEthernet, Addr: macB}}
	want := []string{"ifname=lan1:52:54:00:12:34:57: no interface has that address yet: check it, and that its driver is in the image"}
	if diff := cmp.Diff(want, c.Unnamed(have)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
