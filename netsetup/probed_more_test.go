package netsetup

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Of several static addresses of one interface each is asked for, announced and
// defended.
func TestProbedSeveralAddresses(t *testing.T) {
	l := Lease{Addr: prefix("10.77.0.5/24"), More: []netip.Prefix{prefix("10.77.0.6/24"), prefix("192.168.50.5/24")}}
	d := newDesk(t, eth0, newFixed(l, macA), netip.Addr{})
	d.start()
	if got := d.p.waiting(d.now); got != "looking whether another node uses 10.77.0.5, 10.77.0.6, 192.168.50.5" {
		t.Error(got)
	}
	d.until(time.Millisecond)
	d.arp(arpReply, other, "192.168.50.5", "", true)
	d.until(2 * time.Millisecond)
	d.want(
		"0s ARP probe for 10.77.0.5", "0s ARP probe for 10.77.0.6", "0s ARP probe for 192.168.50.5",
		"1ms note: 192.168.50.5 is in use by 52:54:00:00:fe:99: check the client address of ip= here, and that machine; trying again until it is free",
	)
	d.lines = nil
	d.until(d.p.deadline().Sub(d.begun))
	d.arp(arpRequest, other, "", "10.77.0.6", false) // another one probes for it, too
	if len(d.lines) != 4 || !strings.Contains(d.lines[3], "10.77.0.6 is in use by") {
		t.Errorf("%q", d.lines)
	}
	d.until(d.p.deadline().Sub(d.begun))
	d.lines, d.begun = nil, d.now
	d.until(time.Second)
	d.want("20ms ARP announcement of 10.77.0.5", "20ms ARP announcement of 10.77.0.6", "20ms ARP announcement of 192.168.50.5", "20ms lease 10.77.0.5/24")
	d.lines = nil
	d.arp(arpReply, other, "10.77.0.6", "", false)
	d.want("1s ARP announcement of 10.77.0.6", "1s note: 52:54:00:00:fe:99 also uses 10.77.0.6, the address of this node: connections of both will break; give one of them another address")
}

// The same by the words, with what is told, done and kept.
func TestRunSeveralAddresses(t *testing.T) {
	const line = "ip=10.77.0.5:::24::eth0:none ip=10.77.0.6:::24::eth0:none ip=192.168.50.5:::24::eth0:none"
	for name, tt := range map[string]struct {
		line string
		used string
		want string
	}{
		"free":             {line, "", ""},
		"the first":        {line, "10.77.0.5", "10.77.0.5 is in use by 52:54:00:00:fe:99"},
		"the last":         {line, "192.168.50.5", "192.168.50.5 is in use by 52:54:00:00:fe:99"},
		"the last, unseen": {line + " nodisk.arp-probe=0", "192.168.50.5", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newFakeKernel(t, ethernet(2, "eth0", macA))
				if tt.used != "" {
					k.neighbours[addr(tt.used)] = other
				}
				r := try(t, tt.line, 15*time.Second, k, nil)
				var added []string
				for _, c := range r.commands {
					if strings.HasPrefix(c, "addr add ") {
						added = append(added, strings.Fields(c)[2])
					}
				}
				if tt.want != "" {
					if r.err == nil || !strings.Contains(r.err.Error(), tt.want) || added != nil {
						t.Errorf("%v, %v, %q", r.state, r.err, added)
					}
					return
				}
				all := []string{"10.77.0.5/24", "10.77.0.6/24", "192.168.50.5/24"}
				if diff := cmp.Diff(all, added); r.err != nil || diff != "" {
					t.Errorf("%v (-want +got):\n%s", r.err, diff)
				}
				if diff := cmp.Diff("eth0 "+strings.Join(all, " ")+" static", r.state.String()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
