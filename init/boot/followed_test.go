package boot

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
)

// What is known of the network follows it: another address, a new name of the interface,
// and what came up beside the boot.
func TestFollowed(t *testing.T) {
	state := func(dev, mac, addr string, others ...netsetup.State) netsetup.State {
		return netsetup.State{Device: dev, MAC: link.HardwareAddr(mac), Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}, Others: others}
	}
	const a, b = "\x52\x54\x00\x12\x34\x56", "\x52\x54\x00\x12\x34\x57"
	const prefix, guid = "\xfe\x80\x00\x00\x00\x00\x00\x00", "\x00\x02\xc9\x03\x00\x00\x10\x39"
	const port, anew = "\x80\x00\x00\x48" + prefix + guid, "\x80\x00\x01\x07" + prefix + guid
	const neighbour = "\x80\x00\x00\x49" + prefix + "\x00\x02\xc9\x03\x00\x00\x10\x3a"
	const nameless = prefix + "\x00\x00\x00\x00\x00\x00\x00\x00"
	makes := func(name string) bool { return name == "eth0.5" || name == "bond0" || name == "ib0.8001" }
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
		// The link that the root was read by has gone, and what it was made of, or what is made of it, is up.
		"VLAN gone":       {state("eth0.5", a, "10.77.0.23/24"), state("eth0", a, "10.78.0.5/24"), state("eth0.5", a, "10.77.0.23/24", state("eth0", a, "10.78.0.5/24"))},
		"parent gone":     {state("eth0", a, "10.77.0.23/24"), state("eth0.5", a, "10.78.0.5/24"), state("eth0", a, "10.77.0.23/24", state("eth0.5", a, "10.78.0.5/24"))},
		"bond gone":       {state("bond0", a, "10.77.0.23/24"), state("eth1", a, "10.78.0.5/24"), state("bond0", a, "10.77.0.23/24", state("eth1", a, "10.78.0.5/24"))},
		"child gone":      {state("ib0.8001", port, "10.77.0.23/24"), state("ib0", port, "10.78.0.5/24"), state("ib0.8001", port, "10.77.0.23/24", state("ib0", port, "10.78.0.5/24"))},
		"VLAN renewed":    {state("eth0.5", a, "10.77.0.23/24"), state("eth0.5", b, "10.77.0.99/24"), state("eth0.5", b, "10.77.0.99/24")},
		"port anew":       {state("ib0", port, "10.77.0.23/24"), state("ib7", anew, "10.77.0.23/24"), state("ib7", anew, "10.77.0.23/24")},
		"other nameless":  {state("ib0", "\x80\x00\x00\x48"+nameless, "10.77.0.23/24"), state("ib1", "\x80\x00\x00\x49"+nameless, "10.78.0.5/24"), state("ib0", "\x80\x00\x00\x48"+nameless, "10.77.0.23/24", state("ib1", "\x80\x00\x00\x49"+nameless, "10.78.0.5/24"))},
		"other port":      {state("ib0", port, "10.77.0.23/24"), state("ib1", neighbour, "10.78.0.5/24"), state("ib0", port, "10.77.0.23/24", state("ib1", neighbour, "10.78.0.5/24"))},
		"asked name":      {name(was, "node7", "example"), state("ib0", a, "10.77.0.99/24"), name(state("ib0", a, "10.77.0.99/24"), "node7", "example")},
		"name of a lease": {was, name(was, "node7", "example"), name(was, "node7", "example")},
		"took":            {took(was, time.Second), took(was, time.Hour), took(was, time.Second)},
		"none":            {netsetup.State{Source: "off"}, netsetup.State{Source: "off"}, netsetup.State{Source: "off"}},
	} {
		if diff := cmp.Diff(tt.want, followed(tt.was, tt.now, makes), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}
