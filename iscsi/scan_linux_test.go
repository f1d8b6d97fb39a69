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

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/uevent"
)

// fakeSysfs makes files below a directory that stands for /sys.
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
	return map[string]string{dir + "type": kind + "\n", dir + "vendor": "IET     \n",
		dir + "model": "VIRTUAL-DISK    \n"}
}

func units(all ...map[string]string) map[string]string {
	files := map[string]string{}
	for _, u := range all {
		maps.Copy(files, u)
	}
	return files
}

func TestFind(t *testing.T) {
	disk := func(number, name string) map[string]string {
		return units(unit(number, "0"), map[string]string{"class/scsi_device/" + number + "/device/block/" + name +
			"/size": "1"})
	}
	controller, bare, wide := unit("5:0:0:0", "12"), unit("5:0:0:1", "0"), unit("5:0:0:18", "0")
	other := unit("6:0:0:3", "0")
	one := Units{LUNs: []LUN{SimpleLUN(1)}}
	for name, tt := range map[string]struct {
		files map[string]string
		want  Units
		disks []Disk
		err   []string
	}{
		"there already": {files: disk("5:0:0:1", "sdb"), want: one, disks: []Disk{{SimpleLUN(1), "sdb"}}},
		"LUN 0 that is a disk": {files: units(disk("5:0:0:0", "sda"), disk("5:0:0:1", "sdb")),
			want: Units{Default: true}, disks: []Disk{{0, "sda"}}},
		"the only disk": {
			files: units(controller, disk("5:0:0:1", "sdb")), want: Units{Default: true},
			disks: []Disk{{SimpleLUN(1), "sdb"}},
		},
		"all disks": {
			files: units(controller, disk("5:0:0:1", "sdb"), disk("5:0:0:18", "sda"),
				disk("6:0:0:3", "sdc")), want: Units{All: true},
			disks: []Disk{{SimpleLUN(1), "sdb"}, {SimpleLUN(18), "sda"}},
		},
		"several disks and no LUN": {
			files: units(controller, bare, wide), want: Units{Default: true},
			err: []string{"names no LUN", "LUN 0 (RAID controller), 1 (disk), 12 (disk)", "root=LABEL="},
		},
		"no disk at all": {files: controller, want: Units{All: true},
			err: []string{"no disk there: the target has LUN 0 (RAID controller)"}},
		"no such LUN": {
			files: units(controller, bare, wide, other), want: Units{LUNs: []LUN{SimpleLUN(2)}},
			err: []string{"LUN 2 did not appear: the target has LUN 0 (RAID controller), 1 (disk), 12 (disk)",
				"hexadecimal"},
		},
		"no LUN at all": {files: units(other), want: one, err: []string{"shows no logical unit to this initiator"}},
		"controller": {
			files: units(controller, bare), want: Units{LUNs: []LUN{0}},
			err: []string{"LUN 0 is not a disk but a RAID controller (IET VIRTUAL-DISK): the target has LUN 0 (RAID " +
				"controller), 1 (disk)"},
		},
		"given up by the kernel": {
			files: units(disk("5:0:0:1", "sdb"),
				map[string]string{"class/scsi_device/5:0:0:1/device/state": "transport-offline\n"}),
			want: one, err: []string{"LUN 1 is transport-offline"},
		},
		"no disk made of it": {
			files: units(bare), want: one,
			err: []string{"LUN 1 is there (IET VIRTUAL-DISK, SCSI 5:0:0:1)", "timed out after 300ms",
				"is the module sd_mod loaded?"},
		},
		"no disk made of one of all": {
			files: units(bare, disk("5:0:0:18", "sda")), want: Units{All: true}, disks: []Disk{{SimpleLUN(18), "sda"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			patience := 10 * time.Second
			if strings.HasPrefix(name, "no disk made") {
				patience = 300 * time.Millisecond
			}
			ctx, cancel := withTimeout(t.Context(), patience)
			defer cancel()
			got, err := scsiHost{fakeSysfs(t, tt.files), 5}.find(ctx, tt.want)
			if diff := cmp.Diff(tt.disks, got.disks); diff != "" || (err == nil) != (tt.err == nil) {
				t.Fatalf("%v, disks (-want +got):\n%s", err, diff)
			}
			for _, w := range tt.err {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q lacks %q", err, w)
				}
			}
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(connError(1020))
	if _, err := (scsiHost{fakeSysfs(t, units(bare)), 5}).find(ctx, one); !errors.Is(err, connError(1020)) {
		t.Errorf("connection lost during the scan: %v", err)
	}
}

// A target may show thousands of units: an error names a few.
func TestListUnitsIsBounded(t *testing.T) {
	var shown []shownUnit
	for i := range 4000 {
		shown = append(shown, shownUnit{lun: LUN(i) << 32, kind: "0"})
	}
	_, err := Units{Default: true, LUNs: []LUN{1}}.choose(shown[1:])
	if err == nil || len(err.Error()) > 700 || !strings.Contains(err.Error(), "and 3983 more") {
		t.Errorf("%d bytes: %v", len(err.Error()), err)
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
		h := scsiHost{fakeSysfs(t, map[string]string{}), 5}
		if err := h.scan(scanWord(lun)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(h.sysfs, "class/scsi_host/host5/scan"))
		if err != nil || string(got) != want {
			t.Errorf("LUN %v: scan says %q, %v, want %q", lun, got, err, want)
		}
	}
	// A unit that is written is asked for alone; when it is not there, and when none
	// is written, all are asked for.
	for name, tt := range map[string]struct {
		files map[string]string
		want  Units
		scan  string
	}{
		"written":     {units(unit("5:0:0:1", "12")), Units{LUNs: []LUN{SimpleLUN(1)}}, "0 0 -"},
		"found":       {unit("5:0:0:1", "0"), Units{LUNs: []LUN{SimpleLUN(1)}}, "0 0 1"},
		"not written": {unit("5:0:0:1", "0"), Units{Default: true}, "0 0 -"},
	} {
		h := scsiHost{fakeSysfs(t, tt.files), 5}
		ctx, cancel := withTimeout(t.Context(), 300*time.Millisecond)
		if _, err := h.find(ctx, tt.want); err == nil {
			t.Errorf("%s: a disk found", name)
		}
		cancel()
		if got, err := os.ReadFile(filepath.Join(h.sysfs, "class/scsi_host/host5/scan")); err != nil ||
			string(got) != tt.scan {
			t.Errorf("%s: scan says %q, %v, want %q", name, got, err, tt.scan)
		}
	}
}

func TestAnnounced(t *testing.T) {
	const dir = "/devices/platform/host5/session1/target5:0:0/5:0:0:1"
	h := scsiHost{"/sys", 5}
	for _, tt := range []struct {
		event uevent.Event
		want  bool
	}{
		{uevent.Event{Action: "add", Subsystem: "block", DevPath: dir + "/block/sda"}, true},
		{uevent.Event{Action: "add", Subsystem: "block", DevPath: dir + "/block/sda/sda1"}, false},
		{uevent.Event{Action: "change", Subsystem: "block", DevPath: dir + "/block/sda"}, false},
		{uevent.Event{Action: "add", Subsystem: "bsg", DevPath: dir + "/bsg/5:0:0:1"}, false},
		{uevent.Event{Action: "add", Subsystem: "block",
			DevPath: "/devices/platform/host5/session1/target5:0:0/5:0:0:11/block/sdb"}, false},
		{uevent.Event{Action: "add", Subsystem: "block",
			DevPath: "/devices/platform/host15/session1/target15:0:0/15:0:0:1/block/sdb"}, false},
	} {
		name, ok := h.announced(SimpleLUN(1), tt.event)
		if ok != tt.want || ok && name != "sda" {
			t.Errorf("%+v: %q, %v", tt.event, name, ok)
		}
	}
}
