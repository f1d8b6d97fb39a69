package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/init/cmdline"
	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/init/uevent"
	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/modload"
	"github.com/nodisk/nodisk/modload/unpack"
	"github.com/nodisk/nodisk/netsetup"
)

// configFile is the image's config file.
const configFile = "/etc/nodisk/nodisk.conf"

// work is the worker's main. It says its verdict and ends.
func work(out *os.File) {
	begun := time.Now()
	var level slog.LevelVar
	if err := mountEarly(); err != nil {
		report(errorPriority, "%v", err)
	}
	w := &worker{begun: begun, log: openLog(&level)}
	v := w.boot(&level)
	if _, err := out.Write(v.Encode()); err != nil {
		w.log.Error(fmt.Sprintf("tell PID 1 to %s: %v", v.Action, err))
		leave(1)
	}
	leave(0)
}

// A worker is one attempt at a boot. Its stages are in worker_stages_linux.go.
type worker struct {
	begun  time.Time
	log    *slog.Logger
	plan   Plan
	index  *modload.Index
	loader *modload.Loader

	// What the stages leave for those behind them. A stage writes before it
	// succeeds, others read after: the graph orders them.
	net      netsetup.State
	root     rootfs.Root // completed by DHCP's root path
	sessions []*iscsi.Session
	behind   map[string][]iscsi.Portal // of each target, those that did not have its disks
	disks    []string                  // of the sessions: sda
	mounted  rootfs.Mounted
	rootDisk string // that mounted is on: sda; empty for NFS
	init     string
	// firmwareName is the initiator of the firmware's table (ip=ibft).
	firmwareName string

	// console is held by the shell of rd.break=.
	console sync.Mutex
	// leaveNetwork ends what looks after the network; nil when nothing does.
	leaveNetwork func()
	// follow starts followDevices, once. Not before the drivers of network
	// interfaces are loaded: it begins with a look at all other devices.
	follow func()
	// serveRequests makes /init the kernel's modprobe: see modprobe_linux.go.
	serveRequests func()
}

// boot does everything up to the verdict.
func (w *worker) boot(level *slog.LevelVar) Verdict {
	plan, err := w.readPlan()
	w.plan = plan
	level.Set(plan.Log)
	for _, warning := range plan.Warnings {
		w.log.Warn(warning)
	}
	w.needShell()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
		if len(lines) > 1 {
			for _, line := range lines {
				w.log.Error("command line: " + line)
			}
			lines[0] = fmt.Sprintf("%d errors, the first: %s", len(lines), lines[0])
		}
		return w.giveUp(permanent(errors.New("command line: " + lines[0])))
	}
	if err := plan.Chain.check(); err != nil {
		return w.giveUp(permanent(err))
	}
	w.index, w.loader, err = openModules(plan, w.log)
	switch {
	case err == nil:
	case plan.Chain.Drivers: // whose init has modules of its own
		w.log.Error(err.Error())
		return plan.Chain.verdict()
	default:
		return w.giveUp(permanent(err))
	}
	requests := &moduleRequests{}
	w.serveRequests = func() {
		if err := requests.serve(); err != nil {
			w.log.Warn(err.Error())
		}
	}
	ctx := context.Background()
	// Whoever sits in a shell of rd.break= is in no hurry.
	if d := plan.Policy.Deadline; d > 0 && w.plan.Breaks == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	followed := make(chan struct{})
	w.follow = sync.OnceFunc(func() { go w.followDevices(ctx, followed) })
	defer func() {
		cancel()
		if w.leaveNetwork != nil {
			w.leaveNetwork()
		}
		w.follow() // ends at once if it was never started
		select {
		case <-followed:
		case <-time.After(followTimeout):
			w.log.Warn("a driver is still being loaded: going on without it")
		}
		if err := requests.restore(); err != nil {
			w.log.Warn(err.Error())
		}
	}()
	w.root = plan.Root
	g := graph{stages: w.breakpoints(w.stages()), identity: identity(), log: w.log}
	if err := g.run(ctx); err != nil {
		return w.giveUp(err)
	}
	if plan.Chain.Path != "" {
		return plan.Chain.verdict()
	}
	if plan.Root.Kind == rootfs.KindRAM {
		return Verdict{Action: ActionStay, Argv: []string{w.init}}
	}
	return Verdict{Action: ActionSwitch, Root: sysroot, Argv: []string{w.init}}
}

// readPlan reads what the kernel and the image say and decides. Its Policy is
// good even with an error.
func (w *worker) readPlan() (Plan, error) {
	line, config, wordsErr := readWords()
	p, err := NewPlan(line, config)
	return p, errors.Join(wordsErr, err)
}

// readWords reads the command line and the image's config file.
func readWords() (line, config cmdline.Args, err error) {
	f, confErr := os.Open(configFile)
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
	text, lineErr := os.ReadFile("/proc/cmdline")
	return cmdline.Parse(string(text)), config, errors.Join(confErr, lineErr)
}

// openModules reads the image's index of the running kernel's modules, and what its
// modprobe.d says of them.
func openModules(p Plan, log *slog.Logger) (*modload.Index, *modload.Loader, error) {
	release, err := kernelRelease()
	if err != nil {
		return nil, nil, err
	}
	above := modulesAbove()
	x, err := modload.Open(os.DirFS(above), release)
	if err != nil {
		return nil, nil, fmt.Errorf("the image has no modules for this kernel, %s (it has those of %s): build it with the modules of the kernel that boots: %w",
			release, inImage(above), err)
	}
	conf := modload.ReadConf(os.DirFS("/"))
	if log != nil {
		for _, warning := range conf.Warnings {
			log.Warn(warning)
		}
	}
	x = x.With(conf)
	return x, modload.NewLoader(x, modload.LoaderConfig{
		// The kernel takes the last of a parameter: the command line's.
		Params: append(conf.Params, p.Modules.Params...), Blacklist: append(conf.Blacklist, p.Modules.Blacklist...),
		Serial: p.Modules.Serial, Decompress: unpack.Module, Modules: above,
	}, log), nil
}

func kernelRelease() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("ask for the kernel's release: %w", err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// inImage names the releases whose modules the image holds.
func inImage(above string) string {
	entries, err := os.ReadDir(above + "/lib/modules")
	if err != nil || len(entries) == 0 {
		return "none"
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return strings.Join(names, ", ")
}

// identity is what makes this node's pauses differ from others'.
func identity() string {
	id, err := os.ReadFile("/sys/class/dmi/id/product_uuid")
	if err == nil {
		return string(id)
	}
	// Firmware without DMI: the network addresses are as good.
	var all strings.Builder
	paths, _ := fs.Glob(os.DirFS("/sys"), "class/net/*/address") // the pattern is good, the only error there is
	for _, p := range paths {
		b, err := os.ReadFile("/sys/" + p)
		if err == nil {
			all.Write(b)
		}
	}
	return all.String()
}

// giveUp applies the policy to an error that ended the boot.
func (w *worker) giveUp(err error) Verdict {
	action := onFailAction(w.plan.Policy.OnFail)
	if w.plan.Policy.OnFail == 0 {
		action = ActionAgain
	}
	w.console.Lock()
	defer w.console.Unlock()
	_, incurable := errors.AsType[*permanentError](err)
	switch {
	case action != ActionAgain:
		w.log.Error(fmt.Sprintf("%v; nodisk.onfail=%s", err, action))
	case incurable:
		// Trying again with the same image and command line is of no use. A
		// reboot fetches both anew: nodes come back by themselves once the
		// administrator has mended them.
		w.log.Error(fmt.Sprintf("%v; rebooting in %s to fetch kernel, image and command line anew (nodisk.onfail=retry)", err, seconds(newCommandLine)))
		<-time.After(newCommandLine)
		action = ActionReboot
	default:
		w.log.Error(fmt.Sprintf("%v; starting again (nodisk.onfail=retry)", err))
	}
	if action == ActionShell {
		return Verdict{Action: action, Argv: []string{oneLine(err)}}
	}
	return Verdict{Action: action}
}

// followTimeout bounds the wait for a driver whose probe takes long when all
// else is ready.
const followTimeout = 10 * time.Second

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
		return "", w.loader.Follow(ctx, os.DirFS("/sys"), events)
	})
	if err != nil {
		w.log.Warn(fmt.Sprintf("drivers of devices that appear late will be missed: %v", err))
	}
}

// has tells whether the image was built with a profile.
func (p Plan) has(profile string) bool {
	return slices.Contains(p.Modules.Profiles, profile)
}
