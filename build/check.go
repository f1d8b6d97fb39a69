package build

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/init/linux"
)

// A CheckSpec says what nodisk check compares with a kernel.
type CheckSpec struct {
	Kernel     string   // the kernel's file; empty: the modules are compared with each other
	Modules    string   // as Spec.Modules; empty: no tree
	ModuleDirs []string // as Spec.ModuleDirs
	Image      string   // an image to be checked too; empty: none
	Symvers    string   // Module.symvers of the kernel; empty: it is looked for
	Config     string   // configuration of the kernel; empty: it is looked for
	Release    string   // of the tree to take where no kernel says it
}

// Check compares the modules of a tree, of flat directories and of an image with a
// kernel. There is one report for the tree and the directories, and one for the image.
func Check(ctx context.Context, s CheckSpec) ([]abi.Report, error) {
	source := kernel.Source{File: s.Kernel, Release: s.Release, Symvers: s.Symvers, Config: s.Config}
	release := s.Release
	if s.Kernel != "" {
		k, err := kernel.Open(ctx, s.Kernel)
		if err != nil {
			return nil, err
		}
		release = k.Release
	}
	onDisk := s.Modules != "" && s.Modules != NoModules
	t := modtree.Dir{Release: release}
	if onDisk {
		var err error
		if t, err = modtree.Find(s.Modules, release); err != nil {
			return nil, err
		}
		source.Tree, source.Release = t.Path, t.Release
	}

	var (
		kernel  abi.Kernel
		notes   []abi.Finding
		modules checkedTree
		image   checkedImage
	)
	group, reading := errgroup.WithContext(ctx)
	group.Go(func() (err error) { // the longest first
		kernel, notes, err = source.Facts(reading)
		return err
	})
	group.Go(func() (err error) {
		modules, err = readCheckedTree(reading, t, s.ModuleDirs)
		return err
	})
	group.Go(func() (err error) {
		if s.Image != "" {
			image, err = openCheckedImage(reading, s.Image)
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if kernel.Release == "" {
		if kernel.Release = image.only(); kernel.Release == "" {
			return nil, errors.New("find kernel: nothing says of which kernel the modules must be: give --kernel, or " +
				"--modules with one tree")
		}
	}
	if kernel.Exports == nil {
		kernel.Exports, kernel.Partial = abi.Derive(kernel.Release, modules.files), true
		if len(kernel.Exports) == 0 {
			kernel.Exports = nil
		}
	}
	var reports []abi.Report
	if onDisk || s.ModuleDirs != nil {
		reports = append(reports, modules.report(kernel, ""))
	}
	if s.Image != "" {
		reports = append(reports, image.report(kernel))
	}
	if len(reports) == 0 {
		return nil, errors.New("check: nothing to check: give --modules, --module-dir or --image")
	}
	if err := linux.TooOld(kernel.Release); err != nil {
		notes = append(notes, abi.Finding{Severity: abi.Fault, Kind: abi.TooOld, Text: err.Error()})
	}
	reports[0].Findings = append(reports[0].Findings, notes...)
	abi.Sort(reports[0].Findings)
	return reports, nil
}

// A checkedTree is what is to be checked of a tree.
type checkedTree struct {
	files    []abi.File
	dep      string // text of modules.dep
	findings []abi.Finding
}

// readCheckedTree reads all modules of a tree, if it has a directory, and of flat
// directories.
func readCheckedTree(ctx context.Context, t modtree.Dir, dirs []string) (checkedTree, error) {
	var (
		c    checkedTree
		list []modtree.File
		wins string
		err  error
	)
	if t.Path != "" {
		if list, c.findings, err = t.Files(); err != nil {
			return c, err
		}
		if c.dep, err = t.ReadDep(); err != nil {
			return c, err
		}
		c.findings = append(c.findings, abi.CheckDep(c.dep, t.Has(list))...)
		names, stale := t.Stale(c.dep)
		c.findings = append(c.findings, stale...)
		wins = names
	}
	for _, dir := range dirs {
		flat, err := modtree.FlatFiles(dir)
		if err != nil {
			return c, err
		}
		list = append(list, flat...)
	}
	c.files, err = modtree.ParseFiles(ctx, list)
	modtree.Shadow(c.files, wins)
	for _, dir := range dirs {
		c.notLoaded(filepath.Base(dir))
	}
	return c, err
}

// notLoaded warns of a flat directory's modules that the tree has too.
func (c *checkedTree) notLoaded(dir string) {
	var names []string
	for i := range c.files {
		if f := &c.files[i]; f.Shadowed && strings.HasPrefix(f.Path, dir+"/") {
			names = append(names, f.Name())
		}
	}
	if names != nil {
		c.findings = append(c.findings, abi.Finding{
			Severity: abi.Warning, Kind: abi.Dangling,
			Text: fmt.Sprintf("%s of %s are not checked: the tree has modules of these names, and those are loaded",
				strings.Join(names, ", "), dir),
			Remedy: "check the directory without the tree, or take it without those",
		})
	}
}

// report checks all but what is read already.
func (c checkedTree) report(kernel abi.Kernel, subject string) abi.Report {
	r := abi.Check(kernel, c.files, abi.Config{Symbols: true})
	r.Subject = subject
	r.Findings = append(append(r.Findings, c.findings...), abi.CheckUses(c.dep, c.files)...)
	return r
}
