package build

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// layOut is layout, or graft where there is a base.
func (b *builder) layOut(files []file) ([]file, error) {
	if b.base == nil {
		return layout(files)
	}
	list, err := b.base.graft(files)
	if err != nil {
		return nil, fmt.Errorf("add to base %s: %w", b.base.Image, err)
	}
	b.base.tell(&b.report)
	return list, nil
}

// graft makes the segment that is unpacked over the base, in the order of the
// archive. What lies in the base stays, but for /init and what the administrator
// adds by name.
//
// The kernel (init/initramfs.c, clean_path and do_name) replaces what is of
// another type, a link to a directory too, and writes into a file that is there, and with that into
// all its hard links.
func (b *base) graft(files []file) ([]file, error) {
	files = append(slices.Clone(files), file{name: originPath, mode: typeFile | 0o644, data: []byte(b.origin.String()),
		part: PartConfig})
	if b.DriversOnly {
		more, how := b.hook.files(b.tree)
		files, b.notes = append(files, more...), append(b.notes, how)
	}
	if !b.keepsInit() {
		vendor, what := b.vendor()
		files, b.notes = append(files, vendor), append(b.notes, fmt.Sprintf("its /%s, %s, is /%s now",
			initPath, what, vendorInit))
	}
	var moved []file
	for _, f := range files {
		f, err := b.place(f)
		if err != nil {
			return nil, err
		}
		moved = append(moved, f)
	}
	list, err := layout(moved)
	if err != nil {
		return nil, err
	}
	var out []file
	for _, f := range list {
		_, old, err := b.tree.lookup(f.name, false)
		if err != nil {
			return nil, err
		}
		if old == nil {
			out = append(out, f)
			continue
		}
		if (f.mode&typeMask == typeDir) != old.is(typeDir) {
			return nil, fmt.Errorf("/%s is %s there, and %s among what is added",
				f.name, kindText(old.mode), kindText(f.mode))
		}
		if b.stays(f, old) {
			continue
		}
		if f.mode&typeMask == typeFile && old.is(typeFile) && old.names > 1 {
			// A link in its place first: it takes this one name off the file.
			b.links = append(b.links, file{name: f.name, mode: typeLink | 0o777, data: []byte(OwnDir), part: PartTree})
		}
		out = append(out, f)
	}
	if n := len(b.kept); n > 0 {
		most := min(n, 5)
		more := ""
		if n > most {
			more = fmt.Sprintf(" and %d more", n-most)
		}
		b.notes = append(b.notes, fmt.Sprintf("%s%s stay the base's; --add FILE:DST replaces such a file",
			strings.Join(b.kept[:most], " "), more))
	}
	return out, nil
}

// keepsInit reports whether the base's init stays PID 1.
func (b *base) keepsInit() bool { return b.DriversOnly && b.hook.kind != hookNone }

// place finds the path that a file of ours has beside the base's: its own directory
// for modules, else the same with the base's links followed.
func (b *base) place(f file) (file, error) {
	switch {
	case f.part == PartModules, f.part == PartIndexes:
		f.name = OwnDir + "/" + f.name
	case f.part == PartInit && b.keepsInit():
		f.name = ownInit
	}
	at, _, err := b.tree.lookup(f.name, f.mode&typeMask == typeDir)
	f.name = at
	return f, err
}

// stays reports whether what the base has is kept and ours left out.
func (b *base) stays(f file, old *inode) bool {
	kind := f.mode & typeMask
	same := old.is(kind) && old.major == f.major && old.minor == f.minor && old.matches(f)
	switch {
	case kind == typeDir:
		return true
	case same && (kind == typeChar || kind == typeBlock):
		return true
	case f.name == initPath, f.name == vendorInit, path.Dir(f.name) == b.hook.dir:
		return false
	case f.part == PartFirmware, f.part == PartRescue:
		if !same {
			b.kept = append(b.kept, "/"+f.name)
		}
		return true
	case same && old.mode == f.mode:
		return true
	}
	b.notes = append(b.notes, fmt.Sprintf("/%s of the base is replaced", f.name))
	return false
}

// kindText names a type of files.
func kindText(mode uint32) string {
	switch mode & typeMask {
	case typeDir:
		return "a directory"
	case typeLink:
		return "a link"
	case typeFile:
		return "a file"
	}
	return "a device"
}

// afterBase puts the base, as it is, before all others: its microcode must come
// first (Documentation/arch/x86/microcode.rst). Links that make way for files of ours are an
// archive of their own: in one, a name is written once.
func (b *builder) afterBase(list []segment) []segment {
	if b.base == nil {
		return list
	}
	first := []segment{{compression: b.base.last, source: b.base.packed}}
	if b.base.links != nil {
		first = append(first, segment{files: b.base.links, compression: b.spec.Compress})
	}
	return append(first, list...)
}

// ownName is the path of a file of ours as it is without a base.
func ownName(name string) string { return strings.TrimPrefix(name, OwnDir+"/") }

// folders are those of the base that secrets lie in: they keep their modes. A directory that
// is a link there is refused, because a record of it would take the link's place; so is a
// file of several names, all of which would become the secret.
func (b *base) folders(secrets []Secret) ([]file, error) {
	var list []file
	for _, s := range secrets {
		if _, n, err := b.tree.lookup(s.Destination, false); err == nil && n.is(typeFile) && n.names > 1 {
			return nil, fmt.Errorf("put in secret /%s: that file has other names in the base (hard links), which "+
				"would get the secret too; give another path after the colon", s.Destination)
		}
		for dir := path.Dir(s.Destination); dir != "."; dir = path.Dir(dir) {
			at, n, err := b.tree.lookup(dir, true)
			switch {
			case err != nil:
				return nil, fmt.Errorf("put in secret /%s: %w", s.Destination, err)
			case at != dir:
				return nil, fmt.Errorf("put in secret /%s: /%s is /%s in the base: give the path without links "+
					"after the colon", s.Destination, dir, at)
			case n.is(typeDir):
				list = append(list, file{name: dir, mode: typeDir, part: PartTree})
			}
		}
	}
	return list, nil
}
