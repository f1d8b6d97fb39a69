package bringup

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// Two NICs on USB and one on PCI, and the names that they get.
func TestRunUSBNames(t *testing.T) {
	const path, address, mixed = "ens3 enp0s20u1 enp0s20u2", "ens3 enx525400123457 enx525400123458", "ens3 enx525400123457 enp0s20u2"
	for line, want := range map[string]string{
		"":                        path,
		"nodisk.ifnames=usb-mac":  address,
		"nodisk.ifnames=usb-path": path,
		"nodisk.ifnames=usb-mac nodisk.ifnames=udev":      path,
		"ip=enx525400123457:dhcp":                         address,
		"ip=enx*:dhcp":                                    address,
		"bond=bond0:enx525400123457 ip=bond0:dhcp":        address,
		"ip=enp0s20u1:dhcp":                               path,
		"nodisk.ifnames=usb-path ip=enx525400123457:dhcp": mixed,
		"nodisk.ifnames=kernel":                           "eth0 eth1 eth2",
		"nodisk.ifnames=usb-mac net.ifnames=0":            address, // the first is for nodisk
		"ip=eth1:dhcp":                                    "eth0 eth1 eth2",
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				usb := func(d link.Device, port string) link.Device {
					d.Udev = link.UdevNames{Path: "enp0s20u" + port, MAC: "enx" + strings.ReplaceAll(d.Addr.String(), ":", ""), USB: true}
					return d
				}
				k := fakekernel.New(t, inSlot(linktest.Ethernet(2, "eth0", macA), "3"), usb(linktest.Ethernet(3, "eth1", macB), "1"), usb(linktest.Ethernet(4, "eth2", macC), "2"))
				k.Made = func() {}
				_ = try(t, line, 5*time.Second, k, nil)
				var names []string
				for name, d := range k.Devices {
					if d.Index > 1 {
						names = append(names, name)
					}
				}
				slices.SortFunc(names, func(a, b string) int { return k.Devices[a].Index - k.Devices[b].Index })
				if got := strings.Join(names, " "); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			})
		})
	}
}
