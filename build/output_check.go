package build

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/build/output"
	"github.com/nodisk/nodisk/internal/escape"
)

// An Input is a file that something in a [Spec] was read from, or a directory, for the files that are right in it.
type Input struct {
	Flag string // that named it, "--config"
	Path string
}

// CheckOutputs refuses, before anything is written, what would destroy what is read or written: an output that is an
// input of one of the builds or lies in a directory that is added, or that another output is too, whatever the paths
// are and whatever links lead there. It refuses outputs that cannot be written, too. All errors are reported.
func CheckOutputs(specs ...Spec) error {
	var errs []error
	for _, e := range OutputErrors(specs...) {
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

// An OutputError says why images cannot be made as long as their outputs are what they are.
type OutputError struct {
	Specs []int // indexes of the images
	Err   error
}

// Error says it.
func (e OutputError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e OutputError) Unwrap() error { return e.Err }

// OutputErrors is [CheckOutputs] for who makes the images that nothing is wrong with.
func OutputErrors(specs ...Spec) []OutputError {
	var (
		errs  []OutputError
		taken []claim
	)
	for i, s := range specs {
		for _, out := range s.outputs() {
			c, err := out.claim(s.owner(i, len(specs)), s.writesStdout())
			c.spec = i
			if err != nil {
				errs = append(errs, OutputError{[]int{i}, err})
				continue
			}
			for _, other := range taken {
				if c.Same(other.Path, other.Info) || c.Kind == output.ToStdout && other.Kind == output.ToStdout {
					err := fmt.Errorf("write %s: it is written twice, as %s and as %s: give each its own path",
						output.Name(c.Name), other, c)
					errs = append(errs, OutputError{[]int{other.spec, i}, err})
				}
			}
			taken = append(taken, c)
		}
	}
	for _, c := range taken {
		for _, s := range specs { // every image may read what another would write
			if err := s.reads(c); err != nil {
				errs = append(errs, OutputError{[]int{c.spec}, fmt.Errorf("write %s: %w", output.Name(c.Name), err)})
				break
			}
		}
	}
	return errs
}

// owner is what errors call the i-th of several images, empty if there is one.
func (s Spec) owner(i, of int) string {
	switch {
	case of == 1:
		return ""
	case s.Label != "":
		return s.Label
	}
	return fmt.Sprintf("image %d", i+1)
}

// A claim is an output that a build is going to write.
type claim struct {
	output.Destination

	flag  string
	owner string // of several images; see Spec.owner
	spec  int    // its index
}

// String is how an error names it.
func (c claim) String() string {
	if c.owner == "" {
		return c.flag
	}
	return c.flag + " of " + c.owner
}

// A wantedOutput is a path that a Spec gives.
type wantedOutput struct {
	flag, name string
	text       bool
}

func (s Spec) outputs() []wantedOutput {
	list := []wantedOutput{{"--out", s.Out, false}, {"--secret-out", s.SecretOut, false}, {"--sbom", s.SBOM, true}}
	return slices.DeleteFunc(list, func(w wantedOutput) bool { return w.name == "" })
}

// writesStdout reports whether [output.Stdout] is what this process was given, and not something of the caller's.
func (s Spec) writesStdout() bool {
	return s.Stdout == nil || escape.Bottom(s.Stdout) == io.Writer(os.Stdout)
}

func (w wantedOutput) claim(owner string, stdout bool) (claim, error) {
	c := claim{flag: w.flag, owner: owner}
	var err error
	if c.Destination, err = output.Find(w.name); err != nil {
		return c, fmt.Errorf("write %s: %w", c, err)
	}
	if c.Kind == output.ToStdout && !stdout {
		c.Info = nil
		return c, nil
	}
	if err := c.Takes(w.text); err != nil {
		return c, fmt.Errorf("write %s: %w", c, err)
	}
	return c, nil
}

// reads says how a build reads what an output would write.
func (s Spec) reads(c claim) error {
	for _, in := range s.inputs() {
		path, info, err := realPath(in.Path)
		if err != nil {
			continue // who reads it says what is wrong
		}
		if c.Same(path, info) {
			return fmt.Errorf("it is what %s reads, and would be lost: give another path", in.Flag)
		}
		if info.IsDir() && in.holds(c.Destination, path) {
			return fmt.Errorf("it is in %s, which %s reads: give a path elsewhere", in.Path, in.Flag)
		}
	}
	return nil
}

// A readPath is an input with what is read of it, if it is a directory.
type readPath struct {
	Input

	modules bool // modules and their indexes, else everything
	// excludes, if not nil, reports whether a file that lies there is left out.
	excludes func(below string) bool
}

func (in readPath) holds(d output.Destination, dir string) bool {
	if !in.modules {
		below, ok := d.Below(dir)
		return ok && (in.excludes == nil || !in.excludes(below))
	}
	// An initramfs beside the modules is where some distributions have it.
	name := filepath.Base(d.Path)
	return isModuleName(name) && slices.ContainsFunc([]string{
		"", initramfs.ModulesDir, "usr/" + initramfs.ModulesDir,
		filepath.Base(initramfs.ModulesDir),
	}, func(below string) bool {
		if below == "" && !modtree.IsTree(dir) && !in.flat() {
			return false
		}
		at, _, err := realPath(filepath.Join(dir, below))
		if err != nil {
			return false
		}
		_, ok := d.Below(at)
		return ok
	})
}

// flat reports whether depmod has not been at work in a directory of modules.
func (in readPath) flat() bool { return in.Flag == "--module-dir" }

// isModuleName reports whether a file of a module tree is a module or one of depmod's.
func isModuleName(name string) bool {
	return strings.HasPrefix(name, "modules.") || strings.HasSuffix(name, ".ko") ||
		slices.ContainsFunc([]string{".ko.gz", ".ko.xz", ".ko.zst"},
			func(end string) bool { return strings.HasSuffix(name, end) })
}

// inputs are the files and directories that a build reads.
func (s Spec) inputs() []readPath {
	var list []readPath
	add := func(flag string, paths ...string) {
		for _, p := range paths {
			if p != "" {
				list = append(list, readPath{Input: Input{Flag: flag, Path: p}})
			}
		}
	}
	add("--kernel", s.Kernel)
	add("--base", s.Base.Image)
	exclude, _ := parseExclusions(s.Exclude) // who uses them says what is wrong
	for _, a := range s.Add {
		list = append(list, readPath{Input: Input{Flag: "--add", Path: a.Source}, excludes: func(below string) bool {
			return excludedBelow(exclude, initramfs.CleanName(a.Destination+"/"+below))
		}})
	}
	for _, secret := range s.Secrets {
		add("--secret", secret.Source)
	}
	for _, in := range s.Inputs {
		if in.Path == "" {
			continue
		}
		list = append(list, readPath{Input: in, excludes: func(below string) bool {
			return filepath.Dir(below) != "."
		}})
	}
	for _, given := range []struct {
		flag  string
		paths []string
		word  string // that stands for something else than a path
	}{{"--microcode", s.Microcode, MicrocodeAuto}, {"--modprobe", s.Modprobe, HostModprobe}, {
		"--firmware",
		s.Firmware, NoFirmware,
	}} {
		add(given.flag, slices.DeleteFunc(slices.Clone(given.paths), func(p string) bool { return p == given.word })...)
	}
	if s.Modules != NoModules && s.Modules != "" {
		list = append(list, readPath{Input: Input{Flag: "--modules", Path: s.Modules}, modules: true})
	}
	for _, dir := range s.ModuleDirs {
		list = append(list, readPath{Input: Input{Flag: "--module-dir", Path: dir}, modules: true})
	}
	return list
}

// realPath is an input's path without symbolic links, and what is there.
func realPath(path string) (string, fs.FileInfo, error) {
	name, err := output.RealName(path)
	if err != nil {
		return "", nil, err
	}
	info, err := os.Stat(name)
	return name, info, err
}
