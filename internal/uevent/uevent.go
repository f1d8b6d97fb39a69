// Package uevent receives the kernel's device events, so that whoever waits
// for a disk, a partition or a driver is told instead of polling.
//
// The messages are those of lib/kobject_uevent.c, multicast group 1 of
// NETLINK_KOBJECT_UEVENT: a header "ACTION@DEVPATH" and then KEY=VALUE pairs,
// each ended by NUL.
package uevent

import (
	"fmt"
	"strings"
)

// An Event is one device event.
type Event struct {
	Action    string // add, remove, change, bind, ...
	DevPath   string // below /sys, with a leading slash
	Subsystem string // block, net, pci, scsi, ...
	ModAlias  string // empty when the device has none
	DevName   string // node below /dev, empty when there is none
}

// Parse reads one message. Messages of udevd ("libudev" header) and anything
// else that did not come from the kernel are errors.
func Parse(msg []byte) (Event, error) {
	head, rest, ok := strings.Cut(string(msg), "\x00")
	action, path, at := strings.Cut(head, "@")
	if !ok || !at || action == "" || !strings.HasPrefix(path, "/") {
		return Event{}, fmt.Errorf("parse uevent: no ACTION@DEVPATH header in %q", clip(head))
	}
	e := Event{Action: action, DevPath: path}
	for rest != "" {
		var pair string
		pair, rest, _ = strings.Cut(rest, "\x00")
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "SUBSYSTEM":
			e.Subsystem = value
		case "MODALIAS":
			e.ModAlias = value
		case "DEVNAME":
			e.DevName = value
		}
	}
	return e, nil
}

func clip(s string) string {
	return s[:min(len(s), 64)]
}
