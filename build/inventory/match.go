package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/internal/namelist"
	"github.com/nodisk/nodisk/modload"
)

// A DeviceKind is what a device is good for on the way to a root.
type DeviceKind uint8

// The kinds. The zero value is everything else.
const (
	_                DeviceKind = iota
	DeviceEthernet              // a network adapter that is not InfiniBand
	DeviceInfiniBand            // one that says it is, or that it is Omni-Path: its network is IPoIB, too
	DeviceStorage               // a disk or a controller of disks
)

// String names the kind.
func (k DeviceKind) String() string {
	switch k {
	case DeviceEthernet:
		return "network adapter"
	case DeviceInfiniBand:
		return "InfiniBand adapter"
	case DeviceStorage:
		return "storage controller"
	}
	return "device"
}

// Classes of PCI devices (include/linux/pci_ids.h).
const (
	pciBaseStorage   = 0x01
	pciBaseNetwork   = 0x02
	pciEthernet      = 0x0200
	pciInfiniBand    = 0x0207
	pciOldInfiniBand = 0x0c06
	pciFabric        = 0x0208 // "fabric controller" in the ID list of PCI
)

// Vendors whose fabric controllers are Omni-Path: those of others are any fabric.
const (
	vendorIntel    = 0x8086
	vendorCornelis = 0x434e
)

// omniPath reports whether the device is an adapter of Omni-Path.
func (id pciID) omniPath() bool {
	vendor := id.number(pciVendor)
	return id.class() == pciFabric && (vendor == vendorIntel || vendor == vendorCornelis)
}

// PCI are the numbers of a PCI device: vendor, device, and base class with subclass as lspci writes
// them (0x0200). One that is not known is -1, as all of them are on other buses.
func (d Device) PCI() (vendor, device, class int) {
	id, ok := parsePCI(d.Modalias)
	if !ok {
		return -1, -1, -1
	}
	return id.number(pciVendor), id.number(pciDevice), id.class()
}

// Kind tells by the modalias alone. A virtio device is what its virtio bus
// says; the PCI device before it is only the way there.
func (d Device) Kind() DeviceKind {
	bus, rest, _ := strings.Cut(d.Modalias, ":")
	switch bus {
	case "pci":
		id, _ := parsePCI(d.Modalias)
		if id.virtio() > 0 {
			return 0
		}
		switch class := id.class(); {
		case class == pciInfiniBand, class == pciOldInfiniBand, id.omniPath():
			return DeviceInfiniBand
		case class>>8 == pciBaseNetwork:
			return DeviceEthernet
		case class>>8 == pciBaseStorage:
			return DeviceStorage
		}
	case "virtio":
		switch kind, _ := parseVirtio(d.Modalias); kind {
		case virtioNet:
			return DeviceEthernet
		case virtioBlock, virtioSCSI:
			return DeviceStorage
		}
	case "xen":
		switch rest {
		case "vif":
			return DeviceEthernet
		case "vbd":
			return DeviceStorage
		}
	case "vmbus": // HV_NIC_GUID, HV_SCSI_GUID, HV_IDE_GUID of include/linux/hyperv.h
		switch rest {
		case "635161f83edfc546913ff2d2f965ed0e":
			return DeviceEthernet
		case "d96361baa104294db60572e2ffb1dc7f", "32264132cb86a2449b5c50d1417354f5":
			return DeviceStorage
		}
	}
	return 0
}

// String names the device: "pci 8086:1572 network adapter".
func (d Device) String() string {
	bus, rest, _ := strings.Cut(d.Modalias, ":")
	name := bus + " " + rest
	switch bus {
	case "pci":
		id, _ := parsePCI(d.Modalias)
		name = "pci " + id.text()
		if kind := id.virtio(); kind > 0 {
			return name + " virtio device " + strconv.Itoa(kind)
		}
		if id.omniPath() {
			return name + " Omni-Path adapter"
		}
	case "virtio":
		kind, _ := parseVirtio(d.Modalias)
		name = "virtio " + strconv.Itoa(kind)
	case "cpu":
		return "processor"
	}
	const most = 48
	if len(name) > most {
		name = name[:most] + "..."
	}
	if kind := d.Kind(); kind != 0 {
		return name + " " + kind.String()
	}
	return name
}

// Aliases are the patterns of PCI devices of a module index. With them a device
// can be matched of which not all fields are known.
type Aliases struct {
	pci     []pciID
	devices map[string]bool // modules that serve devices
}

// OpenAliases reads modules.alias of a release from a file system rooted at "/".
// Without that file there are none.
func OpenAliases(fsys fs.FS, release string) (Aliases, error) {
	text, err := fs.ReadFile(fsys, initramfs.ModulesDir+"/"+release+"/modules.alias")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Aliases{}, fmt.Errorf("read device aliases: %w", err)
	}
	a := Aliases{devices: make(map[string]bool)}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != "alias" {
			continue
		}
		if id, ok := parsePCI(words[1]); ok {
			a.pci = append(a.pci, id)
		}
		switch bus, _, ok := strings.Cut(words[1], ":"); {
		case !ok, bus == "cpu", bus == "devname", strings.HasPrefix(bus, "dmi"), strings.HasPrefix(bus, "ip_set_"):
		default:
			a.devices[ko.ModuleName(words[2])] = true
		}
	}
	return a, nil
}

// Of are the modaliases that a device may have: its own, or, where fields of it are
// not known, one for every pattern that could match it.
func (a Aliases) Of(d Device) []string {
	id, ok := parsePCI(d.Modalias)
	if !ok || !strings.Contains(d.Modalias, "*") {
		return []string{d.Modalias}
	}
	plain, _ := id.known(unknownPCI())
	list := []string{plain.modalias()}
	for _, pattern := range a.pci {
		if whole, ok := id.known(pattern); ok {
			list = append(list, whole.modalias())
		}
	}
	return namelist.Unique(list)
}

// Match returns the modules of an index that serve a device, or may do so.
func (a Aliases) Match(x *modload.Index, d Device) []string {
	var modules []string
	for _, alias := range a.Of(d) {
		modules = append(modules, x.Match(alias)...)
	}
	return namelist.Unique(modules)
}

// Builtin reports whether the kernel itself serves a device, or may do so.
func (a Aliases) Builtin(x *modload.Index, d Device) bool {
	return slices.ContainsFunc(a.Of(d), x.Builtin)
}
