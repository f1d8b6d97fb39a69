package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/init/rootinit"
	"github.com/nodisk/nodisk/internal/kernfile"
	"github.com/nodisk/nodisk/modload"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup"
)

// How long one attempt of a stage may take. The stage is tried again: these
// bound how long a wait goes on without a fresh start.
const (
	driversTimeout = 2 * time.Minute
	networkTimeout = 3 * time.Minute // FlexBoot's 90 s of DHCP, and a switch port that takes 60 s
	attachTimeout  = time.Minute
	mountTimeout   = time.Minute
)

// planLoads decides what is loaded, and in which order.
func (w *worker) planLoads() {
	var notes []string
	w.loads, notes = w.plan.Loads(w.index)
	for _, note := range notes {
		w.log.Info(note)
	}
}

// stages is the graph of this plan.
func (w *worker) stages() []stage {
	p := w.plan
	drivers := w.drivers
	if p.Chain.Path != "" {
		drivers = w.allDrivers
	}
	list := []stage{
		{name: plan.StageMounts, run: w.mounts},
		{name: plan.StageDrivers, after: []string{plan.StageMounts}, timeout: driversTimeout, run: drivers},
	}
	last := []string{plan.StageDrivers}
	var again func(int) string
	if p.NeedNetwork {
		// Not after the drivers: interfaces are taken up as they appear.
		list = append(
			list,
			stage{name: plan.StageNetwork, after: []string{plan.StageMounts}, timeout: networkTimeout, run: w.network},
		)
		last = append(last, plan.StageNetwork)
	}
	if p.Root.Kind != rootfs.KindRAM {
		list = append(
			list,
			stage{name: plan.StageStorage, after: w.storageAfter(), timeout: driversTimeout, run: w.storage},
		)
		lease := func(attempt int) string { return backTo(attempt, p.Root.NeedsRootPath(), false) }
		again = func(attempt int) string {
			return backTo(attempt, p.Root.NeedsRootPath(), len(w.sessions) > 0)
		}
		before := []string{plan.StageDrivers}
		if p.NeedNetwork {
			before = []string{plan.StageNetwork}
		}
		if p.Attaches() || p.Root.NeedsRootPath() {
			list = append(
				list,
				stage{
					name:    plan.StageAttach,
					after:   before,
					timeout: attachTimeout,
					run:     w.overNetwork(w.attach),
					reenter: lease,
				},
			)
			before = []string{plan.StageAttach}
		}
		// Its steps have limits; but what the kernel itself does in a mount, to replay a journal,
		// takes as long as it takes.
		list = append(list, stage{name: plan.StageMount, after: before, run: w.overNetwork(w.mount), reenter: again})
		last = append(last, plan.StageStorage, plan.StageMount)
	}
	return append(list, stage{name: plan.StageSwitch, after: last, run: w.finish, reenter: again})
}

// overNetwork is a stage's work that goes to the servers of the root.
func (w *worker) overNetwork(run func(context.Context) (string, error)) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		line, err := run(ctx)
		return line, unreached(err, w.net, w.plan.Servers(w.net, plan.Names{}))
	}
}

// storageAfter is "drivers" unless both can go on at once. That stage does not
// wait for a probe.
func (w *worker) storageAfter() []string {
	if w.overlap() {
		return []string{plan.StageMounts}
	}
	return []string{plan.StageDrivers}
}

// overlap reports whether storage need not wait while drivers load: the loader keeps a place for
// them. Not where they need all places, on a single processor, and not in an order that the
// administrator gave.
func (w *worker) overlap() bool {
	return w.loader.Workers() > 1 && !plan.LoadsBy(w.loads, plan.LoadInOrder)
}

func (w *worker) mounts(context.Context) (string, error) {
	var names []string
	for _, m := range earlyMounts() {
		names = append(names, m.target)
	}
	return strings.Join(names, " "), mountEarly()
}

func (w *worker) drivers(ctx context.Context) (string, error) {
	before := len(w.loader.Loaded())
	if err := w.load(ctx, plan.StageDrivers); err != nil {
		return "", err
	}
	for _, err := range sensePorts("/sys", w.plan.Modules.Ports) {
		w.log.Warn(err.Error())
	}
	// What storage loads meanwhile does not belong to this stage.
	line := names(w.loader.Loaded()[before:], func(l modload.Loaded) bool { return l.Device || !w.overlap() })
	return withLate(line, w.loader.Late()), nil
}

// load does the loads of a stage.
func (w *worker) load(ctx context.Context, stage string) error {
	for _, l := range plan.LoadsOf(w.loads, stage) {
		if err := w.loadOne(ctx, l); err != nil {
			return unlessCurable(err)
		}
	}
	return nil
}

func (w *worker) loadOne(ctx context.Context, l plan.Load) error {
	switch l.Way {
	case plan.LoadInOrder:
		return w.inOrder(ctx, l.Requests)
	case plan.LoadLast:
		w.follow() // also while a probe is waited for
		if all, needed := w.needsProbes(); all {
			w.awaitProbes(ctx, nil)
		} else if needed {
			w.awaitProbes(ctx, modload.Network)
		}
		return w.inOrder(ctx, l.Requests)
	case plan.LoadNetwork:
		return w.loader.Coldplug(ctx, kernfile.DirFS("/sys"), modload.Network)
	case plan.LoadDrivers:
		return w.loader.Drivers(ctx, l.Requests...)
	case plan.LoadDevices:
		w.follow()
		return nil
	case plan.LoadNeeded:
		return w.loader.Request(ctx, l.Requests...)
	}
	return fmt.Errorf("load modules %s: no such way: %d", l.Phase, l.Way)
}

// How long a driver may take that others are to follow.
const (
	orderTimeout = 30 * time.Second // in an order that the administrator gave
	// Of all drivers, without any of them coming to its end: where nobody loads modules later, a slow
	// machine would go on without what it has not come to.
	probeTimeout = 10 * time.Second
)

// inOrder loads what the administrator named, each after the one before. One that the kernel
// holds is reported, and passed over: the rest may do without.
func (w *worker) inOrder(ctx context.Context, requests []modload.Request) error {
	limited, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	err := w.loader.Request(limited, requests...)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		w.log.Warn(fmt.Sprintf("%v; going on without it", err))
		return nil
	}
	return err
}

// needsProbes reports whether there is something that must come after the probes
// of drivers. Of all: what the administrator wants loaded after them, a port to be set; and a root in RAM has
// its modules from us, so that what its devices need is loaded now or never. Of network interfaces: when
// all are wanted, or several that become one, the switch must not come between two ports of a card.
func (w *worker) needsProbes() (all, needed bool) {
	p := w.plan
	all = plan.LoadsBy(w.loads, plan.LoadLast) || slices.Contains(p.Modules.Ports, plan.PortAuto) ||
		p.Root.Kind == rootfs.KindRAM
	return all, all || p.Network.NeedNet || len(p.Network.Bonds) > 0 || len(p.Network.Bridges) > 0
}

// awaitProbes waits for the drivers of devices, and of those that their probes make, for a while. One that
// hangs is waited for once.
func (w *worker) awaitProbes(ctx context.Context, want modload.Filter) {
	if w.heldProbes {
		return
	}
	if err := w.loader.Finish(ctx, kernfile.DirFS("/sys"), want, probeTimeout); err != nil {
		w.heldProbes = true
		w.log.Warn(fmt.Sprintf("%v; going on", err))
	}
}

// unlessCurable marks what no further attempt can cure: a module that is not in the image. Then
// the boot's policy decides.
func unlessCurable(err error) error {
	if _, ok := errors.AsType[*modload.MissingError](err); ok {
		return plan.Permanent(err)
	}
	return err
}

// withLate adds to the line of a stage the drivers that take their time. What is loaded in
// parallel for other stages, or has only just begun to load, is of no concern.
func withLate(line string, late []modload.Late) string {
	var words []string
	for _, l := range late {
		if !l.Live && l.Device != "" && l.For >= lateFrom {
			words = append(words, l.Module)
		}
	}
	switch {
	case words == nil && line == noModule && len(late) > 0:
		return "still loading"
	case words == nil:
		return line
	case line == noModule:
		return "still loading " + listed(words)
	default:
		return line + "; still loading " + listed(words)
	}
}

// stillLoading says what a network that misses an interface may be waiting for; empty: nothing.
func stillLoading(modules []string, looking bool) string {
	switch {
	case modules != nil:
		return "modules are still loading: " + listed(modules)
	case looking:
		return "drivers are still being looked for"
	default:
		return ""
	}
}

// lateFrom is when a driver is worth mentioning.
const lateFrom = time.Second

const noModule = "no module to load"

// names lists the modules of a stage for the console: a few by name, the rest as a count.
func names(loaded []modload.Loaded, of func(modload.Loaded) bool) string {
	var words []string
	for _, l := range loaded {
		if of(l) {
			words = append(words, l.Name)
		}
	}
	if words == nil {
		return noModule
	}
	return listed(words)
}

// listed names a few, and counts the rest.
func listed(words []string) string {
	const most = 6
	if more := len(words) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], " "), more)
	}
	return strings.Join(words, " ")
}

func (w *worker) network(ctx context.Context) (string, error) {
	// Nobody else loads bonding in time: there is no modprobe yet.
	if err := w.load(ctx, plan.StageNetwork); err != nil {
		return "", err
	}
	conf, err := w.networkConfig(ctx)
	if err != nil {
		return "", err
	}
	conf.Needs, conf.Loading = w.needs(), w.loading
	state, err := w.bringUp(ctx, conf)
	if err != nil {
		return "", err
	}
	if err := w.writeResolvConf(state); err != nil && w.plan.Chain.Path == "" {
		return "", err // in a vendor's initramfs it may be a link to anywhere
	}
	if state.Hostname == "" && conf.ReverseName {
		var ok bool
		if state, ok = w.askName(ctx, state); ok {
			if err := w.writeResolvConf(state); err != nil { // with the domain
				return "", err
			}
		}
	}
	w.net = state
	if state.Hostname != "" {
		if err := bringup.ApplyHostname(state.Hostname); err != nil {
			w.log.Warn(err.Error())
		}
	}
	// Again from the plan: a new lease may name another root.
	if w.root, err = w.plan.RootBy(state); err != nil {
		return "", err
	}
	return state.String(), nil
}

// writeResolvConf leaves the image's own where nothing is known, but not one of an
// earlier attempt.
func (w *worker) writeResolvConf(s netsetup.State) error {
	text := s.ResolvConf()
	if text == "" && !w.resolves {
		return nil
	}
	w.resolves = true
	return writeFile("/etc/resolv.conf", text)
}

func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(
		path,
		[]byte(text),
		0o644,
	); err != nil { //nolint:gosec // Both files are for everybody to read.
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// storage loads beside the network what the root will need. What is not known
// yet, because DHCP names the root, is loaded when it is known.
func (w *worker) storage(ctx context.Context) (string, error) {
	before := len(w.loader.Loaded())
	if err := w.load(ctx, plan.StageStorage); err != nil {
		return "", err
	}
	return names(w.loader.Loaded()[before:], func(l modload.Loaded) bool { return !l.Device }), nil
}

// finish is the last step before PID 1 takes over.
func (w *worker) finish(ctx context.Context) (string, error) {
	if path := w.plan.Chain.Path; path != "" {
		return fmt.Sprintf(
			"to %s of the initramfs, %s after /init began",
			path,
			console.Seconds(time.Since(w.begun)),
		), nil
	}
	if w.plan.Root.Kind == rootfs.KindRAM {
		var err error
		if w.init, err = rootinit.FindInit("/", w.plan.Init); err != nil {
			return "", plan.Permanent(err)
		}
		return fmt.Sprintf(
			"to %s of the initramfs, %s after /init began",
			w.init,
			console.Seconds(time.Since(w.begun)),
		), nil
	}
	if err := w.keepSessions(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf(
		"to %s, %s after /init began%s",
		w.init,
		console.Seconds(time.Since(w.begun)),
		memoryInUse(),
	), nil
}

// memoryInUse says what kernel, initramfs and worker cost when they cost most: what the node must
// have before its root can begin. Empty if the kernel does not say.
func memoryInUse() string {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return ""
	}
	return fmt.Sprintf(", %d KiB in use at switch_root", (info.Totalram-info.Freeram)*uint64(info.Unit)>>10)
}
