package inventory

import (
	"fmt"
	"strings"
)

// What lspci prints is read here: of the packages for PCI, jaypipes/ghw describes the machine that it runs on,
// and jaypipes/pcidb has the names for numbers; this text comes from another machine.

// cutSlot takes "0000:00:1f.2 " off a line of lspci.
func cutSlot(line string) (rest string, ok bool) {
	slot, rest, _ := strings.Cut(line, " ")
	domain, bus, ok := strings.Cut(slot, ":")
	if !ok {
		return "", false
	}
	if b, d, more := strings.Cut(bus, ":"); more {
		if len(domain) < 4 || len(domain) > 8 || !isHex(domain) {
			return "", false
		}
		domain, bus = b, d
	}
	device, function, ok := strings.Cut(bus, ".")
	ok = ok && len(domain) == 2 && isHex(domain) && len(device) == 2 && isHex(device) &&
		len(function) == 1 && function[0] >= '0' && function[0] <= '7'
	return rest, ok
}

// slotOf is the bus and device of "00:1f.2 " or "0000:00:1f.2", with the domain: "0000:00:1f".
func slotOf(line string) string {
	slot, _, _ := strings.Cut(line, " ")
	if strings.Count(slot, ":") == 1 {
		slot = "0000:" + slot
	}
	slot, _, _ = strings.Cut(strings.ToLower(slot), ".")
	return slot
}

// parseListed reads the first line that lspci writes about a device, with names or, as busybox and a
// machine without pci.ids write it, without:
//
//	00:03.0 0200: 1af4:1041 (rev 01)
//	00:03.0 Class 0200: 1af4:1041
//	00:03.0 Class 0200: Device 1af4:1041 (rev 01)
//	00:03.0 Ethernet controller: Device 1af4:1041 (rev 01)
//	00:03.0 Ethernet controller [0200]: Intel Corporation X710 [8086:1572] (rev 01)
//	00:03.0 "0200" "1af4" "1041" -r01 -p00 "1af4" "1041"
//	00:03.0 "Class 0200" "Vendor 1af4" "Device 1041" ...
//	00:03.0 "Ethernet controller [0200]" "Intel Corporation [8086]" "X710 [1572]" ...
func parseListed(line string) (pciID, bool) {
	rest, ok := cutSlot(line)
	if !ok {
		return pciID{}, false
	}
	if strings.HasPrefix(rest, `"`) {
		return parseQuoted(rest)
	}
	class, rest, ok := strings.Cut(rest, ": ")
	if !ok {
		return pciID{}, false
	}
	id := unknownPCI()
	id.setClassOf(class)
	id.setInterface(rest)
	if numbers, _, _ := strings.Cut(strings.TrimPrefix(rest, "Device "), " "); !id.setPair(pciVendor, numbers) {
		id.setLastPair(pciVendor, rest)
	}
	return id, true
}

// setClassOf takes a class by its number, or by the name that pci.ids has for it. Another name leaves it unknown.
func (id *pciID) setClassOf(class string) {
	if !id.setClass(numberOf(class)) {
		id.setClass(classNumber(class))
	}
}

// named reports whether it is known which device it is.
func (id *pciID) named() bool { return id[pciVendor] != "*" && id[pciDevice] != "*" }

// classNumber is the number of a class by the name that pci.ids gives it, of those classes that
// matter on the way to a root; empty for others.
func classNumber(name string) string {
	switch name {
	case "SCSI storage controller":
		return "0100"
	case "IDE interface":
		return "0101"
	case "RAID bus controller":
		return "0104"
	case "SATA controller":
		return "0106"
	case "Serial Attached SCSI controller":
		return "0107"
	case "Non-Volatile memory controller":
		return "0108"
	case "Ethernet controller":
		return "0200"
	case "Infiniband controller", "InfiniBand controller":
		return "0207"
	case "Network controller":
		return "0280"
	case "USB controller":
		return "0c03"
	}
	return ""
}

// parseProc reads a line of /proc/bus/pci/devices: bus and function, vendor and device, and 15 more
// numbers of no interest here (show_device in drivers/pci/proc.c). The class is not among them.
func parseProc(line string) (pciID, bool) {
	words := strings.Split(line, "\t")
	if len(words) < 17 || len(words[0]) != 4 || !isHex(words[0]) || len(words[1]) != 8 {
		return pciID{}, false
	}
	id := unknownPCI()
	return id, id.set(pciVendor, words[1][:4]) && id.set(pciDevice, words[1][4:])
}

// dump reads a line of the configuration space that lspci -x writes, "00: 86 80 39 15 ...", and reports
// whether it is one. Where the fields lie: PCI_VENDOR_ID and so on in include/uapi/linux/pci_regs.h.
func (id *pciID) dump(line string) bool {
	at, rest, ok := strings.Cut(line, ": ")
	if !ok || len(at) < 2 || len(at) > 3 || !isHex(at) {
		return false
	}
	bytes := strings.Fields(rest)
	for _, b := range bytes {
		if len(b) != 2 || !isHex(b) {
			return false
		}
	}
	switch {
	case len(bytes) != 16:
	case at == "00":
		id.set(pciVendor, bytes[1]+bytes[0])
		id.set(pciDevice, bytes[3]+bytes[2])
		id.set(pciInterface, bytes[9])
		id.set(pciSubclass, bytes[10])
		id.set(pciClass, bytes[11])
	}
	return true
}

// parseQuoted reads the fields of lspci -mm: class, vendor, device, options,
// subsystem vendor and device.
func parseQuoted(rest string) (pciID, bool) {
	id := unknownPCI()
	var words []string
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		if rest[0] != '"' {
			var option string
			option, rest, _ = strings.Cut(rest, " ")
			if n, ok := strings.CutPrefix(option, "-p"); ok {
				id.set(pciInterface, n)
			}
			continue
		}
		word, behind, ok := strings.Cut(rest[1:], `"`)
		if !ok {
			return pciID{}, false
		}
		words, rest = append(words, word), behind
	}
	if len(words) < 3 {
		return pciID{}, false
	}
	id.setClassOf(words[0])
	id.set(pciVendor, numberOf(words[1]))
	id.set(pciDevice, numberOf(words[2]))
	if len(words) >= 5 {
		id.set(pciSubvendor, numberOf(words[3]))
		id.set(pciSubdevice, numberOf(words[4]))
	}
	return id, true
}

// numberOf is the number of "Intel Corporation [8086]", "8086", or "Vendor 8086", which is how lspci writes
// what pci.ids does not have (pci_lookup_name in pciutils' lib/names.c).
func numberOf(word string) string {
	if n := inBrackets(word); n != "" {
		return n
	}
	for _, before := range []string{"Class ", "Vendor ", "Device ", "Subsystem ", "SubVendor ", "ProgIf "} {
		if n, ok := strings.CutPrefix(word, before); ok {
			return n
		}
	}
	return word
}

// inBrackets is what stands in brackets at the end, empty if nothing does.
func inBrackets(s string) string {
	i := strings.LastIndexByte(s, '[')
	if i < 0 || !strings.HasSuffix(s, "]") {
		return ""
	}
	return s[i+1 : len(s)-1]
}

// set takes a number of four digits, or of two, for a field.
func (id *pciID) set(field int, number string) bool {
	width := 4
	if field >= pciClass {
		width = 2
	}
	if len(number) != width || !isHex(number) {
		return false
	}
	if field < pciClass {
		number = "0000" + number
	}
	id[field] = strings.ToUpper(number)
	return true
}

// setClass takes "0200".
func (id *pciID) setClass(class string) bool {
	return len(class) == 4 && id.set(pciClass, class[:2]) && id.set(pciSubclass, class[2:])
}

// setPair takes "8086:1572" for two fields.
func (id *pciID) setPair(field int, pair string) bool {
	a, b, ok := strings.Cut(pair, ":")
	return ok && id.set(field, a) && id.set(field+1, b)
}

// setLastPair takes the last "[8086:1572]" of a line: names have brackets too.
func (id *pciID) setLastPair(field int, line string) {
	for at := len(line); ; {
		end := strings.LastIndexByte(line[:at], ']')
		if end < 0 {
			return
		}
		start := strings.LastIndexByte(line[:end], '[')
		if start < 0 {
			return
		}
		if id.setPair(field, line[start+1:end]) {
			return
		}
		at = start
	}
}

// setInterface takes "(prog-if 02 [EHCI])".
func (id *pciID) setInterface(line string) {
	if _, rest, ok := strings.Cut(line, "(prog-if "); ok && len(rest) >= 2 {
		id.set(pciInterface, rest[:2])
	}
}

// detail reads a line that lspci -v writes below a device. Only the subsystem
// matters: "Subsystem: 1af4:1100" or "Subsystem: Red Hat, Inc. [1af4:1100]".
func (id *pciID) detail(line string) {
	if value, ok := strings.CutPrefix(strings.TrimSpace(line), "Subsystem: "); ok && !id.setPair(pciSubvendor,
		numberOf(value)) {
		id.setLastPair(pciSubvendor, value)
	}
}

// field reads a line of lspci -vmm, "Vendor:	8086", and reports whether it is one.
func (p *inventoryParser) field(line string) bool {
	key, value, ok := strings.Cut(line, ":\t")
	if !ok {
		return false
	}
	name := value
	value = numberOf(value)
	if _, slot := cutSlot(value); slot && (key == "Slot" || key == "Device") && !p.vmm {
		id := unknownPCI() // "Device" is how -vm without the second m calls it
		p.listed()
		p.pci, p.at, p.text, p.vmm, p.slot = &id, p.number, line, true, slotOf(value)
		return true
	}
	if !p.vmm {
		return false
	}
	switch key {
	case "Class":
		p.pci.setClassOf(name)
	case "Vendor":
		ok = p.pci.set(pciVendor, value)
	case "Device":
		ok = p.pci.set(pciDevice, value)
	case "SVendor":
		p.pci.set(pciSubvendor, value)
	case "SDevice":
		p.pci.set(pciSubdevice, value)
	case "ProgIf":
		p.pci.set(pciInterface, value)
	default: // Rev, Driver, Module, NUMANode, IOMMUGroup, PhySlot, Label ...
		ok = len(key) < 20 && !strings.ContainsAny(key, " \t")
	}
	if !ok {
		p.fail(p.number, line)
	}
	return true
}

// record ends a record of lspci -vmm, which must have named the device.
func (p *inventoryParser) record() {
	if p.vmm && !p.pci.named() {
		if p.bad++; p.bad <= inventoryErrors {
			p.errs = append(p.errs, fmt.Errorf("%s line %d: a record of lspci -vmm without numbers for vendor and "+
				"device: take lspci -nvmm", p.Name, p.at))
		}
		p.pci = nil
	}
	p.listed()
}
