package rootfs

import (
	"fmt"
	"strconv"
	"strings"
)

// A Block is a disk or a partition and what is on it.
type Block struct {
	Name       string // the kernel's: sda1; the node is /dev/Name
	Disk       string // sda; the same as Name for a whole disk
	Size       int64  // bytes
	Filesystem Filesystem
	Partition  Partition   // the disk's table about it; zero for a whole disk
	Table      []Partition // of a whole disk
	Problem    string      // why it could not be read; empty when it could
}

// Path is the device node.
func (b Block) Path() string { return "/dev/" + b.Name }

// String describes the block as a line for the administrator: sda1 (ext4,
// LABEL "root").
func (b Block) String() string { return b.describe(ByLabel) }

// describe names the property that by is about, whether the block has it or not.
func (b Block) describe(by SelectBy) string {
	var words []string
	switch {
	case b.Problem != "":
		words = append(words, b.Problem)
	case b.Filesystem.Type != "":
		words = append(words, b.Filesystem.Type)
	case len(b.Table) > 0:
		words = append(words, plural(len(b.Table), "partition"))
	default:
		words = append(words, "no filesystem known")
	}
	if v := b.property(by); v != "" && by != ByName {
		if by == ByLabel || by == ByPartLabel {
			v = strconv.Quote(v)
		}
		words = append(words, by.String()+" "+v)
	}
	return b.Name + " (" + strings.Join(words, ", ") + ")"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func (b Block) property(by SelectBy) string {
	switch by {
	case ByLabel:
		return b.Filesystem.Label
	case ByUUID:
		return b.Filesystem.UUID
	case ByPartUUID:
		return b.Partition.UUID
	case ByPartLabel:
		return b.Partition.Label
	case ByName:
		return b.Name
	}
	return ""
}

// matches returns the blocks that the selector means, in the order given.
func (s Selector) matches(seen []Block) []Block {
	var found []Block
	for _, b := range seen {
		if v := b.property(s.By); v != "" && s.is(v) {
			found = append(found, b)
		}
	}
	return found
}

// maxListed bounds the devices that a line names.
const maxListed = 16

// missing says in one line that nothing matches and what is there.
func (s Selector) missing(seen []Block, disks []string) string {
	where := ""
	if disks != nil {
		where = " on " + strings.Join(disks, ", ")
	}
	var line string
	switch s.By {
	case ByLabel, ByUUID:
		line = fmt.Sprintf("no filesystem%s has %s", where, s)
	case ByPartUUID, ByPartLabel:
		line = fmt.Sprintf("no partition%s has %s", where, s)
	case ByName:
		line = fmt.Sprintf("there is no %s", s)
		if where != "" {
			line = fmt.Sprintf("%s is not%s or a partition of it", s, where)
		}
	default:
		line = "no disk" + where
	}
	line += ": " + list(seen, s.By)
	if hint := s.hint(seen); hint != "" {
		line += "; " + hint
	}
	return line
}

// list says which devices were seen.
func list(seen []Block, by SelectBy) string {
	if len(seen) == 0 {
		return "no block device seen at all (is the disk attached, and its driver in the image?)"
	}
	var told []Block
	for _, b := range seen {
		if hidden := b.hidden(seen); hidden > 0 && b.Problem == "" {
			b.Problem = plural(hidden, "partition") + " in its table that the kernel does not show"
		}
		// A disk is told by its partitions.
		if len(b.Table) == 0 || b.Problem != "" || b.Filesystem.Type != "" || by == 0 || by == ByName {
			told = append(told, b)
		}
	}
	return "seen " + describeAll(told, by)
}

// hidden counts the partitions of a disk's table that are not among the devices:
// they come in a moment, or the kernel cannot read this kind of table.
func (b Block) hidden(seen []Block) int {
	n := len(b.Table)
	for _, p := range seen {
		if p.Disk == b.Name && p.Partition.Number > 0 {
			n--
		}
	}
	return n
}

func describeAll(blocks []Block, by SelectBy) string {
	var words []string
	for _, b := range blocks[:min(len(blocks), maxListed)] {
		words = append(words, b.describe(by))
	}
	if extra := len(blocks) - maxListed; extra > 0 {
		words = append(words, fmt.Sprintf("and %d more", extra))
	}
	return strings.Join(words, ", ")
}

// hint finds the value under another key, or spelled in another case: the two
// usual slips.
func (s Selector) hint(seen []Block) string {
	for _, b := range seen {
		for _, by := range []SelectBy{ByLabel, ByUUID, ByPartUUID, ByPartLabel} {
			if v := b.property(by); v != "" && strings.EqualFold(v, s.Value) {
				return fmt.Sprintf("%s has %s, is that the one?", b.Name, Selector{By: by, Value: v})
			}
		}
	}
	return ""
}

// usable returns an error when the block holds a container instead of a
// filesystem: waiting longer does not help then. A block without a known
// filesystem passes, because rootfstype= may name one that is not recognised.
func (b Block) usable() error {
	if what := b.Filesystem.container(); what != "" {
		return fmt.Errorf("%s is %s, not a filesystem: nodisk mounts a filesystem on a disk or a partition only", b.Path(), what)
	}
	return nil
}

// onlyFilesystem chooses on one disk: the disk's own filesystem, else the only
// partition with one. Partitions of the firmware do not count. Ok is false
// while something is still to come: a partition that the table lists and the
// kernel has not shown.
func onlyFilesystem(seen []Block, name string) (b Block, ok bool, err error) {
	var (
		whole      Block
		found      []Block
		partitions []Block
	)
	for _, b := range seen {
		switch {
		case b.Name == name:
			whole = b
		case b.Disk == name && b.Partition.firmware():
		case b.Disk == name:
			partitions = append(partitions, b)
			if b.Filesystem.Mountable() {
				found = append(found, b)
			}
		}
	}
	switch {
	case whole.Name == "", whole.Problem != "":
		return Block{}, false, nil
	case whole.Filesystem.Type != "":
		return whole, true, whole.usable()
	case len(whole.Table) == 0:
		return Block{}, false, fmt.Errorf("%s holds neither a filesystem nor a partition table that nodisk knows: %s is the wrong disk or LUN, or is empty", whole.Path(), name)
	}
	for _, p := range whole.Table {
		complete := p.firmware()
		for _, b := range partitions {
			complete = complete || b.Partition.Number == p.Number && b.Problem == ""
		}
		if !complete {
			return Block{}, false, nil
		}
	}
	switch len(found) {
	case 1:
		return found[0], true, nil
	case 0:
		return Block{}, false, fmt.Errorf("%s has no partition with a filesystem: %s", whole.Path(), describeAll(partitions, ByLabel))
	}
	return Block{}, false, fmt.Errorf("%s has %d filesystems: %s: choose one with root=LABEL= or root=UUID=", whole.Path(), len(found), describeAll(found, ByLabel))
}
