package boot

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nodisk/nodisk/netsetup"
)

// What is known of the network follows it: another address, a new name of the interface,
// and what came up beside the boot.
func TestFollowed(t *testing.T) {
	state := func(dev, mac, addr string, others ...netsetup.State) netsetup.State {
		return netsetup.State{Device: dev, MAC: netsetup.HardwareAddr(mac), Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}, Others: others}
	}
	const a, b = "\x52\x54\x00\x12\x34\x56", "\x52\x54\x00\x12\x34\x57"
	was := state("ib0", a, "10.77.0.23/24")
	beside := state("eth1", b, "10.78.0.5/24")
	name := func(s netsetup.State, host, domain string) netsetup.State {
		s.Hostname, s.Domain = host, domain
		return s
	}
	took := func(s netsetup.State, d time.Duration) netsetup.State {
		s.Took = d
		return s
	}
	for text, tt := range map[string]struct{ was, now, want netsetup.State }{
		"other address":    {was, state("ib0", a, "10.77.0.99/24"), state("ib0", a, "10.77.0.99/24")},
		"other name":       {was, state("ib7", a, "10.77.0.23/24"), state("ib7", a, "10.77.0.23/24")},
		"bond by another":  {was, state("ib0", b, "10.77.0.23/24"), state("ib0", b, "10.77.0.23/24")},
		"one more":         {was, state("ib0", a, "10.77.0.23/24", beside), state("ib0", a, "10.77.0.23/24", beside)},
		"gone":             {was, netsetup.State{Source: "off"}, was},
		"gone, with other": {was, beside, state("ib0", a, "10.77.0.23/24", beside)},
		"asked name":       {name(was, "node7", "example"), state("ib0", a, "10.77.0.99/24"), name(state("ib0", a, "10.77.0.99/24"), "node7", "example")},
		"name of a lease":  {was, name(was, "node7", "example"), name(was, "node7", "example")},
		"took":             {took(was, time.Second), took(was, time.Hour), took(was, time.Second)},
		"none":             {netsetup.State{Source: "off"}, netsetup.State{Source: "off"}, netsetup.State{Source: "off"}},
	} {
		if diff := cmp.Diff(tt.want, followed(tt.was, tt.now), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}
