package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/nodisk/nodisk/build/installed"
	"github.com/nodisk/nodisk/build/site"
)

// cleanCmd is "nodisk clean".
type cleanCmd struct {
	KVer    []string `help:"Remove the images of this kernel, whether it is installed or not; repeatable. Default: those of all kernels that are no longer installed where they were." name:"kver" placeholder:"RELEASE"`
	Sysroot string   `help:"Look only at images of kernels of this root. Default: each image is of the root that its kernel came from (nodisk build --sysroot)." type:"existingdir" placeholder:"DIR"`
	State   string   `help:"Directory in which nodisk build remembers them." default:"${state}" placeholder:"DIR"`
	DryRun  bool     `help:"Say what would be removed, and remove nothing."`
	Quiet   bool     `help:"Print warnings and errors only." short:"q"`
}

// Help is the end of nodisk clean --help.
func (cleanCmd) Help() string {
	return "Only files go that nodisk build --all or --image has made for the kernel, and that nobody has " +
		"changed since."
}

// Run removes images. A root that cannot be judged does not keep those of others.
func (k *cleanCmd) Run(ctx context.Context, c console) error {
	gone, err := k.gone()
	errs := []error{err}
	for _, g := range gone {
		done, err := site.Record{Dir: k.State, Root: g.root, Tell: c.tell}.Remove(ctx, g.release, k.DryRun)
		errs = append(errs, err)
		for _, r := range done {
			if err := k.tell(c, g.release, r); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clean: %w", err)
	}
	return nil
}

// tell prints what became of a file.
func (k *cleanCmd) tell(c console, release string, r site.Removal) error {
	var err error
	switch {
	case r.Why != "":
		_, err = fmt.Fprintf(c.err, "warning: %s, made for %s, stays: %s\n", r.Path, release, r.Why)
	case k.Quiet:
	case k.DryRun:
		_, err = fmt.Fprintf(c.out, "%s, of %s: would be removed\n", r.Path, release)
	default:
		_, err = fmt.Fprintf(c.out, "%s, of %s: removed\n", r.Path, release)
	}
	return err
}

// A goneKernel is one whose images go.
type goneKernel struct {
	release string
	root    string // that had it; empty: any
}

// gone lists the kernels whose images go: those of --kver, or those that are no longer in
// the root that they came from. A root without a kernel is not an answer: it may be that of a
// machine that boots others, or one that is not mounted.
func (k *cleanCmd) gone() (list []goneKernel, err error) {
	sysroot := ""
	if k.Sysroot != "" {
		if sysroot, err = filepath.Abs(k.Sysroot); err != nil {
			return nil, err
		}
	}
	if k.KVer != nil && len(k.KVer) == 0 {
		return nil, errEmptyRelease
	}
	if k.KVer != nil {
		for _, release := range k.KVer {
			list = append(list, goneKernel{release, sysroot})
		}
		return list, nil
	}
	record := site.Record{Dir: k.State}
	recorded, err := record.Releases()
	if err != nil {
		return nil, err
	}
	there, errs := make(map[string][]installed.Kernel), []error(nil)
	for _, release := range recorded {
		made, err := record.Of(release)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, m := range made {
			g := goneKernel{release, m.Root}
			listed := func(one goneKernel) bool { return one.release == release && site.SameRoot(one.root, g.root) }
			if sysroot != "" && !site.SameRoot(g.root, sysroot) || slices.ContainsFunc(list, listed) {
				continue
			}
			kernels, known := there[g.root]
			if !known {
				if kernels, err = kernelsOf(g.root); err != nil {
					errs = append(errs, err)
				}
				there[g.root] = kernels
			}
			is := func(one installed.Kernel) bool { return one.Release == release }
			if len(kernels) > 0 && !slices.ContainsFunc(kernels, is) {
				list = append(list, g)
			}
		}
	}
	return list, errors.Join(errs...)
}

// kernelsOf lists the kernels of a root, which must have one at least.
func kernelsOf(root string) ([]installed.Kernel, error) {
	list, err := installed.List(root)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("no kernel is installed in %s: its images stay: "+
			"give --kver RELEASE to remove those of one, or --sysroot DIR for those of another root", root)
	}
	return list, err
}
