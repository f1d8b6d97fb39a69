package boot

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/init/cmdline"
	"github.com/nodisk/nodisk/iscsi"
)

// byPath takes root=/dev/disk/by-path/ip-ADDRESS:PORT-iscsi-NAME-lun-N for what it says.
// It is the link that udev would make for the disk (handle_scsi_iscsi in systemd's
// src/udev/udev-builtin-path_id.c), and there is no udev yet; but it names a target and
// a LUN, so it is a netroot=iscsi: before the others, in place of one for that target
// that names no LUN. Other values of root= stay.
func byPath(args cmdline.Args) cmdline.Args {
	value, _ := args.Last("root")
	spec, name, ok := pathTarget(value)
	if !ok {
		return args
	}
	replaced := func(a cmdline.Arg) bool {
		if a.Key != "netroot" {
			return a.Key == "root"
		}
		t, err := iscsi.ParseRootPath(a.Value)
		return err == nil && t.Name == name && t.AnyLUN
	}
	rest := slices.DeleteFunc(slices.Clone(args), replaced)
	return append(cmdline.Args{{Key: "netroot", Value: spec, HasValue: true}}, rest...)
}

// pathTarget returns the root path of RFC 4173 for udev's link, and the target's name.
func pathTarget(link string) (spec, name string, ok bool) {
	rest, ok := strings.CutPrefix(link, "/dev/disk/by-path/ip-")
	if !ok {
		return "", "", false
	}
	portal, rest, ok := strings.Cut(rest, "-iscsi-")
	colon, end := strings.LastIndexByte(portal, ':'), strings.LastIndex(rest, "-lun-")
	if !ok || colon < 0 || end < 0 {
		return "", "", false
	}
	// udev writes what is below 256 in decimal. A partition (-part1) is none.
	lun, err := strconv.ParseUint(rest[end+len("-lun-"):], 10, 8)
	if err != nil {
		return "", "", false
	}
	host, name := strings.Trim(portal[:colon], "[]"), rest[:end]
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	unit := strconv.FormatUint(lun, 16)
	if lun > 9 {
		unit += "-0" // hexadecimal for sure: dracut reads 10 as decimal
	}
	return fmt.Sprintf("iscsi:%s::%s:%s:%s", host, portal[colon+1:], unit, name), name, true
}
