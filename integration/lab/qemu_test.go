package lab

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The end of a cable, one that comes later, and a tap.
func TestNICArgs(t *testing.T) {
	cable := NIC{Near: "/a", Far: "/b", MAC: "52:54:00:00:00:01"}
	late := cable
	late.Absent = true
	const netdev = "-netdev dgram,id=n3,local.type=unix,local.path=/a,remote.type=unix,remote.path=/b"
	for name, c := range map[string]struct {
		nic  NIC
		want string
	}{
		"cable": {
			cable,
			netdev + " -device virtio-net-pci,netdev=n3,mac=52:54:00:00:00:01,romfile=,speed=1000,duplex=full",
		},
		"late": {late, netdev},
		"tap": {NIC{Tap: "t", MAC: cable.MAC}, "-netdev tap,id=n3,ifname=t,script=no,downscript=no -device " +
			"virtio-net-pci,netdev=n3,mac=52:54:00:00:00:01,romfile="},
	} {
		if diff := cmp.Diff(c.want, strings.Join(c.nic.Args(3, NICVirtio, ",romfile="), " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
