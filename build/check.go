package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/ko"
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

// Check compares the modules of a tree, of flat folders and of an image with a
// kernel. There is one report for the tree and the folders, and one for the image.
func Check(ctx context.Context, s CheckSpec) ([]abi.Report, error) {
	source := kernelSource{file: s.Kernel, release: s.Release, symvers: s.Symvers, config: s.Config}
	release := s.Release
	if s.Kernel != "" {
		k, err := OpenKernel(s.Kernel)
		if err != nil {
			return nil, err
		}
		release = k.Release
	}
	onDisk := s.Modules != "" && s.Modules != NoModules
	t := tree{release: release}
	if onDisk {
		var err error
		if t, err = findTree(s.Modules, release); err != nil {
			return nil, err
		}
		source.tree, source.release = t.dir, t.release
	}

	var (
		kernel  abi.Kernel
		notes   []abi.Finding
		modules checkedTree
		image   checkedImage
	)
	group, reading := errgroup.WithContext(ctx)
	group.Go(func() (err error) { // the longest first
		kernel, notes, err = source.facts()
		return err
	})
	group.Go(func() (err error) {
		modules, err = readCheckedTree(reading, t, s.ModuleDirs)
		return err
	})
	group.Go(func() (err error) {
		if s.Image != "" {
			image, err = openCheckedImage(s.Image)
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if kernel.Release == "" {
		if kernel.Release = image.only(); kernel.Release == "" {
			return nil, errors.New("find kernel: nothing says of which kernel the modules must be: give --kernel, or --modules with one tree")
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

// readCheckedTree reads all modules of a tree, if it has a folder, and of flat
// folders.
func readCheckedTree(ctx context.Context, t tree, dirs []string) (checkedTree, error) {
	var (
		c    checkedTree
		list []moduleFile
		wins string
		err  error
	)
	if t.dir != "" {
		if list, c.findings, err = t.files(); err != nil {
			return c, err
		}
		if c.dep, err = t.readDep(); err != nil {
			return c, err
		}
		c.findings = append(c.findings, abi.CheckDep(c.dep, t.has(list))...)
		names, stale := t.stale(c.dep)
		c.findings = append(c.findings, stale...)
		wins = names
	}
	for _, dir := range dirs {
		flat, err := flatFiles(dir)
		if err != nil {
			return c, err
		}
		list = append(list, flat...)
	}
	c.files, err = parseFiles(ctx, list)
	shadow(c.files, wins)
	for _, dir := range dirs {
		c.notLoaded(filepath.Base(dir))
	}
	return c, err
}

// notLoaded warns of a flat folder's modules that the tree has too.
func (c *checkedTree) notLoaded(dir string) {
	var names []string
	for i := range c.files {
		if f := &c.files[i]; f.Shadowed && strings.HasPrefix(f.Path, dir+"/") {
			names = append(names, f.Name())
		}
	}
	if names != nil {
		c.findings = append(c.findings, abi.Finding{
			Severity: abi.Warning, Kind: abi.Dangling, Text: fmt.Sprintf("%s of %s are not checked: the tree has modules of these names, and those are loaded", strings.Join(names, ", "), dir),
			Remedy: "check the folder without the tree, or take it without those",
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

// A checkedImage is what an image has below lib/modules.
type checkedImage struct {
	name  string
	files map[string][]byte // by path below lib/modules: modules and modules.dep
	order []string          // of the paths, as first seen
	based bool              // it was made with a base: files are those of nodisk
}

func openCheckedImage(name string) (checkedImage, error) {
	c := checkedImage{name: name, files: make(map[string][]byte)}
	f, err := os.Open(name)
	if err != nil {
		return c, fmt.Errorf("read image: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	files, _, err := ReadImage(f)
	if err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	linked := make(map[uint32][]byte)
	for _, f := range files {
		if f.NLink > 1 && f.Data != nil {
			linked[f.Ino] = f.Data
		}
	}
	for _, f := range files {
		// In images of distributions lib is often a link to usr/lib.
		name := cleanName(f.Name)
		below, ok := strings.CutPrefix(strings.TrimPrefix(ownName(name), "usr/"), modulesDir+"/")
		// With a base, its own modules are not those that /init loads.
		if own := strings.HasPrefix(name, OwnDir+"/"); ok && own != c.based {
			if !own {
				continue
			}
			c.based, c.order = true, nil
			clear(c.files)
		}
		if !ok || f.Mode&typeMask != typeFile {
			continue
		}
		if len(f.Data) == 0 && f.NLink > 1 {
			f.Data = linked[f.Ino]
		}
		if _, again := c.files[below]; !again {
			c.order = append(c.order, below)
		}
		c.files[below] = f.Data
	}
	return c, nil
}

// only is the release of the one tree in the image; empty if there are several
// or none.
func (c checkedImage) only() string {
	release := ""
	for name := range c.files {
		if path.Base(name) == "modules.dep" {
			if release != "" {
				return ""
			}
			release = path.Dir(name)
		}
	}
	return release
}

func (c checkedImage) report(kernel abi.Kernel) abi.Report {
	inTree := kernel.Release + "/"
	dep, indexed := c.files[inTree+"modules.dep"]
	t := checkedTree{dep: string(dep)}
	others := make(map[string]int)
	for _, name := range c.order {
		release, rest, _ := strings.Cut(name, "/")
		if !strings.Contains(path.Base(name), ".ko") {
			continue
		}
		_, other := c.files[release+"/modules.dep"]
		if other && release != kernel.Release {
			others[release]++
			continue
		}
		f := abi.File{Path: name}
		if release == kernel.Release {
			f.Path = rest
		}
		plain, err := unpackModule(name, c.files[name])
		if err == nil {
			f.Module, err = ko.Parse(plain)
		}
		f.Err = err
		t.files = append(t.files, f)
	}
	for release, n := range others {
		t.findings = append(t.findings, abi.Finding{
			Severity: abi.Fault, Kind: abi.WrongVermagic,
			Text:   fmt.Sprintf("the image has %s of Linux %s, which %s does not look at", plural(n, "module"), release, kernel.Release),
			Remedy: "build the image anew for this kernel, or give the node the kernel of the image",
		})
	}
	if indexed {
		t.findings = append(t.findings, abi.CheckDep(t.dep, func(name string) bool {
			_, ok := c.files[inTree+name]
			return ok
		})...)
	}
	shadow(t.files, t.dep)
	return t.report(kernel, c.name)
}
