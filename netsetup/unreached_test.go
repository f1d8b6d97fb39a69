package netsetup

import (
	"net/netip"
	"testing"

	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// That a host is not reached means something else besides where the way to it goes over
// InfiniBand, and only there.
func TestUnreached(t *testing.T) {
	state := func(dev string, mac link.HardwareAddr, own, gateway string) State {
		s := State{Device: dev, MAC: mac, Addrs: []netip.Prefix{prefix(own)}}
		if gateway != "" {
			s.Gateway = addr(gateway)
		}
		return s
	}
	const told = ") it also means that nobody answers path queries: the subnet manager may have ended (check sminfo)"
	ib0 := state("ib0", linktest.GuideAddr[12:], "10.77.0.23/24", "10.77.0.1")
	alone := state("ib0", linktest.GuideAddr[12:], "10.77.0.23/24", "")
	eth0 := state("eth0", macA, "10.88.0.23/24", "10.88.0.1")
	and := func(s State, others ...State) State { s.Others = others; return s }
	for name, tt := range map[string]struct {
		s    State
		host Host
		want string
	}{
		"on the link":         {ib0, Host{Addr: addr("10.77.0.9")}, "over InfiniBand (ib0" + told},
		"mapped":              {ib0, Host{Addr: addr("::ffff:10.77.0.9")}, "over InfiniBand (ib0" + told},
		"by the gateway":      {ib0, Host{Addr: addr("10.99.0.9")}, "over InfiniBand (ib0" + told},
		"by its name":         {ib0, Host{Name: "storage"}, "over InfiniBand (ib0" + told},
		"no way":              {alone, Host{Addr: addr("10.99.0.9")}, ""},
		"Ethernet":            {eth0, Host{Addr: addr("10.88.0.9")}, ""},
		"the other":           {and(eth0, ib0), Host{Addr: addr("10.77.0.9")}, "over InfiniBand (ib0" + told},
		"not the other":       {and(eth0, ib0), Host{Addr: addr("10.88.0.9")}, ""},
		"not the gateway":     {and(eth0, alone), Host{Addr: addr("10.99.0.9")}, ""},
		"by that device":      {and(eth0, ib0), Host{Addr: addr("10.99.0.9"), Dev: "ib0"}, "over InfiniBand (ib0" + told},
		"by the other device": {and(eth0, ib0), Host{Addr: addr("10.99.0.9"), Dev: "eth0"}, ""},
		"no network":          {State{Source: "off"}, Host{Name: "storage"}, ""},
	} {
		if got := tt.s.Unreached([]Host{tt.host}); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
