package netsetup

import (
	"io/fs"
	"testing"
	"testing/fstest"
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
		if got := RootUSB(tt.files, tt.version); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
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
