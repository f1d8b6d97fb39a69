package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/nodisk/nodisk/build/installed"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/modload"
)

// listProfiles is nodisk build --list-profiles: with what each takes of a kernel, that of
// --kver, --modules or --sysroot, or the one that runs.
func (b *buildCmd) listProfiles(ctx context.Context, c console) error {
	tree, err := b.profileTree(ctx)
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	held, release := make(map[string]modtree.Holding), ""
	if tree != nil {
		list, err := tree.Holdings()
		if err != nil {
			return fmt.Errorf("build: %w", err)
		}
		for _, h := range list {
			held[h.Profile] = h
		}
		release = tree.Release
	}
	if b.JSON {
		return writeJSON(c.out, jsonProfiles(release, held))
	}
	var out strings.Builder
	if tree != nil {
		fmt.Fprintf(&out, "profiles, and what each takes of Linux %s, with dependencies:\n", release)
	}
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, p := range modload.Profiles() {
		h, known := held[p.Name]
		switch {
		case !known:
			_, _ = fmt.Fprintf(table, "%s\t%s\n", p.Name, p.Doc)
		case h.Missing != nil || h.OneOf != nil:
			_, _ = fmt.Fprintf(table, "%s\tcannot be had\t%s\n", p.Name, p.Doc)
			if h.Missing != nil {
				_, _ = fmt.Fprintf(table, "\t\t  needs %s, which this kernel does not have\n",
					strings.Join(h.Missing, " "))
			}
			if h.OneOf != nil {
				_, _ = fmt.Fprintf(table, "\t\t  needs a driver, and this kernel does not have %s\n",
					modload.Some(h.OneOf))
			}
		default:
			_, _ = fmt.Fprintf(table, "%s\t%d modules, %.1f MB\t%s\n", p.Name, h.Modules, float64(h.Bytes)/1e6, p.Doc)
			if h.Absent != nil && !b.Quiet {
				_, _ = fmt.Fprintf(table, "\t\t  goes without %s\n", strings.Join(h.Absent, " "))
			}
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprint(c.out, out.String())
	return err
}

// jsonProfiles is the list for other programs.
func jsonProfiles(release string, held map[string]modtree.Holding) profilesJSON {
	j := profilesJSON{Kernel: release}
	for _, p := range modload.Profiles() {
		h := held[p.Name] // without a kernel nothing
		j.Profiles = append(j.Profiles, profileJSON{
			Name: p.Name, Doc: p.Doc, Modules: h.Modules, Bytes: h.Bytes, Missing: h.Missing, Absent: h.Absent,
		})
	}
	return j
}

// profileTree opens the modules that flags name; without any there is none, unless the
// kernel that runs has some.
func (b *buildCmd) profileTree(ctx context.Context) (*modtree.Tree, error) {
	w := wanted{}
	kernels, _, err := w.kernels(b)
	_, none := errors.AsType[*installed.NotFoundError](err)
	switch {
	case none && b.KVer == nil:
		return nil, nil
	case err != nil:
		return nil, err
	case len(kernels) != 1:
		return nil, fmt.Errorf("list profiles: of one kernel, and these are %d: give --kver RELEASE", len(kernels))
	}
	k := kernels[0]
	if k.Release == "" {
		k.Modules = b.Modules
		if k.Modules == "" {
			k.Modules = "/"
		}
		if b.Kernel != "" {
			kernel, err := kernel.Open(ctx, b.Kernel)
			if err != nil {
				return nil, err
			}
			k.Release = kernel.Release
		}
	}
	return modtree.Open(k.Modules, k.Release, b.cache())
}
