package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/iscsi"
)

// byPath reads root=/dev/disk/by-path/ip-ADDRESS:PORT-iscsi-NAME-lun-N, or a partition of it, by
// its meaning. It is the link that udev would make for the disk (handle_scsi_iscsi in systemd's
// src/udev/udev-builtin-path_id.c), and there is no udev yet; but it names a target and a LUN. So
// the netroot= of that target come first, those without a LUN with this one, and one more where
// none leads to the disk by the link's portal. Besides are other LUNs of the target that netroot=
// names. Other values of root= stay. The selector is zero for the whole disk.
func byPath(args cmdline.Args) (own cmdline.Args, part rootfs.Selector, besides []iscsi.LUN) {
	value, _ := args.Last("root")
	spec, part, ok := pathTarget(value)
	if !ok {
		return args, rootfs.Selector{}, nil
	}
	link, err := iscsi.ParseRootPath(spec)
	if err != nil { // reported by whoever reads the target
		return append(
			slices.DeleteFunc(slices.Clone(args), func(a cmdline.Arg) bool { return a.Key == "root" }),
			netroot(spec),
		), part, nil
	}
	var first, second []iscsi.Target
	for _, a := range args {
		t, err := iscsi.ParseRootPath(a.Value)
		switch {
		case a.Key == "root":
		case a.Key != "netroot" || err != nil || t.Name != link.Name || t.User != "":
			own = append(own, a)
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
	for i, t := range slices.Concat(first, second) {
		own = slices.Insert(own, i, netroot(rootPath(t)))
	}
	return own, part, besides
}

func netroot(spec string) cmdline.Arg {
	return cmdline.Arg{Key: "netroot", Value: spec, HasValue: true}
}

// rootPath is String with a LUN that nobody can mistake for decimal.
func rootPath(t iscsi.Target) string {
	t.AnyLUN = true
	return strings.TrimSuffix(t.String(), ":"+t.Name) + lunField(t.LUN) + ":" + t.Name
}

func lunField(l iscsi.LUN) string {
	n := uint64(l >> 48)
	switch {
	case l != iscsi.SimpleLUN(uint8(n)):
	case n > 9:
		return strconv.FormatUint(n, 16) + "-0" // hexadecimal for certain: dracut reads 10 as decimal
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

// pathTarget returns the root path of RFC 4173 for udev's link and, for that of a
// partition (-part1), which one.
func pathTarget(link string) (spec string, part rootfs.Selector, ok bool) {
	rest, ok := strings.CutPrefix(link, "/dev/disk/by-path/ip-")
	if !ok {
		return "", part, false
	}
	portal, rest, ok := strings.Cut(rest, "-iscsi-")
	colon, end := strings.LastIndexByte(portal, ':'), strings.LastIndex(rest, "-lun-")
	if !ok || colon < 0 || end < 0 {
		return "", part, false
	}
	number, partition, parted := strings.Cut(rest[end+len("-lun-"):], "-part")
	if parted {
		n, err := strconv.ParseUint(partition, 10, 16)
		if err != nil || n == 0 {
			return "", part, false
		}
		part = rootfs.Selector{By: rootfs.ByNumber, Value: strconv.FormatUint(n, 10)}
	}
	lun, ok := udevLUN(number)
	if !ok {
		return "", part, false
	}
	host, name := strings.Trim(portal[:colon], "[]"), rest[:end]
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("iscsi:%s::%s:%s:%s", host, portal[colon+1:], lunField(lun), name), part, true
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
