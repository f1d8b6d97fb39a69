package preflight

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/netsetup/link"
)

// absent says why no interface can be the one that an argument is about: neither by its name or
// address, nor, where the command line makes it, by what it is made of. Empty if one can.
func (c *checker) absent(m link.PortMatch) string {
	if m.Addr != "" {
		return c.stranger(m.Addr)
	}
	n := c.decided.Network
	for _, r := range n.Renames {
		if r.Name == m.Name {
			return c.stranger(r.Addr)
		}
	}
	lower := func(what string, ports []link.PortMatch) string {
		first := ""
		for _, p := range ports {
			why := ""
			if p.Name != m.Name { // an error of its own
				why = c.absent(p)
			}
			if why == "" {
				return ""
			}
			if first == "" {
				first = why
			}
		}
		return fmt.Sprintf("nothing that %s=%s is made of can be there: %s", what, m.Name, first)
	}
	for _, b := range n.Bonds {
		if b.Name == m.Name {
			return lower("bond", b.Ports)
		}
	}
	for _, b := range n.Bridges {
		if b.Name == m.Name {
			return lower("bridge", b.Ports)
		}
	}
	for _, v := range n.VLANs {
		if v.Name == m.Name {
			return lower("vlan", []link.PortMatch{v.Parent})
		}
	}
	for _, child := range n.Children {
		if child.Name == m.Name {
			if why := c.ipoib(); why != "" {
				return "ib.pkey=" + m.Name + " " + why
			}
			return lower("ib.pkey", []link.PortMatch{{Name: child.Parent}})
		}
	}
	if why, sure := c.unlikely(m.Name); sure {
		return why
	}
	return ""
}

// stranger says that no adapter of the node has an address, or that the image makes no interface
// for it; empty if one has, or nobody knows.
func (c *checker) stranger(address link.HardwareAddr) string {
	v := c.Inventory
	if v == nil || v.Network == nil || c.owns(address) || c.unlisted().retyped {
		return c.portless(address)
	}
	return fmt.Sprintf("%v is not one of the node's addresses (%s)", address, strings.Join(v.Network, ", "))
}

// owns reports whether the inventory has an address.
func (c *checker) owns(address link.HardwareAddr) bool {
	want := address.String()
	guid, long := address.GUID()
	return slices.ContainsFunc(c.Inventory.Network, func(have string) bool {
		other, err := link.ParseGUID(have)
		return strings.EqualFold(have, want) || len(address) == 8 && strings.HasSuffix(strings.ToLower(have), want) ||
			long && err == nil && len(have) > 17 && guid.Is(other)
	})
}

// against says what of the inventory speaks against an interface of a name that there can
// be; empty for nothing. An inventory need not have everything that is plugged in.
func (c *checker) against(name string) string {
	v := c.Inventory
	if v == nil {
		return ""
	}
	onUSB := func(d inventory.Device) bool {
		return strings.HasPrefix(d.Modalias, "usb:") && d.Kind() == inventory.DeviceEthernet
	}
	digits, byAddress := strings.CutPrefix(name, "enx")
	b, err := hex.DecodeString(digits)
	switch {
	case byAddress && err == nil && len(b) == 6:
		return c.stranger(link.HardwareAddr(b))
	case strings.HasPrefix(name, "usb") && !slices.ContainsFunc(v.Devices, onUSB):
		return fmt.Sprintf("%s is an interface on USB, and the node has no such adapter", name)
	}
	return c.elsewhere(name)
}

// elsewhere says for a name by slot or path that the inventory lists nothing there; empty if it
// does. If it does not know the slots, that is a note for InfiniBand, whose names are seldom of
// another kind.
func (c *checker) elsewhere(name string) string {
	slot, ok := link.UdevSlot(name)
	ok = ok && !strings.Contains(name, "u") // on USB: the slot is that of the controller
	slots := c.Inventory.Slots
	switch {
	case ok && slots != nil && !slices.Contains(slots, slot):
		return fmt.Sprintf("%s would be in slot %s, where the inventory has nothing", name, slot)
	case ok && slots != nil:
	case strings.HasPrefix(name, "ib") && link.IsUdevName(name):
		c.note(
			"%s: the inventory does not say in which slot the adapters are: whether one gets this name is not known",
			name,
		)
	}
	return ""
}
