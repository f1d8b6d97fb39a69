package netsetup

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

func TestRootUSB(t *testing.T) {
	const debian = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.140-1 (2025-05-22)"
	rule := &fstest.MapFile{Data: []byte("[Match]\nPath=*-usb-*\n\n[Link]\nNamePolicy=mac\n")}
	for name, tt := range map[string]struct {
		files   fs.FS
		version string
		want    USBNaming
	}{
		"Debian":                     {fstest.MapFS{}, debian, USBByAddress},
		"Ubuntu":                     {fstest.MapFS{}, "#45-Ubuntu SMP PREEMPT_DYNAMIC Fri Aug 30 12:02:04 UTC 2024", USBByAddress},
		"Fedora":                     {fstest.MapFS{}, "#1 SMP PREEMPT_DYNAMIC Thu Aug 29 14:41:33 UTC 2024", USBByPath},
		"its initramfs":              {fstest.MapFS{"usr/lib/" + usbLink: rule}, "#1 SMP", USBByAddress},
		"older":                      {fstest.MapFS{"lib/" + usbLink: rule}, "#1 SMP", USBByAddress},
		"taken back":                 {fstest.MapFS{"usr/lib/" + usbLink: rule, "etc/" + usbLink: {}}, debian, USBByPath},
		"a folder, nobody knows why": {fstest.MapFS{"usr/lib/" + usbLink: {Mode: fs.ModeDir}}, "#1 SMP", USBByPath},
	} {
		if got := rootUSB(tt.files, tt.version); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

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
				usb := func(d Device, port string) Device {
					d.Udev = UdevNames{Path: "enp0s20u" + port, MAC: "enx" + strings.ReplaceAll(d.Addr.String(), ":", ""), USB: true}
					return d
				}
				k := newFakeKernel(t, inSlot(ethernet(2, "eth0", macA), "3"), usb(ethernet(3, "eth1", macB), "1"), usb(ethernet(4, "eth2", macC), "2"))
				k.made = func() {}
				_ = try(t, line, 5*time.Second, k, nil)
				var names []string
				for name, d := range k.devices {
					if d.Index > 1 {
						names = append(names, name)
					}
				}
				slices.SortFunc(names, func(a, b string) int { return k.devices[a].Index - k.devices[b].Index })
				if got := strings.Join(names, " "); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			})
		})
	}
}

func TestUSBPath(t *testing.T) {
	for name, want := range map[string]bool{
		"enp0s20u1": true, "enp0s20f0u1u4": true, "enP1p0s20u1i2": true, "ens3u1": true, "enp0s3": false, "enp65s0f1np1": false,
		"enx525400123456": false, "eno1": false, "usb0": false, "": false, "enp0s3u": false,
	} {
		if got := usbPath(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
