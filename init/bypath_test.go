package boot

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/init/cmdline"
)

// What udev's link to a disk of iSCSI says, and what becomes of the words beside it.
func TestByPath(t *testing.T) {
	const link = "root=/dev/disk/by-path/ip-"
	const other = "netroot=iscsi:10.0.0.2::::iqn.2026-01.test:b "
	for line, want := range map[string]string{
		link + "10.0.0.1:3260-iscsi-iqn.2026-01.test:a-lun-0":                                                   "iscsi:10.0.0.1:6:3260:0:iqn.2026-01.test:a",
		link + "10.0.0.1:3261-iscsi-iqn.2026-01.test:a-lun-1-lun-16":                                            "iscsi:10.0.0.1:6:3261:10:iqn.2026-01.test:a-lun-1",
		link + "2001:db8::1:3260-iscsi-iqn.2026-01.test:a-lun-1":                                                "iscsi:[2001:db8::1]:6:3260:1:iqn.2026-01.test:a",
		link + "[2001:db8::1]:3260-iscsi-iqn.2026-01.test:a-lun-1":                                              "iscsi:[2001:db8::1]:6:3260:1:iqn.2026-01.test:a",
		"netroot=iscsi:10.0.0.1::::iqn.2026-01.test:a " + link + "10.0.0.1:3260-iscsi-iqn.2026-01.test:a-lun-2": "iscsi:10.0.0.1:6:3260:2:iqn.2026-01.test:a",
		other + link + "10.0.0.1:3260-iscsi-iqn.2026-01.test:a-lun-2": "iscsi:10.0.0.1:6:3260:2:iqn.2026-01.test:a " +
			"iscsi:10.0.0.2:6:3260::iqn.2026-01.test:b",
		link + "10.0.0.1:3260-iscsi-iqn.2026-01.test:a-lun-1-part1": "is a link that udev makes",
		link + "10.0.0.1-iscsi-iqn.2026-01.test:a-lun-1":            "is a link that udev makes",
		link + "10.0.0.1:3260-iscsi-iqn.2026-01.test:a":             "is a link that udev makes",
		link + "10.0.0.1:0-iscsi-iqn.2026-01.test:a-lun-1":          "port",
		"root=/dev/disk/by-path/pci-0000:00:1f.2-ata-1":             "is a link that udev makes",
	} {
		p, err := NewPlan(cmdline.Parse(line+" ip=dhcp ip=auto6"), nil)
		var got []string
		for _, target := range p.Targets {
			got = append(got, target.String())
		}
		switch {
		case err != nil && strings.HasPrefix(want, "iscsi:"), err == nil && strings.Join(got, " ") != want:
			t.Errorf("%s: %q, %v", line, got, err)
		case err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v", line, err)
		case err == nil && (!p.Root.Block.IsZero() || len(p.Warnings) > 0):
			t.Errorf("%s: %v, %q", line, p.Root, p.Warnings)
		}
	}
}
