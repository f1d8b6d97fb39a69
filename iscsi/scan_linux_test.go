package iscsi

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/init/uevent"
)

// fakeSysfs makes files below a folder that stands for /sys.
func fakeSysfs(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files["class/scsi_host/host5/scan"] = ""
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func unit(number, kind string) map[string]string {
	dir := "class/scsi_device/" + number + "/device/"
	return map[string]string{dir + "type": kind + "\n", dir + "vendor": "IET     \n", dir + "model": "VIRTUAL-DISK    \n"}
}

func units(all ...map[string]string) map[string]string {
	files := map[string]string{}
	for _, u := range all {
		maps.Copy(files, u)
	}
	return files
}

func TestScanLUN(t *testing.T) {
	controller, disk, wide := unit("5:0:0:0", "12"), unit("5:0:0:1", "0"), unit("5:0:0:18", "0")
	other := unit("6:0:0:3", "0")
	for name, tt := range map[string]struct {
		files map[string]string
		lun   LUN
		disk  string
		want  []string
	}{
		"there already": {
			files: units(disk, map[string]string{"class/scsi_device/5:0:0:1/device/block/sdb/size": "1"}), lun: SimpleLUN(1), disk: "sdb",
		},
		"no such LUN": {
			files: units(controller, disk, wide, other), lun: SimpleLUN(2),
			want: []string{"did not appear: the target has LUN 0 (RAID controller), 1 (disk), 12 (disk)", "hexadecimal"},
		},
		"no LUN at all": {files: units(other), lun: SimpleLUN(2), want: []string{"shows no logical unit to this initiator"}},
		"controller": {
			files: units(controller, disk), lun: 0,
			want: []string{"no disk but a RAID controller (IET VIRTUAL-DISK): the target has LUN 0 (RAID controller), 1 (disk)"},
		},
		"no disk made of it": {
			files: units(disk), lun: SimpleLUN(1),
			want: []string{"the unit is there (IET VIRTUAL-DISK, SCSI 5:0:0:1)", "timed out after 50ms", "is the module sd_mod loaded?"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := withTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			got, err := scanLUN(ctx, fakeSysfs(t, tt.files), 5, tt.lun)
			if got.name != tt.disk || (err == nil) != (tt.want == nil) {
				t.Errorf("%+v, %v", got, err)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q lacks %q", err, w)
				}
			}
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(connError(1020))
	if _, err := scanLUN(ctx, fakeSysfs(t, units(disk)), 5, SimpleLUN(1)); !errors.Is(err, connError(1020)) {
		t.Errorf("connection lost during the scan: %v", err)
	}
}

func TestScanRequest(t *testing.T) {
	for lun, want := range map[LUN]string{
		SimpleLUN(1):         "0 0 1",
		0x4100 << 48:         "0 0 16640",
		0x4186000900000000:   "0 0 606598",
		0x47523a4f6b7e2f99:   "0 0 -", // more digits than the kernel reads
		LUN(0x10001) << 32:   "0 0 65537",
		LUN(0xffffffff) << 8: "0 0 -",
	} {
		root := fakeSysfs(t, map[string]string{})
		ctx, cancel := withTimeout(t.Context(), time.Second)
		_, err := scanLUN(ctx, root, 5, lun)
		cancel()
		if err == nil {
			t.Errorf("LUN %v found", lun)
		}
		// The last write is the one that asks for all units.
		u := unitAddress{root, 5, lun}
		if err := u.scan(u.number()); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(root, "class/scsi_host/host5/scan"))
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("LUN %v: scan says %q, %v, want %q", lun, got, err, want)
		}
	}
}

func TestAnnounced(t *testing.T) {
	const dir = "/devices/platform/host5/session1/target5:0:0/5:0:0:1"
	u := unitAddress{"/sys", 5, SimpleLUN(1)}
	for _, tt := range []struct {
		event uevent.Event
		want  bool
	}{
		{uevent.Event{Action: "add", Subsystem: "block", DevPath: dir + "/block/sda"}, true},
		{uevent.Event{Action: "add", Subsystem: "block", DevPath: dir + "/block/sda/sda1"}, false},
		{uevent.Event{Action: "change", Subsystem: "block", DevPath: dir + "/block/sda"}, false},
		{uevent.Event{Action: "add", Subsystem: "bsg", DevPath: dir + "/bsg/5:0:0:1"}, false},
		{uevent.Event{Action: "add", Subsystem: "block", DevPath: "/devices/platform/host5/session1/target5:0:0/5:0:0:11/block/sdb"}, false},
		{uevent.Event{Action: "add", Subsystem: "block", DevPath: "/devices/platform/host15/session1/target15:0:0/15:0:0:1/block/sdb"}, false},
	} {
		name, ok := u.announced(tt.event)
		if ok != tt.want || ok && name != "sda" {
			t.Errorf("%+v: %q, %v", tt.event, name, ok)
		}
	}
}
