package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/installed"
	"github.com/nodisk/nodisk/internal/infile"
	"github.com/nodisk/nodisk/internal/userns"
)

// allKernels is the --kver that stands for every release.
const allKernels = "all"

// root is where kernels are installed.
func (b *buildCmd) root() string { return cmp.Or(b.Sysroot, "/") }

// kernels finds the kernels that an image is made for. One without a release stands for
// what the flags --kernel and --modules name.
func (w wanted) kernels(b *buildCmd) ([]installed.Kernel, []string, error) {
	root, releases := b.root(), b.KVer
	switch {
	case b.SecretOnly:
		return []installed.Kernel{{}}, nil, nil
	case releases != nil && len(releases) == 0:
		return nil, nil, errEmptyRelease
	case releases != nil:
	case b.Kernel != "" || b.Modules != "":
		if b.Modules == "" && b.Sysroot != "" { // build.findTree looks as installed.Find does
			b.Modules = b.Sysroot
		}
		return []installed.Kernel{{}}, nil, nil
	case w.all:
		releases = []string{allKernels}
	case b.Sysroot != "":
		return only(root)
	default:
		release, err := installed.Running()
		if err != nil {
			return nil, nil, fmt.Errorf("%w; give --kver, or --kernel and --modules", err)
		}
		return running(root, release)
	}
	if b.Modules != "" {
		return nil, nil, &usageError{errors.New("--kver finds the modules: leave out --modules; --sysroot DIR finds " +
			"them in another root")}
	}
	var (
		list  []installed.Kernel
		bare  []installed.Kernel // without a file
		notes []string
		errs  []error
		other bool // the root of the image is none of the command's business
	)
	for _, release := range releases {
		if release == allKernels {
			all, err := installed.List(root)
			if err != nil {
				return nil, nil, err
			}
			for _, k := range all {
				if k.File == "" {
					notes = append(notes, fmt.Sprintf("no image for %s: it has modules (%s), but no kernel",
						k.Release, k.Modules))
					bare = append(bare, k)
					continue
				}
				list = append(list, k)
			}
			continue
		}
		k, err := installed.Find(root, release)
		if _, missing := errors.AsType[*installed.NotFoundError](err); missing && w.otherRoot() {
			notes = append(notes, fmt.Sprintf("image %s is for the kernels in %s (sysroot): there is no %s",
				w.image.Name, root, release))
			other = true
			continue
		}
		if err == nil && k.File == "" && b.Kernel == "" {
			err = fmt.Errorf("find kernel %s: it has modules (%s), but no file such as /boot/vmlinuz-%s: give it by "+
				"--kernel FILE",
				release, k.Modules, release)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list = append(list, k)
	}
	list = onceEach(list)
	if b.Kernel != "" && len(list) > 1 {
		errs = append(errs,
			&usageError{fmt.Errorf("--kernel %s is one kernel, and --kver names %d: leave one of them out",
				b.Kernel, len(list))})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	if list == nil && !other {
		return nil, nil, noKernel(root, bare)
	}
	return list, notes, nil
}

// A noKernelError is that of a root without a kernel that could be used.
type noKernelError struct{ why string }

func (e *noKernelError) Error() string { return e.why }

// noKernel says that a root has none, or only what is left of some: their modules.
func noKernel(root string, bare []installed.Kernel) error {
	const mend = "install a kernel there, or give one by --kernel FILE and its modules by --modules DIR"
	if len(bare) > 0 {
		return &noKernelError{fmt.Sprintf("find kernels: none below %s has both modules and a kernel's file: there "+
			"are only the modules of %s: %s",
			root, strings.Join(releasesOf(bare), ", "), mend)}
	}
	if link := installed.Dangling(root); link != "" {
		return &noKernelError{fmt.Sprintf("find kernel: no modules in %s: %s", root, link)}
	}
	return &noKernelError{fmt.Sprintf("find kernel: no modules in %s (lib/modules): %s", root, mend)}
}

func releasesOf(list []installed.Kernel) []string {
	names := make([]string, 0, len(list))
	for _, k := range list {
		names = append(names, k.Release)
	}
	return names
}

// errEmptyRelease is of a --kver that says nothing, as a script has it with a variable that is not set.
var errEmptyRelease = &usageError{errors.New("--kver is empty: give a release such as 6.1.0-56-amd64 (uname -r)")}

// onceEach is a list of kernels without those that are in it already: by their names and by all.
func onceEach(list []installed.Kernel) []installed.Kernel {
	var once []installed.Kernel
	for _, k := range list {
		if !slices.ContainsFunc(once, func(o installed.Kernel) bool { return o.Release == k.Release }) {
			once = append(once, k)
		}
	}
	return once
}

// running is the kernel that runs. That its file is missing, or not for everybody to
// read, as on Ubuntu, costs the check of its modules only.
func running(root, release string) ([]installed.Kernel, []string, error) {
	k, err := installed.Find(root, release)
	if missing, ok := errors.AsType[*installed.NotFoundError](err); ok {
		hint := "give the node's kernel by --kernel FILE and its modules by --modules DIR, or a root with both by " +
			"--sysroot DIR"
		if len(missing.Whole) > 0 {
			hint = "--kver " + missing.Whole[0] + " makes an image for that one, and --kernel FILE with --modules " +
				"DIR for others"
		}
		return nil, nil, fmt.Errorf("the kernel that runs: %w: %s", missing, hint)
	}
	if err != nil {
		return nil, nil, err
	}
	var notes []string
	switch f, err := infile.Regular(k.File); {
	case k.File == "": // and nothing was opened
		notes = append(notes, fmt.Sprintf("no file of the kernel that runs (/boot/vmlinuz-%s and the like): "+
			"its modules are taken on trust", release))
	case errors.Is(err, fs.ErrPermission):
		where := ""
		if userns.Inside() {
			where = ", outside of this user namespace,"
		}
		notes = append(notes, fmt.Sprintf("%s is for root to read: the modules are taken on trust; "+
			"run this as root%s to have them checked", k.File, where))
		k.File = ""
	case err == nil:
		if err := f.Close(); err != nil {
			return nil, nil, err
		}
	}
	return []installed.Kernel{k}, notes, nil
}

// only is the kernel of a root that has one. That its file is missing costs the check of its modules only.
func only(root string) ([]installed.Kernel, []string, error) {
	all, err := installed.List(root)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case len(all) == 0:
		return nil, nil, noKernel(root, nil)
	case len(all) > 1:
		return nil, nil, severalKernels(root, all)
	case all[0].File == "":
		return all, []string{fmt.Sprintf("no file of kernel %s in %s (boot/vmlinuz-%s and the like): its modules are "+
			"taken on trust",
			all[0].Release, root, all[0].Release)}, nil
	}
	return all, nil, nil
}

// severalKernels says which kernels of a root can be asked for by --kver.
func severalKernels(root string, all []installed.Kernel) error {
	bare := slices.DeleteFunc(slices.Clone(all), func(k installed.Kernel) bool { return k.File != "" })
	several := fmt.Sprintf("find kernel: %s has several (%s)", root, strings.Join(releasesOf(all), ", "))
	switch len(bare) {
	case 0:
		return errors.New(several + ": give --kver RELEASE, or --kver all for an image of each")
	case len(all):
		return errors.New(several + ", all without a file such as boot/vmlinuz-RELEASE: give --kver RELEASE and the " +
			"file by --kernel FILE")
	}
	return fmt.Errorf("%s: give --kver RELEASE, or --kver all for an image of each; without a kernel's file, by "+
		"--kernel FILE: %s",
		several, strings.Join(releasesOf(bare), ", "))
}
