package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/installed"
	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/build/preflight"
	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/infile"
)

// bootImage is what the forecast knows of the image of a node.
type bootImage struct {
	contents initramfs.Contents
	files    *preflight.Image
	kernel   *kernel.Image // nil: its file says nothing here, and QEMU may boot it
	checks   []abi.Report  // of the image's modules against it
	faults   []string
}

// forecast looks at what nodisk plan and nodisk check know before a machine is started. It
// chooses the kernel, the way to the root and the memory where the flags leave that open. What
// would not boot is an error, unless it is forced.
func (c *bootCmd) forecast(ctx context.Context, s *lab.BootSpec, con console) error {
	image, err := openBootImage(ctx, c.Image)
	if err == nil || s.Kernel != "" { // --force boots any image, with a kernel that is given
		if err := c.kernelOf(ctx, s, image, con); err != nil {
			return err
		}
		if err := s.Check(); err != nil {
			return &usageError{err}
		}
	}
	if err == nil && outside() {
		err = image.check(ctx, *s)
	}
	if err == nil {
		err = c.judge(ctx, s, image)
	}
	if err == nil || !c.Force {
		return err
	}
	if outside() {
		_, err = fmt.Fprintf(con.err, "warning: %v\n", err)
		return err
	}
	return nil
}

// kernelOf finds the kernel of an image's modules unless one was given, and looks whether it is
// one.
func (c *bootCmd) kernelOf(ctx context.Context, s *lab.BootSpec, image bootImage, con console) error {
	if s.Kernel == "" {
		k, err := installedKernel("/", image)
		if err != nil {
			return unusable("%w", err)
		}
		s.Kernel = k.File
		if outside() {
			if _, err := fmt.Fprintf(con.err, "nodisk: kernel %s, by the modules in the image\n",
				s.Kernel); err != nil {
				return err
			}
		}
	}
	k, err := kernel.Open(ctx, s.Kernel)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		if starts, headErr := qemuStarts(s.Kernel); headErr != nil || !starts {
			return unusable("--kernel: %w", err)
		}
		return nil // QEMU may boot a kernel whose file says nothing here
	}
	switch k.Arch {
	case "amd64", "arm64":
		s.Arch = k.Arch
	case "":
	default:
		return unusable("kernel %s is for %s: nodes here are amd64 or arm64", filepath.Base(s.Kernel), k.Arch)
	}
	return nil
}

// installedKernel is the one below root whose modules an image has.
func installedKernel(root string, image bootImage) (installed.Kernel, error) {
	release := image.files.Release()
	if release == "" {
		return installed.Kernel{}, errors.New("give the kernel by --kernel FILE: the image does not say which, it " +
			"has not the modules of one release")
	}
	k, err := installed.Find(root, release)
	if err == nil && k.File == "" {
		err = fmt.Errorf("find kernel %s: it has modules (%s), but no file such as /boot/vmlinuz-%s",
			release, k.Modules, release)
	}
	if err != nil {
		err = fmt.Errorf("%w; give the kernel by --kernel FILE", err)
	}
	return k, err
}

// qemuStarts reports whether a file begins as what QEMU takes for a kernel: a bzImage, an Image,
// ELF, PE, or gzip or uImage around one (hw/i386/x86-common.c, hw/arm/boot.c).
func qemuStarts(kernel string) (bool, error) {
	f, err := infile.Regular(kernel)
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	head := make([]byte, 0x206)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	for _, magic := range []struct {
		at   int
		text string
	}{{0x202, "HdrS"}, {0, "\x7fELF"}, {0, "MZ"}, {0x38, "ARM\x64"}, {0, "\x27\x05\x19\x56"}} {
		if n >= magic.at+len(magic.text) && string(head[magic.at:magic.at+len(magic.text)]) == magic.text {
			return true, nil
		}
	}
	return false, nil
}

// unusable is an error of something that was given.
func unusable(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// openBootImage reads an image.
func openBootImage(ctx context.Context, name string) (bootImage, error) {
	// QEMU reads it again, and so does the process in the namespaces.
	f, err := infile.Regular(name)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return bootImage{}, unusable("%w", err)
	}
	files, err := preflight.OpenImage(ctx, name)
	if err != nil {
		return bootImage{}, unusable("%w", err)
	}
	return bootImage{contents: files.Contents(), files: files}, nil
}

// check compares the image with the kernel, which is the same for all ways to a root.
func (i *bootImage) check(ctx context.Context, s lab.BootSpec) error {
	k, err := kernel.Open(ctx, s.Kernel)
	if err != nil {
		return nil //nolint:nilerr // QEMU may boot a kernel whose file says nothing here
	}
	i.kernel = &k
	if err := build.CheckUnpacking(ctx, s.Kernel, i.contents.Segments); err != nil {
		i.faults = append(i.faults, err.Error())
	}
	i.checks, err = build.Check(ctx, build.CheckSpec{Kernel: s.Kernel, Image: s.Image})
	return err
}

// ways are the ways to the root that the flags leave, the best first.
func (c *bootCmd) ways() []lab.Root {
	switch {
	case c.Root != "auto":
		root, _ := lab.ParseRoot(c.Root) // the flag is an enum
		return []lab.Root{root}
	case c.NFS != "":
		return []lab.Root{lab.RootNFS4, lab.RootNFS3}
	case c.Disk != "" && lab.HasFUSE():
		return []lab.Root{lab.RootISCSI, lab.RootVirtio}
	case c.Disk != "":
		return []lab.Root{lab.RootVirtio}
	case c.Tree != "":
		// A copy works for every user and on every file system.
		return []lab.Root{lab.RootISCSI, lab.RootNFS4, lab.RootNFS3}
	}
	return []lab.Root{lab.RootISCSI, lab.RootNFS4, lab.RootNFS3, lab.RootRAM}
}

// judge takes the first way by which the node would boot. If there is none, what is said is
// about the one that lacks least.
func (c *bootCmd) judge(ctx context.Context, s *lab.BootSpec, image bootImage) error {
	var least []string
	chosen := c.ways()[0]
	for i, way := range c.ways() {
		s.Root = way
		faults, err := bootFaults(ctx, *s, image)
		if err != nil {
			return err
		}
		if i == 0 || len(faults) < len(least) {
			chosen, least = way, faults
		}
		if least == nil {
			break
		}
	}
	s.Root = chosen
	var err error
	if least != nil {
		err = fmt.Errorf("the node would not boot (--force boots it all the same):\n  %s", strings.Join(least, "\n  "))
	}
	if least != nil && c.Cmdline != "" {
		err = fmt.Errorf("%w\n--cmdline has replaced the arguments for address and root: --append adds to them, "+
			"as root=LABEL=NAME for a file system of --disk", err)
	}
	return errors.Join(err, roomFor(s, image.contents))
}

// bootFaults are what keeps a node from booting, by nodisk plan and nodisk check.
func bootFaults(ctx context.Context, s lab.BootSpec, image bootImage) ([]string, error) {
	in := preflight.Input{
		Line: cmdline.Parse(s.Line()), Image: image.files, Kernel: image.kernel, Checks: image.checks,
		Driver: func(d inventory.Device) string { return lab.Driver(d.Modalias) },
	}
	if s.Arch == "" || s.Arch == runtime.GOARCH { // of another machine's programs nothing is known
		in.Root = cmp.Or(s.Tree, s.Export)
	}
	if list := s.Hardware(); list != "" {
		v, err := inventory.Parse("QEMU's machine", strings.NewReader(list))
		if err != nil {
			return nil, err
		}
		in.Inventory = &v
	}
	diskFaults, err := faultsOfDisk(ctx, s)
	if err != nil {
		return nil, err
	}
	report, err := preflight.Check(ctx, in)
	if err != nil {
		return nil, err
	}
	faults := slices.Concat(image.faults, diskFaults, report.Faults)
	for _, r := range in.Checks {
		for _, f := range r.Findings {
			if f.Severity == abi.Fault && len(report.Faults) == 0 {
				faults = append(faults, f.String())
			}
		}
	}
	return faults, nil
}

// faultsOfDisk are what keeps a node from a root on its disk.
func faultsOfDisk(ctx context.Context, s lab.BootSpec) ([]string, error) {
	if s.Disk == "" || !outside() {
		return nil, nil
	}
	fault, err := lab.DiskFault(ctx, s)
	if err != nil {
		return nil, unusable("--disk: %w", err)
	}
	if fault == "" {
		return nil, nil
	}
	return []string{"--disk " + fault}, nil
}

// Memory of a node in MiB.
const (
	leastMemory  = 512
	kernelMemory = 96 // what a kernel, its page tables and /init take
)

// roomFor sees to it that the image fits into the node's memory, in which it lies twice: as the
// loader left it, and unpacked.
func roomFor(s *lab.BootSpec, image initramfs.Contents) error {
	const mib = 1 << 20
	need := int((image.Bytes+image.Raw)/mib) + kernelMemory
	switch {
	case s.Memory == 0:
		s.Memory = max(leastMemory, (need+63)/64*64)
	case s.Memory < need:
		return unusable("--memory %d is too little: the image of %.0f MB is %.0f MB unpacked, which takes %d MiB "+
			"with the kernel: give --memory %d or more",
			s.Memory, float64(image.Bytes)/1e6, float64(image.Raw)/1e6, need, need)
	}
	return nil
}
