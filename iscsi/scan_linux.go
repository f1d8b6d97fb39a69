package iscsi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nodisk/nodisk/internal/kernfile"
	"github.com/nodisk/nodisk/internal/uevent"
)

// A scsiHost is one session's (an iSCSI session has one target: channel 0,
// target 0).
type scsiHost struct {
	sysfs  string
	number uint32
}

// unit is what sysfs calls a logical unit: the name in /sys/class/scsi_device.
func (h scsiHost) unit(l LUN) string {
	return fmt.Sprintf("%d:0:0:%d", h.number, l.Kernel())
}

func (h scsiHost) device(l LUN, elements ...string) string {
	return filepath.Join(append([]string{h.sysfs, "class/scsi_device", h.unit(l), "device"}, elements...)...)
}

// disk is the unit's block device, empty when there is none yet.
func (h scsiHost) disk(l LUN) string {
	names, err := kernfile.ReadDir(h.device(l, "block"))
	if err != nil || len(names) == 0 {
		return ""
	}
	return names[0].Name()
}

// attribute is one line of sysfs without white space around it; the longest
// that is printed is a model, of 16 bytes.
func (h scsiHost) attribute(l LUN, name string) string {
	b, err := kernfile.ReadFile(h.device(l, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b[:min(len(b), 64)]))
}

// shown lists the units that the kernel has, by number.
func (h scsiHost) shown() []shownUnit {
	entries, err := kernfile.ReadDir(filepath.Join(h.sysfs, "class/scsi_device"))
	if err != nil {
		return nil // no SCSI device at all
	}
	var list []shownUnit
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), fmt.Sprintf("%d:0:0:", h.number))
		n, err := strconv.ParseUint(text, 10, 64)
		if !ok || err != nil {
			continue
		}
		l := lunFromKernel(n)
		list = append(list, shownUnit{
			lun: l, kind: h.attribute(l, "type"), state: h.attribute(l, "state"),
			model: strings.TrimSpace(h.attribute(l, "vendor") + " " + h.attribute(l, "model")),
		})
	}
	slices.SortFunc(list, func(a, b shownUnit) int {
		switch {
		case a.lun < b.lun:
			return -1
		case a.lun > b.lun:
			return 1
		}
		return 0
	})
	return list
}

// everything is the wildcard of a scan: the target's list of units is asked for
// (REPORT LUNS) and each of them.
const everything = "-"

// maxScanField is how many digits of a LUN the kernel reads from a scan
// request (the "%16s" of store_scan in drivers/scsi/scsi_sysfs.c).
const maxScanField = 16

// scanWord is the LUN in a scan request; one that is too long is found by asking
// for all.
func scanWord(l LUN) string {
	number := strconv.FormatUint(l.Kernel(), 10)
	if len(number) > maxScanField {
		return everything
	}
	return number
}

// scan is synchronous: it returns when the units have been found or not. While
// the connection is lost the kernel holds it, whatever happens to this process.
func (h scsiHost) scan(what string) error {
	path := filepath.Join(h.sysfs, fmt.Sprintf("class/scsi_host/host%d/scan", h.number))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("scan for logical units: %w", err)
	}
	_, err = f.WriteString("0 0 " + what)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("scan for logical units: %w", err)
	}
	return nil
}

// allTimeout bounds the wait for the disks of all units: the root may be on
// another one than that which does not come.
const allTimeout = 10 * time.Second

// A found is what a scan ends with.
type found struct {
	disks      []Disk
	late       []LUN         // of Units.All, those of which no disk was made in time
	scan, wait time.Duration // see Took
}

// find makes the kernel look for the wanted units and waits for their disks.
// The subscription to uevents comes before the scan: the event of a disk is the
// moment when its node is in /dev and its partitions have been read.
func (h scsiHost) find(ctx context.Context, want Units) (found, error) {
	events, err := uevent.Listen()
	if err != nil {
		return found{}, err
	}
	defer func() { _ = events.Close() }()
	begun := time.Now()
	there := map[LUN]string{} // before the scan: their events are over
	for _, s := range h.shown() {
		if name := h.disk(s.lun); name != "" {
			there[s.lun] = name
		}
	}
	chosen, err := h.look(ctx, want, there)
	if err != nil {
		return found{}, err
	}
	scanned := time.Now()
	f := found{scan: scanned.Sub(begun)}
	if want.All {
		var cancel context.CancelFunc
		ctx, cancel = withTimeout(ctx, allTimeout)
		defer cancel()
	}
	err = h.wait(ctx, events, chosen, there)
	for _, l := range chosen {
		if name := there[l]; name != "" {
			f.disks = append(f.disks, Disk{l, name})
		} else {
			f.late = append(f.late, l)
		}
	}
	// Of all units one that the kernel makes no disk of does not hide the others.
	if err != nil && (len(want.LUNs) > 0 || len(f.disks) == 0 || !errors.Is(err, context.DeadlineExceeded)) {
		return found{}, err
	}
	f.wait = time.Since(scanned)
	return f, nil
}

// look scans and chooses.
func (h scsiHost) look(ctx context.Context, want Units, there map[LUN]string) ([]LUN, error) {
	asked := false
	scan := func(what string) error {
		asked = asked || what == everything
		return h.scan(what)
	}
	if want.search() {
		if err := scan(everything); err != nil {
			return nil, err
		}
	}
	for _, l := range want.LUNs {
		if there[l] != "" || asked {
			continue
		}
		if err := scan(scanWord(l)); err != nil {
			return nil, err
		}
	}
	// When the session ends under a scan, the scan finds nothing.
	if ctx.Err() == nil {
		chosen, err := want.choose(h.shown())
		if err == nil || asked {
			return chosen, err
		}
		// Whatever else there is helps to find the right number.
		if err := scan(everything); err != nil {
			return nil, err
		}
		if ctx.Err() == nil {
			return want.choose(h.shown())
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, unanswered(ctx)
	}
	return nil, context.Cause(ctx)
}

// wait follows uevents until all the disks are announced, and adds them to there.
func (h scsiHost) wait(ctx context.Context, events *uevent.Conn, units []LUN, there map[LUN]string) error {
	missing := slices.DeleteFunc(slices.Clone(units), func(l LUN) bool { return there[l] != "" })
	for len(missing) > 0 {
		e, err := events.Receive(ctx)
		switch {
		case err == nil:
			for _, l := range missing {
				if name, ok := h.announced(l, e); ok {
					there[l] = name
				}
			}
		case errors.Is(err, uevent.ErrOverrun):
			// The events may be among the lost ones.
			for _, l := range missing {
				if name := h.disk(l); name != "" {
					there[l] = name
				}
			}
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			l := missing[0]
			return fmt.Errorf("LUN %v is there (%s, SCSI %s) but the kernel made no disk of it: %w: is the module "+
				"sd_mod loaded?",
				l, strings.TrimSpace(h.attribute(l, "vendor")+" "+h.attribute(l, "model")), h.unit(l),
				context.Cause(ctx))
		case ctx.Err() != nil:
			return context.Cause(ctx)
		default:
			return err
		}
		missing = slices.DeleteFunc(missing, func(l LUN) bool { return there[l] != "" })
	}
	return nil
}

// announced recognizes the add event of a unit's own block device:
// /devices/platform/host2/session1/target2:0:0/2:0:0:1/block/sda.
func (h scsiHost) announced(l LUN, e uevent.Event) (name string, ok bool) {
	dir, name := filepath.Split(e.DevPath)
	return name, e.Action == "add" && e.Subsystem == "block" && strings.HasSuffix(dir, "/"+h.unit(l)+"/block/")
}

// unanswered is the error of a scan that has come to its time limit.
func unanswered(ctx context.Context) error {
	return fmt.Errorf("no answer to the scan: %w: look at the target's log and its storage", context.Cause(ctx))
}
