package rootfs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/iscsi"
)

// A pathLink is root=/dev/disk/by-path/ip-ADDRESS:PORT-iscsi-NAME-lun-N, or a partition of
// it. It is the link that udev would make for the disk (handle_scsi_iscsi in systemd's
// src/udev/udev-builtin-path_id.c), and there is no udev yet; but it names a target and a LUN.
type pathLink struct {
	disk Disk
	part Selector // zero for the whole disk
}

// parsePathLink reads such a link, and reports whether it is one.
func parsePathLink(value string) (l pathLink, ok bool) {
	rest, ok := strings.CutPrefix(value, "/dev/disk/by-path/ip-")
	if !ok {
		return l, false
	}
	portal, rest, ok := strings.Cut(rest, "-iscsi-")
	colon, end := strings.LastIndexByte(portal, ':'), strings.LastIndex(rest, "-lun-")
	if !ok || colon < 0 || end < 0 {
		return l, false
	}
	number, partition, parted := strings.Cut(rest[end+len("-lun-"):], "-part")
	if parted {
		n, err := strconv.ParseUint(partition, 10, 16)
		if err != nil || n == 0 {
			return l, false
		}
		l.part = Selector{By: ByNumber, Value: strconv.FormatUint(n, 10)}
	}
	lun, ok := udevLUN(number)
	if !ok {
		return l, false
	}
	host := strings.Trim(portal[:colon], "[]")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	t, err := iscsi.NewTarget(host, portal[colon+1:], rest[:end])
	t.LUN, t.AnyLUN = lun, false
	text := rootPathOf(t)
	if err != nil {
		text = value
		if strings.Contains(value, "@") { // what stands before it may be a password
			text = "iscsi:..."
		}
	}
	l.disk = newDisk(text, t, err)
	return l, true
}

// udevLUN reads the LUN in udev's links: decimal below 256, else all eight bytes in
// hexadecimal (format_lun_number in the same file).
func udevLUN(s string) (iscsi.LUN, bool) {
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		n, err := strconv.ParseUint(digits, 16, 64)
		return iscsi.LUN(n), err == nil && len(digits) == 16
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return iscsi.SimpleLUN(uint8(n)), err == nil
}

// among puts the disk of the link among those that other words name: first those of its target,
// of which the ones without a LUN get this one, and one more where none leads to the disk by the
// link's portal. Besides are other LUNs of the target.
func (l pathLink) among(named []Disk) (disks []Disk, besides []iscsi.LUN) {
	link := l.disk.Target
	if l.disk.Err != nil {
		return append(slices.Clone(named), l.disk), nil
	}
	var first, second []iscsi.Target
	for _, d := range named {
		t := d.Target
		switch {
		case d.Err != nil || t.Name != link.Name:
			disks = append(disks, d)
			continue
		case t.AnyLUN || t.LUN == link.LUN:
			t.LUN, t.AnyLUN = link.LUN, false
			first = append(first, t)
		default:
			second = append(second, t)
			besides = append(besides, t.LUN)
		}
	}
	same := func(t iscsi.Target) bool { return t.Portal == link.Portal }
	if !slices.ContainsFunc(first, same) {
		if i := slices.IndexFunc(second, same); i >= 0 {
			link.Iface, link.NetDev = second[i].Iface, second[i].NetDev
		}
		first = slices.Insert(first, 0, link)
	}
	var own Root
	for _, t := range append(first, second...) {
		t.Warnings = link.Warnings // which LUN is meant the link says
		own.addISCSI(Disk{Text: rootPathOf(t), Target: t})
	}
	return append(own.ISCSI, disks...), besides
}

// rootPathOf is String with a LUN that nobody takes for decimal.
func rootPathOf(t iscsi.Target) string {
	t.AnyLUN = true
	return strings.TrimSuffix(t.String(), ":"+t.Name) + lunField(t.LUN) + ":" + t.Name
}

func lunField(l iscsi.LUN) string {
	n := uint64(l >> 48)
	switch {
	case l != iscsi.SimpleLUN(uint8(n)):
	case n > 9:
		return strconv.FormatUint(n, 16) + "-0" // hexadecimal for sure: dracut reads 10 as decimal
	default:
		return strconv.FormatUint(n, 10)
	}
	return fmt.Sprintf(
		"%04x-%04x-%04x-%04x",
		uint64(l>>48),
		uint64(l>>32&0xffff),
		uint64(l>>16&0xffff),
		uint64(l&0xffff),
	)
}
