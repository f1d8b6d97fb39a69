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

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/modload"
)

// NoModules as Spec.Modules is an image without lib/modules/RELEASE: all its
// modules are of flat directories.
const NoModules = "none"

// readFlat reads the flat directories of a Spec as files of the image: DIR/x.ko.xz
// becomes lib/modules/BASENAME/x.ko. Whether the kernel takes them is checked with all
// others (check_build.go).
func readFlat(ctx context.Context, dirs []string, release string) ([]initramfs.Entry, error) {
	var (
		files []initramfs.Entry
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
				"/%s/%s: rename one", dir, other, base, initramfs.ModulesDir, base)
		case base == release:
			return nil, fmt.Errorf("read module directory %s: /%s/%s is the kernel's own tree: give it by --modules, "+
				"or rename the directory", dir, initramfs.ModulesDir, base)
		case base == string(filepath.Separator):
			return nil, fmt.Errorf("read module directory %s: it has no name to be called by below /%s",
				dir, initramfs.ModulesDir)
		}
		seen[base] = dir
		more, err := readFolder(ctx, abs, initramfs.ModulesDir+"/"+base)
		if err != nil {
			errs = append(errs, fmt.Errorf("read module directory %s: %w", dir, err))
		}
		files = append(files, more...)
	}
	return files, errors.Join(errs...)
}

func readFolder(ctx context.Context, dir, destination string) ([]initramfs.Entry, error) {
	names, err := modtree.FlatNames(dir)
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
		mods[i] = modload.Module{Name: ko.ModuleName(name), Path: name}
	}
	files, err := readModules(ctx, os.DirFS(dir), mods, func() {})
	if err != nil {
		return nil, err
	}
	for i := range files {
		files[i].Name = path.Join(destination, files[i].Name)
	}
	return files, nil
}

// without returns those names of modules that are not among the files.
func without(names []string, files []initramfs.Entry) []string {
	inside := make(map[string]bool, len(files))
	for _, f := range files {
		inside[ko.ModuleName(f.Name)] = true
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return inside[ko.ModuleName(name)] })
}

// shadowed warns of modules that are in the image twice: /init takes those of the
// kernel's tree.
func shadowed(flat, tree []initramfs.Entry, release string) []string {
	var warnings []string
	for _, f := range flat {
		if len(without([]string{ko.ModuleName(f.Name)}, tree)) == 0 {
			warnings = append(warnings, fmt.Sprintf("/%s will not be loaded: /%s/%s has a module of that name, "+
				"which comes first", f.Name, initramfs.ModulesDir, release))
		}
	}
	return warnings
}

// onTrust warns of what profiles load and flat directories do not have, in an image
// without the kernel's tree.
func onTrust(profiles []modload.Profile, flat []initramfs.Entry) []string {
	var warnings []string
	for _, p := range profiles {
		if names := without(p.Include, flat); len(names) > 0 {
			warnings = append(warnings, fmt.Sprintf("profile %s: no module %s in the image; the kernel must have "+
				"that built in", p.Name, strings.Join(names, ", ")))
		}
	}
	return warnings
}
