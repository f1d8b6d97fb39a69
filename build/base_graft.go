package build

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
)

// layOut is layout, or graft where there is a base.
func (b *builder) layOut(files []initramfs.Entry) ([]initramfs.Entry, error) {
	if b.base == nil {
		return initramfs.LayOut(files)
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
func (b *base) graft(files []initramfs.Entry) ([]initramfs.Entry, error) {
	files = append(slices.Clone(files), initramfs.Entry{
		Name: originPath, Mode: initramfs.TypeFile | 0o644, Data: []byte(b.origin.String()),
		Part: initramfs.PartConfig,
	})
	if b.DriversOnly {
		more, how := b.hook.files(b.tree)
		files, b.notes = append(files, more...), append(b.notes, how)
	}
	if !b.keepsInit() {
		vendor, what := b.vendor()
		files, b.notes = append(files, vendor), append(b.notes, fmt.Sprintf("its /%s, %s, is /%s now",
			initramfs.InitPath, what, vendorInit))
	}
	var moved []initramfs.Entry
	for _, f := range files {
		f, err := b.place(f)
		if err != nil {
			return nil, err
		}
		moved = append(moved, f)
	}
	list, err := initramfs.LayOut(moved)
	if err != nil {
		return nil, err
	}
	var out []initramfs.Entry
	for _, f := range list {
		_, old, err := b.tree.Lookup(f.Name, false)
		if err != nil {
			return nil, err
		}
		if old == nil {
			out = append(out, f)
			continue
		}
		if (f.Mode&initramfs.TypeMask == initramfs.TypeDir) != old.Is(initramfs.TypeDir) {
			return nil, fmt.Errorf("/%s is %s there, and %s among what is added",
				f.Name, kindText(old.Mode), kindText(f.Mode))
		}
		if b.stays(f, old) {
			continue
		}
		if f.Mode&initramfs.TypeMask == initramfs.TypeFile && old.Is(initramfs.TypeFile) && old.Names > 1 {
			// A link in its place first: it takes this one name off the file.
			b.links = append(
				b.links,
				initramfs.Entry{
					Name: f.Name,
					Mode: initramfs.TypeLink | 0o777,
					Data: []byte(initramfs.OwnDir),
					Part: initramfs.PartTree,
				},
			)
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
func (b *base) place(f initramfs.Entry) (initramfs.Entry, error) {
	switch {
	case f.Part == initramfs.PartModules, f.Part == initramfs.PartIndexes:
		f.Name = initramfs.OwnDir + "/" + f.Name
	case f.Part == initramfs.PartInit && b.keepsInit():
		f.Name = ownInit
	}
	at, _, err := b.tree.Lookup(f.Name, f.Mode&initramfs.TypeMask == initramfs.TypeDir)
	f.Name = at
	return f, err
}

// stays reports whether what the base has is kept and ours left out.
func (b *base) stays(f initramfs.Entry, old *initramfs.Inode) bool {
	kind := f.Mode & initramfs.TypeMask
	same := old.Is(kind) && old.Major == f.Major && old.Minor == f.Minor && old.Matches(f)
	switch {
	case kind == initramfs.TypeDir:
		return true
	case same && (kind == initramfs.TypeChar || kind == initramfs.TypeBlock):
		return true
	case f.Name == initramfs.InitPath, f.Name == vendorInit, path.Dir(f.Name) == b.hook.dir:
		return false
	case f.Part == initramfs.PartFirmware, f.Part == initramfs.PartRescue:
		if !same {
			b.kept = append(b.kept, "/"+f.Name)
		}
		return true
	case same && old.Mode == f.Mode:
		return true
	}
	b.notes = append(b.notes, fmt.Sprintf("/%s of the base is replaced", f.Name))
	return false
}

// kindText names a type of files.
func kindText(mode uint32) string {
	switch mode & initramfs.TypeMask {
	case initramfs.TypeDir:
		return "a directory"
	case initramfs.TypeLink:
		return "a link"
	case initramfs.TypeFile:
		return "a file"
	}
	return "a device"
}

// afterBase puts the base, as it is, before all others: its microcode must come
// first (Documentation/arch/x86/microcode.rst). Links that make way for files of ours are an
// archive of their own: in one, a name is written once.
func (b *builder) afterBase(list []initramfs.Archive) []initramfs.Archive {
	if b.base == nil {
		return list
	}
	first := []initramfs.Archive{{Compression: b.base.last, Source: b.base.packed}}
	if b.base.links != nil {
		first = append(first, initramfs.Archive{Files: b.base.links, Compression: b.spec.Compress})
	}
	return append(first, list...)
}

// folders are those of the base that secrets lie in: they keep their modes. A directory that
// is a link there is refused, because a record of it would take the link's place; so is a
// file of several names, all of which would become the secret.
func (b *base) folders(secrets []Secret) ([]initramfs.Entry, error) {
	var list []initramfs.Entry
	for _, s := range secrets {
		if _, n, err := b.tree.Lookup(s.Destination, false); err == nil && n.Is(initramfs.TypeFile) && n.Names > 1 {
			return nil, fmt.Errorf("put in secret /%s: that file has other names in the base (hard links), which "+
				"would get the secret too; give another path after the colon", s.Destination)
		}
		for dir := path.Dir(s.Destination); dir != "."; dir = path.Dir(dir) {
			at, n, err := b.tree.Lookup(dir, true)
			switch {
			case err != nil:
				return nil, fmt.Errorf("put in secret /%s: %w", s.Destination, err)
			case at != dir:
				return nil, fmt.Errorf("put in secret /%s: /%s is /%s in the base: give the path without links "+
					"after the colon", s.Destination, dir, at)
			case n.Is(initramfs.TypeDir):
				list = append(list, initramfs.Entry{Name: dir, Mode: initramfs.TypeDir, Part: initramfs.PartTree})
			}
		}
	}
	return list, nil
}
