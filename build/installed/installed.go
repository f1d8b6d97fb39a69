// Package installed finds the kernels of a machine: what "nodisk build --kver" names.
//
// A kernel is modules, lib/modules/RELEASE, and a file, for which every distribution has a
// place of its own. Only names are looked at here; what the file says of itself is for
// [github.com/nodisk/nodisk/build.OpenKernel].
package installed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/depmod"
)

// A Kernel is one release below a root.
type Kernel struct {
	Release string
	Modules string // its lib/modules/RELEASE
	File    string // its kernel; empty if there is none
}

// modulesDirs are where modules are below a root; often they are the same directory.
func modulesDirs() []string { return []string{"lib/modules", "usr/lib/modules"} }

// files are where the kernel of a release may be below a root, as patterns of
// path.Match, the likeliest first.
func files(release string) []string {
	return []string{
		"boot/vmlinuz-" + release,                 // Debian, Ubuntu, SUSE, Fedora
		"lib/modules/" + release + "/vmlinuz",     // Fedora, Arch, Debian from 6.17 on
		"usr/lib/modules/" + release + "/vmlinuz", // where lib is not a link
		"boot/vmlinux-" + release,                 // Debian on powerpc and riscv
		"boot/Image-" + release,                   // SUSE on arm64
		"boot/kernel-" + release,                  // Gentoo
		"lib/modules/" + release + "/Image",
		"usr/lib/modules/" + release + "/Image",
		// kernel-install(8), layout bls: $BOOT/ENTRY-TOKEN/KERNEL-VERSION/linux.
		"boot/*/" + release + "/linux",
		"efi/*/" + release + "/linux",
		"boot/efi/*/" + release + "/linux",
	}
}

// A NotFoundError is a release that a root has no modules of.
type NotFoundError struct {
	Release string
	Root    string
	Have    []string // releases that there are
	Whole   []string // those of them that have a kernel's file, too
	Link    string   // what leads nowhere, a sentence
}

// Error says which there are.
func (e *NotFoundError) Error() string {
	have := "there are none"
	if len(e.Have) > 0 {
		have = "there are " + strings.Join(e.Have, ", ")
		if len(e.Have) == 1 {
			have = "there is " + e.Have[0]
		}
	}
	if e.Link != "" {
		have += "; " + e.Link
	}
	return fmt.Sprintf("find kernel %s: no modules in %s; %s", e.Release, filepath.Join(e.Root, "lib/modules",
		e.Release), have)
}

// Inside is where a path below a root lies on this machine. Links lead to where they lead in the root, absolute ones
// too. The path is left unchanged where they lead there on this machine as well.
func Inside(root, name string) (string, error) {
	at := filepath.Join(root, name)
	in, err := depmod.Resolve(os.DirFS(root), name)
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return "", &fs.PathError{Op: "find", Path: at, Err: of.Err}
	}
	if err != nil {
		return "", fmt.Errorf("find %s: %w", at, err)
	}
	resolved := filepath.Join(root, in)
	here, err := os.Stat(at)
	if err == nil {
		if there, err := os.Stat(resolved); err == nil && os.SameFile(here, there) {
			return at, nil
		}
	}
	return resolved, nil
}

// Dangling says which link to the modules of a root leads nowhere in it; empty: none does.
func Dangling(root string) string {
	for _, dir := range modulesDirs() {
		for ; dir != "."; dir = filepath.Dir(dir) {
			at := filepath.Join(root, dir)
			target, err := os.Readlink(at)
			if err != nil {
				continue
			}
			if _, err := Inside(root, dir); errors.Is(err, fs.ErrNotExist) {
				return fmt.Sprintf("%s is a link to %s, which is not there in %s", at, target, root)
			}
		}
	}
	return ""
}

// Find finds a release below root. That the kernel's file is missing is not an error.
func Find(root, release string) (Kernel, error) {
	if release == "" || release == "." || release == ".." || strings.ContainsRune(release, '/') {
		return Kernel{}, fmt.Errorf("find kernel: %q is not a release such as 6.1.0-56-amd64 (uname -r)", release)
	}
	for _, dir := range modulesDirs() {
		at, err := Inside(root, dir+"/"+release)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Kernel{}, fmt.Errorf("find kernel %s: %w", release, err)
		}
		info, err := os.Stat(at)
		if err != nil {
			return Kernel{}, fmt.Errorf("find kernel %s: %w", release, err)
		}
		if !info.IsDir() {
			continue
		}
		return Kernel{Release: release, Modules: at, File: find(root, release)}, nil
	}
	all, err := List(root)
	if err != nil {
		return Kernel{}, err
	}
	missing := &NotFoundError{Release: release, Root: root, Link: Dangling(root)}
	for _, k := range all {
		missing.Have = append(missing.Have, k.Release)
		if k.File != "" {
			missing.Whole = append(missing.Whole, k.Release)
		}
	}
	return Kernel{}, missing
}

// find returns the kernel's file, or nothing.
func find(root, release string) string {
	for _, pattern := range files(release) {
		names := []string{pattern}
		if above, below, ok := strings.Cut(pattern, "*"); ok {
			names = nil
			dir, err := Inside(root, strings.TrimSuffix(above, "/"))
			if err != nil {
				continue // no such directory, or not for this user
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				continue
			}
			for _, e := range entries {
				names = append(names, above+e.Name()+below)
			}
		}
		for _, name := range names {
			at, err := Inside(root, name)
			if err != nil {
				continue
			}
			if info, err := os.Stat(at); err == nil && info.Mode().IsRegular() {
				return at
			}
		}
	}
	return ""
}

// List finds all releases below root that have modules, in the order of their names.
// Directories without modules, which removed kernels leave, are not among them.
func List(root string) ([]Kernel, error) {
	var list []Kernel
	for _, dir := range modulesDirs() {
		above, err := Inside(root, dir)
		var entries []fs.DirEntry
		if err == nil {
			entries, err = os.ReadDir(above)
		}
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, fmt.Errorf("list kernels: %w", err)
		}
		for _, e := range entries {
			at, err := Inside(root, dir+"/"+e.Name())
			known := slices.ContainsFunc(list, func(k Kernel) bool { return k.Release == e.Name() })
			if known || err != nil || !hasModules(at) { // a link to nowhere is not a kernel
				continue
			}
			list = append(list, Kernel{Release: e.Name(), Modules: at, File: find(root, e.Name())})
		}
	}
	slices.SortFunc(list, func(a, b Kernel) int { return strings.Compare(a.Release, b.Release) })
	return list, nil
}

// hasModules reports whether a directory is a module tree, with depmod's indexes or
// without.
func hasModules(dir string) bool {
	for _, name := range []string{"modules.dep", "modules.order", "kernel"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}
