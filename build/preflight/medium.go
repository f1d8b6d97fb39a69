package preflight

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/modload"
)

// A medium is what the ports of an adapter are for, as far as that is known at the desk:
// InfiniBand, Ethernet, or either. The zero value is that of a device without ports.
type medium struct {
	ib, eth bool
	sure    bool   // it is not the other one; else only its class speaks against that
	word    bool   // the parameters of its driver say so
	why     string // of an adapter that could be either: what says which
}

// Numbers of Mellanox: its vendor number, and the devices of mlx5_core and of mlx4_core (mlx5_core_pci_table
// and mlx4_pci_table in drivers/net/ethernet/mellanox). Those of ConnectX-4 and later have one port each.
const (
	vendorMellanox = 0x15b3
	firstConnectX3 = 0x1002
	firstConnectIB = 0x1011
	firstConnectX4 = 0x1013
	firstMlx4      = 0x6340
	lastMlx4       = 0x67ff
)

// portTypeArray is the parameter of mlx4_core for the types of the ports: 1 is InfiniBand, 2 is Ethernet.
const portTypeArray = "port_type_array"

// Classes of PCI devices, base class and subclass (include/linux/pci_ids.h).
const (
	baseNetwork     = 0x02
	classEthernet   = 0x0200
	classInfiniBand = 0x0207
	classSerialIB   = 0x0c06
)

// matched are the modules that serve a device, whether or not they would load: of the image, or
// of the kernel's tree.
func (c *checker) matched(d inventory.Device) []string {
	if c.index == nil {
		return nil
	}
	names := c.aliases.Match(c.index, d)
	if names == nil && c.tree != nil {
		names = c.inTree.Match(c.tree, d)
	}
	return names
}

// adapterOf is what is known about the driver of a device that can have InfiniBand: by the
// modules that serve it, or by its number where neither image nor tree has one.
func (c *checker) adapterOf(d inventory.Device) (modload.Adapter, bool) {
	names := c.matched(d)
	for _, name := range names {
		if a, ok := modload.AdapterOf(name); ok {
			return a, true
		}
	}
	vendor, device, _ := d.PCI()
	switch {
	case names != nil, vendor != vendorMellanox:
	case device >= firstConnectIB && device < firstMlx4, device > lastMlx4:
		return modload.AdapterOf("mlx5_core")
	case device >= firstConnectX3 && device < firstConnectIB, device >= firstMlx4:
		return modload.AdapterOf("mlx4_core")
	}
	return modload.Adapter{}, false
}

// medium says what the ports of a device are for. The class of an adapter of mlx5_core follows
// its ports (LINK_TYPE_P1 of mlxconfig); a port of mlx4_core may change, whatever the class says.
func (c *checker) medium(d inventory.Device) medium {
	vendor, _, class := d.PCI()
	a, known := c.adapterOf(d)
	kind := d.Kind()
	switch {
	case class >= 0 && class>>8 != baseNetwork && class != classSerialIB:
		return medium{} // a bridge or a DMA engine of an adapter's maker
	case known && a.Ethernet == "":
		return medium{ib: true, sure: true, why: fmt.Sprintf("%v: %s is for InfiniBand only", d, a.Driver)}
	case known && vpi(a):
		if m := c.portTypes(d); m.word {
			return m
		}
		m := classMedium(d, class)
		if m.eth && !m.ib {
			m.why += "; nodisk.mlx4.port_type=ib would make it InfiniBand"
		}
		return m
	case known, vendor == vendorMellanox && c.matched(d) == nil:
		m := classMedium(d, class)
		m.sure = known && m.ib != m.eth
		return m
	case kind == inventory.DeviceInfiniBand:
		return medium{ib: true, why: fmt.Sprintf("%v says that it is InfiniBand", d)}
	case kind == inventory.DeviceEthernet, c.index != nil && c.adapterKind(c.matched(d)) == inventory.DeviceEthernet:
		return medium{eth: true, sure: true}
	}
	return medium{}
}

// classMedium is what the class of an adapter says that can be either.
func classMedium(d inventory.Device, class int) medium {
	why := func(what string) string { return fmt.Sprintf("%v is of class %04x, which is %s", d, class, what) }
	switch class {
	case classEthernet:
		return medium{eth: true, why: why("Ethernet")}
	case classInfiniBand, classSerialIB:
		return medium{ib: true, why: why("InfiniBand")}
	}
	return medium{ib: true, eth: true}
}

// portTypes is what the parameters of mlx4_core make of all ports of an adapter; without word if
// they leave one of them to the firmware.
func (c *checker) portTypes(d inventory.Device) medium {
	array := c.typeArray()
	key := "mlx4_core." + portTypeArray + "=" + array
	if ports := c.decided.Modules.Ports; len(ports) == 2 {
		key = "nodisk.mlx4.port_type=" + ports[0].String()
		if ports[1] != ports[0] {
			key += "," + ports[1].String()
		}
	}
	switch array {
	case "1,1":
		return medium{ib: true, sure: true, word: true, why: fmt.Sprintf("%s makes InfiniBand of %v", key, d)}
	case "2,2":
		return medium{eth: true, sure: true, word: true, why: fmt.Sprintf("%s makes Ethernet of %v", key, d)}
	case "1,2", "2,1":
		return medium{ib: true, eth: true, sure: true, word: true}
	}
	return medium{}
}

// noneThere is why a node has no adapter of a kind if none comes close to it.
const noneThere = "the node has no such adapter"

// noInfiniBand says why the node has no InfiniBand port; empty if it may have one, or nobody
// knows. It follows "and". sure is set if nothing else is possible.
func (c *checker) noInfiniBand() (why string, sure bool) {
	if c.Inventory == nil {
		return "", false
	}
	sure, word := true, false
	for _, d := range c.Inventory.Devices {
		m := c.medium(d)
		if m.ib {
			return "", false
		}
		why, word = cmp.Or(why, m.why), word || m.word
		sure = sure && (m.sure || !m.eth)
	}
	if c.infiniBandPorts() > 0 && !word { // for an adapter that is not known as one
		return "", false
	}
	return strings.TrimSuffix(noneThere+": "+why, ": "), sure
}

// noEthernet is noInfiniBand for Ethernet on a node with InfiniBand. A list of PCI devices does not have
// adapters on USB, so only one with addresses, or a word that is about all adapters, leaves no doubt, and
// that only where no device may be an adapter besides: an Ethernet address of the list is then of that one.
func (c *checker) noEthernet() (why string, sure bool) {
	v := c.Inventory
	if v == nil {
		return "", false
	}
	sure, word, found, unknown := true, true, false, false
	for _, d := range v.Devices {
		m := c.medium(d)
		unknown = unknown || c.unknown(d)
		switch {
		case m.eth:
			return "", false
		case m.ib:
			found, why = true, cmp.Or(why, m.why)
			sure, word = sure && m.sure, word && m.word
		}
	}
	if !found || c.infiniBandPorts() < len(v.Network) && (unknown || !word) {
		return "", false
	}
	return noneThere + ": " + why, sure && !unknown && (word || v.Network != nil)
}
