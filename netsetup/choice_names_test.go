package netsetup

import (
	"testing"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// The further addresses of a static word are a way to a target as the first one is.
func TestNeedOfSeveralAddresses(t *testing.T) {
	c := parseLine(t, "ip=10.88.0.9:::24::eth0:none ip=192.168.50.9:::24::eth0:none ip=dhcp")
	c.Needs = wantsHosts("10.88.0.1", "192.168.50.1", "192.168.51.1")
	if got := c.Need(1).Hosts; len(got) != 1 || got[0].Addr != addr("192.168.51.1") {
		t.Errorf("%v", got)
	}
}

// What no interface is called by stays as it is, and a name of one goes before
// another name of another.
func TestStateCalled(t *testing.T) {
	s := State{Device: "eth0", Names: []string{"ens3", "eth1"}, Others: []State{{Device: "eth1", Names: []string{"ens4"}}}}
	for name, want := range map[string]string{"eth0": "eth0", "ens3": "eth0", "eth1": "eth1", "ens4": "eth1", "ens5": "ens5", "": ""} {
		if got := s.Called(name); got != want {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// An address calls an interface in Called as it does in ip=: that of an InfiniBand port
// in any spelling, that of an Ethernet adapter whatever address it has now.
func TestStateCalledByAddress(t *testing.T) {
	set := parseLine(t, "").State(Addressing{}, link.Device{Name: "eth0", Type: link.HwEthernet, Addr: macB, Perm: macA}, lease.Lease{})
	port := linktest.GuidePort()
	set.Others = []State{parseLine(t, "").State(Addressing{}, port, lease.Lease{})}
	for name, want := range map[string]string{
		"00-02-c9-03-00-00-10-39":    "ib0",
		"0x2c90300001039":            "ib0",
		"00-02-c9-00-10-39":          "ib0",
		"00:02:c9:00:10:39":          "ib0",
		"20-00-02-c9-03-00-00-10-39": "ib0",
		"fe80::2:c903:0:1039":        "ib0",
		"80-00-00-48-fe-80-00-00-00-00-00-00-00-02-c9-03-00-00-10-39": "ib0",
		"00-02-c9-00-10-3a":       "00-02-c9-00-10-3a",
		"00-02-c9-03-00-00-10-3a": "00-02-c9-03-00-00-10-3a",
		macA.String():             "eth0",
		macB.String():             macB.String(),
	} {
		if got := set.Called(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
