package modload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/init/uevent"
)

// Events delivers device events; *uevent.Conn does.
type Events interface {
	Receive(ctx context.Context) (uevent.Event, error)
}

// A Filter selects modules by what they are. Nil selects all.
type Filter func(Module) bool

// Network selects drivers of network devices and of the buses they sit on,
// and every module that is not part of the kernel's own tree (kernel/), whose purpose its path
// does not tell.
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
		"net/", "infiniband/", "virtio/", "hv/", "xen/", "pci/", "usb/core/", "usb/host/", "bcma/", "ssb/", "vdpa/", "phy/",
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
// A driver may probe asynchronously and create devices after Coldplug
// returned: [Loader.Follow] hears of them.
func (l *Loader) Coldplug(ctx context.Context, sysfs fs.FS, want Filter) error {
	aliases, err := l.scan(sysfs)
	if err == nil {
		aliases = l.known() // another call may have wanted others
	}
	for err == nil {
		var n int
		if n, err = l.serve(ctx, aliases, want); n == 0 && err == nil {
			return nil
		}
		if err == nil {
			aliases, err = l.scan(sysfs)
		}
	}
	return fmt.Errorf("coldplug: %w", err)
}

// scan returns the modaliases that are new since the last scan.
func (l *Loader) scan(sysfs fs.FS) ([]string, error) {
	l.scanning.Lock()
	defer l.scanning.Unlock()
	return l.scanner.scan(sysfs)
}

// known returns all modaliases that scans have found.
func (l *Loader) known() []string {
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

// serve loads the modules for aliases and returns how many were not known
// before.
func (l *Loader) serve(ctx context.Context, aliases []string, want Filter) (int, error) {
	var names []string
	seen := make(map[string]bool)
	for _, alias := range aliases {
		for _, name := range l.index.Match(alias) {
			if seen[name] || l.denied(name, true) {
				continue
			}
			seen[name] = true
			i, ok := l.index.byName[name]
			if !ok || l.tried(name) {
				continue
			}
			if want == nil || want(Module{Name: name, Path: l.index.file(l.index.mods[i].path)}) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return 0, ctx.Err()
	}
	p := l.index.plan(names, l.denied, l.kernel.cpu())
	got := l.run(ctx, p.mods, nil, true)
	if err := l.ended(ctx); err != nil {
		return 0, err
	}
	for _, a := range p.answers {
		if err := l.judge(a, got); err != nil {
			l.warn(a.name, err)
		}
	}
	return len(names), nil
}

// tried tells whether a module has had its flight.
func (l *Loader) tried(module string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.flights[module]
	if f == nil {
		return false
	}
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// A scanner finds the modaliases of the devices on all buses, each once. Its
// zero value has found none.
type scanner struct {
	devices map[string]bool // by path, those that were looked at: has it a modalias?
	aliases map[string]bool // those in list
	list    []string
	buf     [4096]byte // sysfs shows a page at most
}

// A bus whose first mute devices have no modalias has none at all: memory and
// workqueue have thousands of devices, and nothing to say about modules.
const mute = 4

// scan returns the modaliases that are new since the last scan.
func (s *scanner) scan(sysfs fs.FS) ([]string, error) {
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
		for i, device := range devices {
			if i == mute && !spoke {
				break
			}
			path := dir + "/" + device.Name()
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
				s.list = append(s.list, string(alias))
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
// is no error. It begins with a Coldplug of everything, so subscribe before
// the call: then no device is missed in between. When events were lost it
// looks at all devices again.
func (l *Loader) Follow(ctx context.Context, sysfs fs.FS, events Events) error {
	look := true
	for {
		if look {
			if err := l.Coldplug(ctx, sysfs, nil); err != nil {
				return over(ctx, err)
			}
		}
		e, err := events.Receive(ctx)
		look = errors.Is(err, uevent.ErrOverrun)
		switch {
		case look:
			l.log.LogAttrs(ctx, slog.LevelDebug, "device events were lost, looking at all devices again")
			l.rescan()
			continue
		case err != nil:
			return over(ctx, fmt.Errorf("follow devices: %w", err))
		case e.ModAlias == "" || e.Action != "add" && e.Action != "change":
			continue
		}
		if _, err := l.serve(ctx, []string{e.ModAlias}, nil); err != nil {
			return over(ctx, err)
		}
	}
}

// over turns the end of ctx into success.
func over(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end of ctx is how Follow ends
	}
	return err
}
