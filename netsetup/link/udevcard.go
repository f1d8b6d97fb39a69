package link

import (
	"slices"
	"strconv"
	"strings"
)

// A card is what sysfs says about an interface and about what is above it in the device tree:
// what udev's names are made of.
type card struct {
	Path    string // in sysfs: /sys/devices/.../net/eth0
	Type    uint16 // ARPHRD_*
	DevType string // "wwan", "wlan"
	// Stacked is one that is made of another: a VLAN, the port of a switch chip.
	Stacked bool
	// DevPort and DevID count the ports of a function from 0; older kernels have
	// an InfiniBand port's in DevID.
	DevPort, DevID int
	// PortName is what the driver calls its port: p0, pf0vf3.
	PortName string
	// MAC is the hardware address, empty unless it is the adapter's own.
	MAC HardwareAddr
	// Kept is as in [UdevNames].
	Kept bool
	// Above are the devices above it, the nearest first.
	Above []busDevice
	// Physical are, for a virtual function of SR-IOV, the physical function and what is above
	// that; VF is its number.
	Physical []busDevice
	VF       int
	Slots    []pciSlot
	// Alias is the number of the device in the aliases of the device tree
	// ("ethernet0"), OwnAlias that of the interface itself; -1 for none.
	Alias, OwnAlias int
}

// A busDevice is a device of some bus: its subsystem ("pci", "virtio", "usb"),
// type ("usb_interface") and name ("0000:00:03.0").
type busDevice struct {
	Subsystem, DevType, Name string
	PCI                      pciDevice // of "pci" only
}

// A pciDevice is what a PCI function has besides.
type pciDevice struct {
	Index         int // on the board (ACPI _DSM or SMBIOS type 41), -1 for none
	Multifunction bool
	ARI           bool // its slot and function are one number of 8 bits
	Bridge        bool
	Sun           int // ACPI _SUN, 0 for none
}

// A pciSlot is a hotplug slot: its number, and the address of what is in it, without the
// function: 0000:00:03.
type pciSlot struct {
	Number  int
	Address string
}

func (s Scheme) has(change Scheme) bool { return s&change != 0 }

// names are udev's names of the card (src/udev/udev-builtin-net_id.c of systemd).
// Those of s390, POWER, Broadcom's bus and netdevsim are left out.
func (c card) names(s Scheme) UdevNames {
	u := UdevNames{
		Kept: c.Kept,
		USB:  slices.ContainsFunc(c.Above, func(b busDevice) bool { return b.Subsystem == "usb" }),
	}
	prefix := c.prefix(s)
	if prefix == "" || c.Stacked {
		return u
	}
	if len(c.MAC) == 6 && c.Type == HwEthernet {
		u.MAC = prefix + "x" + strings.ReplaceAll(c.MAC.String(), ":", "")
	}
	if n := c.alias(s); n >= 0 && prefix == "en" {
		u.Onboard = prefix + "d" + strconv.Itoa(n)
	}
	c.platform(&u, prefix)
	if n, ok := c.xen(s); ok {
		u.Slot = prefix + "X" + strconv.Itoa(n)
	}
	c.pci(&u, prefix, s)
	c.usb(&u, prefix, s)
	return u
}

func (c card) prefix(s Scheme) string {
	switch {
	case c.Type == HwInfiniBand && s.has(schemeInfiniBand):
		return "ib"
	case c.Type != HwEthernet:
		return ""
	case c.DevType == "wlan":
		return "wl"
	case c.DevType == "wwan":
		return "ww"
	default:
		return "en"
	}
}

func (c card) alias(s Scheme) int {
	switch {
	case s.has(schemePortAliases) && c.OwnAlias >= 0:
		return c.OwnAlias
	case s.has(schemeAliases):
		return c.Alias
	default:
		return -1
	}
}

// platform names the devices of ACPI on arm64 by vendor, model and number:
// HISI00C2:00 is enahisic2i0.
func (c card) platform(u *UdevNames, prefix string) {
	if len(c.Above) == 0 || c.Above[0].Subsystem != "platform" {
		return
	}
	name, ok := strings.CutPrefix(c.Path, "/sys/devices/platform/")
	name, _, _ = strings.Cut(name, "/")
	at := len(name) - 3
	if !ok || at != 7 && at != 8 || name[at] != ':' {
		return
	}
	valid := "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if at == 8 {
		valid += "0123456789"
	}
	vendor := name[:at-4]
	model, err := strconv.ParseUint(name[at-4:at], 16, 32)
	number, err2 := strconv.ParseUint(name[at+1:], 16, 32)
	if err != nil || err2 != nil || strings.Trim(vendor, valid) != "" {
		return
	}
	u.Path = prefix + "a" + strings.ToLower(
		vendor,
	) + strconv.FormatUint(
		model,
		16,
	) + "i" + strconv.FormatUint(
		number,
		10,
	)
}

// xen is the number of a vif: /sys/devices/vif-0.
func (c card) xen(s Scheme) (int, bool) {
	if !s.has(schemeXen) || len(c.Above) == 0 || c.Above[0].Subsystem != "xen" {
		return 0, false
	}
	name, ok := strings.CutPrefix(c.Path, "/sys/devices/vif-")
	name, _, _ = strings.Cut(name, "/")
	n, err := strconv.Atoi(name)
	return n, ok && err == nil && IsDigits(name)
}

// pci names what is directly on PCI, with nothing but virtio in between.
func (c card) pci(u *UdevNames, prefix string, s Scheme) {
	above := c.Above
	for len(above) > 0 && above[0].Subsystem == "virtio" {
		above = above[1:]
	}
	if len(above) == 0 || above[0].Subsystem != "pci" {
		return
	}
	suffix := ""
	if s.has(schemeVirtual) && len(c.Physical) > 0 {
		above, suffix = c.Physical, "v"+strconv.Itoa(c.VF)
	}
	most := 1<<14 - 1 // VMware says 2^24-1 for a device that is on no board
	if s.has(schemeIndex16) {
		most = 1<<16 - 1
	}
	if i := above[0].PCI.Index; i >= 0 && i <= most && (i > 0 || s.has(schemeZeroIndex)) {
		u.Onboard = prefix + "o" + strconv.Itoa(i) + c.port(s, false) + suffix
	}
	c.pciSlot(u, above, prefix, suffix, s)
}

// pciSlot names by path and slot of the first of the devices.
func (c card) pciSlot(u *UdevNames, above []busDevice, prefix, suffix string, s Scheme) {
	a, ok := parsePCIAddress(above[0].Name)
	if !ok {
		return
	}
	dev := above[0].PCI
	if dev.ARI && s.has(schemeARI) {
		a.function += a.slot * 8
	}
	if a.domain > 0 {
		prefix += "P" + strconv.Itoa(a.domain)
	}
	if a.function > 0 || dev.Multifunction {
		suffix = "f" + strconv.Itoa(a.function) + c.port(s, true) + suffix
	} else {
		suffix = c.port(s, true) + suffix
	}
	u.Path = prefix + "p" + strconv.Itoa(a.bus) + "s" + strconv.Itoa(a.slot) + suffix
	if slot := c.slot(above, s); slot > 0 {
		u.Slot = prefix + "s" + strconv.Itoa(slot) + suffix
	}
}

// slot is the number of the slot that the first of the devices is in, or
// something above it; 0 for none.
func (c card) slot(above []busDevice, s Scheme) int {
	single := !above[0].PCI.Multifunction
	onPCI := slices.DeleteFunc(slices.Clone(above), func(b busDevice) bool { return b.Subsystem != "pci" })
	if s.has(schemeSun) {
		if sun := onPCI[0].PCI.Sun; sun > 0 {
			return sun
		}
		if len(onPCI) > 1 && (!onPCI[1].PCI.Bridge || !single) && onPCI[1].PCI.Sun > 0 {
			return onPCI[1].PCI.Sun
		}
	}
	for _, b := range onPCI {
		i := slices.IndexFunc(
			c.Slots,
			func(slot pciSlot) bool { return slot.Number > 0 && strings.HasPrefix(b.Name, slot.Address) },
		)
		switch {
		case i < 0:
			continue
		case b.PCI.Bridge && s.has(schemeBridgeNoSlot) && (single || !s.has(schemeBridgeFunction)):
			// Whatever else is behind the bridge would have the same number.
			return 0
		default:
			return c.Slots[i].Number
		}
	}
	return 0
}

// port distinguishes the ports of one function.
func (c card) port(s Scheme, infiniBand bool) string {
	if c.PortName != "" {
		if n, ok := representor(c.PortName); ok && s.has(schemeRepresentor) {
			return "r" + strconv.Itoa(n)
		}
		return "n" + c.PortName
	}
	n := c.DevPort
	if n == 0 && infiniBand && c.Type == HwInfiniBand {
		n = c.DevID
	}
	if n > 0 {
		return "d" + strconv.Itoa(n)
	}
	return ""
}

// representor reads the port name of one that stands for a virtual function:
// pf0vf3.
func representor(name string) (vf int, ok bool) {
	rest, ok := strings.CutPrefix(name, "pf")
	if !ok {
		return 0, false
	}
	digits := strings.TrimLeft(rest, "0123456789")
	number, ok := strings.CutPrefix(digits, "vf")
	if !ok || digits == rest {
		return 0, false
	}
	number = number[:len(number)-len(strings.TrimLeft(number, "0123456789"))]
	vf, err := strconv.Atoi(number)
	return vf, err == nil
}

// usb names a USB interface by the ports on the way to it: 2-1.4:1.6 is u1u4i6. A configuration
// of 1 and an interface of 0 are left out.
func (c card) usb(u *UdevNames, prefix string, s Scheme) {
	i := slices.IndexFunc(
		c.Above,
		func(b busDevice) bool { return b.Subsystem == "usb" && b.DevType == "usb_interface" },
	)
	if i < 0 {
		return
	}
	_, rest, ok := strings.Cut(c.Above[i].Name, "-")
	ports, rest, ok2 := strings.Cut(rest, ":")
	config, number, ok3 := strings.Cut(rest, ".")
	if !ok || !ok2 || !ok3 {
		return
	}
	suffix := "u" + strings.ReplaceAll(ports, ".", "u")
	if config != "1" {
		suffix += "c" + config
	}
	if number != "0" {
		suffix += "i" + number
	}
	above := c.Above[i:]
	j := slices.IndexFunc(above, func(b busDevice) bool { return b.Subsystem == "pci" })
	switch {
	case j >= 0:
		c.pciSlot(u, above[j:], prefix, suffix, s)
	case s.has(schemeUSBHost):
		u.Path = prefix + suffix
	}
}

type pciAddress struct{ domain, bus, slot, function int }

// parsePCIAddress reads 0000:41:00.1: hexadecimal except for the function.
func parsePCIAddress(s string) (a pciAddress, ok bool) {
	fields := strings.FieldsFunc(s, func(r rune) bool { return r == ':' || r == '.' })
	if len(fields) != 4 {
		return a, false
	}
	for i, to := range []*int{&a.domain, &a.bus, &a.slot, &a.function} {
		base := 16
		if i == 3 {
			base = 10
		}
		v, err := strconv.ParseUint(fields[i], base, 31)
		if err != nil {
			return a, false
		}
		*to = int(v)
	}
	return a, true
}
