package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/installed"
	"github.com/nodisk/nodisk/build/output"
	"github.com/nodisk/nodisk/build/program"
	"github.com/nodisk/nodisk/internal/infile"
)

// buildCmd is "nodisk build".
type buildCmd struct {
	Kernel      string               `help:"Kernel file, to check that the modules are its own." type:"existingfile" placeholder:"FILE"`
	Modules     string               `help:"/lib/modules/RELEASE, or a root that holds lib/modules; none: only what --module-dir gives. Default: the kernel's release on this machine, the running kernel's without --kernel." placeholder:"DIR"`
	ModuleDir   []string             `help:"Directory of modules (.ko) without modules.dep, put in as /lib/modules/BASENAME; the node loads them by name, in the order given (nodisk.modules=, rd.driver.pre=, rd.driver.post=); repeatable." type:"existingdir" placeholder:"DIR" sep:"none"`
	Profile     []string             `help:"What the node needs, such as virt, eth, iscsi, nfs, ext4; repeatable. Default: nodisk.profile= of --config, else ${profiles}." placeholder:"A,B"`
	Module      []string             `help:"Further modules to put in: names, aliases, or patterns like kernel/fs/nls/*; repeatable." placeholder:"A,B"`
	Inventory   []string             `help:"Take only drivers for what hardware a node has: a file of nodisk inventory, of modaliases or of lspci -nn; or host, this machine; repeatable, for several types of node." placeholder:"FILE|host" sep:"none"`
	Hostonly    bool                 `help:"The same as --inventory host."`
	Modprobe    []string             `help:"Directory of modprobe.d(5) files, or one such file, that the node heeds too; host: those of this machine; repeatable, the first file of a name counts." placeholder:"DIR" sep:"none"`
	Firmware    []string             `help:"Directory to take the modules' firmware from, as /lib/firmware; none: no firmware; repeatable. Default: lib/firmware of the root that holds --modules." placeholder:"DIR" sep:"none"`
	NoCheck     bool                 `help:"Make the image although the kernel would refuse some of the modules: they become warnings."`
	FullCheck   bool                 `help:"Compare all modules with the symbols of the kernel's file, not only those that did not come with the kernel."`
	Config      string               `help:"Config file: what could be on the kernel command line, one key=value a line." type:"existingfile" placeholder:"FILE"`
	Add         []build.Addition     `help:"Further file or directory, with all in it, and its path in the image; of several files with one path the last counts; repeatable." placeholder:"SRC:DST" sep:"none"`
	Exclude     []string             `help:"Path in the image that --add leaves out, with what is in it: a pattern such as var/cache/apt/*, ** for any directories; repeatable." placeholder:"PATTERN" sep:"none"`
	Owner       build.Owner          `help:"Owners of added files: keep those they have here, or root for all. Default: keep when run as root, else root." placeholder:"keep|root"`
	Base        string               `help:"Initramfs of dracut, initramfs-tools or whoever, to which all is added: its files stay, /init is ours, its own becomes /init.vendor." type:"existingfile" placeholder:"IMAGE"`
	Chain       bool                 `help:"With --base: after the drivers and the network /init runs /init.vendor (nodisk.chain= in the config)."`
	DriversOnly bool                 `help:"With --base: its init stays, and loads the modules that are added."`
	Out         string               `help:"Image to write; -: the standard output." short:"o" default:"nodisk.img" placeholder:"FILE"`
	Compress    compress.Compression `help:"lz4, zstd, gzip, xz or none." default:"lz4" placeholder:"HOW"`
	Rescue      rescueFlag           `help:"Put a shell and commands into the image, for rd.break, rd.shell and nodisk.onfail=shell: u-root's, compiled with Go and kept in the user's cache, or, by --rescue=FILE, a static busybox." placeholder:"FILE"`
	FromSource  sourceFlag           `help:"Compile /init, of the repository in DIR or around the working directory." placeholder:"DIR"`
	Init        string               `help:"Take this binary as /init." type:"existingfile" placeholder:"FILE" xor:"init"`

	imageFlags
	siteFlags
}

// Validate refuses names that no profile has, while it is known which line of a file has them.
func (b *buildCmd) Validate() error {
	if err := build.CheckProfiles(b.Profile); err != nil {
		return fmt.Errorf("--profile: %w", err)
	}
	return nil
}

// defaultProfiles make a node with iSCSI root on ext4, on whatever NIC.
const defaultProfiles = "eth,iscsi,ext4"

// Help is the end of nodisk build --help.
func (buildCmd) Help() string {
	return "All files in the image have the time SOURCE_DATE_EPOCH (seconds, default 0); the same input makes the " +
		"same image, bit for bit."
}

// Run makes the image, or several, and prints the summary.
func (b *buildCmd) Run(ctx context.Context, line *kong.Context, c console) error {
	given := givenOf(line)
	if err := conflicting(given); err != nil {
		return err
	}
	if b.ListProfiles {
		return b.listProfiles(ctx, c)
	}
	o, err := b.order(ctx, given)
	if err != nil {
		return err
	}
	if o.several || len(o.requests) != 1 {
		replaced, err := b.replaced(o)
		if err != nil {
			return fmt.Errorf("build: %w", err)
		}
		o.warnings = append(o.warnings, replaced...)
		return b.makeImages(ctx, o, c)
	}
	spec := o.requests[0].spec
	if b.SecretOnly {
		return b.writeSecrets(ctx, spec, c)
	}
	if b.Tree && output.IsStream(spec.Out) {
		return &usageError{fmt.Errorf("build: --tree reads the image again, and %s cannot be read twice: leave "+
			"one of them out", output.Name(spec.Out))}
	}
	if len(spec.Add) > 0 {
		defer frugal()()
	}
	spec.Cache, spec.Stdout = b.cache(), c.raw()
	c = c.beside(spec)
	status := b.statusLine(c)
	report, err := build.Image(ctx, spec, status.show)
	status.end()
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	if err := spec.Cache.Trim(); err != nil {
		report.Warnings = append(report.Warnings, err.Error())
	}
	report.Notes = append(o.notes, report.Notes...)
	report.Warnings = append(o.warnings, report.Warnings...)
	return b.report(report, c)
}

// spec is the Spec of the flags. Whoever calls it says that its error is one of nodisk build.
func (b *buildCmd) spec(ctx context.Context) (build.Spec, error) {
	s := build.Spec{
		Kernel: b.Kernel, Modules: b.Modules, Profiles: b.Profile, ExtraModules: b.Module, ModuleDirs: b.ModuleDir,
		SkipCheck: b.NoCheck, FullCheck: b.FullCheck, Add: b.Add,
		Exclude: b.Exclude, Owner: b.Owner,
		Modprobe: b.Modprobe, Firmware: b.Firmware,
		Base:   build.Base{Image: b.Base, Chain: b.Chain, DriversOnly: b.DriversOnly},
		DryRun: b.DryRun, Compress: b.Compress, Out: b.Out, Init: b.program, Rescue: b.Rescue.program(),
		CheckConfig: checkConfig,
	}
	b.fill(&s)
	s.Sysroot = b.Sysroot
	var err error
	s.Inputs = b.inputs()
	if s.Inventories, err = inventories(ctx, b.Inventory, b.Hostonly); err != nil {
		return s, err
	}
	if s.Inventories != nil && s.Modules == build.NoModules {
		return s, &usageError{errors.New("--inventory chooses among the drivers of a module tree, and --modules none " +
			"is none: leave one of them out")}
	}
	if b.Config != "" {
		text, err := infile.ReadFile(ctx, b.Config)
		if err != nil {
			return s, fmt.Errorf("read config: %w", err)
		}
		s.Config, s.ConfigFile = text, b.Config
	}
	if s.Modules == "" {
		s.Modules = "/"
		if s.Kernel == "" {
			if s.Release, err = installed.Running(); err != nil {
				return s, fmt.Errorf("%w; give --kernel and --modules", err)
			}
		}
	}
	if !namesProfiles(s) {
		s.Profiles = strings.Split(defaultProfiles, ",")
	}
	if s.Time, err = sourceDate(); err != nil {
		return s, err
	}
	return s, nil
}

// sourceDate is the time SOURCE_DATE_EPOCH, zero if it is not set.
func sourceDate() (time.Time, error) {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseUint(epoch, 10, 32)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH=%q is not a number of seconds since 1970", epoch)
	}
	return time.Unix(int64(seconds), 0), nil //nolint:gosec // 32 bits
}

// inputs are the files that the command itself reads.
func (b *buildCmd) inputs() []build.Input {
	list := []build.Input{{Flag: "--config", Path: b.Config}, {Flag: "--init", Path: b.Init}, {
		Flag: "--rescue",
		Path: b.Rescue.file,
	}, {Flag: "--images", Path: b.Images}}
	for _, name := range b.Inventory {
		if name != hostWord {
			list = append(list, build.Input{Flag: "--inventory", Path: name})
		}
	}
	return list
}

// namesProfiles reports whether flags or config say which profiles are wanted.
func namesProfiles(s build.Spec) bool {
	return len(s.Profiles) > 0 || strings.Contains(string(s.Config), "nodisk.profile")
}

// program finds the binary that becomes /init.
func (b *buildCmd) program(ctx context.Context, arch string) ([]byte, error) {
	if b.Init != "" {
		program, err := infile.ReadFile(ctx, b.Init)
		if err != nil {
			return nil, fmt.Errorf("read /init: %w", err)
		}
		return program, nil
	}
	if !b.FromSource.set {
		if program, ok := program.EmbeddedInit(arch); ok {
			return program, nil
		}
	}
	dir := b.FromSource.dir
	if dir == "" {
		dir = "."
	}
	source, err := program.FindSource(dir)
	if errors.Is(err, program.ErrNoSource) && !b.FromSource.set {
		return nil, errors.New("this nodisk carries no /init and is not run inside its repository: " +
			"give --from-source=DIR or --init=FILE, or take a released nodisk " +
			"(https://github.com/nodisk/nodisk/releases; \"make build\" in the repository makes bin/nodisk, the same)")
	}
	if err != nil {
		return nil, err
	}
	return program.CompileInit(ctx, source, arch)
}

// A sourceFlag is --from-source or --from-source=DIR.
type sourceFlag struct {
	set bool
	dir string
}

// IsBool tells kong that the flag needs no value.
func (*sourceFlag) IsBool() bool { return true }

// Decode takes the value if there is one.
func (f *sourceFlag) Decode(ctx *kong.DecodeContext) error {
	f.set = true
	if token := ctx.Scan.Peek(); token.Type == kong.FlagValueToken {
		ctx.Scan.Pop()
		dir, ok := token.Value.(string)
		if !ok || dir == "" {
			return errors.New("--from-source= needs a directory, or no = at all")
		}
		f.dir = dir
	}
	return nil
}
