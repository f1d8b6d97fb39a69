package link

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// UdevNames are the names that udev can give to an interface, as systemd.net-naming-scheme(7) has
// them; those that it cannot are empty. They may be longer than the name of an interface can be:
// udev skips such a name.
type UdevNames struct {
	Onboard string // eno1, end0: the firmware's number of a device on the board
	Slot    string // ens3: the number of a hotplug slot
	Path    string // enp0s3, ibp1s0, enp0s20u1: where it is
	MAC     string // enx525400123456
	// Kept says that the current name was given by a program, or is one that the kernel says it
	// always gives: udev does not change it.
	Kept bool
	// USB says that it is on USB, somewhere.
	USB bool
}

// DefaultNamePolicy is NamePolicy= of systemd's 99-default.link (systemd.link(5)).
func DefaultNamePolicy() []string {
	return []string{"keep", "kernel", "database", "onboard", "slot", "path"}
}

// By is the name that udev gives by a NamePolicy=, empty if it leaves the device the one it has.
func (u UdevNames) By(order []string) string {
	for _, word := range order {
		name := ""
		switch word {
		case "keep", "kernel":
			if u.Kept {
				return ""
			}
		case "onboard":
			name = u.Onboard
		case "slot":
			name = u.Slot
		case "path":
			name = u.Path
		case "mac":
			name = u.MAC
		}
		if UdevValid(name) {
			return name
		}
	}
	return ""
}

// All are the names, in udev's order of preference.
func (u UdevNames) All() []string {
	var names []string
	for _, name := range []string{u.Onboard, u.Slot, u.Path, u.MAC} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// UdevValid reports whether udev would use the name (ifname_valid of systemd's
// src/basic/socket-util.c): neither a number nor with a percent sign, for which
// the kernel has a meaning.
func UdevValid(name string) bool {
	return ValidDeviceName(name) && !IsDigits(name) && !strings.Contains(name, "%")
}

// IsUdevName reports whether the name has a form of udev's.
func IsUdevName(name string) bool {
	if len(name) < 4 {
		return false
	}
	switch name[:2] {
	case "en", "ib", "ww", "sl":
	default:
		return false
	}
	rest := name[2:]
	if mac, ok := strings.CutPrefix(rest, "x"); ok {
		return len(mac) == 12 && strings.Trim(mac, "0123456789abcdef") == ""
	}
	if domain, ok := strings.CutPrefix(rest, "P"); ok {
		rest = strings.TrimLeft(domain, "0123456789")
		return rest != domain && onPath(rest)
	}
	switch rest[0] {
	case 'o', 's', 'd', 'X', 'u':
		return rest[1] >= '0' && rest[1] <= '9'
	case 'a': // enahisi2i0: vendor, model and number
		return strings.LastIndexByte(rest, 'i') > 3 && IsDigits(rest[strings.LastIndexByte(rest, 'i')+1:])
	default:
		return onPath(rest)
	}
}

// onPath reports whether the text begins as p1s0 does, or as s0 does after a domain.
func onPath(s string) bool {
	if bus, ok := strings.CutPrefix(s, "p"); ok {
		s = strings.TrimLeft(bus, "0123456789")
		if s == bus {
			return false
		}
	}
	return len(s) > 1 && s[0] == 's' && s[1] >= '0' && s[1] <= '9'
}

// UdevSlot returns the PCI domain, bus and device of a name by path, in the hexadecimal numbers
// of lspci: of ibp65s0f1 and ibp65s0d1 "0000:41:00". For udev's other names, those by the
// firmware's numbers (ens3, eno1), only the machine knows it.
func UdevSlot(name string) (slot string, ok bool) {
	if !IsUdevName(name) {
		return "", false
	}
	rest, numbers := name[2:], [3]uint64{} // domain, bus, device
	for i, letter := range []string{"P", "p", "s"} {
		behind, ok := strings.CutPrefix(rest, letter)
		digits := len(behind) - len(strings.TrimLeft(behind, "0123456789"))
		n, err := strconv.ParseUint(behind[:digits], 10, 32)
		switch {
		case !ok && letter == "P":
			continue
		case !ok || err != nil:
			return "", false
		}
		rest, numbers[i] = behind[digits:], n
	}
	return fmt.Sprintf("%04x:%02x:%02x", numbers[0], numbers[1], numbers[2]), true
}

// A Kind of udev's names: of one kind a card has only one.
type Kind byte

// NameKind is the kind of a name; 0 if it is not one of udev's.
func NameKind(name string) Kind {
	switch {
	case !IsUdevName(name):
		return 0
	case strings.IndexByte("oxs", name[2]) >= 0:
		return Kind(name[2])
	case name[2] == 'd':
		return 'o'
	case strings.HasPrefix(strings.TrimLeft(name[2:], "P0123456789"), "s"):
		return 's' // after a domain: enP1s3
	default:
		return 'p'
	}
}

// A Scheme is one of the naming schemes of udev: a set of changes to the first.
type Scheme uint

// The changes that make a difference to names of amd64 and arm64, by the names that
// systemd's src/shared/netif-naming-scheme.h gives them.
const (
	schemeVirtual        Scheme = 1 << iota // SR_IOV_V: a virtual function is named after the physical one
	schemeARI                               // NPAR_ARI: functions above 7
	schemeInfiniBand                        // INFINIBAND
	schemeZeroIndex                         // ZERO_ACPI_INDEX: eno0
	schemeBridgeNoSlot                      // BRIDGE_NO_SLOT: a slot with a bridge in it names nothing
	schemeIndex16                           // 16BIT_INDEX: up to eno65535
	schemeXen                               // XEN_VIF
	schemeBridgeFunction                    // BRIDGE_MULTIFUNCTION_SLOT: except for devices with functions
	schemeAliases                           // DEVICETREE_ALIASES: end0
	schemeUSBHost                           // USB_HOST: of a controller that is not on PCI
	schemeRepresentor                       // SR_IOV_R: enp1s0r2
	schemeSun                               // FIRMWARE_NODE_SUN: the slot by ACPI _SUN
	schemePortAliases                       // DEVICETREE_PORT_ALIASES: of the interface, not of its device

	schemeV239 = schemeVirtual | schemeARI
	schemeV240 = schemeV239 | schemeInfiniBand | schemeZeroIndex
	schemeV247 = schemeV240 | schemeBridgeNoSlot
	schemeV249 = schemeV247 | schemeIndex16
	schemeV250 = schemeV249 | schemeXen
	schemeV251 = schemeV250 | schemeBridgeFunction
	schemeV252 = schemeV251 | schemeAliases
	schemeV253 = schemeV252 | schemeUSBHost
	schemeV254 = schemeV253 | schemeRepresentor
	schemeV255 = schemeV254 &^ schemeBridgeFunction
	schemeV257 = schemeV255 | schemeSun | schemePortAliases

	schemeRHEL84 = schemeV239 | schemeBridgeNoSlot
	schemeRHEL87 = schemeRHEL84 | schemeIndex16
	schemeRHEL90 = schemeV250 | schemeBridgeFunction
	schemeRHEL93 = schemeRHEL90 | schemeRepresentor
	schemeRHEL95 = schemeRHEL93 &^ schemeBridgeFunction
)

// latestScheme is what "latest" means, and the default.
const latestScheme = schemeV257

// ParseScheme reads net.naming_scheme=. Each release of RHEL and systemd has the scheme of the
// last one before it that changed something.
func ParseScheme(name string) (s Scheme, ok bool) {
	switch name {
	case "", "latest":
		return latestScheme, true
	}
	type since struct {
		major, minor int
		Scheme
	}
	find := func(major, minor int, table []since) (Scheme, bool) {
		s, ok := latestScheme, false
		for _, row := range table {
			if major > row.major || major == row.major && minor >= row.minor {
				s, ok = row.Scheme, true
			}
		}
		return s, ok
	}
	if number, ok := strings.CutPrefix(name, "v"); ok && IsDigits(number) {
		v, err := strconv.Atoi(number)
		if err != nil {
			return latestScheme, false
		}
		return find(v, 0, []since{
			{238, 0, 0},
			{239, 0, schemeV239},
			{240, 0, schemeV240},
			{247, 0, schemeV247},
			{249, 0, schemeV249},
			{250, 0, schemeV250},
			{251, 0, schemeV251},
			{252, 0, schemeV252},
			{253, 0, schemeV253},
			{254, 0, schemeV254},
			{255, 0, schemeV255},
			{257, 0, schemeV257},
		})
	}
	if release, ok := strings.CutPrefix(name, "rhel-"); ok {
		release, _, _ = strings.Cut(release, "-") // 10.0-beta
		major, minor, _ := strings.Cut(release, ".")
		a, err := strconv.Atoi(major)
		b, err2 := strconv.Atoi(minor)
		if cmp.Or(err, err2) == nil {
			return find(a, b, []since{
				{8, 0, schemeV239},
				{8, 4, schemeRHEL84},
				{8, 7, schemeRHEL87},
				{9, 0, schemeRHEL90},
				{9, 3, schemeRHEL93},
				{9, 5, schemeRHEL95},
				{10, 0, schemeV257},
			})
		}
	}
	return latestScheme, false
}
