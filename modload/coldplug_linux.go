package modload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/nodisk/nodisk/internal/uevent"
)

// Events delivers device events; *uevent.Conn does. It says that some were lost
// (uevent.ErrOverrun) when all from then on are received, not before.
type Events interface {
	Receive(ctx context.Context) (uevent.Event, error)
}

// A Filter selects modules by what they are. Nil selects all.
type Filter func(Module) bool

// Network selects drivers of network devices and of the buses they sit on,
// and every module that is not part of the kernel's own tree (kernel/), whose purpose its path
// does not say.
func Network(m Module) bool {
	_, in, ok := strings.Cut(m.Path, "/kernel/")
	if !ok {
		return true
	}
	in, ok = strings.CutPrefix(in, "drivers/")
	if !ok {
		return false
	}
	for _, dir := range [...]string{
		"net/", "infiniband/", "virtio/", "hv/", "xen/", "pci/", "usb/core/", "usb/host/", "bcma/", "ssb/", "vdpa/",
		"phy/",
	} {
		if strings.HasPrefix(in, dir) {
			return true
		}
	}
	return false
}

// Coldplug loads the modules that the devices of this machine ask for, and
// looks again as long as that makes new devices appear (virtio_pci makes
// virtio devices). sysfs is rooted at /sys, and the same at every call: a
// device is read once in the life of a Loader. Devices of every bus are looked
// at; those of classes (input, dmi) are not, nothing on the way to a root is
// among them.
//
// A module that does not load is a warning in the log: another device may
// do. The error is that of ctx or of a sysfs that cannot be read.
//
// Nobody waits for a probe: Coldplug returns when nothing is left to do but what
// waits for the kernel, which is in the init or in a probe of some. What comes
// after those is loaded in the background, until [Loader.Close]. The devices that they
// create then, and those of drivers that probe asynchronously, are for [Loader.Follow].
func (l *Loader) Coldplug(ctx context.Context, sysfs fs.FS, want Filter) error {
	l.places.begin()
	defer l.places.end()
	list, err := l.scan(sysfs)
	if err == nil {
		list = l.known() // another call may have wanted others
	}
	for err == nil {
		var n int
		if n, err = l.serve(ctx, list, want); n == 0 && err == nil {
			return nil
		}
		if err == nil {
			list, err = l.scan(sysfs)
		}
	}
	return fmt.Errorf("coldplug: %w", err)
}

// scan returns the devices whose modaliases are new since the last scan.
func (l *Loader) scan(sysfs fs.FS) ([]device, error) {
	l.scanning.Lock()
	defer l.scanning.Unlock()
	return l.scanner.scan(sysfs)
}

// known returns all devices that scans have found.
func (l *Loader) known() []device {
	l.scanning.Lock()
	defer l.scanning.Unlock()
	return slices.Clone(l.scanner.list)
}

// rescan forgets what scans have found.
func (l *Loader) rescan() {
	l.scanning.Lock()
	defer l.scanning.Unlock()
	l.scanner = scanner{}
}

// serve loads the modules for devices and returns how many were not known
// before, when they have settled.
func (l *Loader) serve(ctx context.Context, devices []device, want Filter) (int, error) {
	names, by, end := l.look(devices, want)
	defer end()
	if names == nil {
		return 0, context.Cause(ctx)
	}
	b, answers := l.plug(names, by)
	if err := l.settle(ctx, b, answers); err != nil {
		return 0, err
	}
	got := b.errors()
	for _, a := range answers {
		if err := l.judge(a, got); err != nil {
			l.warn(a.name, err)
		}
	}
	return len(names), nil
}

// look is drivers, and says so until end is called, when the modules have been begun with.
func (l *Loader) look(devices []device, want Filter) (names []string, by map[string]string, end func()) {
	l.mu.Lock()
	l.looking++
	l.mu.Unlock()
	names, by = l.drivers(devices, want)
	return names, by, func() {
		l.turned(func() {
			l.looking--
			l.state.count += len(names)
		})
	}
}

// plug begins to load modules for devices.
func (l *Loader) plug(names []string, by map[string]string) (*batch, []answer) {
	p := l.index.schedule(names, l.denied, l.kernel.cpu())
	return l.start(l.life, p.mods, purpose{driver: true, devices: by}), p.answers
}

// drivers are the modules that devices are the first to ask for, and of each
// the device.
func (l *Loader) drivers(devices []device, want Filter) (names []string, by map[string]string) {
	by = make(map[string]string)
	for _, d := range devices {
		for _, name := range l.index.Match(d.modalias) {
			if _, seen := by[name]; seen || l.denied(name, true) {
				continue
			}
			by[name] = d.name
			i, ok := l.index.byName[name]
			if !ok || want != nil && !want(Module{Name: name, Path: l.index.file(l.index.mods[i].path)}) {
				continue
			}
			if l.first(name) {
				names = append(names, name)
			}
		}
	}
	return names, by
}

// first reports whether a device is the first to ask for a module, and nothing
// has loaded it yet: one of a kind is enough, the driver finds the others.
func (l *Loader) first(module string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.loads[module]
	if l.asked[module] || f != nil && f.ended() {
		return false
	}
	l.asked[module] = true
	return true
}

// A device is what the search for modules needs of one.
type device struct {
	name     string // in sysfs: 0000:00:05.0
	modalias string
}

// A scanner finds the devices on all buses, of each modalias the first. Its
// zero value has found none.
type scanner struct {
	devices map[string]bool // by path, those that were looked at: has it a modalias?
	aliases map[string]bool // of those in list
	list    []device
	buf     [4096]byte // sysfs shows a page at most
}

// A bus whose first mute devices have no modalias has none at all: memory and
// workqueue have thousands of devices, and nothing to say about modules.
const mute = 4

// scan returns the devices whose modaliases are new since the last scan.
func (s *scanner) scan(sysfs fs.FS) ([]device, error) {
	buses, err := fs.ReadDir(sysfs, "bus")
	if err != nil {
		return nil, fmt.Errorf("list buses: %w", err)
	}
	if s.devices == nil {
		s.devices, s.aliases = make(map[string]bool), make(map[string]bool)
	}
	before := len(s.list)
	for _, bus := range buses {
		dir := "bus/" + bus.Name() + "/devices"
		devices, err := fs.ReadDir(sysfs, dir)
		if err != nil {
			continue // a bus that has just gone
		}
		if bus.Name() == "cpu" && len(devices) > 1 {
			devices = devices[:1] // all the same, and of half a KiB each
		}
		spoke := false
		for i, entry := range devices {
			if i == mute && !spoke {
				break
			}
			path := dir + "/" + entry.Name()
			if has, known := s.devices[path]; known {
				spoke = spoke || has
				continue
			}
			alias := modalias(sysfs, path+"/modalias", s.buf[:])
			has := len(alias) > 0
			s.devices[path] = has
			spoke = spoke || has
			if has && !s.aliases[string(alias)] {
				s.aliases[string(alias)] = true
				s.list = append(s.list, device{name: entry.Name(), modalias: string(alias)})
			}
		}
	}
	return s.list[before:], nil
}

// modalias returns nil for a device that has none or is gone.
func modalias(sysfs fs.FS, path string, buf []byte) []byte {
	f, err := sysfs.Open(path)
	if err != nil {
		return nil
	}
	n, _ := f.Read(buf) // with n == 0 there is no alias, whatever the reason
	_ = f.Close()
	return bytes.TrimSpace(buf[:n])
}

// Follow loads the modules for devices as they appear, until ctx ends, which
// is not an error. It begins with a Coldplug of everything, so subscribe before
// the call: then no device is missed in between. When events were lost it
// looks at all devices again. No device waits for another's driver.
func (l *Loader) Follow(ctx context.Context, sysfs fs.FS, events Events) error {
	following, stop := context.WithCancelCause(ctx)
	var looks sync.WaitGroup
	defer looks.Wait()
	defer stop(nil)
	look := func() {
		looks.Go(func() {
			if err := l.Coldplug(following, sysfs, nil); err != nil {
				stop(err)
			}
		})
	}
	look()
	for {
		e, err := events.Receive(following)
		switch {
		case errors.Is(err, uevent.ErrOverrun):
			l.log.LogAttrs(ctx, slog.LevelDebug, "device events were lost, looking at all devices again")
			l.rescan()
			look()
		case ctx.Err() != nil:
			return nil // the end of ctx is how Follow ends
		case err != nil && following.Err() != nil:
			return context.Cause(following)
		case err != nil:
			return fmt.Errorf("follow devices: %w", err)
		case e.ModAlias != "" && (e.Action == "add" || e.Action == "change"):
			l.appeared(device{name: path.Base(e.DevPath), modalias: e.ModAlias})
		}
	}
}

// appeared begins to load the modules for a device.
func (l *Loader) appeared(d device) {
	names, by, end := l.look([]device{d}, nil)
	defer end()
	if names != nil {
		b, answers := l.plug(names, by)
		l.leave(b, answers, nil)
	}
}
