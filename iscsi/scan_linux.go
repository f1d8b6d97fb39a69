package iscsi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nodisk/nodisk/init/uevent"
)

// A foundDisk is what a scan ends with.
type foundDisk struct {
	name       string        // sda
	scan, wait time.Duration // see Took
}

// A unitAddress is a logical unit as sysfs names it: host, channel 0, target 0
// (an iSCSI session has one target), LUN.
type unitAddress struct {
	sysfs string
	host  uint32
	lun   LUN
}

// String is the name in /sys/class/scsi_device.
func (u unitAddress) String() string {
	return fmt.Sprintf("%d:0:0:%d", u.host, u.lun.Kernel())
}

// scanLUN makes the kernel look for one logical unit of an iSCSI host and waits
// for the disk. The subscription to uevents comes before the scan: the event
// of the disk is the moment when its node is in /dev and its partitions have
// been read.
func scanLUN(ctx context.Context, sysfs string, host uint32, lun LUN) (foundDisk, error) {
	events, err := uevent.Listen()
	if err != nil {
		return foundDisk{}, err
	}
	defer func() { _ = events.Close() }()
	u := unitAddress{sysfs, host, lun}
	if name := u.disk(); name != "" {
		return foundDisk{name: name}, nil // scanned before
	}
	start := time.Now()
	if err := u.scan(u.number()); err != nil {
		return foundDisk{}, err
	}
	scanned := time.Now()
	// When the session ends under a scan, the scan finds nothing.
	var missing error
	if ctx.Err() == nil {
		missing = u.checkType()
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return foundDisk{}, fmt.Errorf("no answer to the scan: %w: look at the target's log and its storage", context.Cause(ctx))
	case ctx.Err() != nil:
		return foundDisk{}, context.Cause(ctx)
	case missing != nil:
		return foundDisk{}, missing
	}
	name, err := u.wait(ctx, events)
	if err != nil {
		return foundDisk{}, err
	}
	return foundDisk{name: name, scan: scanned.Sub(start), wait: time.Since(scanned)}, nil
}

// maxScanField is how many digits of a LUN the kernel reads from a scan
// request (the "%16s" of store_scan in drivers/scsi/scsi_sysfs.c).
const maxScanField = 16

// number is the LUN in a scan request; one that is too long is found by asking
// for all.
func (u unitAddress) number() string {
	number := strconv.FormatUint(u.lun.Kernel(), 10)
	if len(number) > maxScanField {
		return "-"
	}
	return number
}

// scan is synchronous: it returns when the unit has been found or not.
func (u unitAddress) scan(lun string) error {
	path := filepath.Join(u.sysfs, fmt.Sprintf("class/scsi_host/host%d/scan", u.host))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("scan for the logical unit: %w", err)
	}
	_, err = f.WriteString("0 0 " + lun)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("scan for the logical unit: %w", err)
	}
	return nil
}

func (u unitAddress) device(elements ...string) string {
	return filepath.Join(append([]string{u.sysfs, "class/scsi_device", u.String(), "device"}, elements...)...)
}

// disk is the unit's block device, empty when there is none yet.
func (u unitAddress) disk() string {
	names, err := os.ReadDir(u.device("block"))
	if err != nil || len(names) == 0 {
		return ""
	}
	return names[0].Name()
}

// attribute is one line of sysfs without white space around it.
func (u unitAddress) attribute(name string) string {
	b, err := os.ReadFile(u.device(name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// checkType says why a scanned unit is not a disk to wait for.
func (u unitAddress) checkType() error {
	kind := u.attribute("type")
	switch scsiType(kind) {
	case "disk", "optical disk", "zoned disk":
		return nil
	}
	// Whatever else there is helps to find the right number.
	if err := u.scan("-"); err != nil {
		return err
	}
	units := "the target shows no logical unit to this initiator: check its access list"
	if others := u.siblings(); len(others) > 0 {
		units = "the target has LUN " + strings.Join(others, ", ")
	}
	if kind == "" {
		return fmt.Errorf("it did not appear: %s (numbers are hexadecimal)", units)
	}
	return fmt.Errorf("it is no disk but a %s (%s): %s", scsiType(kind), u.model(), units)
}

func (u unitAddress) model() string {
	return strings.TrimSpace(u.attribute("vendor") + " " + u.attribute("model"))
}

// siblings lists the target's logical units, "0 (RAID controller)".
func (u unitAddress) siblings() []string {
	entries, err := os.ReadDir(filepath.Join(u.sysfs, "class/scsi_device"))
	if err != nil {
		return nil
	}
	var units []unitAddress
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), fmt.Sprintf("%d:0:0:", u.host))
		if n, err := strconv.ParseUint(text, 10, 64); ok && err == nil {
			units = append(units, unitAddress{u.sysfs, u.host, lunFromKernel(n)})
			for i := len(units) - 1; i > 0 && units[i].lun < units[i-1].lun; i-- {
				units[i-1], units[i] = units[i], units[i-1]
			}
		}
	}
	list := make([]string, len(units))
	for i, x := range units {
		list[i] = fmt.Sprintf("%v (%s)", x.lun, scsiType(x.attribute("type")))
	}
	return list
}

// wait follows uevents until the disk is announced.
func (u unitAddress) wait(ctx context.Context, events *uevent.Conn) (string, error) {
	for {
		e, err := events.Receive(ctx)
		switch {
		case err == nil:
			if name, ok := u.announced(e); ok {
				return name, nil
			}
		case errors.Is(err, uevent.ErrOverrun):
			// The event may be among the lost ones.
			if name := u.disk(); name != "" {
				return name, nil
			}
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return "", fmt.Errorf("the unit is there (%s, SCSI %v) but the kernel made no disk of it: %w: is the module sd_mod loaded?", u.model(), u, context.Cause(ctx))
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		default:
			return "", err
		}
	}
}

// announced recognizes the add event of the unit's own block device:
// /devices/platform/host2/session1/target2:0:0/2:0:0:1/block/sda.
func (u unitAddress) announced(e uevent.Event) (name string, ok bool) {
	dir, name := filepath.Split(e.DevPath)
	return name, e.Action == "add" && e.Subsystem == "block" && strings.HasSuffix(dir, "/"+u.String()+"/block/")
}

// scsiType names a peripheral device type of SPC-5 section 6.7.2, as sysfs
// prints it in decimal.
func scsiType(decimal string) string {
	switch decimal {
	case "0":
		return "disk"
	case "1":
		return "tape"
	case "5":
		return "CD-ROM"
	case "7":
		return "optical disk"
	case "8":
		return "media changer"
	case "12":
		return "RAID controller"
	case "13":
		return "enclosure"
	case "14":
		return "disk" // reduced block commands
	case "20":
		return "zoned disk"
	default:
		return "device of SCSI type " + decimal
	}
}
