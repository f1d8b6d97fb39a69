package preflight

import (
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/modload"
)

// vpiPorts is how many ports an adapter of mlx4_core has at most (MLX4_MAX_PORTS).
const vpiPorts = 2

// vpi reports whether the ports of an adapter may each be InfiniBand or Ethernet, as the parameters of
// its driver say: whether it is one of mlx4_core.
func vpi(a modload.Adapter) bool { return a.Ethernet != "" && a.Ethernet != a.Driver }

// typeArray is the parameter of mlx4_core that says the types of its ports; empty if nothing sets it.
func (c *checker) typeArray() string {
	array := ""
	for _, p := range slices.Concat(c.conf.Params, c.decided.Modules.Params) {
		if p.Module == "mlx4_core" && p.Arg.Key == portTypeArray {
			array = p.Arg.Value
		}
	}
	return array
}

// unlisted is what the addresses of an inventory do not tell of the ports of adapters of mlx4_core. A
// port without a module for its type had no interface when the inventory was made, and one that
// gets another type now has another interface, with another address.
type unlisted struct {
	ports   int  // that may have had no interface
	retyped bool // ports may have other types now
}

// unlisted compares the adapters of the inventory with its addresses.
func (c *checker) unlisted() unlisted {
	adapters, otherIB, otherEth := 0, false, false
	for _, d := range c.Inventory.Devices {
		m := c.medium(d)
		switch a, known := c.adapterOf(d); {
		case !m.ib && !m.eth:
		case known && vpi(a):
			adapters++
		default:
			otherIB, otherEth = otherIB || m.ib, otherEth || m.eth
		}
	}
	if adapters == 0 {
		return unlisted{}
	}
	most, have, ib := adapters*vpiPorts, len(c.Inventory.Network), c.infiniBandPorts()
	u := unlisted{ports: most}
	if !otherIB && !otherEth { // all addresses are of these
		u.ports = max(0, most-have)
	}
	switch array := c.typeArray(); {
	case array == "1,1" && ib >= most && !otherIB, array == "2,2" && have-ib >= most && !otherEth:
		// They had these types before.
	default:
		u.retyped = array != "" || c.decided.Modules.Ports != nil
	}
	return u
}

// allows reports whether a port may be there, counted from 0, of which the inventory lists so many; sure
// tells that nothing speaks against it.
func (u unlisted) allows(port, listed int) (may, sure bool) {
	may = port < listed+u.ports
	return may, may && u.retyped
}

// infiniBandPort is allows for InfiniBand: where ports have other types now, any of the list may have become one.
func (c *checker) infiniBandPort(port int) (may, sure bool) {
	u, listed := c.unlisted(), c.infiniBandPorts()
	if u.retyped {
		listed = len(c.Inventory.Network)
	}
	return u.allows(port, listed)
}

// unknown reports whether a device may be an Ethernet adapter for all that is known: what is not on
// PCI has no class, so only its driver tells.
func (c *checker) unknown(d inventory.Device) bool {
	if c.index != nil && !c.index.Empty() && !c.aliases.Builtin(c.index, d) {
		return false // the image has no driver for it, or one that tells
	}
	if m := c.medium(d); m.ib || m.eth || d.Kind() != 0 {
		return false
	}
	bus, rest, _ := strings.Cut(d.Modalias, ":")
	switch bus {
	case "pci":
		_, _, class := d.PCI()
		return class < 0
	case "usb":
		return !slices.ContainsFunc(otherUSB(), func(class string) bool { return strings.Contains(rest, class) })
	case "acpi": // of the standard's own devices none is a network adapter
		standard := func(maker string) bool { return strings.HasPrefix(rest, maker) }
		return !slices.ContainsFunc([]string{"PNP", "ACPI", "LNX"}, standard)
	}
	return bus == "of"
}

// otherUSB are the fields of a modalias with classes that no network adapter on USB has: hubs, and
// interfaces for sound, people, printers, disks, cameras (include/linux/usb/ch9.h).
func otherUSB() []string { return []string{"dc09", "ic01", "ic03", "ic07", "ic08", "ic09", "ic0E"} }
