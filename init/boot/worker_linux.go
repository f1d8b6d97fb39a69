package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/kernfile"
	"github.com/nodisk/nodisk/internal/uevent"
	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/modload"
	"github.com/nodisk/nodisk/modload/unpack"
	"github.com/nodisk/nodisk/netsetup"
)

// configFile is the image's config file.
const configFile = "/etc/nodisk/nodisk.conf"

// gcPercent puts the first garbage collection at 16 MB of heap instead of 4: a boot that meets
// no obstacle ends before it, and is 5 ms quicker.
const gcPercent = 400

// gcLimit has garbage collected early again where much is in use: several packed modules at once
// have dictionaries of megabytes, and the smallest nodes 256 MB in all.
const gcLimit = 64 << 20

// work is the worker's main. It gives its verdict, tidies up and ends. Nothing that the kernel
// may hold comes before the verdict.
func work(tell *teller) {
	begun := time.Now()
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(gcLimit)
	var level slog.LevelVar
	tell.alive()
	go tell.keepTelling()
	if err := mountEarly(); err != nil {
		report(console.ErrorPriority, "%v", err)
	}
	if err := errors.Join(sacrifice(), hurry()); err != nil {
		report(console.WarningPriority, "%v", err)
	}
	w := &worker{begun: begun, log: openLog(&level), tell: tell, tidy: func() {}}
	v := w.boot(&level)
	if err := tell.verdict(v); err != nil {
		w.log.Error(err.Error())
		leave(1)
	}
	w.tidy()
	if err := tell.done(); err != nil {
		w.log.Error(err.Error())
	}
	leave(0)
}

// sacrifice makes the worker, and what it starts, what a kernel without memory ends
// first: PID 1 starts another. PID 1 itself is never ended, and what the root's
// init inherits from it is the usual 0 (oom_score_adj in proc(5)).
func sacrifice() error {
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0); err != nil {
		return fmt.Errorf("offer the worker to a kernel out of memory: %w", err)
	}
	return nil
}

// A worker is one attempt at a boot. Its stages are in worker_stages_linux.go.
type worker struct {
	begun  time.Time
	log    *slog.Logger
	tell   *teller
	plan   plan.Plan
	index  *modload.Index
	loads  []plan.Load
	loader *modload.Loader

	// What the stages leave for later ones. A stage writes before it succeeds, others read after:
	// the graph orders them.
	net      netsetup.State
	root     rootfs.Root // completed by DHCP's root path
	sessions []*iscsi.Session
	behind   map[string][]iscsi.Portal // of each target, those that did not have its disks
	disks    []string                  // of the sessions: sda
	mounted  rootfs.Mounted
	// rootDisks are those that mounted is on: sda; none for NFS.
	rootDisks []string
	// doubted: the last mount found no root on what is attached, so what the sessions showed then
	// is not believed.
	doubted  bool
	init     string
	resolves bool // resolv.conf is from an attempt at the network
	// firmwareName is the initiator of the firmware's table (ip=ibft).
	firmwareName string

	// heldProbes: the kernel has not finished the drivers' probes in time. It belongs to stage
	// drivers.
	heldProbes bool
	// console is held by the shell of rd.break=.
	console sync.Mutex
	// leaveNetwork ends what looks after the network; nil when nothing does.
	leaveNetwork func()
	// follow starts followDevices, once. Not before the drivers of network
	// interfaces are loaded: it begins with a look at all other devices.
	follow func()
	// serveRequests makes /init the kernel's modprobe: see modprobe_linux.go.
	serveRequests func()
	// tidy ends what runs beside the stages, after the verdict: what the kernel holds must not
	// delay that.
	tidy func()
}

// boot does everything up to the verdict.
func (w *worker) boot(level *slog.LevelVar) plan.Verdict {
	p, err := w.readPlan()
	w.plan = p
	level.Set(p.Log)
	for _, warning := range p.Warnings {
		w.log.Warn(warning)
	}
	tellOldKernel(w.log)
	w.needShell()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
		if len(lines) > 1 {
			for _, line := range lines {
				w.log.Error("command line: " + line)
			}
			lines[0] = fmt.Sprintf("%d errors, the first: %s", len(lines), lines[0])
		}
		return w.giveUp(plan.Permanent(errors.New("command line: " + lines[0])))
	}
	if err := checkChain(p.Chain); err != nil {
		return w.giveUp(plan.Permanent(err))
	}
	w.index, w.loader, err = openModules(p, w.log)
	switch {
	case err == nil:
	case p.Chain.Drivers: // whose init has modules of its own
		w.log.Error(err.Error())
		return chainVerdict(p.Chain)
	default:
		return w.giveUp(plan.Permanent(err))
	}
	w.reloadUntested()
	w.serveRequests = sync.OnceFunc(func() {
		if err := serveModprobe(); err != nil {
			w.log.Warn(err.Error())
		}
	})
	if asksEarly(w.index) {
		w.serveRequests()
	}
	ctx := context.Background()
	end := func() {}
	// Whoever sits in a shell of rd.break= is in no hurry.
	if d := p.Policy.Deadline; d > 0 && w.plan.Breaks == nil {
		due := time.Now().Add(d)
		ctx, end = context.WithDeadlineCause(ctx, due, timeoutError(d))
		w.tell.promise(due, plan.OnFailAction(p.Policy.OnFail))
	}
	defer end()
	ctx, cancel := context.WithCancel(ctx)
	followed := make(chan struct{})
	w.follow = sync.OnceFunc(func() { go w.followDevices(ctx, followed) })
	w.tidy = func() {
		cancel()
		w.leaveDrivers()
		w.follow() // ends at once if it was never started
		left := make(chan struct{})
		go func() {
			defer close(left)
			if w.leaveNetwork != nil {
				w.leaveNetwork()
			}
		}()
		patience := time.After(followTimeout)
		for _, ended := range []<-chan struct{}{left, followed} {
			select {
			case <-ended:
			case <-patience:
				w.log.Warn(driverHolds)
				return
			}
		}
	}
	w.root = p.Root
	w.planLoads()
	g := graph{stages: w.breakpoints(w.stages()), identity: identity(), log: w.log}
	if err := g.run(ctx); err != nil {
		return w.giveUp(err)
	}
	if p.Chain.Path != "" {
		return chainVerdict(p.Chain)
	}
	if p.Root.Kind == rootfs.KindRAM {
		return plan.Verdict{Action: plan.ActionStay, Argv: []string{w.init}}
	}
	return plan.Verdict{Action: plan.ActionSwitch, Root: sysroot, Argv: []string{w.init}}
}

// readPlan reads what the kernel and the image say and decides. Its Policy is
// good even with an error.
func (w *worker) readPlan() (plan.Plan, error) {
	line, config, wordsErr := readWords()
	p, err := plan.New(line, config)
	return p, errors.Join(wordsErr, err)
}

// readWords reads the command line and the image's config file.
func readWords() (line, config cmdline.Args, err error) { return readWordsBelow("/") }

// readWordsBelow is readWords with a root of its own.
func readWordsBelow(root string) (line, config cmdline.Args, err error) {
	f, confErr := kernfile.Open(filepath.Join(root, configFile))
	switch {
	case confErr == nil:
		config, confErr = cmdline.ParseConfig(f)
		_ = f.Close()
		if confErr != nil {
			confErr = fmt.Errorf("%s: %w", configFile, confErr)
		}
	case errors.Is(confErr, fs.ErrNotExist):
		confErr = nil
	}
	text, lineErr := kernfile.ReadFile(filepath.Join(root, "proc/cmdline"))
	return cmdline.Parse(string(text)), config, errors.Join(confErr, lineErr)
}

// openModules reads the image's index of the running kernel's modules, and what its modprobe.d
// says about them.
func openModules(p plan.Plan, log *slog.Logger) (*modload.Index, *modload.Loader, error) {
	release, err := kernelRelease()
	if err != nil {
		return nil, nil, err
	}
	above := modulesAbove()
	x, err := modload.OpenImage(kernfile.DirFS(above), release, loadsModules())
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", plan.OtherKernels(release, inImage(above)), err)
	}
	if x.Empty() && log != nil {
		log.Info("there are no modules to load: what the boot needs must be built into this kernel, " + release)
	}
	conf := modload.ReadConf(kernfile.DirFS("/"))
	if log != nil {
		for _, warning := range conf.Warnings {
			log.Warn(warning)
		}
	}
	x = x.With(conf)
	return x, modload.NewLoader(x, modload.LoaderConfig{
		// The kernel takes the last value of a parameter: the command line's.
		Params: append(conf.Params, p.Modules.Params...), Blacklist: append(conf.Blacklist, p.Modules.Blacklist...),
		Serial: p.Modules.Serial, AsyncProbe: p.Modules.AsyncProbe, Decompress: unpack.Module, Modules: above,
	}, log), nil
}

// loadsModules reports whether the kernel takes modules (CONFIG_MODULES).
func loadsModules() bool {
	_, err := os.Stat("/proc/modules")
	return !errors.Is(err, fs.ErrNotExist)
}

func kernelRelease() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("ask for the kernel's release: %w", err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// inImage names the releases whose modules the image holds.
func inImage(above string) []string {
	entries, err := kernfile.ReadDir(above + "/lib/modules")
	if err != nil {
		return nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// identity is what makes this node's pauses differ from others'.
func identity() string {
	id, err := kernfile.ReadFile("/sys/class/dmi/id/product_uuid")
	if err == nil {
		return string(id)
	}
	// Firmware without DMI: the network addresses are as good.
	var all strings.Builder
	paths, _ := fs.Glob(kernfile.DirFS("/sys"), "class/net/*/address") // the pattern is good, the only error there is
	for _, p := range paths {
		b, err := kernfile.ReadFile("/sys/" + p)
		if err == nil {
			all.Write(b)
		}
	}
	return all.String()
}

// giveUp applies the policy to an error that ended the boot.
func (w *worker) giveUp(err error) plan.Verdict {
	action := plan.OnFailAction(w.plan.Policy.OnFail)
	if w.plan.Policy.OnFail == 0 {
		action = plan.ActionAgain
	}
	w.console.Lock()
	defer w.console.Unlock()
	_, incurable := errors.AsType[*plan.PermanentError](err)
	switch {
	case action != plan.ActionAgain:
		w.log.Error(fmt.Sprintf("%v; nodisk.onfail=%s", err, action))
	case incurable:
		// Trying again with the same image and command line is of no use. A reboot fetches both
		// again: nodes come back by themselves once the administrator has fixed the mistake.
		w.log.Error(
			fmt.Sprintf(
				"%v; rebooting in %s to fetch kernel, image and command line again (nodisk.onfail=retry)",
				err,
				console.Seconds(plan.NewCommandLine),
			),
		)
		return plan.Verdict{Action: plan.ActionReboot, Wait: plan.NewCommandLine}
	default:
		w.log.Error(fmt.Sprintf("%v; starting again (nodisk.onfail=retry)", err))
	}
	if action == plan.ActionShell {
		return plan.Verdict{Action: action, Argv: []string{reason(err)}}
	}
	return plan.Verdict{Action: action}
}

// followTimeout bounds the wait for what the kernel may hold when all else is
// ready.
const followTimeout = 2 * time.Second

const driverHolds = "a driver is still setting an interface up or down: going on without it"

// followDevices loads drivers for devices that appear from now on, and for
// those that the first look left out, until ctx ends.
func (w *worker) followDevices(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	_, err := guard(func() (string, error) {
		if ctx.Err() != nil {
			return "", nil
		}
		events, err := uevent.Listen()
		if err != nil {
			return "", err
		}
		defer func() { _ = events.Close() }()
		return "", w.loader.Follow(ctx, kernfile.DirFS("/sys"), events)
	})
	if err != nil {
		w.log.Warn(fmt.Sprintf("drivers of devices that appear late will be missed: %v", err))
	}
}

// reloadUntested loads again what an earlier worker, which was killed, left half loaded.
func (w *worker) reloadUntested() {
	removed, err := modload.RemoveUntested()
	if err != nil {
		w.log.Warn(reason(err))
	}
	if removed != nil {
		w.log.Info("an earlier attempt left half loaded: " + strings.Join(removed, " ") + ": loading again")
	}
}

// leaveDrivers says which drivers the boot goes on without. Their probes go on
// in the kernel, whatever becomes of this process.
func (w *worker) leaveDrivers() {
	w.loader.Close()
	var words []string
	for _, late := range w.loader.Late() {
		words = append(words, late.String())
	}
	if words != nil {
		w.log.Warn(fmt.Sprintf("the kernel still has %s: going on without it", strings.Join(words, "; ")))
	}
}
