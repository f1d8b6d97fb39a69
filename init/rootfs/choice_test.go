package rootfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/internal/uevent"
)

const (
	bootType = "bc13c2ff-59e6-4262-a352-b275fd6f7172" // XBOOTLDR
	lvmType  = "e6d6d379-f507-44c2-a23c-238f2a3df928"
)

// A slot is a partition of 2 MiB and what is in it: the name of a captured or a
// synthetic superblock.
type slot struct{ kind, content string }

// contentOf returns a superblock as it would be in a partition of 2 MiB.
func contentOf(t *testing.T, name string) []byte {
	t.Helper()
	if s, ok := containers()[name]; ok {
		return s.image
	}
	if s, ok := synthetic()[name]; ok {
		return s.image
	}
	if name == "f2fs" { // a type that Probe does not recognise
		return sampleOf(map[int][]byte{1024: {0x10, 0x20, 0xf5, 0xf2}})
	}
	return captured(t, name)
}

// diskOf is a disk with a GPT of these slots, the first at 1 MiB.
func diskOf(t *testing.T, slots ...slot) []byte {
	t.Helper()
	var parts []Partition
	for i, s := range slots {
		parts = append(parts, Partition{
			Number: i + 1, UUID: fmt.Sprintf("11111111-2222-3333-4444-%012d", i+1), Type: s.kind,
			Start: int64(1+2*i) * mib, Size: 2 * mib,
		})
	}
	d := newGPT(int64(2+2*len(slots))*mib, 512, parts)
	fill(t, d, slots)
	return d
}

func fill(t *testing.T, d []byte, slots []slot) {
	t.Helper()
	for i, s := range slots {
		if s.content != "" {
			copy(d[(1+2*i)*mib:(3+2*i)*mib], contentOf(t, s.content))
		}
	}
}

// overwritten is a disk that had the superblock before, and got an MBR with these
// slots from a tool that does not wipe.
func overwritten(t *testing.T, before []byte, slots ...slot) []byte {
	t.Helper()
	d := make([]byte, 8*mib)
	copy(d, before[:min(len(before), mib)])
	for i, s := range slots {
		var kind byte
		if _, err := fmt.Sscanf(s.kind, "0x%x", &kind); err != nil {
			t.Fatal(err)
		}
		putMBREntry(d, i, kind, uint32(1+2*i)*2048, 4096)
	}
	fill(t, d, slots)
	return d
}

// named changes the label of an ext4 superblock.
func named(image []byte, name string) []byte {
	b := bytes.Clone(image)
	copy(b[1024+120:1024+136], append([]byte(name), make([]byte, 16)...))
	return b
}

func sized(image []byte, size int64) []byte {
	b := bytes.Clone(image)
	setExtSize(b, size)
	return b
}

// isoHybrid is a CD image whose MBR shows the image once more, and its boot image.
func isoHybrid(t *testing.T, more ...slot) []byte {
	t.Helper()
	iso := bytes.Clone(contentOf(t, "iso9660"))
	binary.LittleEndian.PutUint32(iso[32<<10+80:], 1<<20/2048) // 1 MiB
	binary.LittleEndian.PutUint16(iso[32<<10+128:], 2048)
	d := overwritten(t, iso, more...)
	putMBREntry(d, 2, 0xef, 100, 200)
	putMBREntry(d, 3, 0x17, 0, 2048)
	return d
}

type onTest struct {
	disk      []byte
	types     string
	want, log string // the block; a part of the warning
	err       string // a part of it
}

func choices(t *testing.T) map[string]onTest {
	t.Helper()
	esp := slot{espType, "vfat12"}
	xfs, ext, pv := slot{linuxType, "xfs"}, slot{linuxType, "ext4"}, slot{lvmType, "lvm"}
	ext4 := captured(t, "ext4")
	old := named(ext4, "OLDWHOLE")
	const below = "lies under a partition table with sda1 (ext4, LABEL \"root\") and is taken for a leftover"
	return map[string]onTest{
		"/boot and LVM": {
			disk: diskOf(t, esp, xfs, pv),
			err: "/dev/sda3 is an LVM2 physical volume, not a filesystem: nodisk does not assemble volume groups, it mounts a filesystem on a disk or a partition only; " +
				"beside it is sda2 (xfs, LABEL \"data\"): if that is the root and not its /boot, choose it with root=LABEL= or root=UUID=",
		},
		"/boot and LUKS":          {disk: diskOf(t, esp, xfs, slot{linuxType, "luks2"}), err: "/dev/sda3 is an encrypted LUKS volume"},
		"/boot and RAID 1.0":      {disk: diskOf(t, ext, slot{linuxType, "mdraid 1.0"}), err: "/dev/sda2 is a member of a Linux software RAID"},
		"/boot and ZFS":           {disk: diskOf(t, ext, slot{linuxType, "zfs"}), err: "/dev/sda2 is a member of a ZFS pool"},
		"LVM alone":               {disk: diskOf(t, esp, pv), err: "find a filesystem on sda: /dev/sda2 is an LVM2 physical volume, not a filesystem: nodisk does not assemble volume groups"},
		"/boot by its type":       {disk: diskOf(t, esp, slot{bootType, "ext4"}, xfs), want: "sda3"},
		"/boot by type, and LVM":  {disk: diskOf(t, slot{bootType, "ext4"}, pv), err: "/dev/sda2 is an LVM2 physical volume"},
		"swap beside the root":    {disk: diskOf(t, ext, slot{linuxType, "swap"}), want: "sda1"},
		"journal beside the root": {disk: diskOf(t, ext, slot{linuxType, "jbd"}), want: "sda1"},
		"two, one of the type":    {disk: diskOf(t, ext, xfs), types: "xfs", want: "sda2"},
		"two, by ext4's driver":   {disk: diskOf(t, slot{linuxType, "ext3"}, xfs), types: "ext4", want: "sda1"},
		"two, both of the types":  {disk: diskOf(t, ext, xfs), types: "xfs,ext4", err: "has 2 filesystems"},
		"LVM, for all the type":   {disk: diskOf(t, xfs, pv), types: "xfs", err: "/dev/sda2 is an LVM2 physical volume"},

		"stale ext4":               {disk: overwritten(t, old, slot{"0x83", "ext4"}), want: "sda1", log: "its ext4 " + below},
		"stale xfs":                {disk: overwritten(t, captured(t, "xfs"), slot{"0x83", "ext4"}), want: "sda1", log: "its xfs " + below},
		"stale btrfs":              {disk: overwritten(t, captured(t, "btrfs"), slot{"0x83", "ext4"}), want: "sda1", log: "its btrfs " + below},
		"stale swap":               {disk: overwritten(t, captured(t, "swap"), slot{"0x83", "ext4"}), want: "sda1", log: "its swap " + below},
		"stale LUKS":               {disk: overwritten(t, contentOf(t, "luks2"), slot{"0x83", "ext4"}), want: "sda1", log: "its crypto_LUKS " + below},
		"stale, two in the table":  {disk: overwritten(t, old, slot{"0x83", "ext4"}, slot{"0x83", "xfs"}), err: "has 2 filesystems: sda1 (ext4"},
		"stale, LVM in the table":  {disk: overwritten(t, old, slot{"0x8e", "lvm"}), err: "/dev/sda1 is an LVM2 physical volume"},
		"nothing in the table":     {disk: overwritten(t, old, slot{"0x83", ""}), want: "sda"},
		"only an ESP in the table": {disk: overwritten(t, old, slot{"0xef", "vfat12"}), want: "sda"},
		"partition behind it":      {disk: overwritten(t, sized(old, mib), slot{"0x83", "ext4"}), err: "has 2 filesystems: sda (ext4, LABEL \"OLDWHOLE\"), sda1 (ext4"},
		"image for CD and stick":   {disk: isoHybrid(t), want: "sda"},
		"the same, with more":      {disk: isoHybrid(t, slot{"0x83", "ext4"}), err: "has 2 filesystems: sda (iso9660, LABEL \"RESCUE_CD\"), sda1 (ext4"},
		"FAT without a table":      {disk: bare(t, "vfat16"), want: "sda"},
		"NTFS without a table":     {disk: ntfs(), want: "sda"},

		"unknown type, whole disk": {disk: contentOf(t, "f2fs"), types: "f2fs", want: "sda"},
		"unknown type, not told":   {disk: contentOf(t, "f2fs"), err: "sda is the wrong disk or LUN, or is empty; a filesystem of another type needs rootfstype=TYPE, or root=/dev/sda with it"},
		"known type, empty disk":   {disk: make([]byte, mib), types: "ext4,auto", err: "sda is the wrong disk or LUN, or is empty"},
		"unknown type, partition":  {disk: diskOf(t, esp, slot{linuxType, "f2fs"}), types: "f2fs", want: "sda2"},
		"unknown type, two blank":  {disk: diskOf(t, slot{linuxType, "f2fs"}, slot{linuxType, ""}), types: "f2fs", err: "has 2 filesystems"},

		"half a mirror":         {disk: atEnd(t, diskOf(t, ext)), err: "/dev/sda is a member of a Linux software RAID, not a filesystem: nodisk does not assemble it"},
		"table beyond the disk": {disk: beyond(t), want: "sda"},
	}
}

// ntfs is a boot sector with the boot loader's text where a table would be.
func ntfs() []byte {
	d := make([]byte, 4*mib)
	copy(d, "\xeb\x52\x90NTFS    ")
	copy(d[446:], "NTLDR is missing")
	d[510], d[511] = 0x55, 0xaa
	return d
}

// atEnd makes a disk one half of a mirror that has the table inside.
func atEnd(t *testing.T, inside []byte) []byte {
	t.Helper()
	d := append(bytes.Clone(inside), make([]byte, sampleSize)...)
	at := len(d) - 8<<10
	copy(d[at:], raid1(4096)[4096:])
	binary.LittleEndian.PutUint64(d[at+144:], uint64(at/512))
	return d
}

// beyond has the table of a larger disk: the kernel shows none of it.
func beyond(t *testing.T) []byte {
	t.Helper()
	d := bare(t, "ext4")
	putMBREntry(d, 0, 0x83, 1<<20, 2048)
	return d
}

func TestFindOnChooses(t *testing.T) {
	for name, tt := range choices(t) {
		t.Run(name, func(t *testing.T) {
			b, log, took, err := find(t, []string{"sda"}, func(ctx context.Context, f *finder) (Block, error) {
				return f.findOn(ctx, "sda", tt.types)
			}, func(m *machine) { m.plug("sda", tt.disk) })
			switch {
			case tt.err == "" && (err != nil || b.Name != tt.want):
				t.Errorf("%v, %v, want %s", b, err, tt.want)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("%v\n got %v\nwant %s", b, err, tt.err)
			}
			if tt.log == "" && log != "" || !strings.Contains(strings.ReplaceAll(log, `\`, ""), tt.log) {
				t.Errorf("log %swant %q", log, tt.log)
			}
			if took > settleTime {
				t.Errorf("took %v: nothing is missing", took)
			}
		})
	}
}

// A label that is on a disk under its partition table means the partition that
// has it too, and nothing when there is none: to mount it would replay its journal
// into the partitions.
func TestFindBlockUnderATable(t *testing.T) {
	disk := overwritten(t, named(captured(t, "ext4"), "old"), slot{"0x83", "ext4"})
	same := overwritten(t, captured(t, "ext4"), slot{"0x83", "ext4"})
	for name, tt := range map[string]struct {
		s              Selector
		disk           []byte
		want, err, log string
	}{
		"both have it":           {s: Selector{ByLabel, "root"}, disk: same, want: "sda1"},
		"the partition has it":   {s: Selector{ByLabel, "root"}, disk: disk, want: "sda1"},
		"only the disk has it":   {s: Selector{ByLabel, "old"}, disk: disk, err: "sda has it, but its ext4 lies under a partition table with sda1 (ext4, LABEL \"root\") and is taken for a leftover (wipefs -a -t ext4 /dev/sda removes it): root=/dev/sda mounts it all the same"},
		"the disk by its name":   {s: Selector{ByName, "sda"}, disk: disk, want: "sda", log: "is taken for a leftover"},
		"in half a mirror":       {s: Selector{ByLabel, "root"}, disk: atEnd(t, diskOf(t, slot{linuxType, "ext4"})), err: "/dev/sda1 is on sda, a member of a Linux software RAID, and is not mounted without it; should that be left from an earlier use, wipefs /dev/sda shows it, and wipefs -a -t TYPE /dev/sda removes it"},
		"/boot, named exactly":   {s: Selector{ByLabel, "data"}, disk: diskOf(t, slot{linuxType, "xfs"}, slot{lvmType, "lvm"}), want: "sda1"},
		"LUKS2 by its own label": {s: Selector{ByLabel, "secret"}, disk: diskOf(t, slot{linuxType, "luks2"}), err: "/dev/sda1 is an encrypted LUKS volume"},
	} {
		t.Run(name, func(t *testing.T) {
			b, log, _, err := find(t, nil, by(tt.s), func(m *machine) { m.plug("sda", tt.disk) })
			switch {
			case tt.err == "" && (err != nil || b.Name != tt.want):
				t.Errorf("%v, %v, want %s", b, err, tt.want)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("%v\n got %v\nwant %s", b, err, tt.err)
			case err == nil && (tt.log == "" && log != "" || !strings.Contains(log, tt.log)):
				t.Errorf("log %swant %q", log, tt.log)
			}
		})
	}
}

// member is one device of a btrfs of two.
func member(t *testing.T, device byte) []byte {
	t.Helper()
	const sb = 64 << 10
	d := bare(t, "btrfs")
	d[sb+136], d[sb+201] = 2, device
	return d
}

// A btrfs of two devices is there when both are, whichever came first.
func TestFindBlockOfSeveralDevices(t *testing.T) {
	label := by(Selector{ByLabel, "pool"})
	on := func(ctx context.Context, f *finder) (Block, error) { return f.findOn(ctx, "sdb", "") }
	for name, do := range map[string]func(context.Context, *finder) (Block, error){"by label": label, "on a disk": on} {
		b, log, took, err := find(t, []string{"sdb", "sdc"}, do, func(m *machine) {
			m.plug("sdb", member(t, 1))
			<-time.After(5 * time.Second)
			m.plug("sdc", member(t, 2))
		})
		if err != nil || b.Name != "sdb" || len(b.Members) != 1 || b.Members[0].Name != "sdc" || !slices.Equal(b.Disks(), []string{"sdb", "sdc"}) || took != 5*time.Second || log != "" {
			t.Errorf("%s: %v with %v after %v, %v, log %q", name, b, b.Members, took, err, log)
		}
		_, _, _, err = find(t, []string{"sdb"}, do, func(m *machine) { m.plug("sdb", member(t, 1)) })
		if err == nil || !strings.Contains(err.Error(), "sdb is 1 of 2 devices of a btrfs, and 1 of them are missing") {
			t.Errorf("%s, one missing: %v", name, err)
		}
	}
}

// Two paths to one LUN are told as that.
func TestFindBlockTellsPaths(t *testing.T) {
	b, log, _, err := find(t, nil, by(Selector{ByLabel, "root"}), func(m *machine) {
		m.mu.Lock()
		for _, name := range []string{"sda", "sdb"} {
			m.set(name, "device/wwid", "naa.60014050000000000000000000000001")
		}
		m.mu.Unlock()
		m.plug("sda", bare(t, "ext4"))
		m.plug("sdb", bare(t, "ext4"))
	})
	want := "sdb (ext4) is another path to the LUN of sda (WWID naa.60014050000000000000000000000001): nodisk does not join paths (multipath), the root will depend on sda alone"
	if err != nil || b.Name != "sda" || !strings.Contains(log, want) {
		t.Errorf("%v, %v\n got %swant %s", b, err, log, want)
	}
}

// A read that hangs is not joined by a second one at each event, and a disk that
// has gone with its session holds nobody.
func TestFindBlockReadsAHangingDiskOnce(t *testing.T) {
	change := uevent.Event{Action: "change", DevPath: "/devices/x/block/sda", Subsystem: "block", DevName: "sda"}
	var m *machine
	b, _, took, err := find(t, nil, by(Selector{ByLabel, "root"}), func(x *machine) {
		m = x
		m.hang["sda"] = make(chan struct{})
		m.plug("sda", bare(t, "ext4"))
		for range 5 {
			<-time.After(time.Second)
			m.events <- change
			m.events <- uevent.Event{} // events were lost
		}
		<-time.After(time.Second)
		m.mu.Lock()
		for name := range m.sysfs {
			if strings.HasPrefix(name, "block/sda/") {
				delete(m.sysfs, name)
			}
		}
		m.mu.Unlock()
		m.events <- uevent.Event{Action: "remove", DevPath: "/devices/x/block/sda", Subsystem: "block", DevName: "sda"}
		m.plug("sdb", bare(t, "ext4"))
	})
	if err != nil || b.Name != "sdb" || took != 6*time.Second {
		t.Errorf("%v after %v, %v", b, took, err)
	}
	if m.reads["sda"] != 1 {
		t.Errorf("%d reads of a disk that hangs", m.reads["sda"])
	}
}

// What a wait tells fits into a line, however many disks and labels there are.
func TestMissingIsBrief(t *testing.T) {
	var seen []Block
	for i := range 300 {
		b := Block{Name: fmt.Sprint("disk", i), Filesystem: Filesystem{Type: "btrfs", Label: strings.Repeat("\x01", 200), UUID: testUUID}}
		b.Disk = b.Name
		if i%2 == 0 {
			b.Problem = "unreadable: read the first 68 KiB, got 0 bytes: input/output error"
		}
		seen = append(seen, b)
	}
	for _, by := range []SelectBy{ByLabel, ByUUID, ByPartUUID, ByName} {
		s := Selector{by, "none"}
		line := s.missing(seen, nil)
		if len(line) > 1000 || !strings.Contains(line, "seen disk0 (unreadable: ") || !strings.HasSuffix(line, " more") {
			t.Errorf("%s: %d bytes: %s", s, len(line), line)
		}
	}
}
