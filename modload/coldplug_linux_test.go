package modload

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/uevent"
)

// A fakeSysfs has devices that appear while it is read.
type fakeSysfs struct {
	mu sync.Mutex
	fs fstest.MapFS
}

func (s *fakeSysfs) Open(name string) (fs.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fs.Open(name)
}

func (s *fakeSysfs) add(bus, device, modalias string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := "bus/" + bus + "/devices/" + device
	if modalias == "" {
		s.fs[dir+"/power/control"] = &fstest.MapFile{}
		return
	}
	s.fs[dir+"/modalias"] = &fstest.MapFile{Data: []byte(modalias + "\n")}
}

func newSysfs() *fakeSysfs {
	s := &fakeSysfs{fs: fstest.MapFS{}}
	s.add("pci", "0000:00:01.0", "pci:v00001AF4d00001000")
	s.add("pci", "0000:00:02.0", "pci:v00001AF4d00001000")
	for _, d := range []string{"memory0", "memory1", "memory2", "memory3"} {
		s.add("memory", d, "")
	}
	s.add("memory", "memory4", "usb:v1") // not looked at: its bus has no modaliases
	s.add("acpi", "device:00", "")
	s.add("acpi", "PNP0000:00", "acpi:PNP0000:")
	s.add("cpu", "cpu0", "cpu:type:x86,venxfeature:,0094")
	s.add("cpu", "cpu1", "usb:v1") // not looked at: all processors are the same
	return s
}

func TestColdplug(t *testing.T) {
	l, k, log := newTestLoader(t, diamond, LoaderConfig{})
	sysfs := newSysfs()
	k.inserted = func(name string) ([]string, error) {
		switch name {
		case "left": // a bus driver
			sysfs.add("virtio", "virtio0", "virtio:d00000001v00001AF4")
		case "right":
			return nil, unix.EIO
		}
		return nil, nil
	}
	if err := l.Coldplug(t.Context(), sysfs, nil); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"base": 1, "left": 1, "right": 1, "fast": 1}
	if diff := cmp.Diff(want, k.tries); diff != "" {
		t.Errorf("tries (-want +got):\n%s", diff)
	}
	// A second look has nothing to do and nothing to say.
	if err := l.Coldplug(t.Context(), sysfs, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, k.tries); diff != "" {
		t.Errorf("tries after the second look (-want +got):\n%s", diff)
	}
	wantLog := "level=WARN msg=\"optional module not loaded\" module=right err=\"load module \\\"right\\\": " +
		"input/output error\"\n"
	if diff := cmp.Diff(wantLog, log.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestColdplugFilterAndErrors(t *testing.T) {
	l, k, _ := newTestLoader(t, diamond,
		LoaderConfig{Blacklist: Blacklist{{Module: "fast", Key: "modprobe.blacklist"}}})
	if err := l.Coldplug(t.Context(), newSysfs(),
		func(m Module) bool { return m.Path != "lib/modules/r/kernel/left.ko" }); err != nil {
		t.Fatal(err)
	}
	if len(k.tries) != 0 {
		t.Errorf("the filter or the blacklist does not hold: %v", k.tries)
	}
	if err := l.Coldplug(t.Context(), fstest.MapFS{}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without sysfs: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Coldplug(ctx, newSysfs(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func TestNetwork(t *testing.T) {
	for path, want := range map[string]bool{
		"lib/modules/r/kernel/drivers/net/ethernet/intel/e1000/e1000.ko": true,
		"lib/modules/r/kernel/drivers/virtio/virtio_pci.ko.xz":           true,
		"lib/modules/r/kernel/drivers/gpu/drm/i915/i915.ko":              false,
		"lib/modules/r/kernel/fs/ext4/ext4.ko":                           false,
		"lib/modules/r/kernel/drivers/usb/storage/usb-storage.ko":        false,
		"lib/modules/r/updates/dkms/mlx5_core.ko":                        true,
		"lib/modules/r/weak-updates/x/mlx5_core.ko":                      true,
	} {
		if got := Network(Module{Path: path}); got != want {
			t.Errorf("Network(%s) = %v", path, got)
		}
	}
}

// script delivers events and then waits for the end.
type script []func() (uevent.Event, error)

func (s *script) Receive(ctx context.Context) (uevent.Event, error) {
	if len(*s) == 0 {
		<-ctx.Done()
		return uevent.Event{}, ctx.Err()
	}
	next := (*s)[0]
	*s = (*s)[1:]
	return next()
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, k, _ := newTestLoader(t, diamond, LoaderConfig{})
		sysfs := newSysfs()
		ctx, cancel := context.WithCancel(t.Context())
		event := func(action, alias string) func() (uevent.Event, error) {
			return func() (uevent.Event, error) { return uevent.Event{Action: action, ModAlias: alias}, nil }
		}
		events := &script{
			event("remove", "usb:v1"),
			event("add", ""),
			event("add", "nothing:has-this"),
			func() (uevent.Event, error) {
				synctest.Wait()
				if k.tries["left"] != 1 || k.tries["right"] != 0 || k.tries["top"] != 0 {
					t.Errorf("before the overrun: %v", k.tries)
				}
				sysfs.add("virtio", "virtio0", "virtio:d00000001v00001AF4")
				return uevent.Event{}, uevent.ErrOverrun
			},
			func() (uevent.Event, error) {
				synctest.Wait()
				if k.tries["right"] != 1 || k.tries["top"] != 0 {
					t.Errorf("after the overrun: %v", k.tries)
				}
				return uevent.Event{Action: "add", ModAlias: "usb:v1"}, nil
			},
			func() (uevent.Event, error) {
				synctest.Wait()
				cancel()
				return uevent.Event{}, ctx.Err()
			},
		}
		if err := l.Follow(ctx, sysfs, events); err != nil {
			t.Errorf("the end is an error: %v", err)
		}
		if k.tries["top"] != 1 {
			t.Errorf("after the event: %v", k.tries)
		}
		broken := &script{func() (uevent.Event, error) { return uevent.Event{}, unix.EBADF }}
		if err := l.Follow(t.Context(), sysfs, broken); !errors.Is(err, unix.EBADF) {
			t.Errorf("the source of events is broken: %v", err)
		}
		if err := l.Follow(t.Context(), fstest.MapFS{}, &script{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without sysfs: %v", err)
		}
	})
}
