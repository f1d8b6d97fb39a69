package boot

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMounts(t *testing.T) {
	const text = `22 1 0:2 / / rw shared:1 - rootfs rootfs rw
25 22 0:21 / /proc rw,nosuid - proc proc rw
40 22 8:1 / /mnt/my\040disk rw,relatime - ext4 /dev/sda1 rw
41 22 0:44 /sub /m rw - btrfs /dev/sda rw
42 22 0:45 / /sysroot/n ro shared:2 master:1 - nfs4 10.0.0.1:/a\134b rw
cut 22
43 22 8:17 / /x rw -
`
	want := []mountPoint{
		{"/", "0:2", "rootfs"},
		{"/proc", "0:21", "proc"},
		{"/mnt/my disk", "8:1", "/dev/sda1"},
		{"/m", "0:44", "/dev/sda"},
		{"/sysroot/n", "0:45", `10.0.0.1:/a\b`},
	}
	got := parseMounts(text)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mountPoint{})); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	for i, foreign := range []bool{false, false, true, true, false} {
		if got[i].foreign() != foreign {
			t.Errorf("%s is somebody else's: %v, want %v", got[i].point, !foreign, foreign)
		}
	}
	for _, point := range []string{"/run", "/dev/pts", sysroot} {
		if (mountPoint{point: point}).foreign() {
			t.Errorf("%s is somebody else's", point)
		}
	}
	if m := (mountPoint{point: "/run/media"}); !m.foreign() {
		t.Errorf("%s is not somebody else's", m.point)
	}
}

// A partition, and a volume on an array on it, are on the disk of the session.
func TestOnSession(t *testing.T) {
	top := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	disk := filepath.Join(top, "devices/platform/host2/session17/target2:0:0/2:0:0:1/block/sda")
	must(os.MkdirAll(disk+"/sda1", 0o755))
	must(os.MkdirAll(filepath.Join(top, "devices/pci0/virtio1/block/vda"), 0o755))
	for device, on := range map[string]string{"md0": disk + "/sda1", "dm-0": filepath.Join(top, "devices/virtual/block/md0")} {
		slaves := filepath.Join(top, "devices/virtual/block", device, "slaves")
		must(os.MkdirAll(slaves, 0o755))
		must(os.Symlink(on, filepath.Join(slaves, filepath.Base(on))))
	}
	for device, want := range map[string]bool{"platform/host2/session17/target2:0:0/2:0:0:1/block/sda/sda1": true, "virtual/block/dm-0": true, "pci0/virtio1/block/vda": false, "none": false} {
		if got := onSession(filepath.Join(top, "devices", device), []uint32{3, 17}, maxStacked); got != want {
			t.Errorf("%s: %v, want %v", device, got, want)
		}
	}
	if onSession(disk, []uint32{1, 7}, maxStacked) {
		t.Error("session 17 is taken for session 1 or 7")
	}
	loop := filepath.Join(top, "devices/virtual/block/dm-1/slaves")
	must(os.MkdirAll(loop, 0o755))
	must(os.Symlink(filepath.Dir(loop), loop+"/dm-1"))
	if onSession(filepath.Dir(loop), []uint32{17}, maxStacked) {
		t.Error("what is on itself is on a session")
	}
}
