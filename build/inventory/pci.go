package inventory

import (
	"slices"
	"strconv"
	"strings"
)

// A pciID holds the fields of a PCI modalias in hexadecimal capitals, "*" where
// one is not known: v, d, sv, sd, bc, sc, i (do_pci_entry in
// scripts/mod/file2alias.c).
type pciID [7]string

// Fields of a pciID.
const (
	pciVendor = iota
	pciDevice
	pciSubvendor
	pciSubdevice
	pciClass
	pciSubclass
	pciInterface
)

// pciLetters are what stands before the fields.
func pciLetters() [7]string { return [7]string{"v", "d", "sv", "sd", "bc", "sc", "i"} }

func unknownPCI() pciID { return pciID{"*", "*", "*", "*", "*", "*", "*"} }

func (id pciID) modalias() string {
	var out strings.Builder
	out.WriteString("pci:")
	for i, letters := range pciLetters() {
		out.WriteString(letters + id[i])
	}
	return out.String()
}

// parsePCI reads "pci:v00008086d00001572sv*sd*bc02sc00i*": a modalias, or a
// pattern of modules.alias.
func parsePCI(alias string) (pciID, bool) {
	rest, ok := strings.CutPrefix(alias, "pci:")
	if !ok {
		return pciID{}, false
	}
	var id pciID
	for i, letters := range pciLetters() {
		if rest, ok = strings.CutPrefix(rest, letters); !ok {
			return pciID{}, false
		}
		width := 8
		if i >= pciClass {
			width = 2
		}
		if strings.HasPrefix(rest, "*") {
			width = 1
		}
		if len(rest) < width || rest[:width] != "*" && !isHex(rest[:width]) {
			return pciID{}, false
		}
		id[i], rest = strings.ToUpper(rest[:width]), rest[width:]
	}
	return id, rest == "" || rest == "*" // patterns end so: "i02*"
}

func isHex(s string) bool {
	_, err := strconv.ParseUint(s, 16, 64)
	return err == nil && s != "" && s[0] != '+'
}

// known fills in what is not known by a concrete value of the pattern, and tells
// whether the pattern may match the device.
func (id pciID) known(pattern pciID) (pciID, bool) {
	for i := range id {
		switch {
		case id[i] == "*" && pattern[i] == "*":
			id[i] = "00000000"
			if i >= pciClass {
				id[i] = "00"
			}
		case id[i] == "*":
			id[i] = pattern[i]
		case pattern[i] != "*" && pattern[i] != id[i]:
			return id, false
		}
	}
	return id, true
}

// number is a field as a number; -1 where it is not known.
func (id pciID) number(field int) int {
	n, err := strconv.ParseUint(id[field], 16, 32)
	if err != nil {
		return -1
	}
	return int(n)
}

// class is base class and subclass as lspci writes them: 0x0200; -1 where
// they are not known.
func (id pciID) class() int {
	if id[pciClass] == "*" || id[pciSubclass] == "*" {
		return -1
	}
	return id.number(pciClass)<<8 | id.number(pciSubclass)
}

// text is "8086:1572".
func (id pciID) text() string {
	short := func(field string) string { return strings.ToLower(field[max(0, len(field)-4):]) }
	return short(id[pciVendor]) + ":" + short(id[pciDevice])
}

// Numbers of the virtio specification, 4.1.2 and 5: PCI vendor, first device id
// of today's and of transitional devices.
const (
	virtioVendor       = 0x1af4
	virtioModern       = 0x1040
	virtioModernEnd    = 0x107f
	virtioTransitional = 0x1000
	virtioNet          = 1
	virtioBlock        = 2
	virtioSCSI         = 8
)

// virtio is the type of the virtio device behind a PCI device, 0 if there is none.
func (id pciID) virtio() int {
	device := id.number(pciDevice)
	switch {
	case id.number(pciVendor) != virtioVendor:
		return 0
	case device > virtioModern && device <= virtioModernEnd:
		return device - virtioModern
	case device < virtioTransitional || device >= virtioModern:
		return 0
	case id.number(pciSubdevice) > 0:
		return id.number(pciSubdevice) // legacy interface: the subsystem is the type
	}
	types := []int{virtioNet, virtioBlock, 5, 3, virtioSCSI, 4} // of 0x1000, 0x1001 ...
	if i := device - virtioTransitional; i < len(types) {
		return types[i]
	}
	if device == 0x1009 {
		return 9
	}
	return 0
}

// parseVirtio reads "virtio:d00000001v00001AF4" and returns the type.
func parseVirtio(alias string) (int, bool) {
	rest, ok := strings.CutPrefix(alias, "virtio:d")
	if !ok || len(rest) != 17 || rest[8] != 'v' || !isHex(rest[:8]) || !isHex(rest[9:]) {
		return 0, false
	}
	n, err := strconv.ParseUint(rest[:8], 16, 31)
	return int(n), err == nil
}

// deriveVirtio adds the virtio devices that appear behind their PCI devices.
func (p *inventoryParser) deriveVirtio() {
	for _, d := range slices.Clone(p.Devices) {
		id, ok := parsePCI(d.Modalias)
		if !ok {
			continue
		}
		if kind := id.virtio(); kind > 0 {
			p.add("virtio:d"+hex8(kind)+"v"+hex8(virtioVendor), d.Line)
		}
	}
}

func hex8(n int) string {
	text := strings.ToUpper(strconv.FormatInt(int64(n), 16))
	return strings.Repeat("0", max(0, 8-len(text))) + text
}
