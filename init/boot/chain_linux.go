package boot

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/init/rootinit"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/kernfile"
	"github.com/nodisk/nodisk/modload"
)

// driversArg is how the hooks of other initramfs call this program, see
// nodisk build --drivers-only: it loads the drivers and ends.
const driversArg = "nodisk-drivers"

// ownFolder has lib/modules where nodisk was added to another initramfs
// (nodisk build --base), whose own lib/modules may be of the same kernel.
const ownFolder = "/nodisk"

// modulesAbove is the directory that holds the lib/modules of this image.
func modulesAbove() string {
	if _, err := os.Stat(ownFolder + "/lib/modules"); err == nil {
		return ownFolder
	}
	return "/"
}

// checkChain finds a chain that leads nowhere before anything is done.
func checkChain(c plan.Chain) error {
	if c.Path == "" {
		return nil
	}
	if _, err := rootinit.FindInit("/", c.Path); err != nil {
		return fmt.Errorf("nodisk.chain: %w; nodisk build --base makes an image with /init.vendor", err)
	}
	return nil
}

// chainVerdict is that PID 1 becomes the other init. Its own name is the one that
// the kernel would have used: a busybox goes by it.
func chainVerdict(c plan.Chain) plan.Verdict {
	return plan.Verdict{Action: plan.ActionChain, Root: c.Path, Argv: []string{"/init"}}
}

// chain makes PID 1 the other init. It returns only if that is impossible. What was mounted is
// unmounted: an initramfs begins with nothing mounted.
func chain(v plan.Verdict) error {
	for _, m := range earlyMounts() {
		if err := detachAll(context.Background(), m.target); err != nil {
			report(console.ErrorPriority, "%v", err)
		}
	}
	return execAs(v.Root, v.Argv)
}

// allDrivers is stage "drivers" for another init: whoever looks at the devices
// later does not know our modules.
func (w *worker) allDrivers(ctx context.Context) (string, error) {
	_, err := w.drivers(ctx)
	if later := w.loader.Coldplug(ctx, kernfile.DirFS("/sys"), nil); err == nil {
		err = later
	}
	w.awaitProbes(ctx, nil)
	line := withLate(names(w.loader.Loaded(), func(modload.Loaded) bool { return true }), w.loader.Late())
	if err != nil && w.plan.Chain.Drivers {
		// The other init has drivers of its own, and may do with them.
		w.log.Error("drivers: " + reason(err))
		err = nil
	}
	return line, err
}

// loadDrivers is all that the hook of another initramfs asks of us.
func loadDrivers() {
	w := &worker{begun: time.Now(), log: openLog(nil), follow: func() {}}
	words, config, err := readWords()
	if err == nil {
		// It is not up to us to report errors in the rest of the command line.
		w.plan, _ = plan.New(
			words,
			append(config, cmdline.Arg{Key: "nodisk.chain", Value: "/init,drivers", HasValue: true}),
		)
		w.index, w.loader, err = openModules(w.plan, w.log)
	}
	if err != nil {
		w.log.Error("drivers: " + err.Error())
		leave(1)
	}
	w.planLoads()
	ctx, cancel := context.WithTimeout(context.Background(), driversTimeout)
	defer cancel()
	line, _ := w.allDrivers(ctx) // has reported its errors
	w.log.Info("drivers: " + line + ", " + console.Seconds(time.Since(w.begun)))
	leave(0)
}
