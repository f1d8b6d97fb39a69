package rootfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/uevent"
)

// A machine is a fake of sysfs, /dev and the kernel's events.
type machine struct {
	mu     sync.Mutex
	sysfs  fstest.MapFS
	images map[string][]byte // by node name
	broken map[string]error  // reads that fail
	hang   map[string]chan struct{}
	reads  map[string]int
	events chan uevent.Event
}

func newMachine() *machine {
	return &machine{
		sysfs: fstest.MapFS{}, images: map[string][]byte{}, broken: map[string]error{},
		hang: map[string]chan struct{}{}, reads: map[string]int{}, events: make(chan uevent.Event, 64),
	}
}

// Open makes the machine an fs.FS for sysfs.
func (m *machine) Open(name string) (fs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	clone := fstest.MapFS{}
	maps.Copy(clone, m.sysfs)
	return clone.Open(name)
}

func (m *machine) set(dir, name string, value any) {
	m.sysfs["block/"+dir+"/"+name] = &fstest.MapFile{Data: fmt.Appendln(nil, value)}
}

// plug adds a disk with its partitions and tells about it. Each partition's
// image is what the disk holds there.
func (m *machine) plug(name string, image []byte) {
	m.mu.Lock()
	m.set(name, "size", len(image)/512)
	m.set(name, "queue/logical_block_size", 512)
	m.images[name] = image
	names := []string{name}
	parts, err := ParsePartitions(bytes.NewReader(image), 512)
	if err != nil {
		parts = nil
	}
	for _, p := range parts {
		if p.Start >= int64(len(image)) { // the kernel leaves it out
			continue
		}
		part := fmt.Sprint(name, p.Number)
		m.set(name+"/"+part, "partition", p.Number)
		m.set(name+"/"+part, "start", p.Start/512)
		m.set(name+"/"+part, "size", p.Size/512)
		m.images[part] = image[p.Start : p.Start+p.Size]
		names = append(names, part)
	}
	m.mu.Unlock()
	for _, n := range names {
		m.events <- uevent.Event{Action: "add", DevPath: "/devices/x/block/" + n, Subsystem: "block", DevName: n}
	}
}

func (m *machine) finder(disks []string, log *slog.Logger) *finder {
	f := newFinder(disks, log)
	f.sysfs = m
	f.open = m.open
	f.listen = func() (listener, error) { return m, nil }
	return f
}

func (m *machine) Receive(ctx context.Context) (uevent.Event, error) {
	select {
	case e := <-m.events:
		return e, nil
	case <-ctx.Done():
		return uevent.Event{}, ctx.Err()
	}
}

func (m *machine) Close() error { return nil }

func (m *machine) open(name string) (device, error) {
	m.mu.Lock()
	image, ok := m.images[name]
	err := m.broken[name]
	hang := m.hang[name]
	m.reads[name]++
	m.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if !ok {
		return nil, fs.ErrNotExist
	}
	return fakeDevice{bytes.NewReader(image), err}, nil
}

type fakeDevice struct {
	*bytes.Reader
	err error
}

func (d fakeDevice) Close() error { return nil }

func (d fakeDevice) ReadAt(p []byte, off int64) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	return d.Reader.ReadAt(p, off)
}

// gptDisk is a disk with an EFI system partition, ext4 "root" and swap.
func gptDisk(t *testing.T, esp, root, swap string) []byte {
	t.Helper()
	d := newGPT(8*mib, 512, []Partition{
		{Number: 1, UUID: uuidOne, Label: "esp", Type: espType, Start: mib, Size: mib},
		{Number: 2, UUID: uuidTwo, Label: "system", Type: linuxType, Start: 2 * mib, Size: mib},
		{Number: 3, UUID: testUUID, Label: "swap", Type: linuxType, Start: 3 * mib, Size: mib},
	})
	for i, name := range []string{esp, root, swap} {
		if name != "" {
			copy(d[(i+1)*mib:(i+2)*mib], captured(t, name))
		}
	}
	return d
}

func bare(t *testing.T, name string) []byte {
	t.Helper()
	d := make([]byte, 4*mib)
	copy(d, captured(t, name))
	return d
}

// find runs a finder in fake time, with a deadline of one minute.
func find(t *testing.T, disks []string, do func(context.Context, *finder) (Block, error), play func(m *machine)) (b Block, log string, took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := newMachine()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		played := make(chan struct{})
		go func() {
			defer close(played)
			play(m)
		}()
		synctest.Wait()
		start := time.Now()
		h := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		b, err = do(ctx, m.finder(disks, slog.New(h)))
		took, log = time.Since(start), out.String()
		<-played
		for _, c := range m.hang {
			close(c)
		}
	})
	return b, log, took, err
}

func by(s Selector) func(context.Context, *finder) (Block, error) {
	return func(ctx context.Context, f *finder) (Block, error) { return f.findBlock(ctx, s) }
}

func TestFindBlock(t *testing.T) {
	disk := gptDisk(t, "vfat12", "ext4", "swap")
	for name, tt := range map[string]struct {
		s    Selector
		want string
	}{
		"label":            {Selector{ByLabel, "root"}, "sda2"},
		"uuid of vfat":     {Selector{ByUUID, "1a2b-3c4d"}, "sda1"},
		"partuuid":         {Selector{ByPartUUID, strings.ToUpper(uuidTwo)}, "sda2"},
		"partlabel":        {Selector{ByPartLabel, "system"}, "sda2"},
		"name":             {Selector{ByName, "sda2"}, "sda2"},
		"uuid of the disk": {Selector{ByLabel, "pool"}, "sdb"},
	} {
		t.Run(name, func(t *testing.T) {
			b, log, took, err := find(t, nil, by(tt.s), func(m *machine) {
				m.plug("sda", disk)
				m.plug("sdb", bare(t, "btrfs"))
			})
			if err != nil || b.Name != tt.want {
				t.Errorf("%s: %v, %v, want %s", tt.s, b, err, tt.want)
			}
			if log != "" || took != 0 {
				t.Errorf("took %v and logged %s", took, log)
			}
		})
	}
}

// A disk that comes late is found by its event, not by polling.
func TestFindBlockWaits(t *testing.T) {
	b, log, took, err := find(t, []string{"sdb"}, by(Selector{ByLabel, "root"}), func(m *machine) {
		m.plug("sda", bare(t, "ext4")) // not asked for
		<-time.After(25*time.Second + time.Millisecond)
		m.plug("sdb", gptDisk(t, "", "ext4", ""))
	})
	if err != nil || b.Name != "sdb2" || b.Partition.UUID != uuidTwo {
		t.Fatalf("%+v, %v", b, err)
	}
	if took != 25*time.Second+time.Millisecond {
		t.Errorf("found after %v", took)
	}
	line := `level=INFO msg="still waiting: no filesystem on sdb has LABEL=root: no block device seen at all (is the disk attached, and its driver in the image?)"` + "\n"
	if diff := cmp.Diff(line+line, log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestFindBlockTellsWhatIsThere(t *testing.T) {
	luks := make([]byte, mib)
	copy(luks, synthetic()["luks2"].image)
	for name, tt := range map[string]struct {
		s    Selector
		play func(m *machine)
		want string
	}{
		"label": {
			Selector{ByLabel, "roof"},
			func(m *machine) { m.plug("sda", gptDisk(t, "vfat12", "ext4", "swap")) },
			`find LABEL=roof: no filesystem has LABEL=roof: seen sda1 (vfat, LABEL "BOOT"), sda2 (ext4, LABEL "root"), sda3 (swap, LABEL "swp"): context deadline exceeded`,
		},
		"other case": {
			Selector{ByLabel, "ROOT"},
			func(m *machine) { m.plug("sda", bare(t, "ext4")) },
			`find LABEL=ROOT: no filesystem has LABEL=ROOT: seen sda (ext4, LABEL "root"); sda has LABEL=root, is that the one?: context deadline exceeded`,
		},
		"other key": {
			Selector{ByUUID, uuidTwo},
			func(m *machine) { m.plug("sda", gptDisk(t, "", "ext4", "")) },
			"find UUID=" + uuidTwo + ": no filesystem has UUID=" + uuidTwo + ": seen sda1 (no filesystem known), sda2 (ext4, UUID " + testUUID + "), sda3 (no filesystem known); sda2 has PARTUUID=" + uuidTwo + ", is that the one?: context deadline exceeded",
		},
		"name": {
			Selector{ByName, "sda4"},
			func(m *machine) { m.plug("sda", gptDisk(t, "", "ext4", "")) },
			"find /dev/sda4: there is no /dev/sda4: seen sda (3 partitions), sda1 (no filesystem known), sda2 (ext4), sda3 (no filesystem known): context deadline exceeded",
		},
		"unreadable": {
			Selector{ByLabel, "root"},
			func(m *machine) {
				m.broken["sda"] = syscall.EIO
				m.plug("sda", bare(t, "ext4"))
			},
			"find LABEL=root: no filesystem has LABEL=root: seen sda (unreadable: read the first 68 KiB, got 0 bytes: input/output error): context deadline exceeded",
		},
		"hanging": {
			Selector{ByLabel, "root"},
			func(m *machine) {
				m.hang["sda"] = make(chan struct{})
				m.plug("sda", bare(t, "ext4"))
			},
			"find LABEL=root: no filesystem has LABEL=root: seen sda (still being read): context deadline exceeded",
		},
		"damaged table": {
			Selector{ByPartLabel, "system"},
			func(m *machine) {
				d := gptDisk(t, "", "ext4", "")
				d[512+40]++
				m.plug("sda", d)
			},
			"checksum is",
		},
		"luks": {
			Selector{ByUUID, testUUID},
			func(m *machine) { m.plug("sda", luks) },
			"find UUID=" + testUUID + ": /dev/sda is an encrypted LUKS volume, not a filesystem: nodisk does not open encrypted volumes, it mounts a filesystem on a disk or a partition only",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, _, _, err := find(t, nil, by(tt.s), tt.play)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v\n got %v\nwant %s", b, err, tt.want)
			}
			if name != "luks" && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v does not tell the deadline", err)
			}
		})
	}
}

// One hanging disk does not keep the root on another from being found, and of
// two that match the first is taken, with a warning.
func TestFindBlockBesideOthers(t *testing.T) {
	b, log, took, err := find(t, nil, by(Selector{ByLabel, "root"}), func(m *machine) {
		m.hang["sda"] = make(chan struct{})
		m.plug("sda", bare(t, "ext4"))
		m.plug("sdb", bare(t, "ext4"))
		m.plug("sdc", bare(t, "ext4"))
	})
	if err != nil || b.Name != "sdb" {
		t.Errorf("%v, %v", b, err)
	}
	if took != settleTime {
		t.Errorf("took %v, want %v", took, settleTime)
	}
	want := `level=WARN msg="LABEL=root means more than one device: sdb (ext4, LABEL \"root\") is taken, not sdc (ext4, LABEL \"root\")"` + "\n"
	if diff := cmp.Diff(want, log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// Events of other devices cause no second read; those of the device itself do.
func TestFindBlockReadsOnce(t *testing.T) {
	var m *machine
	_, _, _, err := find(t, nil, by(Selector{ByLabel, "root"}), func(x *machine) {
		m = x
		m.plug("sda", make([]byte, mib))
		for i := range 5 {
			<-time.After(time.Second)
			m.plug(fmt.Sprintf("sd%c", 'b'+i), make([]byte, mib))
		}
		<-time.After(time.Second)
		m.mu.Lock()
		m.images["sda"] = bare(t, "ext4")
		m.mu.Unlock()
		m.events <- uevent.Event{Action: "change", DevPath: "/devices/x/block/sda", Subsystem: "block", DevName: "sda"}
	})
	if err != nil {
		t.Fatal(err)
	}
	if m.reads["sda"] != 2 || m.reads["sdb"] != 1 {
		t.Errorf("reads: %v", m.reads)
	}
}

func TestFindOn(t *testing.T) {
	for name, tt := range map[string]struct {
		disk []byte
		want string
		err  string
	}{
		"whole disk":         {disk: bare(t, "xfs"), want: "sda"},
		"one of three":       {disk: gptDisk(t, "vfat12", "ext4", "swap"), want: "sda2"},
		"two":                {disk: gptDisk(t, "", "ext4", "ext2"), err: `/dev/sda has 2 filesystems: sda2 (ext4, LABEL "root"), sda3 (ext2, LABEL "two"): choose one with root=LABEL= or root=UUID=`},
		"none":               {disk: gptDisk(t, "", "", "swap"), err: "/dev/sda has no partition with a filesystem: sda2 (no filesystem known), sda3 (swap"},
		"empty":              {disk: make([]byte, mib), err: "sda is the wrong disk or LUN, or is empty"},
		"raid":               {disk: synthetic()["mdraid 1.2"].image, err: "a member of a Linux software RAID, not a filesystem"},
		"partition too many": {disk: mbrWithMissing(t), err: "not all there: seen sda (1 partition in its table that the kernel does not show), sda1 (ext4): context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			b, _, _, err := find(t, []string{"sda"}, func(ctx context.Context, f *finder) (Block, error) { return f.findOn(ctx, "sda", "") }, func(m *machine) {
				m.plug("sda", tt.disk)
				if name == "partition too many" {
					m.mu.Lock()
					delete(m.sysfs, "block/sda/sda2/partition")
					m.mu.Unlock()
				}
			})
			if tt.err == "" && (err != nil || b.Name != tt.want) {
				t.Errorf("%v, %v, want %s", b, err, tt.want)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("%v\n got %v\nwant %s", b, err, tt.err)
			}
		})
	}
}

// A partition by its number is one of the first disk, whatever the others have.
func TestFindOnPartition(t *testing.T) {
	lvm := gptDisk(t, "", "ext4", "xfs")
	copy(lvm[mib:2*mib], synthetic()["lvm"].image)
	for _, tt := range []struct {
		number, want, err string
	}{
		{number: "2", want: "sdb2"},
		{number: "3", want: "sdb3"},
		{number: "1", err: `find the disk's partition 1: /dev/sdb1 is an LVM2 physical volume`},
		{number: "4", err: "find the disk's partition 4: sdb has no partition 4: seen sdb1 (LVM2_member, partition 1), sdb2 (ext4, partition 2), sdb3 (xfs, partition 3): "},
	} {
		b, _, _, err := find(t, []string{"sdb", "sda"}, by(Selector{ByNumber, tt.number}), func(m *machine) {
			m.plug("sda", gptDisk(t, "ext4", "ext4", "ext4"))
			m.plug("sdb", lvm)
		})
		if b.Name != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("partition %s: %v, %v", tt.number, b, err)
		}
	}
	if _, err := FindOn(t.Context(), nil, Selector{ByNumber, "1"}, "", nil); err == nil {
		t.Error("found on no disk")
	}
	if _, err := FindBlock(t.Context(), Selector{ByNumber, "1"}, nil, nil); err == nil {
		t.Error("found on any disk")
	}
}

// mbrWithMissing has two partitions, of which the test hides the second.
func mbrWithMissing(t *testing.T) []byte {
	t.Helper()
	d := make([]byte, 4*mib)
	putMBREntry(d, 0, 0x83, 2048, 2048)
	putMBREntry(d, 1, 0x83, 4096, 2048)
	copy(d[mib:], captured(t, "ext4"))
	return d
}

func TestListNodes(t *testing.T) {
	m := newMachine()
	for _, name := range []string{"sda", "sdaa", "sdb"} {
		m.plug(name, gptDisk(t, "", "", ""))
	}
	m.set("sdb/sdb10", "partition", 10) // before sdb2 in its folder
	m.set("sdb/sdb10", "size", 8)
	m.set("ram0", "size", 8192)
	m.set("loop0", "size", 0)
	m.set("nvme0c0n1", "size", 8192)
	m.set("nvme0c0n1", "hidden", 1)
	nodes, err := listNodes(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range nodes {
		names = append(names, n.name)
	}
	want := "sda sda1 sda2 sda3 sdb sdb1 sdb2 sdb3 sdb10 sdaa sdaa1 sdaa2 sdaa3"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if n := nodes[2]; n.start != 2*mib || n.size != mib || n.number != 2 || n.disk != "sda" {
		t.Errorf("%+v", n)
	}
}
