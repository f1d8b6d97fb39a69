package boot

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nodisk/nodisk/internal/mounts"
)

func TestForeignMounts(t *testing.T) {
	for point, want := range map[string]bool{
		"/": false, "/proc": false, "/mnt/my disk": true, "/m": true, "/sysroot/n": false,
		"/run": false, "/dev/pts": false, sysroot: false, "/run/media": true,
	} {
		if got := (mountPoint{mounts.Mount{Point: point}}).foreign(); got != want {
			t.Errorf("%s is somebody else's: %v, want %v", point, got, want)
		}
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
