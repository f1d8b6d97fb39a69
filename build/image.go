package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/init/cmdline"
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
	// ModuleDirs are flat folders of modules, for which depmod has not run:
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
	// Config is the administrator's part of the config file.
	Config []byte
	// CheckConfig, if not nil, judges the whole config file.
	CheckConfig func(io.Reader) error
	// Add are further files and folders.
	Add []Addition
	// Compress is the compression; zero means LZ4.
	Compress Compression
	// Out is the file to write. It appears when it is complete.
	Out string
	// Init returns the binary that becomes /init, for an architecture in
	// GOARCH's spelling; empty if it is not known.
	Init func(ctx context.Context, arch string) ([]byte, error)
	// Time is the time of all files. Zero means 1970.
	Time time.Time
}

// A Progress is told what is being done, and how far it is. Calls do not
// overlap. Nil is silent.
type Progress func(step string, done, total int)

// What Progress is told.
const (
	stepPrepare  = "preparing /init and modules"
	stepModules  = "reading modules"
	stepCompress = "compressing"
	stepWrite    = "writing"
)

// Image makes an image as s says and reports what is in it.
func Image(ctx context.Context, s Spec, p Progress) (Report, error) {
	start := time.Now()
	if s.Compress == 0 {
		s.Compress = LZ4
	}
	if s.Time.IsZero() {
		s.Time = time.Unix(0, 0)
	}
	b := builder{spec: s, report: Report{Out: s.Out, Compression: s.Compress}, progress: p}
	files, err := b.collect(ctx)
	if err != nil {
		return Report{}, err
	}
	segments, err := b.segments(files)
	if err != nil {
		return Report{}, err
	}
	if err := b.write(ctx, segments); err != nil {
		return Report{}, err
	}
	b.report.Took = time.Since(start)
	return b.report, nil
}

type builder struct {
	spec     Spec
	report   Report
	progress Progress
	mu       sync.Mutex // for progress and counters
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
func (b *builder) collect(ctx context.Context) ([]file, error) {
	s := b.spec
	b.counter(stepPrepare, 0)(0)
	kernel := Kernel{Release: s.Release}
	if s.Kernel != "" {
		var err error
		if kernel, err = OpenKernel(s.Kernel); err != nil {
			return nil, err
		}
	}
	profiles, config, err := s.configure()
	if err != nil {
		return nil, err
	}
	t := tree{release: kernel.Release}
	if s.Modules != NoModules {
		if t, err = findTree(s.Modules, kernel.Release); err != nil {
			return nil, err
		}
	} else if t.release == "" {
		return nil, errors.New("find modules: without a module tree nothing says of which kernel the modules must be: give --kernel")
	}
	b.report.Release = t.release
	for _, p := range profiles {
		b.report.Profiles = append(b.report.Profiles, p.Name)
	}

	var (
		program        []byte
		modules, added []file
	)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		if program, err = s.Init(ctx, kernel.Arch); err != nil {
			return err
		}
		return checkProgram(program, kernel.Arch)
	})
	group.Go(func() (err error) {
		modules, err = b.modules(ctx, t, profiles, wantedModules(config))
		return err
	})
	group.Go(func() (err error) {
		added, err = readAdditions(s.Add)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	files := append(skeleton(), modules...)
	files = append(files,
		file{name: initPath, mode: typeFile | 0o755, data: program, part: PartInit},
		file{name: configPath, mode: typeFile | 0o600, data: s.configText(profiles), part: PartConfig})
	return layout(append(files, added...))
}

// configure finds the profiles and checks the config file.
func (s Spec) configure() ([]modload.Profile, cmdline.Args, error) {
	config, err := cmdline.ParseConfig(bytes.NewReader(s.Config))
	if err != nil {
		return nil, nil, fmt.Errorf("read config: %w", err)
	}
	asked := listOf(config.All("nodisk.profile"))
	names := s.Profiles
	if len(names) == 0 {
		names = asked
	}
	if len(names) == 0 {
		return nil, nil, errors.New("select profiles: none given; give some by --profile or by nodisk.profile= in the config")
	}
	names = unique(names)
	profiles, err := lookupProfiles(names)
	if err != nil {
		return nil, nil, err
	}
	holds := holdings(profiles)
	for _, name := range asked {
		if !holds[name] {
			return nil, nil, fmt.Errorf("read config: nodisk.profile=%s is not in the image; add it to --profile", name)
		}
	}
	if s.CheckConfig != nil {
		if err := s.CheckConfig(bytes.NewReader(s.configText(profiles))); err != nil {
			return nil, nil, fmt.Errorf("check config: %w", err)
		}
	}
	return profiles, config, nil
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

// listOf splits values at their commas.
func listOf(values []string) []string {
	var list []string
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name != "" {
				list = append(list, name)
			}
		}
	}
	return list
}

// unique drops later ones of equal names and keeps the order.
func unique(names []string) []string {
	seen := make(map[string]bool, len(names))
	var list []string
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return list
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
func (b *builder) modules(ctx context.Context, t tree, profiles []modload.Profile, wanted []string) ([]file, error) {
	flat, err := readFlat(ctx, b.spec.ModuleDirs, t.release)
	if err != nil {
		return nil, err
	}
	wanted = without(append(wanted, b.spec.ExtraModules...), flat)
	if b.spec.Modules == NoModules {
		if len(wanted) > 0 {
			return nil, fmt.Errorf("find modules: no %s in the flat folders, and there is no module tree (--modules %s)", strings.Join(wanted, ", "), NoModules)
		}
		b.report.Warnings = append(b.report.Warnings, onTrust(profiles, flat)...)
		return flat, nil
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	x, err := modload.Open(t, t.release)
	if err != nil {
		return nil, err
	}
	wanted, b.report.Notes = notes(x, profiles, wanted)
	mods, err := closure(x, profiles, wanted)
	if err != nil {
		return nil, err
	}
	count := b.counter(stepModules, len(mods))
	files, err := readModules(ctx, t, mods, func() { count(1) })
	if err != nil {
		return nil, err
	}
	b.report.Warnings = append(b.report.Warnings, foreign(files, t.release)...)
	b.report.Warnings = append(b.report.Warnings, shadowed(flat, files, t.release)...)
	inside := make(map[string]bool, len(mods))
	for _, m := range mods {
		inside[m.Name] = true
	}
	indexes, err := reduceIndexes(t, t.release, func(name string) bool { return inside[name] })
	return slices.Concat(files, flat, indexes), err
}

type sizeWriter struct{ n int64 }

func (w *sizeWriter) Write(p []byte) (int, error) {
	w.n += int64(len(p))
	return len(p), nil
}

// An output is a file that is not there before it is complete.
type output struct {
	*os.File
	path string
	done bool
}

func newOutput(path string) (*output, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("write image: %s is not a regular file", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if _, missing := os.Stat(filepath.Dir(path)); errors.Is(missing, fs.ErrNotExist) {
		return nil, fmt.Errorf("write image %s: there is no folder %s", path, filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("write image %s: %w", path, err)
	}
	return &output{File: f, path: path}, nil
}

// commit gives the file its name.
func (o *output) commit() error {
	// An image is served by TFTP and HTTP, by users other than its maker.
	err := errors.Join(o.Chmod(0o644), o.Sync(), o.Close())
	if err == nil {
		err = os.Rename(o.Name(), o.path)
	}
	if err != nil {
		return fmt.Errorf("write image %s: %w", o.path, err)
	}
	o.done = true
	return nil
}

// discard removes what was not committed.
func (o *output) discard() error {
	if o.done {
		return nil
	}
	_ = o.Close() // commit may have done so
	if err := os.Remove(o.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove half an image: %w", err)
	}
	return nil
}
