package plan

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/iscsi"
)

// What udev's link to a disk of iSCSI says, and what becomes of the words beside it.
func TestByPath(t *testing.T) {
	const link = "root=/dev/disk/by-path/ip-"
	const other = "netroot=iscsi:10.0.0.2::::iqn.2026-01.test:b "
	const disk = "10.0.0.1:3260-iscsi-iqn.2026-01.test:a-lun-"
	for line, want := range map[string]string{
		link + "10.0.0.1:3260-iscsi-iqn.2026-01.test:a-lun-0":                                                   "iscsi:10.0.0.1:6:3260:0:iqn.2026-01.test:a",
		link + "10.0.0.1:3261-iscsi-iqn.2026-01.test:a-lun-1-lun-16":                                            "iscsi:10.0.0.1:6:3261:10:iqn.2026-01.test:a-lun-1",
		link + "2001:db8::1:3260-iscsi-iqn.2026-01.test:a-lun-1":                                                "iscsi:[2001:db8::1]:6:3260:1:iqn.2026-01.test:a",
		link + "[2001:db8::1]:3260-iscsi-iqn.2026-01.test:a-lun-1":                                              "iscsi:[2001:db8::1]:6:3260:1:iqn.2026-01.test:a",
		"netroot=iscsi:10.0.0.1::::iqn.2026-01.test:a " + link + "10.0.0.1:3260-iscsi-iqn.2026-01.test:a-lun-2": "iscsi:10.0.0.1:6:3260:2:iqn.2026-01.test:a",
		other + link + "10.0.0.1:3260-iscsi-iqn.2026-01.test:a-lun-2": "iscsi:10.0.0.1:6:3260:2:iqn.2026-01.test:a " +
			"iscsi:10.0.0.2:6:3260::iqn.2026-01.test:b",
		// What the netroot= beside it has besides stays: another portal, the interface.
		"netroot=iscsi:10.0.0.1::::iqn.2026-01.test:a netroot=iscsi:10.0.0.9::::iqn.2026-01.test:a " + link + disk + "2": "iscsi:10.0.0.1:6:3260:2:iqn.2026-01.test:a " +
			"iscsi:10.0.0.9:6:3260:2:iqn.2026-01.test:a",
		"netroot=iscsi:10.0.0.9::::iqn.2026-01.test:a " + link + disk + "16": "iscsi:10.0.0.1:6:3260:10:iqn.2026-01.test:a " +
			"iscsi:10.0.0.9:6:3260:10:iqn.2026-01.test:a",
		other + "netroot=iscsi:10.0.0.1:6:3260:default:eth1::iqn.2026-01.test:a " + link + disk + "2": "iscsi:10.0.0.1:6:3260:default:eth1:2:iqn.2026-01.test:a " +
			"iscsi:10.0.0.2:6:3260::iqn.2026-01.test:b",
		"netroot=iscsi:10.0.0.1:6:3260:default:eth1:2:iqn.2026-01.test:a " + link + disk + "2":     "iscsi:10.0.0.1:6:3260:default:eth1:2:iqn.2026-01.test:a",
		"rd.iscsi.target.ip=10.0.0.1 rd.iscsi.target.name=iqn.2026-01.test:a " + link + disk + "2": "iscsi:10.0.0.1:6:3260:2:iqn.2026-01.test:a",
		// Another LUN is attached as well, and the root is on that of the link.
		"netroot=iscsi:10.0.0.1:6:3260:default:eth1:1:iqn.2026-01.test:a " + link + disk + "2": "iscsi:10.0.0.1:6:3260:default:eth1:2:iqn.2026-01.test:a " +
			"iscsi:10.0.0.1:6:3260:default:eth1:1:iqn.2026-01.test:a",
		"netroot=iscsi:u:p@10.0.0.1::::iqn.2026-01.test:a " + link + disk + "2": "asks for CHAP",
		link + disk + "0x0101000000000000":                                      "iscsi:10.0.0.1:6:3260:101:iqn.2026-01.test:a",
		link + disk + "256":                                                     "is a link that udev makes",
		link + disk + "1-part0":                                                 "is a link that udev makes",
		link + disk + "1-part":                                                  "is a link that udev makes",
		link + "10.0.0.1-iscsi-iqn.2026-01.test:a-lun-1":                        "is a link that udev makes",
		link + "10.0.0.1:3260-iscsi-iqn.2026-01.test:a":                         "is a link that udev makes",
		link + "10.0.0.1:0-iscsi-iqn.2026-01.test:a-lun-1":                      "port",
		"root=/dev/disk/by-path/pci-0000:00:1f.2-ata-1":                         "is a link that udev makes",
	} {
		p, err := New(cmdline.Parse(line+" ip=dhcp ip=auto6"), nil)
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

// The link to a partition chooses it on its disk, and nothing else does.
func TestByPathPartition(t *testing.T) {
	const line = "netroot=iscsi:10.0.0.2::::iqn.2026-01.test:b root=/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.2026-01.test:a-lun-1"
	for _, tt := range []struct{ end, want string }{{"", "the disk's only filesystem"}, {"-part1", "the disk's partition 1"}, {"-part12", "the disk's partition 12"}} {
		p, err := New(cmdline.Parse(line+tt.end+" ip=dhcp"), nil)
		if err != nil {
			t.Fatal(err)
		}
		groups := iscsi.GroupByName(p.Targets, !p.Root.Block.OfFirstDisk())
		if got := p.Root.Block.String(); got != tt.want || len(groups) != 2 || groups[0].Name != "iqn.2026-01.test:a" || groups[1].Units.All {
			t.Errorf("%s: %s, %v", tt.end, got, groups)
		}
	}
	p, err := New(cmdline.Parse("netroot=iscsi:10.0.0.1:::3:iqn.2026-01.test:a root=/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.2026-01.test:a-lun-1 ip=dhcp"), nil)
	if groups := iscsi.GroupByName(p.Targets, false); err != nil || len(groups) != 1 || groups[0].Units.String() != "LUN 1 and LUN 3" ||
		len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "LUN 3 is attached besides") {
		t.Errorf("another LUN: %v, %v, notes %q", groups, err, p.Notes)
	}
}
