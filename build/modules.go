package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// CheckProfiles refuses names that are not those of profiles, all at once, and says what
// may be meant.
func CheckProfiles(names []string) error {
	_, err := lookupProfiles(names)
	return err
}

// lookupProfiles turns names into profiles; all unknown ones are one error.
func lookupProfiles(names []string) ([]modload.Profile, error) {
	var (
		profiles []modload.Profile
		unknown  []string
		known    []string
	)
	for _, p := range modload.Profiles() {
		known = append(known, p.Name)
	}
	for _, name := range names {
		p, ok := modload.LookupProfile(name)
		if ok {
			profiles = append(profiles, p)
			continue
		}
		words, near := strings.Fields(name), cmdline.Nearest(name, known, 3)
		switch {
		case len(words) == 0:
			return nil, fmt.Errorf("an empty name of a profile in %q: remove a comma", strings.Join(names, ","))
		case len(words) > 1:
			return nil, fmt.Errorf("%q is not one profile: write commas between names, %s",
				name, strings.Join(words, ","))
		case near != "":
			name += " (did you mean " + near + "?)"
		}
		unknown = append(unknown, name)
	}
	if unknown != nil {
		return nil, fmt.Errorf("no profile %s; there are %s", strings.Join(unknown, ", "), strings.Join(known, ", "))
	}
	return profiles, nil
}

// wantedModules are the modules that a config file has /init load by name.
func wantedModules(config cmdline.Args) []string {
	var names []string
	for _, key := range []string{"nodisk.modules", "rd.driver.pre", "rd.driver.post"} {
		for _, list := range config.All(key) {
			for name := range strings.SplitSeq(list, ",") {
				if name = strings.TrimSpace(name); name != "" {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// notes tells what a kernel does not have of the lists that people copy from
// manuals, and takes off wanted what no kernel has any longer.
func notes(x *modload.Index, profiles []modload.Profile, wanted []string) (have, texts []string) {
	for _, p := range profiles {
		if _, absent := x.Absent(p.Order); len(absent) > 0 {
			texts = append(texts, fmt.Sprintf("profile %s: Linux %s has no %s; %s",
				p.Name, x.Release(), strings.Join(absent, ", "), moved(absent)))
		}
	}
	var retired []string
	for _, name := range wanted {
		if _, absent := x.Absent([]string{name}); absent != nil && modload.Retired(name) {
			retired = append(retired, name)
			continue
		}
		have = append(have, name)
	}
	if retired != nil {
		texts = append(texts, fmt.Sprintf("modules asked for by name: Linux %s has no %s; %s",
			x.Release(), strings.Join(retired, ", "), moved(retired)))
	}
	return have, texts
}

// moved says why modules are absent.
func moved(absent []string) string {
	if slices.ContainsFunc(absent, func(name string) bool { return !modload.Retired(name) }) {
		return "the rest is in the image"
	}
	return "newer kernels have merged them into ib_core or do without"
}

// closure resolves what the profiles and the administrator want. What is
// missing is reported all at once, each with who wanted it. What modules want at
// run time follows.
func closure(
	x *modload.Index,
	profiles []modload.Profile,
	added []string,
	table []modtree.Extra,
) ([]modload.Module, error) {
	byName := make(map[string]modload.Module)
	var errs []error
	take := func(mods []modload.Module, who string, err error) {
		for _, m := range mods {
			byName[m.Name] = m
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", who, err))
		}
	}
	for _, p := range profiles {
		mods, err := x.Select(p)
		take(mods, "profile "+p.Name, err)
	}
	if len(added) > 0 {
		mods, err := x.Select(modload.Profile{}, added...)
		take(mods, "modules asked for by name", err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := modtree.Extend(x, byName, table); err != nil {
		return nil, err
	}
	mods := make([]modload.Module, 0, len(byName))
	for _, m := range byName {
		mods = append(mods, m)
	}
	slices.SortFunc(mods, func(a, b modload.Module) int { return strings.Compare(a.Path, b.Path) })
	return mods, nil
}

// readModules reads and unpacks modules, several at a time.
func readModules(ctx context.Context, fsys fs.FS, mods []modload.Module, done func()) ([]initramfs.Entry, error) {
	files := make([]initramfs.Entry, len(mods))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, m := range mods {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			data, err := modtree.ReadModule(fsys, m.Path)
			if err != nil {
				return fmt.Errorf("read module %s: %w", m.Name, err)
			}
			files[i] = initramfs.Entry{
				Name: modtree.PlainPath(m.Path),
				Mode: initramfs.TypeFile | 0o644,
				Data: data,
				Part: initramfs.PartModules,
			}
			done()
			return nil
		})
	}
	return files, group.Wait()
}

// ofModules are those of files that are the modules.
func ofModules(files []initramfs.Entry, mods []modload.Module) []initramfs.Entry {
	names := make(map[string]bool, len(mods))
	for _, m := range mods {
		names[modtree.PlainPath(m.Path)] = true
	}
	return slices.DeleteFunc(files, func(f initramfs.Entry) bool { return !names[f.Name] })
}

// choose reduces the profiles if the Spec has inventories.
func (b *builder) choose(x *modload.Index, tree fs.FS, profiles []modload.Profile) ([]modload.Profile, error) {
	if len(b.spec.Inventories) == 0 {
		return profiles, nil
	}
	c, err := inventory.OpenChoice(x, tree)
	if err != nil {
		return nil, err
	}
	reduced, notes, err := c.Choose(profiles, b.spec.Inventories)
	b.report.Notes, b.byClass = append(b.report.Notes, notes...), c.ByClass
	return reduced, err
}
