package rootfs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A SelectBy is the property by which a Selector chooses.
type SelectBy uint8

// The properties. The zero value chooses nothing.
const (
	_ SelectBy = iota
	ByLabel
	ByUUID
	ByPartUUID
	ByPartLabel
	ByName   // the kernel's name: sda1
	ByNumber // a partition of the first disk
)

// String returns the key of the command line, "LABEL" for example.
func (b SelectBy) String() string {
	switch b {
	case ByLabel:
		return "LABEL"
	case ByUUID:
		return "UUID"
	case ByPartUUID:
		return "PARTUUID"
	case ByPartLabel:
		return "PARTLABEL"
	case ByName:
		return "/dev"
	case ByNumber:
		return "partition"
	}
	return "nothing"
}

// A Selector names a block device. The zero value names none: it stands for
// the only filesystem of a disk (see FindOn).
type Selector struct {
	By    SelectBy
	Value string // decoded; for ByName without "/dev/"
}

// IsZero reports whether the Selector names nothing.
func (s Selector) IsZero() bool { return s == Selector{} }

// OfFirstDisk reports whether the selector chooses only on the first disk that was attached (see
// FindOn): the zero Selector, and the number of a partition.
func (s Selector) OfFirstDisk() bool { return s.IsZero() || s.By == ByNumber }

// String spells it as the command line does, quoted when the value holds white
// space.
func (s Selector) String() string {
	switch {
	case s.By == 0:
		return "the disk's only filesystem"
	case s.By == ByName:
		return "/dev/" + s.Value
	case s.By == ByNumber:
		return "the disk's partition " + s.Value
	case strings.ContainsAny(s.Value, " \t"):
		return s.By.String() + "=" + strconv.Quote(s.Value)
	}
	return s.By.String() + "=" + s.Value
}

// parseSelector reads LABEL=, UUID=, PARTUUID= and PARTLABEL= (in capitals, as
// mount(8) has them), /dev/NAME, and the links that udev would make below
// /dev/disk/by-label, by-uuid, by-partlabel and by-partuuid. A value may be in
// quotes, and may hold \xHH as udev writes a space or a slash.
func parseSelector(s string) (Selector, error) {
	if path, ok := strings.CutPrefix(s, "/dev/"); ok {
		return parseDevice(path)
	}
	key, value, ok := strings.Cut(s, "=")
	by := selectBy(key)
	if !ok || by == 0 {
		return Selector{}, errors.New("is not LABEL=, UUID=, PARTUUID=, PARTLABEL= or /dev/NAME")
	}
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		value = value[1 : n-1]
	}
	return newSelector(by, value)
}

func selectBy(key string) SelectBy {
	for _, by := range []SelectBy{ByLabel, ByUUID, ByPartUUID, ByPartLabel} {
		if by.String() == key {
			return by
		}
	}
	return 0
}

func newSelector(by SelectBy, value string) (Selector, error) {
	value, err := unescape(value)
	switch {
	case err != nil:
		return Selector{}, err
	case value == "":
		return Selector{}, fmt.Errorf("has no value after %s=", by)
	case by == ByPartUUID && strings.Contains(value, "/PARTNROFF="):
		return Selector{}, errors.New(
			"counts from another partition (PARTNROFF), which is not supported: give the partition's own PARTUUID",
		)
	}
	return Selector{By: by, Value: value}, nil
}

func parseDevice(path string) (Selector, error) {
	if link, ok := strings.CutPrefix(path, "disk/by-"); ok {
		kind, value, _ := strings.Cut(link, "/")
		by := selectBy(strings.ToUpper(kind))
		if by == 0 || kind != strings.ToLower(kind) {
			return Selector{}, fmt.Errorf(
				"is a link that udev makes, and there is no udev before the root: only /dev/disk/by-label, "+
					"by-uuid, by-partlabel and by-partuuid are known, not by-%s",
				kind,
			)
		}
		return newSelector(by, value)
	}
	switch {
	case path == "":
		return Selector{}, errors.New("has no name after /dev/")
	case strings.HasPrefix(path, "mapper/") || isNumbered(path, "dm-"):
		return Selector{}, errors.New(
			"is a device-mapper device (LVM, LUKS, multipath), which nodisk does not assemble: put the root on a " +
				"disk or a partition",
		)
	case strings.HasPrefix(path, "md/") || isNumbered(path, "md"):
		return Selector{}, errors.New(
			"is a software RAID, which nodisk does not assemble: put the root on a disk or a partition",
		)
	case strings.ContainsAny(path, "/ \t\"'\\") || path == "." || path == "..":
		return Selector{}, errors.New(
			"is not the kernel's name of a disk or partition, such as /dev/sda1 (an LVM volume is not assembled)",
		)
	}
	return Selector{By: ByName, Value: path}, nil
}

// isNumbered distinguishes dm-0 from dm-crypt.
func isNumbered(name, prefix string) bool {
	digits, ok := strings.CutPrefix(name, prefix)
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// unescape decodes \xHH, the way udev encodes bytes in links. NUL would end a
// label early: it is refused.
func unescape(s string) (string, error) {
	head, rest, ok := strings.Cut(s, `\`)
	if !ok {
		return s, nil
	}
	var b strings.Builder
	for ; ok; head, rest, ok = strings.Cut(rest, `\`) {
		b.WriteString(head)
		if len(rest) < 3 || rest[0] != 'x' {
			return "", errors.New(`has a backslash that does not begin \xHH, two hexadecimal digits`)
		}
		c, err := strconv.ParseUint(rest[1:3], 16, 8)
		if err != nil || c == 0 {
			return "", fmt.Errorf(`has \%s, which is not \xHH with two hexadecimal digits other than 00`, rest[:3])
		}
		b.WriteByte(byte(c))
		rest = rest[3:]
	}
	b.WriteString(head)
	return b.String(), nil
}

// is reports whether value is the one the selector asks for. UUIDs are compared
// without regard to case, labels are not.
func (s Selector) is(value string) bool {
	switch s.By {
	case ByUUID, ByPartUUID:
		return strings.EqualFold(s.Value, value)
	case ByLabel, ByPartLabel, ByName, ByNumber:
		return s.Value == value
	}
	return false
}
