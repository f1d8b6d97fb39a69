package mounts

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	const text = `22 1 0:2 / / rw shared:1 - rootfs rootfs rw
25 22 0:21 / /proc rw,nosuid - proc proc rw
40 22 8:1 / /mnt/my\040disk rw,relatime - ext4 /dev/sda1 rw
41 22 0:44 /sub /m rw - btrfs /dev/sda rw
42 22 0:45 / /sysroot/n ro shared:2 master:1 - nfs4 10.0.0.1:/a\134b rw
cut 22
43 22 8:17 / /x rw -
`
	want := []Mount{
		{"/", "0:2", "rootfs"},
		{"/proc", "0:21", "proc"},
		{"/mnt/my disk", "8:1", "/dev/sda1"},
		{"/m", "0:44", "/dev/sda"},
		{"/sysroot/n", "0:45", `10.0.0.1:/a\b`},
	}
	got := Parse(text)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}

func TestBelow(t *testing.T) {
	all := []Mount{{Point: "/"}, {Point: "/t"}, {Point: "/t/sys"}, {Point: "/t/proc"}, {Point: "/t/proc/x"},
		{Point: "/t/proc"}, {Point: "/t/proc-2"}, {Point: "/two"}}
	if diff := cmp.Diff([]string{"proc-2", "proc", "sys"}, below(all, "/t")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"t", "two"}, below(all, "/")); diff != "" {
		t.Errorf("of all (-want +got):\n%s", diff)
	}
}
