package modtree

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/installed"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/internal/quantity"
	"github.com/nodisk/nodisk/modload"
)

// A Dir is a module tree on disk: the directory that is lib/modules/RELEASE.
type Dir struct {
	Path        string
	Release     string
	made        map[string][]byte // indexes that depmod has not written, by name
	differences []staleModule     // of the modules.dep that is there
}

// Find takes a directory as an administrator gives it: lib/modules/RELEASE
// itself, lib/modules, lib, or a root that holds lib/modules. release is the
// kernel's, empty if no kernel was given; then there must be exactly one tree.
func Find(dir, release string) (Dir, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return Dir{}, fmt.Errorf("find modules: %w", err)
	}
	if !info.IsDir() {
		return Dir{}, fmt.Errorf("find modules: %s is not a directory; give /lib/modules/RELEASE or a root that "+
			"holds lib/modules", dir)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Dir{}, fmt.Errorf("find modules: %w", err)
	}
	if IsTree(abs) {
		t, err := openTree(abs, release)
		if err != nil {
			return Dir{}, err
		}
		if release != "" && t.Release != release {
			return Dir{}, &MismatchError{Kernel: release, Modules: []string{t.Release}, Dir: dir}
		}
		return t, nil
	}
	var trees []Dir
	for _, below := range []string{initramfs.ModulesDir, "usr/" + initramfs.ModulesDir, path.Base(initramfs.ModulesDir), "."} {
		above, err := installed.Inside(abs, below)
		var entries []fs.DirEntry
		if err == nil {
			entries, err = os.ReadDir(above)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return Dir{}, fmt.Errorf("find modules: %w", err)
		}
		for _, e := range entries {
			at := filepath.Join(above, e.Name())
			if !IsTree(at) || below == "." && !kernel.PlausibleRelease(e.Name()) {
				continue
			}
			t := Dir{Path: at, Release: e.Name()}
			if e.Type() == fs.ModeSymlink && e.Name() != release { // "current -> 6.1.0-56-amd64"
				if t, err = openTree(at, release); err != nil {
					return Dir{}, err
				}
			}
			if !slices.ContainsFunc(trees, func(o Dir) bool { return o.Release == t.Release }) {
				trees = append(trees, t)
			}
		}
		if trees != nil {
			break // lib and usr/lib are often the same
		}
	}
	var names []string
	for _, t := range trees {
		if t.Release == release {
			return t, nil
		}
		names = append(names, t.Release)
	}
	switch {
	case len(trees) == 0:
		flat := ""
		if above := treeAbove(abs); above != "" {
			return Dir{}, fmt.Errorf("find modules: %s is a part of a tree of modules: give %s", dir, above)
		}
		if link := installed.Dangling(abs); link != "" {
			flat = "; " + link
		}
		if names, err := FlatNames(abs); err == nil && names != nil {
			flat = fmt.Sprintf(
				"; it is a flat directory (%s): give it by --module-dir",
				quantity.Plural(len(names), "module"),
			)
		}
		if release != "" {
			return Dir{}, fmt.Errorf("find modules: %s has no modules of Linux %s: there is no "+
				"lib/modules/%s below it%s; "+
				"install the package of that kernel, or give the directory of its modules by --modules",
				dir, release, release, flat)
		}
		return Dir{}, fmt.Errorf("find modules: %s has neither modules.dep nor lib/modules/RELEASE%s; give the "+
			"directory of the modules by --modules", dir, flat)
	case release != "":
		return Dir{}, &MismatchError{Kernel: release, Modules: names, Dir: dir}
	case len(trees) > 1:
		return Dir{}, fmt.Errorf("find modules: %s holds several trees (%s): give the one wanted, or the "+
			"kernel by --kernel", dir, strings.Join(names, ", "))
	}
	return trees[0], nil
}

// openTree opens a directory that is a module tree itself. A link leads to the directory
// whose name counts. Where that name is not the release wanted (empty: any), or
// none at all, such as /srv/kernel/modules, the modules say of which release they are.
func openTree(dir, release string) (Dir, error) {
	if info, err := os.Lstat(dir); err == nil && info.Mode().Type() == fs.ModeSymlink {
		if dir, err = filepath.EvalSymlinks(dir); err != nil {
			return Dir{}, fmt.Errorf("find modules: %w", err)
		}
	}
	t := Dir{Path: dir, Release: filepath.Base(dir)}
	if t.Release == release || release == "" && kernel.PlausibleRelease(t.Release) {
		return t, nil
	}
	switch said, err := saidRelease(dir); {
	case err != nil:
		return Dir{}, fmt.Errorf("find modules: of which release those in %s are: %w", dir, err)
	case said != "":
		t.Release = said
	}
	return t, nil
}

// saidRelease is the release in the vermagic of the first module that has one; empty
// when none has.
func saidRelease(dir string) (string, error) {
	release := ""
	err := filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || !modload.IsModule(d.Name()) {
			return nil
		}
		var plain bytes.Buffer
		if readPlain(&plain, at) == nil { // else another may tell
			if m, err := ko.Parse(plain.Bytes()); err == nil && kernel.PlausibleRelease(m.Release()) {
				release = m.Release()
				return fs.SkipAll
			}
		}
		return nil
	})
	return release, err
}

// IsTree tells a directory that depmod has worked on, or could work on: /usr/lib has a directory
// "kernel" too, that of kernel-install(8).
func IsTree(dir string) bool {
	for _, name := range []string{"modules.dep", "modules.order"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return holdsModule(filepath.Join(dir, "kernel") + "/") // it may be a link
}

// holdsModule reports whether a module lies below a directory. What cannot be read has none.
func holdsModule(dir string) bool {
	found := false
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // the walk returns no error
		switch {
		case err != nil && d == nil:
			return fs.SkipAll
		case err != nil:
			return fs.SkipDir
		case modload.IsModule(d.Name()) && !d.IsDir():
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// treeAbove is the tree that a directory is a part of, or empty.
func treeAbove(dir string) string {
	for at := filepath.Dir(dir); at != filepath.Dir(at); at = filepath.Dir(at) {
		if IsTree(at) && kernel.PlausibleRelease(filepath.Base(at)) &&
			filepath.Base(filepath.Dir(at)) == path.Base(initramfs.ModulesDir) {
			return at
		}
	}
	return ""
}

// A MismatchError is a kernel without modules of its own.
type MismatchError struct {
	Kernel  string   // release of the kernel
	Modules []string // releases of the modules there are
	Dir     string   // as it was given
}

// Error names both sides.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("find modules: the kernel is %s, but the modules in %s are of %s: a kernel loads only its own",
		e.Kernel, e.Dir, strings.Join(e.Modules, ", "))
}

// depmod is the command that makes the indexes of the tree.
func (t Dir) depmod() string {
	root, ok := strings.CutSuffix(t.Path, "/"+initramfs.ModulesDir+"/"+t.Release)
	if !ok {
		return fmt.Sprintf("depmod -b ROOT %s, where ROOT/lib/modules/%s is this directory", t.Release, t.Release)
	}
	if root == "" {
		return "depmod " + t.Release
	}
	return fmt.Sprintf("depmod -b %s %s", root, t.Release)
}
