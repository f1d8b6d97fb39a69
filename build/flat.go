package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/modload"
)

// NoModules as Spec.Modules is an image without lib/modules/RELEASE: all its
// modules are of flat directories.
const NoModules = "none"

// readFlat reads the flat directories of a Spec as files of the image: DIR/x.ko.xz
// becomes lib/modules/BASENAME/x.ko. Whether the kernel takes them is checked with all
// others (check_build.go).
func readFlat(ctx context.Context, dirs []string, release string) ([]file, error) {
	var (
		files []file
		errs  []error
		seen  = make(map[string]string)
	)
	for _, dir := range dirs {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, fmt.Errorf("read module directory: %w", err)
		}
		base := filepath.Base(abs)
		switch other, twice := seen[base]; {
		case twice:
			return nil, fmt.Errorf("read module directory %s: %s is called %s too, and both would become "+
				"/%s/%s: rename one", dir, other, base, modulesDir, base)
		case base == release:
			return nil, fmt.Errorf("read module directory %s: /%s/%s is the kernel's own tree: give it by --modules, "+
				"or rename the directory", dir, modulesDir, base)
		case base == string(filepath.Separator):
			return nil, fmt.Errorf("read module directory %s: it has no name to be called by below /%s",
				dir, modulesDir)
		}
		seen[base] = dir
		more, err := readFolder(ctx, abs, modulesDir+"/"+base)
		if err != nil {
			errs = append(errs, fmt.Errorf("read module directory %s: %w", dir, err))
		}
		files = append(files, more...)
	}
	return files, errors.Join(errs...)
}

func readFolder(ctx context.Context, dir, destination string) ([]file, error) {
	names, err := moduleFiles(dir)
	if err != nil {
		return nil, err
	}
	if names == nil {
		return nil, errors.New("no module (.ko, .ko.xz, .ko.zst, .ko.gz) lies in it; directories below it " +
			"are not searched")
	}
	mods := make([]modload.Module, len(names))
	for i, name := range names {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.Mode().IsRegular() {
			// of a FIFO nobody knows when it could be opened
			return nil, fmt.Errorf("%s is not a file: remove it", name)
		}
		mods[i] = modload.Module{Name: moduleName(name), Path: name}
	}
	files, err := readModules(ctx, os.DirFS(dir), mods, func() {})
	if err != nil {
		return nil, err
	}
	for i := range files {
		files[i].name = path.Join(destination, files[i].name)
	}
	return files, nil
}

// moduleFiles are the names of the modules that lie in a directory itself, sorted.
func moduleFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && modload.IsModule(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// without returns those names of modules that are not among the files.
func without(names []string, files []file) []string {
	inside := make(map[string]bool, len(files))
	for _, f := range files {
		inside[moduleName(f.name)] = true
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return inside[moduleName(name)] })
}

// shadowed warns of modules that are in the image twice: /init takes those of the
// kernel's tree.
func shadowed(flat, tree []file, release string) []string {
	var warnings []string
	for _, f := range flat {
		if len(without([]string{moduleName(f.name)}, tree)) == 0 {
			warnings = append(warnings, fmt.Sprintf("/%s will not be loaded: /%s/%s has a module of that name, "+
				"which comes first", f.name, modulesDir, release))
		}
	}
	return warnings
}

// onTrust warns of what profiles load and flat directories do not have, in an image
// without the kernel's tree.
func onTrust(profiles []modload.Profile, flat []file) []string {
	var warnings []string
	for _, p := range profiles {
		if names := without(p.Include, flat); len(names) > 0 {
			warnings = append(warnings, fmt.Sprintf("profile %s: no module %s in the image; the kernel must have "+
				"that built in", p.Name, strings.Join(names, ", ")))
		}
	}
	return warnings
}
