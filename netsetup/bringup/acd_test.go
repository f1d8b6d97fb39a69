package bringup

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

const other = link.HardwareAddr("\x52\x54\x00\x00\xfe\x99")

var eth0 = link.Device{Index: 2, Name: "eth0", Type: link.HwEthernet, Addr: macA}

// When the time of DHCP is over, a lease whose gateway is silent is taken.
func TestProbedTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for line, took := range map[string]time.Duration{
			"rd.net.timeout.dhcp=1":                     time.Second,
			"rd.net.timeout.dhcp=1 rd.net.dhcp.retry=3": time.Second,
			"rd.net.timeout.dhcp=3":                     2*lease.GatewayEvery + lease.ProbeWait,
		} {
			k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
			k.Servers["eth0"] = fakekernel.GoodServer(t)
			k.Neighbours = nil
			r := try(t, line, time.Minute, k, nil)
			if r.err != nil || r.state.Device != "eth0" || r.took != took {
				t.Errorf("%s: %v, %v, after %v: %q", line, r.state, r.err, r.took, r.log)
			}
		}
	})
}

// Ours are the addresses of all interfaces, with the one that ip= gives.
func TestOurs(t *testing.T) {
	r := runner{attachments: map[attachmentKey]*attachment{
		{index: 2}: {dev: eth0, job: &job{Addressing: netsetup.Addressing{NewAddr: "\x02\x00\x00\x00\x00\x01"}}},
		{index: 3}: {dev: link.Device{Type: link.HwEthernet, Addr: macB}},
	}}
	for a, want := range map[link.HardwareAddr]bool{macA: true, macB: true, "\x02\x00\x00\x00\x00\x01": true, other: false} {
		if r.ours(a) != want {
			t.Errorf("%s: %v", a, !want)
		}
	}
}
