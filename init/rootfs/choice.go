package rootfs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// usable returns an error when the block holds a container instead of a filesystem, or is inside
// one: waiting longer does not help then. A block without a known filesystem passes, because
// rootfstype= may name one that is not recognised.
func (b Block) usable() error {
	if b.Within != "" {
		return fmt.Errorf("%s is on %s, and is not mounted without it%s", b.Path(), b.Within, b.remains())
	}
	c := b.Filesystem.container()
	if c.what == "" {
		return nil
	}
	return fmt.Errorf("%s is %s, not a filesystem: %s, it mounts a filesystem on a disk or a partition only%s",
		b.Path(), c.what, c.why, b.remains())
}

// remains says how to remove a superblock at the end that nobody needs: mkfs leaves it where it
// is.
func (b Block) remains() string {
	if !b.Filesystem.AtEnd && b.Within == "" {
		return ""
	}
	return fmt.Sprintf(
		"; should that be left from an earlier use, wipefs /dev/%s shows it, and wipefs -a -t TYPE /dev/%s removes it",
		b.Disk,
		b.Disk,
	)
}

// shown are the partitions of the table that the kernel shows: not those that begin after the end
// of the disk (blk_add_partition in block/partitions/core.c).
func (b Block) shown() []Partition {
	var parts []Partition
	for _, p := range b.Table {
		if b.Size == 0 || p.Start < b.Size {
			parts = append(parts, p)
		}
	}
	return parts
}

// candidates returns the partitions of a disk that a root could be in: those with a filesystem,
// or with a container that may hold one. A partition that is the disk's own filesystem again, as
// in an image for CDs and USB sticks, is not among them.
func candidates(seen []Block, whole Block) []Block {
	var found []Block
	for _, b := range seen {
		f, own := b.Filesystem, whole.Filesystem
		again := f.Type == own.Type && f.Label == own.Label && f.UUID == own.UUID &&
			(b.Partition.Start == 0 || f.Type == "iso9660")
		switch {
		case b.Disk != whole.Name || b.Name == whole.Name || b.Problem != "", b.Partition.boots(),
			f.Type == "" || f.container().aside, again:
		default:
			found = append(found, b)
		}
	}
	return found
}

// covering returns the candidates among the partitions of a disk that lie on what the superblock
// of the whole disk says is its own. Partitioning tools run after mkfs and leave that superblock
// where it is; mkfs removes the table. So the superblock is the leftover, and mounting it would
// replay its journal into the partitions.
func covering(seen []Block, b Block) []Block {
	f := b.Filesystem
	if b.Name != b.Disk || f.Type == "" || f.AtEnd {
		return nil
	}
	return slices.DeleteFunc(candidates(seen, b), func(p Block) bool {
		return f.Size > 0 && p.Partition.Start >= f.Size
	})
}

// leftover says why the superblock of a whole disk is not believed.
func leftover(whole Block, under []Block) string {
	return fmt.Sprintf(
		"its %s lies under a partition table with %s and is taken for a leftover (wipefs -a -t %s %s removes it)",
		whole.Filesystem.Type,
		describeAll(under, ByLabel),
		whole.Filesystem.Type,
		whole.Path(),
	)
}

// A choice is the outcome of looking for a disk's only filesystem: ok is false
// while something is still to come.
type choice struct {
	block   Block
	ok      bool
	warning string
}

// onlyFilesystem chooses on one disk: the disk's own filesystem, else the only
// partition with one. Partitions for booting do not count. A container beside it,
// such as an LVM2 physical volume, is an error: the root of an ordinary
// installation is in there, and the filesystem is its /boot. Types is rootfstype=:
// with a type that Probe does not recognise, what holds nothing known will do.
// It waits for every partition that the table lists.
func onlyFilesystem(seen []Block, name, types string) (choice, error) {
	i := slices.IndexFunc(seen, func(b Block) bool { return b.Name == name })
	if i < 0 || seen[i].Problem != "" {
		return choice{}, nil
	}
	whole := seen[i]
	if whole.Filesystem.AtEnd {
		return choice{}, whole.usable()
	}
	if !complete(seen, whole) {
		return choice{}, nil
	}
	var c choice
	found := candidates(seen, whole)
	under := covering(seen, whole)
	switch {
	case whole.Filesystem.Type == "" && len(whole.Table) == 0 && unrecognised(types):
		return choice{block: whole, ok: true}, nil
	case whole.Filesystem.Type == "" && len(whole.Table) == 0:
		return choice{}, fmt.Errorf("%s holds neither a filesystem nor a partition table that nodisk knows: "+
			"%s is the wrong disk or LUN, or is empty; a filesystem of another type needs rootfstype=TYPE, or "+
			"root=%s with it", whole.Path(), name, whole.Path())
	case whole.Filesystem.Type == "":
	case len(found) == 0:
		return choice{block: whole, ok: true}, whole.usable()
	case len(under) > 0:
		c.warning = name + ": " + leftover(whole, under)
	default: // it ends before the partitions begin
		found = append([]Block{whole}, found...)
	}
	b, err := choose(seen, whole, found, types)
	c.block, c.ok = b, err == nil
	return c, err
}

func choose(seen []Block, whole Block, found []Block, types string) (Block, error) {
	plain := slices.Clone(found)
	plain = slices.DeleteFunc(plain, func(b Block) bool { return !b.Filesystem.mountable() })
	for _, b := range found {
		err := b.usable()
		switch {
		case err == nil:
		case len(plain) == 0:
			return Block{}, err
		default:
			return Block{}, fmt.Errorf(
				"%w; beside it is %s: if that is the root and not its /boot, choose it with root=LABEL= or root=UUID=",
				err,
				describeAll(plain, ByLabel),
			)
		}
	}
	if len(plain) > 1 && types != "" {
		if of := slices.DeleteFunc(
			slices.Clone(plain),
			func(b Block) bool { return !b.Filesystem.among(types) },
		); len(
			of,
		) == 1 {
			plain = of
		}
	}
	if len(plain) == 0 && unrecognised(types) {
		plain = blank(seen, whole)
	}
	switch len(plain) {
	case 1:
		return plain[0], nil
	case 0:
		parts := slices.DeleteFunc(slices.Clone(seen), func(b Block) bool {
			return b.Disk != whole.Name || b.Name == whole.Name || b.Partition.boots()
		})
		return Block{}, fmt.Errorf(
			"%s has no partition with a filesystem: %s",
			whole.Path(),
			describeAll(parts, ByLabel),
		)
	}
	return Block{}, fmt.Errorf("%s has %d filesystems: %s: choose one with root=LABEL= or root=UUID=",
		whole.Path(), len(plain), describeAll(plain, ByLabel))
}

// blank returns the partitions that could hold a filesystem that Probe does not
// recognise.
func blank(seen []Block, whole Block) []Block {
	return slices.DeleteFunc(slices.Clone(seen), func(b Block) bool {
		return b.Disk != whole.Name || b.Name == whole.Name || b.Problem != "" || b.Filesystem.Type != "" ||
			b.Partition.boots() || b.Partition.extended()
	})
}

// complete reports whether all partitions that a root could be in are there and
// read.
func complete(seen []Block, whole Block) bool {
	for _, p := range whole.shown() {
		read := func(b Block) bool { return b.Disk == whole.Name && b.Partition.Number == p.Number && b.Problem == "" }
		if !p.boots() && !slices.ContainsFunc(seen, read) {
			return false
		}
	}
	return true
}

// unrecognised reports whether rootfstype= names a type that Probe does not
// know.
func unrecognised(types string) bool {
	for t := range strings.SplitSeq(types, ",") {
		if t != "" && t != "auto" && !slices.Contains(filesystems(), t) {
			return true
		}
	}
	return false
}

// among reports whether rootfstype= names the filesystem's type. The driver of
// ext4 mounts ext2 and ext3 as well.
func (f Filesystem) among(types string) bool {
	return slices.ContainsFunc(strings.Split(types, ","), func(t string) bool {
		return t == f.Type || strings.HasPrefix(t, "ext") && strings.HasPrefix(f.Type, "ext") && f.Type != "exfat"
	})
}

// errMembers reports a filesystem of several devices, not all of which are there.
var errMembers = errors.New("not all devices of the filesystem are there")

// members returns the other devices of a btrfs that has several, or an error
// that says how many are missing. Of two paths to one device the first is taken.
func members(seen []Block, b Block) ([]Block, error) {
	f := b.Filesystem
	if f.Devices < 2 {
		return nil, nil
	}
	have := map[uint64]bool{f.Device: true}
	var others []Block
	for _, o := range seen {
		g := o.Filesystem
		if g.Type == f.Type && g.UUID == f.UUID && o.Problem == "" && !have[g.Device] {
			have[g.Device] = true
			others = append(others, o)
		}
	}
	if n := uint64(len(have)); n < f.Devices {
		return nil, fmt.Errorf("%s is 1 of %d devices of a %s, and %d of them are missing: %w",
			b.Name, f.Devices, f.Type, f.Devices-n, errMembers)
	}
	return others, nil
}

// sameVolume reports whether two blocks are devices of one filesystem.
func sameVolume(a, b Block) bool {
	return a.Filesystem.Devices > 1 && a.Filesystem.Type == b.Filesystem.Type && a.Filesystem.UUID == b.Filesystem.UUID
}

// samePath reports whether two blocks are two paths to one LUN, or the same
// partition by two paths.
func samePath(a, b Block) bool {
	return a.WWID != "" && a.WWID == b.WWID && a.Disk != b.Disk && a.Size == b.Size &&
		a.Partition.Number == b.Partition.Number
}

// several says that a selector means more than one device, of which b is taken.
func (s Selector) several(b Block, others []Block) string {
	var paths, rest []Block
	for _, o := range others {
		switch {
		case sameVolume(b, o):
		case samePath(b, o):
			paths = append(paths, o)
		default:
			rest = append(rest, o)
		}
	}
	switch {
	case len(rest) > 0:
		return fmt.Sprintf(
			"%s means more than one device: %s is taken, not %s",
			s,
			b,
			describeAll(append(rest, paths...), s.By),
		)
	case len(paths) > 0:
		return fmt.Sprintf("%s is another path to the LUN of %s (WWID %s): nodisk does not join paths (multipath), "+
			"the root will depend on %s alone", describeAll(paths, 0), b.Name, clip(b.WWID, maxLabel), b.Name)
	}
	return ""
}
