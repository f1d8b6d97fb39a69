package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/cache"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/build/output"
	"github.com/nodisk/nodisk/build/program"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/namelist"
	"github.com/nodisk/nodisk/modload"
)

// A Spec says what image to make.
type Spec struct {
	// Kernel is the kernel's file, to check that the modules are its own. Empty:
	// no check.
	Kernel string
	// Modules is lib/modules/RELEASE, or a root that holds lib/modules, or
	// NoModules.
	Modules string
	// ModuleDirs are flat directories of modules, for which depmod has not run:
	// what lies in DIR becomes lib/modules/BASENAME, where /init finds it by name.
	ModuleDirs []string
	// Release is the release of the modules to take where no kernel says it.
	// Empty: Modules must hold exactly one.
	Release string
	// Profiles are names of modload's profiles. Empty: those that the config
	// names by nodisk.profile=.
	Profiles []string
	// ExtraModules are names, aliases or patterns of paths that are put into
	// the image too.
	ExtraModules []string
	// Modprobe are directories of modprobe.d(5) or files of such, or HostModprobe.
	// They go into the image.
	Modprobe []string
	// Firmware are directories as /lib/firmware, or NoFirmware. Empty: lib/firmware
	// of the root that holds Modules.
	Firmware []string
	// Inventories are the hardware of node types: with them, only drivers for their
	// devices go into the image. Empty: all drivers of the profiles do.
	Inventories []inventory.List
	// Config is the administrator's part of the config file.
	Config []byte
	// ConfigFile is where it is from, for errors and warnings.
	ConfigFile string
	// CheckConfig, if not nil, judges the whole config file: what /init would warn of, and what it
	// would refuse.
	CheckConfig func(io.Reader) (warnings []string, err error)
	// Base is an initramfs to which all of this is added.
	Base Base
	// SkipCheck makes the image although the kernel would refuse modules, or is older than
	// nodisk is for: that becomes warnings.
	SkipCheck bool
	// FullCheck compares all modules with the symbols of the kernel's file, not
	// only those that did not come with the kernel.
	FullCheck bool
	// Add are further files and directories.
	Add []Addition
	// Exclude are patterns of paths in the image that Add leaves out: those of [path.Match], and **
	// for any number of directories. What lies in a directory that matches is left out with it.
	Exclude []string
	// Owner says whose added files are; zero means OwnerKeep for root, else OwnerRoot.
	Owner Owner
	// Compress is the compression; zero means LZ4.
	Compress compress.Compression
	// Out is the file to write, which appears when it is complete; or a pipe; or [output.Stdout].
	Out string
	// Stdout is what [output.Stdout] means. Nil: the standard output of this process.
	Stdout io.Writer
	// Label is what errors about several images call this one. Empty: its number.
	Label string
	// Inputs are files that what is in here was read from, apart from those that are named in here. No output may be
	// one of them.
	Inputs []Input
	// Init returns the binary that becomes /init, for an architecture in
	// GOARCH's spelling; empty if it is not known.
	Init func(ctx context.Context, arch string) ([]byte, error)
	// Rescue returns the program of the rescue shell, for an architecture as with
	// Init: see [program.CompileRescue]. Nil: the image has no shell.
	Rescue func(ctx context.Context, arch string) ([]byte, error)
	// Time is the time of all files. Zero means 1970.
	Time time.Time
	// Microcode are files, directories or MicrocodeAuto, for the processors of the node.
	Microcode []string
	// Sysroot is the root whose lib/firmware MicrocodeAuto means; empty: /.
	Sysroot string
	// Secrets are files for root of the node alone.
	Secrets []Secret
	// SecretOut is a file for the secrets, which then are not in the image.
	SecretOut string
	// StripSignatures takes the signatures off the modules.
	StripSignatures bool
	// SBOM is a file for the list of what is inside. Empty: none is written.
	SBOM string
	// DryRun decides and checks everything, and writes nothing.
	DryRun bool
	// Cache keeps compressed blocks for further images. Nil: nothing is kept.
	Cache *cache.Cache
}

// A Progress is told what is being done, and how far it is. Calls do not
// overlap. Nil is silent.
type Progress func(step string, done, total int)

// What Progress is told.
const (
	stepPrepare  = "preparing /init and modules"
	stepModules  = "reading modules"
	stepCompress = "compressing"
)

// Image makes an image as s says and reports what is in it.
func Image(ctx context.Context, s Spec, p Progress) (r Report, err error) {
	start := time.Now()
	s.fill()
	if err := CheckOutputs(s); err != nil {
		return Report{}, err
	}
	b := builder{spec: s, report: Report{Out: s.Out, Compression: s.Compress}, progress: p}
	b.outs = output.Set{Stdout: s.Stdout, Tell: func(step string) { b.counter(step, 0)(0) }}
	defer func() { err = errors.Join(err, b.outs.Discard()) }()
	if err := b.openBase(ctx); err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, b.closeBase()) }()
	files, err := b.collect(ctx)
	if err != nil {
		return Report{}, err
	}
	if err := errors.Join(b.unpacks(), b.stripSignatures(ctx, files)); err != nil {
		return Report{}, err
	}
	segments, err := b.addMicrocodeAndSecrets(ctx, b.segments(files), files)
	if err != nil {
		return Report{}, err
	}
	if s.DryRun {
		return b.dryRun(segments, start)
	}
	if err := b.write(ctx, segments); err != nil {
		return Report{}, err
	}
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	if err := b.outs.Commit(); err != nil {
		return Report{}, fmt.Errorf("write: %w", err)
	}
	b.report.Took = time.Since(start)
	return b.report, nil
}

type builder struct {
	spec     Spec
	report   Report
	progress Progress
	base     *base               // nil: none
	kernel   kernel.Source       // what is known of the kernel comes from here
	config   abi.Kconfig         // of the kernel, nil if it is not known
	links    *initramfs.Tree     // the symbolic links that were added
	private  bool                // the image holds secrets
	outs     output.Set          // what is written
	byClass  []modload.Companion // of the inventories: see inventory.Choice
	mu       sync.Mutex          // for progress and counters
}

// counter returns a function that adds to the done part of a step.
func (b *builder) counter(step string, total int) func(n int) {
	done := 0
	return func(n int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		done += n
		if b.progress != nil {
			b.progress(step, done, total)
		}
	}
}

// collect makes the list of files.
func (b *builder) collect(ctx context.Context) ([]initramfs.Entry, error) {
	s := b.spec
	b.counter(stepPrepare, 0)(0)
	vmlinuz := kernel.Image{Release: s.Release}
	if s.Kernel != "" {
		var err error
		if vmlinuz, err = kernel.Open(ctx, s.Kernel); err != nil {
			return nil, err
		}
		b.report.Warnings = append(b.report.Warnings, vmlinuz.Notes()...)
	}
	if err := b.age(vmlinuz.Release); err != nil {
		return nil, err
	}
	profiles, config, warnings, err := s.configure()
	b.report.Warnings = append(b.report.Warnings, warnings...)
	if err != nil {
		return nil, err
	}
	t := modtree.Dir{Release: vmlinuz.Release}
	if s.Modules != NoModules {
		if t, err = modtree.Find(s.Modules, vmlinuz.Release); err != nil {
			return nil, err
		}
	} else if t.Release == "" {
		return nil, errors.New("find modules: without a module tree nothing says of which kernel the modules must " +
			"be: give --kernel")
	}
	if vmlinuz.Release == "" {
		if err := b.age(t.Release); err != nil {
			return nil, err
		}
	}
	b.report.Release = t.Release
	for _, p := range profiles {
		b.report.Profiles = append(b.report.Profiles, p.Name)
	}

	var (
		binary                 []byte
		modules, added, rescue []initramfs.Entry
		tree                   adder
	)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		if binary, err = s.Init(ctx, vmlinuz.Arch); err != nil {
			return err
		}
		return program.CheckProgram(binary, vmlinuz.Arch)
	})
	group.Go(func() (err error) {
		modules, err = b.modules(ctx, t, profiles, wantedModules(config))
		return err
	})
	group.Go(func() (err error) {
		added, err = tree.read(ctx, s)
		return err
	})
	group.Go(func() (err error) {
		rescue, err = s.rescue(ctx, vmlinuz.Arch)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	files := slices.Concat(initramfs.Skeleton(), modules, rescue)
	files = append(
		files,
		initramfs.Entry{
			Name: initramfs.InitPath,
			Mode: initramfs.TypeFile | 0o755,
			Data: binary,
			Part: initramfs.PartInit,
		},
		initramfs.Entry{
			Name: initramfs.ConfigPath,
			Mode: initramfs.TypeFile | 0o600,
			Data: s.configText(profiles),
			Part: initramfs.PartConfig,
		},
	)
	notes, warnings := tree.findings()
	b.report.Notes = append(b.report.Notes, notes...)
	b.report.Warnings = append(b.report.Warnings, warnings...)
	if files, err = b.join(files, added); err != nil {
		return nil, err
	}
	b.report.Warnings = append(b.report.Warnings, b.shellMissed(config, files)...)
	return b.layOut(files)
}

// configName is what errors call the config file.
func (s Spec) configName() string { return strings.TrimSpace("config " + s.ConfigFile) }

// configure finds the profiles and checks the config file.
func (s Spec) configure() (_ []modload.Profile, _ cmdline.Args, warnings []string, err error) {
	config, err := cmdline.ParseConfig(bytes.NewReader(s.Config))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("read %s: %w", s.configName(), err)
	}
	if cmdline.HasByteOrderMark(s.Config) {
		warnings = append(warnings, s.configName()+": it has a byte order mark, which is passed over: save it as "+
			"UTF-8 without one")
	}
	asked := namelist.Split(config.All("nodisk.profile"))
	names := s.Profiles
	if len(names) == 0 {
		names = asked
	}
	if len(names) == 0 {
		return nil, nil, nil, errors.New("select profiles: none given; give some by --profile or by nodisk.profile= " +
			"in the config")
	}
	names = namelist.Unique(names)
	profiles, err := lookupProfiles(names)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("select profiles: %w", err)
	}
	holds := holdings(profiles)
	for _, name := range asked {
		if !holds[name] {
			return nil, nil, nil, fmt.Errorf("read %s: nodisk.profile=%s is not in the image; add it to --profile",
				s.configName(), name)
		}
	}
	if s.CheckConfig != nil {
		said, err := s.CheckConfig(bytes.NewReader(s.configText(profiles)))
		if err != nil {
			return nil, nil, nil, fmt.Errorf("check %s: %w", s.configName(), err)
		}
		for _, w := range said {
			warnings = append(warnings, s.configName()+": "+w)
		}
	}
	return profiles, config, warnings, nil
}

// configText is the config file of the image: what the image knows about
// itself, then what the administrator wrote.
func (s Spec) configText(profiles []modload.Profile) []byte {
	names := make([]string, 0, len(profiles))
	for _, p := range profiles {
		names = append(names, p.Name)
	}
	text := "nodisk.profile=" + strings.Join(names, ",") + "\n"
	return append([]byte(text), s.Config...)
}

// holdings are the names of profiles and of all they contain.
func holdings(profiles []modload.Profile) map[string]bool {
	holds := make(map[string]bool)
	for _, p := range profiles {
		holds[p.Name] = true
		for _, part := range p.With {
			if q, ok := modload.LookupProfile(part); ok {
				for name := range holdings([]modload.Profile{q}) {
					holds[name] = true
				}
			}
		}
	}
	return holds
}

// modules are the module files of the image and their indexes.
func (b *builder) modules(
	ctx context.Context,
	t modtree.Dir,
	profiles []modload.Profile,
	wanted []string,
) ([]initramfs.Entry, error) {
	flat, err := readFlat(ctx, b.spec.ModuleDirs, t.Release)
	if err != nil {
		return nil, err
	}
	confs, conf, err := b.spec.modprobe()
	if err != nil {
		return nil, err
	}
	b.report.Warnings = append(b.report.Warnings, conf.Warnings...)
	wanted = without(append(wanted, b.spec.ExtraModules...), flat)
	if b.spec.Modules == NoModules {
		if len(wanted) > 0 {
			return nil, fmt.Errorf("find modules: no %s in the flat directories, and there is no module tree "+
				"(--modules %s)", strings.Join(wanted, ", "), NoModules)
		}
		b.report.Warnings = append(b.report.Warnings, onTrust(profiles, flat)...)
		if _, err := b.checkModules(ctx, t, offer{}, flat...); err != nil {
			return nil, err
		}
		firmware, err := b.firmware(ctx, t, flat)
		return slices.Concat(flat, confs, firmware), err
	}
	t, made, warnings, err := t.Indexed(b.spec.Cache)
	if err != nil {
		return nil, err
	}
	b.report.Warnings = append(b.report.Warnings, warnings...)
	x, err := modload.Open(t, t.Release)
	if err != nil {
		return nil, err
	}
	x = x.With(conf)
	wanted, b.report.Notes = notes(x, profiles, wanted)
	b.report.Notes = append(made, b.report.Notes...)
	if profiles, err = b.choose(x, t, profiles); err != nil {
		return nil, err
	}
	table := append(modtree.Extras(), modtree.Weakdeps(t, t.Release)...)
	mods, err := closure(x, profiles, wanted, table)
	if err != nil {
		return nil, err
	}
	offered, err := offers(x, profiles, wanted, table)
	if err != nil {
		return nil, err
	}
	count := b.counter(stepModules, len(mods))
	files, err := readModules(ctx, t, mods, func() { count(1) })
	if err != nil {
		return nil, err
	}
	left, err := b.checkModules(ctx, t, offered, slices.Concat(files, flat)...)
	if err != nil {
		return nil, err
	}
	if note := left.note(); note != "" {
		b.report.Notes = append(b.report.Notes, note)
		if mods, err = closure(x, offered.without(left), wanted, table); err != nil {
			return nil, err
		}
		mods = slices.DeleteFunc(mods, func(m modload.Module) bool { return left.modules[m.Name] })
		files = ofModules(files, mods)
	}
	b.report.Warnings = append(b.report.Warnings, shadowed(flat, files, t.Release)...)
	inside := make(map[string]bool, len(mods))
	for _, m := range mods {
		inside[m.Name] = true
	}
	holds := func(name string) bool { return inside[name] }
	b.report.Warnings = append(b.report.Warnings, t.StaleWarnings(holds)...)
	b.report.Notes = slices.Concat(b.report.Notes, t.StaleNotes(holds), confNotes(x, conf, holds),
		confLeft(t, b.spec.Modprobe, holds))
	firmware, err := b.firmware(ctx, t, append(slices.Clone(files), flat...))
	if err != nil {
		return nil, err
	}
	indexes, err := modtree.ReduceIndexes(t, t.Release, holds, b.byClass...)
	if holdings(profiles)[modtree.RAMProfile] { // the root will load modules from here too, by its own udev and modprobe
		indexes = append(indexes, modtree.BinaryIndexes(indexes)...)
	}
	return slices.Concat(files, flat, confs, firmware, indexes), err
}
