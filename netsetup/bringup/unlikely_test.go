package bringup

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// What can be done about a name is told at length once.
func TestRunTellsOnce(t *testing.T) {
	for line, long := range map[string]string{
		"ip=enp0s9:dhcp": "eno1 or end0 by a number on the board",
		"ip=em1:dhcp":    "neither the kernel (eth0, ib0) nor udev",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := try(t, line, time.Minute, fakekernel.New(t, linktest.Ethernet(2, "eth0", macA)), nil)
			lines := strings.Join(r.log, "\n")
			if n := strings.Count(lines, long); n != 1 || strings.Count(lines, "check its name") < 4 {
				t.Errorf("%s: %d times in\n%s", line, n, lines)
			}
		})
	}
}
