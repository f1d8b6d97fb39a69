package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nodisk/nodisk/build/installed"
	"github.com/nodisk/nodisk/build/site"
)

// cleanCmd is "nodisk clean".
type cleanCmd struct {
	KVer    []string `help:"Remove the images of this kernel, whether it is installed or not; repeatable. Default: those of all kernels that are no longer installed." name:"kver" placeholder:"RELEASE"`
	Sysroot string   `help:"Root in which kernels are installed, instead of /." type:"existingdir" default:"/" placeholder:"DIR"`
	State   string   `help:"Directory in which nodisk build remembers them." default:"${state}" placeholder:"DIR"`
	DryRun  bool     `help:"Say what would be removed, and remove nothing."`
	Quiet   bool     `help:"Print warnings and errors only." short:"q"`
}

// Help is the end of nodisk clean --help.
func (cleanCmd) Help() string {
	return "Only files go that nodisk build --all or --image has made for the kernel, and that nobody has changed since."
}

// Run removes images.
func (k *cleanCmd) Run(ctx context.Context, c console) error {
	record := site.Record{Dir: k.State}
	releases, err := k.releases(record)
	if err != nil {
		return fmt.Errorf("clean: %w", err)
	}
	var errs []error
	for _, release := range releases {
		done, err := record.Remove(ctx, release, k.DryRun)
		errs = append(errs, err)
		for _, r := range done {
			if err := k.tell(c, release, r); err != nil {
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

// releases are those whose images go.
func (k *cleanCmd) releases(record site.Record) ([]string, error) {
	if k.KVer != nil {
		return k.KVer, nil
	}
	there, err := installed.List(k.Sysroot)
	if err != nil {
		return nil, err
	}
	recorded, err := record.Releases()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(recorded, func(release string) bool {
		return slices.ContainsFunc(there, func(kernel installed.Kernel) bool { return kernel.Release == release })
	}), nil
}
