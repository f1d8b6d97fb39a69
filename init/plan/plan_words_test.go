package plan

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// What a plan says of words that cannot be meant as they stand; empty for nothing.
func TestPlanWords(t *testing.T) {
	const iqn = "iqn.2026-01.org.example:a"
	for _, tt := range [][2]string{
		{"root=/dev/ram0 nfsroot=10.0.0.1:/srv", "nfsroot: without effect: the root is another (the initramfs stays the root); write root=/dev/nfs"},
		{"root=/dev/sda1 nfsroot=10.0.0.1:/srv", "nfsroot: without effect: the root is another (/dev/sda1, read-only)"},
		{"root=nfs:10.0.0.1:/a nfsroot=10.0.0.1:/b", "nfsroot: without effect: the root is another (10.0.0.1:/a by NFS 4.2, 4.1, 4.0, 3, read-only)"},
		{"root=/dev/nfs nfsroot=10.0.0.1:/b", ""},
		{"boot=nfs nfsroot=10.0.0.1:/b", ""},
		{"root=/dev/ram ip=dhcp", "ip: without effect: the initramfs stays the root, and needs no network; write rd.neednet=1"},
		{"root=/dev/ram ip=dhcp rd.neednet=1", ""},
		{"root=/dev/ram ip=off", ""},
		{"root=LABEL=a rd.iscsi.target.name=" + iqn + " rd.iscsi.target.ip=10.0.0.1:3261", "rd.iscsi.target.ip=10.0.0.1:3261: has a port; write the address alone, and rd.iscsi.target.port=3261"},
		{"root=LABEL=a rd.iscsi.target.name=" + iqn + " rd.iscsi.target.ip=[2001:db8::1]:3260", "rd.iscsi.target.ip=[2001:db8::1]:3260: has a port"},
		{"root=LABEL=a rd.iscsi.target.name=" + iqn + " rd.iscsi.target.ip=10.0.0.1,10.0.0.2", "rd.iscsi.target.ip=10.0.0.1,10.0.0.2: has a comma"},
		{"root=LABEL=a rd.iscsi.target.name=" + iqn + " rd.iscsi.target.ip=2001:db8::1 ip=dhcp6", ""},
		{"root=LABEL=a rd.iscsi.target.name=" + iqn + ` rd.iscsi.target.ip="10.0.0.1 10.0.1.1"`, ""},
		{"root=nfs:10.0.0.5:/srv ip=10.0.0.5::10.0.0.1:24::eth0:none", "ip=10.0.0.5::10.0.0.1:24::eth0:static: gives the node the address of the root's server, 10.0.0.5; write one"},
		{"netroot=iscsi:[2001:db8::5]::::" + iqn + " ip=[2001:db8::5]:::64::eth0:none", "ip=[2001:db8::5]:::64::eth0:static: gives the node the address of the root's server"},
	} {
		line, want := tt[0], tt[1]
		p, err := New(cmdline.Parse(line), nil)
		got := strings.Join(p.Warnings, "\n")
		if err != nil {
			got = err.Error()
		}
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	for line, targets := range map[string]int{
		"root=LABEL=a netroot=iscsi:10.0.0.1::::" + iqn + " netroot=iscsi:10.0.0.1::3260::" + iqn: 1,
		"root=LABEL=a netroot=iscsi:10.0.0.1::::" + iqn + " netroot=iscsi:10.0.0.2::3260::" + iqn: 2,
	} {
		if p, err := New(cmdline.Parse(line), nil); err != nil || len(p.Targets) != targets {
			t.Errorf("%s: %v, %v, want %d targets", line, p.Targets, err, targets)
		}
	}
	if p, err := New(cmdline.Parse("root=LABEL=a rd.neednet=1 ip=::::node7:BOOTIF BOOTIF=01-52-54-00-12-34-56"), nil); err != nil || !strings.Contains(p.String(), "ip=::::node7:BOOTIF:dhcp") {
		t.Errorf("%v, %v", p, err)
	}
	p, err := New(cmdline.Parse("root=/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-"+iqn+"-lun-18"), nil)
	if want := "on iscsi:10.0.0.1:6:3260:12-0:" + iqn; err != nil || !strings.Contains(p.String(), want) || !strings.Contains(p.String(), "6:3260:12:"+iqn) {
		t.Errorf("%v, %v, want %s", p, err, want)
	}
}
