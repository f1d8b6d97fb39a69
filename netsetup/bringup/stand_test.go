package bringup

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// A VLAN that is to take the address of a word without a device cannot be made: that is
// what is told, not that there is no such card.
func TestRunUnmadeDeputy(t *testing.T) {
	for _, line := range []string{
		"ip=dhcp vlan=vlan5:eth0 nodisk.ifnames=kernel",
		"ip=dhcp vlan=vlan5:eth0 BOOTIF=01-" + strings.ReplaceAll(macA.String(), ":", "-"),
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
			k.Refuse = map[string]error{link.VLANAdd{Name: "vlan5", Link: "eth0", ID: 5}.String(): errors.New("operation not supported")}
			r := try(t, line, time.Minute, k, nil)
			if r.err == nil || !strings.Contains(r.err.Error(), "vlan5: is not made yet: ") || !strings.Contains(r.err.Error(), "operation not supported") {
				t.Errorf("%s: %v", line, r.err)
			}
		})
	}
}

// The interface of BOOTIF= is there, and something else keeps it from an address.
func TestRunBootBarred(t *testing.T) {
	port := linktest.Ethernet(2, "eth0", macA)
	port.Master = 9
	clash := linktest.Ethernet(2, "vlan5", macA)
	for want, d := range map[string]link.Device{
		"eth0: is the interface of BOOTIF=, and a port of a link that the command line does not make": port,
		"vlan5: is the interface of BOOTIF=, and has the name of a link that the command line makes":  clash,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := try(t, "ip=dhcp vlan=vlan5:eth7 nodisk.ifnames=kernel BOOTIF="+macA.String(), time.Minute, fakekernel.New(t, d), nil)
			if r.err == nil || !strings.Contains(r.err.Error(), want) {
				t.Errorf("%v, want %s", r.err, want)
			}
		})
	}
}
