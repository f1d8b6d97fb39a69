package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/plan"
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

const modprobeSysctl = "/proc/sys/kernel/modprobe"

// upcallTimeout bounds one request: the kernel thread that made it waits.
const upcallTimeout = 30 * time.Second

// asksEarly reports whether an image has modules that drivers ask for by
// request_module in their probe: those of PHYs (phy_request_driver_module in
// drivers/net/phy/phy_device.c), which go by "mdio:" and the bits of an identifier.
func asksEarly(x *modload.Index) bool { return x.HasBus("mdio") }

// serveModprobe names this program to the kernel as its modprobe. PID 1 restores what was there
// before, CONFIG_MODPROBE_PATH: see keepSysctls.
func serveModprobe() error {
	if _, err := os.Stat(modprobeSysctl); errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel without CONFIG_MODULES
	}
	if err := os.WriteFile(modprobeSysctl, []byte("/init"), 0); err != nil {
		return fmt.Errorf("serve the kernel's module requests: %w", err)
	}
	return nil
}

// modprobe serves one request. A name that the image does not have is not worth a line on the
// console: the kernel asks for many that do not exist.
func modprobe(names []string) {
	ctx, cancel := context.WithTimeout(context.Background(), upcallTimeout)
	defer cancel()
	if err := modprobeAll(ctx, names); err != nil {
		report(console.DebugPriority, "the kernel asks for %s: %v", strings.Join(names, " "), err)
		leave(1)
	}
	leave(0)
}

func modprobeAll(ctx context.Context, names []string) error {
	m, err := requestPlan("/")
	if err != nil {
		return err
	}
	// A process ends only when all its threads are out of the kernel, and the kernel
	// waits for this one's end: the probe of somebody else's device must not hold it.
	m.AsyncProbe = true
	_, loader, err := openModules(plan.Plan{Modules: m}, nil)
	if err != nil {
		return err
	}
	if len(names) > 0 && names[0] == "--" {
		names = names[1:]
	}
	return loader.Load(ctx, names...)
}

// requestPlan is what the command line and the config file below root say about modules:
// parameters and lists of what must not be loaded apply to whoever asks.
func requestPlan(root string) (plan.ModulePlan, error) {
	line, config, err := readWordsBelow(root)
	if err != nil {
		return plan.ModulePlan{}, err
	}
	m, _ := plan.NewModulePlan(line, config) // the worker has reported what is wrong with it
	return m, nil
}
