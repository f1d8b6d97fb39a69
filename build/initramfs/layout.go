package initramfs

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Skeleton are the directories and nodes every image has. /init mounts on most of
// them; /dev/console must be there before: the kernel opens it for PID 1
// (init/main.c, console_on_rootfs), and says nothing if it is missing.
func Skeleton() []Entry {
	dir := func(name string, perm uint32) Entry {
		return Entry{Name: name, Mode: TypeDir | perm, Part: PartTree}
	}
	return []Entry{
		dir("bin", 0o755), dir("dev", 0o755), dir("etc", 0o755), dir("proc", 0o555), dir("root", 0o700), dir("run",
			0o755),
		dir("sbin", 0o755), dir("sys", 0o555), dir("sysroot", 0o755), dir("tmp", 0o1777), dir("var", 0o755),
		{Name: "dev/console", Mode: TypeChar | 0o600, Major: 5, Minor: 1, Part: PartTree},
		{Name: "dev/null", Mode: TypeChar | 0o666, Major: 1, Minor: 3, Part: PartTree},
	}
}

// LayOut puts files into the order of the archive: directories before what is in
// them, parts one after the other, names sorted. Directories that nobody listed are
// added. A file that an administrator added replaces one of the same name, also one that was
// added before it. The names of one inode stay together, see split.
func LayOut(files []Entry) ([]Entry, error) {
	byName := make(map[string]Entry, len(files))
	for _, f := range files {
		old, twice := byName[f.Name]
		switch {
		case !twice:
		case old.Mode&TypeMask == TypeDir && f.Mode&TypeMask == TypeDir:
		case f.Part != PartAdded:
			return nil, fmt.Errorf("lay out image: /%s is in the image twice (%v and %v)", f.Name, old.Part, f.Part)
		case (old.Mode&TypeMask == TypeDir) != (f.Mode&TypeMask == TypeDir):
			return nil, fmt.Errorf("lay out image: /%s cannot be both a directory and a file", f.Name)
		}
		byName[f.Name] = f
	}
	for _, f := range files {
		if err := CheckName(f.Name); err != nil {
			return nil, fmt.Errorf("lay out image: %w", err)
		}
		for dir := path.Dir(f.Name); dir != "."; dir = path.Dir(dir) {
			parent, ok := byName[dir]
			if !ok {
				byName[dir] = Entry{Name: dir, Mode: TypeDir | 0o755, Part: PartTree}
			} else if parent.Mode&TypeMask != TypeDir {
				return nil, fmt.Errorf("lay out image: /%s needs /%s as a directory, but that is a file", f.Name, dir)
			}
		}
	}
	list := make([]Entry, 0, len(byName))
	for _, f := range byName {
		list = append(list, f)
	}
	// All directories first: then every file finds its own.
	rank := func(f Entry) int {
		if f.Mode&TypeMask == TypeDir {
			return -1
		}
		return slices.Index(parts(), f.Part)
	}
	first := make(map[int]string) // name of each group
	for _, f := range list {
		if name, ok := first[f.Group]; !ok || f.Name < name {
			first[f.Group] = f.Name
		}
	}
	leader := func(f Entry) string {
		if f.Group == 0 {
			return f.Name
		}
		return first[f.Group]
	}
	slices.SortFunc(list, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(leader(a), leader(b)),
			strings.Compare(a.Name, b.Name))
	})
	return list, nil
}

// CheckName refuses what is not a path of an archive: relative to its root, and clean as
// path.Clean makes it.
func CheckName(name string) error {
	if name == "" || path.IsAbs(name) || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../") {
		return fmt.Errorf("%q is not a path in an image: give it relative to /, such as etc/hostname", name)
	}
	return nil
}
