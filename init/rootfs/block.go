package rootfs

import (
	"fmt"
	"slices"
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
	WWID       string      // of the LUN, as the kernel has it; two paths to one share it; may be empty

	WriteProtected bool // the kernel does not write to it

	// Within is set for a partition of a disk that is part of a volume itself:
	// which disk, and of what.
	Within string
	// Members are the other devices of a filesystem that has several.
	Members []Block
}

// Path is the device node.
func (b Block) Path() string { return "/dev/" + b.Name }

// Disks are those that the block is on, with those of its members: sda.
func (b Block) Disks() []string {
	disks := []string{b.Disk}
	for _, m := range b.Members {
		disks = append(disks, m.Disk)
	}
	return disks
}

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
			v = strconv.Quote(clip(v, maxLabel))
		}
		words = append(words, by.String()+" "+v)
	}
	return b.Name + " (" + strings.Join(words, ", ") + ")"
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
	case ByNumber:
		if b.Partition.Number > 0 {
			return strconv.Itoa(b.Partition.Number)
		}
	}
	return ""
}

// matches returns the blocks that the selector means, in the order given. Disks are
// those that were attached.
func (s Selector) matches(seen []Block, disks []string) []Block {
	var found []Block
	for _, b := range seen {
		if s.OfFirstDisk() && b.Disk != disks[0] {
			continue
		}
		if v := b.property(s.By); v != "" && s.is(v) {
			found = append(found, b)
		}
	}
	return found
}

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
	case ByNumber:
		line = fmt.Sprintf("%s has no partition %s", disks[0], s.Value)
		seen = slices.DeleteFunc(slices.Clone(seen), func(b Block) bool { return b.Disk != disks[0] })
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
	n := len(b.shown())
	for _, p := range seen {
		if p.Disk == b.Name && p.Partition.Number > 0 {
			n--
		}
	}
	return n
}

func describeAll(blocks []Block, by SelectBy) string {
	words := make([]string, len(blocks))
	for i, b := range blocks {
		words[i] = b.describe(by)
	}
	return enumerate(words, maxList)
}

// hint finds the value under another key, or spelled in another case, the two
// usual slips; or where it was not to be taken from.
func (s Selector) hint(seen []Block) string {
	for _, b := range seen {
		for _, by := range []SelectBy{ByLabel, ByUUID, ByPartUUID, ByPartLabel} {
			v := b.property(by)
			if v == "" || s.By == ByNumber || !strings.EqualFold(v, s.Value) {
				continue
			}
			if under := covering(seen, b); by == s.By && len(under) > 0 {
				return fmt.Sprintf(
					"%s has it, but %s: root=%s mounts it all the same",
					b.Name,
					leftover(b, under),
					b.Path(),
				)
			}
			if _, err := members(seen, b); by == s.By && err != nil {
				return err.Error()
			}
			if b.Problem == "" {
				return fmt.Sprintf("%s has %s, is that the one?", b.Name, Selector{By: by, Value: clip(v, maxClip)})
			}
		}
	}
	return ""
}
