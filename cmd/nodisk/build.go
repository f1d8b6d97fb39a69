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
)

// buildCmd is "nodisk build".
type buildCmd struct {
	Kernel     string            `help:"Kernel file, to check that the modules are its own." type:"existingfile" placeholder:"FILE"`
	Modules    string            `help:"/lib/modules/RELEASE, or a root that holds lib/modules; none: only what --module-dir gives. Default: the kernel's release on this machine, the running kernel's without --kernel." placeholder:"DIR"`
	ModuleDir  []string          `help:"Folder of modules (.ko) without modules.dep, put in as /lib/modules/BASENAME; the node loads them by name, in the order given (nodisk.modules=, rd.driver.pre=, rd.driver.post=); repeatable." type:"existingdir" placeholder:"DIR" sep:"none"`
	Profile    []string          `help:"What the node needs, such as virt, eth, iscsi, nfs, ext4; repeatable. Default: nodisk.profile= of --config, else ${profiles}." placeholder:"A,B"`
	Module     []string          `help:"Further modules to put in: names, aliases, or patterns like kernel/fs/nls/*; repeatable." placeholder:"A,B"`
	Config     string            `help:"Config file: what could be on the kernel command line, one key=value a line." type:"existingfile" placeholder:"FILE"`
	Add        []build.Addition  `help:"Further file or folder and its path in the image; repeatable." placeholder:"SRC:DST" sep:"none"`
	Out        string            `help:"Image to write." short:"o" default:"nodisk.img" placeholder:"FILE"`
	Compress   build.Compression `help:"lz4, zstd, gzip, xz or none." default:"lz4" placeholder:"HOW"`
	FromSource sourceFlag        `help:"Compile /init, of the repository in DIR or around the working folder." placeholder:"DIR"`
	Init       string            `help:"Take this binary as /init." type:"existingfile" placeholder:"FILE" xor:"init"`
}

// defaultProfiles make a node with iSCSI root on ext4, on whatever NIC.
const defaultProfiles = "eth,iscsi,ext4"

// Help is the end of nodisk build --help.
func (buildCmd) Help() string {
	return "All files in the image have the time SOURCE_DATE_EPOCH (seconds, default 0); the same input makes the same image, bit for bit."
}

// Run makes the image and prints the summary.
func (b *buildCmd) Run(ctx context.Context, c console) error {
	spec, err := b.spec()
	if err != nil {
		return err
	}
	line := newStatusLine(c.err)
	report, err := build.Image(ctx, spec, line.show)
	line.end()
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	return report.WriteText(c.out)
}

func (b *buildCmd) spec() (build.Spec, error) {
	s := build.Spec{
		Kernel: b.Kernel, Modules: b.Modules, Profiles: b.Profile, ExtraModules: b.Module, ModuleDirs: b.ModuleDir, Add: b.Add,
		Compress: b.Compress, Out: b.Out, Init: b.program, CheckConfig: planHooks().CheckConfig,
	}
	if b.Config != "" {
		text, err := os.ReadFile(b.Config)
		if err != nil {
			return s, fmt.Errorf("build: read config: %w", err)
		}
		s.Config = text
	}
	if s.Modules == "" {
		s.Modules = "/"
		if s.Kernel == "" {
			release, err := os.ReadFile("/proc/sys/kernel/osrelease")
			if err != nil {
				return s, fmt.Errorf("build: which kernel runs: %w; give --kernel and --modules", err)
			}
			s.Release = strings.TrimSpace(string(release))
		}
	}
	if !namesProfiles(s) {
		s.Profiles = strings.Split(defaultProfiles, ",")
	}
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseUint(epoch, 10, 32)
		if err != nil {
			return s, fmt.Errorf("build: SOURCE_DATE_EPOCH=%q is not a number of seconds since 1970", epoch)
		}
		s.Time = time.Unix(int64(seconds), 0) //nolint:gosec // 32 bits
	}
	return s, nil
}

// namesProfiles tells whether flags or config say which profiles are wanted.
func namesProfiles(s build.Spec) bool {
	return len(s.Profiles) > 0 || strings.Contains(string(s.Config), "nodisk.profile")
}

// program finds the binary that becomes /init.
func (b *buildCmd) program(ctx context.Context, arch string) ([]byte, error) {
	if b.Init != "" {
		program, err := os.ReadFile(b.Init)
		if err != nil {
			return nil, fmt.Errorf("read /init: %w", err)
		}
		return program, nil
	}
	if !b.FromSource.set {
		if program, ok := build.EmbeddedInit(); ok {
			return program, nil
		}
	}
	dir := b.FromSource.dir
	if dir == "" {
		dir = "."
	}
	source, err := build.FindSource(dir)
	if errors.Is(err, build.ErrNoSource) && !b.FromSource.set {
		return nil, errors.New("this nodisk carries no /init and is not run inside its repository: " +
			"give --from-source=DIR or --init=FILE, or take a released nodisk (https://github.com/nodisk/nodisk/releases; \"make build\" in the repository makes bin/nodisk, the same)")
	}
	if err != nil {
		return nil, err
	}
	return build.CompileInit(ctx, source, arch)
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
			return errors.New("--from-source= needs a folder, or no = at all")
		}
		f.dir = dir
	}
	return nil
}
