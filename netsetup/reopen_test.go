package netsetup

import (
	"testing"
	"testing/synctest"
	"time"
)

// When the interface goes that has won, while Up still waits for another word, those
// that were let go for it ask at once, though the kernel tells nothing of them.
func TestRunWinnerGone(t *testing.T) {
	for name, tt := range map[string]struct {
		line string
		up   bool // eth1 is up from the start, and so is not set down
		down time.Duration
		took time.Duration
	}{
		"set down":       {"ip=dhcp ip=eth9:dhcp", false, 0, 3 * time.Second},
		"up already":     {"ip=dhcp ip=eth9:dhcp", true, 0, 3 * time.Second},
		"being set down": {"ip=dhcp ip=eth9:dhcp", false, 4 * time.Second, 4*time.Second + 2*probeWait},
		"all are wanted": {"ip=dhcp ip=eth9:dhcp rd.neednet", false, 0, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := ethernet(2, "eth0", macA), ethernet(3, "eth1", macB)
				second.Up = tt.up
				k := newFakeKernel(t, first, second)
				k.servers["eth0"] = goodServer(t)
				k.servers["eth1"] = after(10*time.Millisecond, leases(t, "10.77.0.24/24"))
				k.servers["eth9"] = leases(t, "10.78.0.24/24")
				k.then = func(s Step) {
					if s == (LinkDown{Dev: "eth1"}) {
						<-time.After(tt.down)
						k.mu.Lock()
						defer k.mu.Unlock()
						d := k.devices["eth1"]
						d.Up = false
						k.devices["eth1"] = d
					}
				}
				r := watched(t, tt.line, time.Second, k, func() {
					<-time.After(2 * time.Second)
					first.Up = true
					k.events <- linkEvent{Device: first, gone: true}
					<-time.After(time.Second)
					k.appear(ethernet(9, "eth9", "\x52\x54\x00\x00\x00\x09"))
				})
				k.mu.Lock()
				defer k.mu.Unlock()
				if r.err != nil || r.state.Device != "eth1" || r.took > tt.took+probeWait || len(r.state.Others) != 1 || !k.devices["eth1"].Up {
					t.Errorf("%v, %v after %v, %+v\n%q\n%q", r.state, r.err, r.took, k.devices["eth1"], r.commands, r.log)
				}
			})
		})
	}
}
