package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/nodisk/nodisk/modload"
)

// The kernel asks for modules itself: request_module("nfsv3"), "fs-ext4",
// "crypto-crc32c". It runs the program named in /proc/sys/kernel/modprobe as
// "PROGRAM -q -- NAME" (kernel/kmod.c). In the initramfs that program is
// /init, so that a file system or a cipher nobody thought of is still found.
//
// Each question costs a process, and most are about modules that do not exist
// (crc64_rocksoft wants to know who else computes it). So they are served when the
// profiles' modules are loaded, which are complete, and from the beginning only by
// images with what drivers ask for while they probe: see asksEarly.

const (
	modprobeSysctl = "/proc/sys/kernel/modprobe"
	// modprobeKept holds what the sysctl said before us (CONFIG_MODPROBE_PATH), for
	// whoever gives it back: this worker, or after its crash the next or PID 1.
	modprobeKept = "/run/nodisk.modprobe"
)

// upcallTimeout bounds one request: the kernel thread that made it waits.
const upcallTimeout = 30 * time.Second

// asksEarly reports whether an image has modules that drivers ask for by
// request_module in their probe: those of PHYs (phy_request_driver_module in
// drivers/net/phy/phy_device.c), which go by "mdio:" and the bits of an identifier.
func asksEarly(x *modload.Index) bool { return x.HasBus("mdio") }

// A keptSysctl is one of the kernel's settings that is changed for the time of the
// boot. What it was before lies in a file, which outlives the process.
type keptSysctl struct {
	sysctl string
	kept   string
}

func keptModprobe() keptSysctl { return keptSysctl{sysctl: modprobeSysctl, kept: modprobeKept} }

// replace sets the sysctl. A second call does nothing, nor does one where the
// kernel has no such sysctl.
func (k keptSysctl) replace(value string) error {
	before, err := os.ReadFile(k.sysctl)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", k.sysctl, err)
	}
	if strings.TrimSpace(string(before)) == value {
		return nil // by a worker that has crashed since: the file says what was before
	}
	// Complete or not there at all: a name is given when all is written.
	if err := os.WriteFile(k.kept+".new", before, 0o600); err != nil {
		return fmt.Errorf("keep %s: %w", k.sysctl, err)
	}
	if err := os.Rename(k.kept+".new", k.kept); err != nil {
		return fmt.Errorf("keep %s: %w", k.sysctl, err)
	}
	if err := os.WriteFile(k.sysctl, []byte(value), 0); err != nil {
		return fmt.Errorf("set %s to %s: %w", k.sysctl, value, err)
	}
	return nil
}

// restore sets the sysctl to what it was before. Without a file there is nothing
// to restore: it may be called at any time, by anybody.
func (k keptSysctl) restore() error {
	before, err := os.ReadFile(k.kept)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", k.sysctl, err)
	}
	if err := os.WriteFile(k.sysctl, before, 0); err != nil {
		return fmt.Errorf("restore %s: %w", k.sysctl, err)
	}
	if err := os.Remove(k.kept); err != nil {
		return fmt.Errorf("restore %s: %w", k.sysctl, err)
	}
	return nil
}

// serveModprobe names this program to the kernel as its modprobe.
func serveModprobe() error { return keptModprobe().replace("/init") }

// restoreModprobe gives the kernel's module requests back: the root's init must
// find its own modprobe in the sysctl again. It does nothing when that has been
// done, or never was necessary.
func restoreModprobe() error { return keptModprobe().restore() }

// modprobe serves one request. A name that the image does not have is no
// matter for the console: the kernel asks for many that do not exist.
func modprobe(names []string) {
	ctx, cancel := context.WithTimeout(context.Background(), upcallTimeout)
	defer cancel()
	if err := modprobeAll(ctx, names); err != nil {
		report(debugPriority, "the kernel asks for %s: %v", strings.Join(names, " "), err)
		leave(1)
	}
	leave(0)
}

func modprobeAll(ctx context.Context, names []string) error {
	line, config, err := readWords()
	if err != nil {
		return err
	}
	m, _ := newModulePlan(line, config) // the worker has reported what is wrong with it
	_, loader, err := openModules(Plan{Modules: m}, nil)
	if err != nil {
		return err
	}
	if len(names) > 0 && names[0] == "--" {
		names = names[1:]
	}
	return loader.Load(ctx, names...)
}
