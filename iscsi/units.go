package iscsi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Units says which logical units of a target are wanted. The zero value is
// none.
type Units struct {
	LUNs []LUN // these, each of which must be a disk
	// Default, for a root path that names no LUN: LUN 0 if it is a disk, as RFC
	// 4173 has it, else the only disk. Targets such as tgt have a controller at
	// LUN 0.
	Default bool
	// All disks that the target has, for a root that is chosen by what is on it.
	All bool
}

// search reports whether the target has to be asked for all that it has.
func (u Units) search() bool { return u.Default || u.All }

// String is for errors: LUN 1, or the disk.
func (u Units) String() string {
	var words []string
	if u.Default {
		words = append(words, "the disk")
	}
	if u.All {
		words = append(words, "the disks")
	}
	for _, l := range u.LUNs[:min(len(u.LUNs), maxListed)] {
		words = append(words, "LUN "+l.String())
	}
	return strings.Join(words, " and ")
}

// A Disk is a logical unit and its block device.
type Disk struct {
	LUN  LUN
	Name string // sda
}

// A shownUnit is a logical unit that the target shows to the kernel.
type shownUnit struct {
	lun   LUN
	kind  string // peripheral device type, decimal
	state string // of the SCSI device: running, offline, transport-offline ...
	model string
}

func (s shownUnit) isDisk() bool {
	switch scsiType(s.kind) {
	case "disk", "optical disk", "zoned disk":
		return true
	}
	return false
}

// dead reports whether the kernel has given the unit up.
func (s shownUnit) dead() bool { return s.state == "offline" || s.state == "transport-offline" }

// String is for a list: 0 (RAID controller).
func (s shownUnit) String() string {
	words := scsiType(s.kind)
	if s.dead() {
		words += ", " + s.state
	}
	return fmt.Sprintf("%v (%s)", s.lun, words)
}

// maxListed bounds the logical units that an error names: a target may have
// thousands.
const maxListed = 16

// listUnits says what the target shows.
func listUnits(shown []shownUnit) string {
	if len(shown) == 0 {
		return "the target shows no logical unit to this initiator: check its access list"
	}
	var words []string
	for _, s := range shown[:min(len(shown), maxListed)] {
		words = append(words, s.String())
	}
	if more := len(shown) - maxListed; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return "the target has LUN " + strings.Join(words, ", ")
}

// choose picks the wanted units of those that the target shows, in the order
// that they are to be looked at. Each is a disk.
func (u Units) choose(shown []shownUnit) ([]LUN, error) {
	var chosen []LUN
	take := func(l LUN) {
		if !slices.Contains(chosen, l) {
			chosen = append(chosen, l)
		}
	}
	var disks []LUN
	for _, s := range shown {
		if s.isDisk() && !s.dead() {
			disks = append(disks, s.lun)
		}
	}
	if u.Default {
		switch {
		case slices.Contains(disks, 0):
			take(0)
		case len(disks) == 1:
			take(disks[0])
		case len(disks) > 1:
			return nil, fmt.Errorf("the root path names no LUN, and LUN 0 is not a disk: %s: write the one that is "+
				"meant (hexadecimal), or choose with root=LABEL= or root=UUID=", listUnits(shown))
		default:
			return nil, errors.New("no disk there: " + listUnits(shown))
		}
	}
	for _, l := range u.LUNs {
		i := slices.IndexFunc(shown, func(s shownUnit) bool { return s.lun == l })
		switch {
		case i < 0:
			return nil, fmt.Errorf("LUN %v did not appear: %s (numbers are hexadecimal)", l, listUnits(shown))
		case !shown[i].isDisk():
			return nil, fmt.Errorf("LUN %v is not a disk but a %s (%s): %s", l, scsiType(shown[i].kind), shown[i].model,
				listUnits(shown))
		case shown[i].dead():
			return nil, fmt.Errorf("LUN %v is %s: the kernel has given it up", l, shown[i].state)
		}
		take(l)
	}
	if u.All {
		for _, l := range disks {
			take(l)
		}
		if len(chosen) == 0 {
			return nil, errors.New("no disk there: " + listUnits(shown))
		}
	}
	return chosen, nil
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
