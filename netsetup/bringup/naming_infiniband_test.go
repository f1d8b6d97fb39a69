package bringup

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// portsOfHCA are the two ports of one HCA with the names that udev has for them.
func portsOfHCA() (first, second link.Device) {
	first = linktest.WithCarrier(linktest.GuidePort())
	second = first
	second.Index, second.Name, second.Addr, second.Port = 6, "ib1", linktest.GuideAddr[:19]+"\x3a", 2
	first.Udev = link.UdevNames{Slot: "ibs1", Path: "ibp65s0"}
	second.Udev = link.UdevNames{Slot: "ibs1d1", Path: "ibp65s0d1"}
	return first, second
}

// As TestRunNames, of two ports of one HCA.
func TestRunNamesInfiniBand(t *testing.T) {
	for name, tt := range map[string]struct {
		line    string
		renames []string
		device  string // with the address
	}{
		"of udev, without a word":       {"ip=dhcp", []string{"ib0 ibs1", "ib1 ibs1d1"}, "ibs1"},
		"the kernel's name":             {"ip=ib0:dhcp", nil, "ib0"},
		"the kernel's, the second":      {"ip=ib1:dhcp", nil, "ib1"},
		"by slot":                       {"ip=ibs1d1:dhcp", []string{"ib0 ibs1", "ib1 ibs1d1"}, "ibs1d1"},
		"by path, as this root has it":  {"ip=ibp65s0d1:dhcp", []string{"ib0 ibs1", "ib1 ibp65s0d1"}, "ibp65s0d1"},
		"a description":                 {"ip=ib*:dhcp nodisk.ib.port=2", []string{"ib0 ibs1", "ib1 ibs1d1"}, "ibs1d1"},
		"by GUID":                       {"ip=00-02-c9-03-00-00-10-3a:dhcp", []string{"ib0 ibs1", "ib1 ibs1d1"}, "ibs1d1"},
		"net.ifnames=0":                 {"net.ifnames=0 ip=00-02-c9-03-00-00-10-3a:dhcp", nil, "ib1"},
		"ifname= by GUID":               {"ifname=fabric:00:02:c9:03:00:00:10:3a ip=fabric:dhcp", nil, "fabric"},
		"a partition on udev's name":    {"ib.pkey=ibp65s0.8001 ip=ibp65s0.8001:dhcp", []string{"ib0 ibp65s0", "ib1 ibs1d1"}, "ibp65s0.8001"},
		"a partition on the kernel's":   {"ib.pkey=ib0.8001 ip=ib0.8001:dhcp", nil, "ib0.8001"},
		"a partition on ifname=":        {"ifname=fabric:00:02:c9:03:00:00:10:39 ib.pkey=fabric.8001 ip=fabric.8001:dhcp", nil, "fabric.8001"},
		"nodisk.ifnames=kernel and HCA": {"nodisk.ifnames=kernel nodisk.ib.port=mlx4_0:2 ip=dhcp", nil, "ib1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := portsOfHCA()
				k := fakekernel.New(t, first, second)
				k.Ports["mlx4_0/1"], k.Ports["mlx4_0/2"] = active(), active()
				k.Servers[tt.device] = fakekernel.GoodServer(t)
				child := link.Device{
					Index: 9, Name: tt.device, Type: link.HwInfiniBand, Addr: linktest.GuideAddr, MTU: 2044, Parent: first.Index, Carrier: true,
					Broadcast: "\x00\xff\xff\xff\xff\x12\x40\x1b\x80\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff",
				}
				k.Made = func() { k.Appear(child) }
				r := try(t, tt.line+" nodisk.dhcp.clientid=guid", time.Minute, k, nil)
				if r.err != nil || r.state.Device != tt.device {
					t.Errorf("%v, %v; want %s", r.state, r.err, tt.device)
				}
				var renames []string
				for _, c := range r.commands {
					if dev, name, ok := strings.Cut(strings.TrimPrefix(c, "link set "), " name "); ok && strings.HasPrefix(c, "link set ") {
						renames = append(renames, dev+" "+name)
					}
				}
				if !strings.Contains(tt.line, "ifname=") {
					if diff := cmp.Diff(tt.renames, renames); diff != "" {
						t.Errorf("renames (-want +got):\n%s", diff)
					}
				}
			})
		})
	}
}
