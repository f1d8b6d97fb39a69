package preflight

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
)

// selector tells of nodisk.ib.port= that selects no port of the node: a fault where the node has no
// other network, and the command line leaves it to nodisk which port it takes.
func (c *checker) selector(n netsetup.Config) {
	if n.IBPort == (link.PortSelector{}) || c.Inventory == nil {
		return
	}
	why, sure := c.unselected(n.IBPort)
	_, only := c.noEthernet()
	left := !slices.ContainsFunc(
		n.Interfaces,
		func(i netsetup.Addressing) bool { return i.Device != "" || i.Match != "" || i.Driver != "" },
	)
	switch {
	case why == "":
	case sure && only && left && n.BootDev == "" && len(n.Names()) == 0:
		c.fault("nodisk.ib.port=%s", why)
	default:
		c.doubt("nodisk.ib.port=%s", why)
	}
}

// unselected says why a selector selects no port of the node; empty if it may select one. What it says
// goes after the key and its equals sign.
func (c *checker) unselected(port link.PortSelector) (why string, sure bool) {
	if port.GUID != "" {
		if why := c.stranger(port.GUID); why != "" {
			return " " + why, c.infiniBandPorts() > 0
		}
		return "", false
	}
	if none, _ := c.noInfiniBand(); none != "" {
		return fmt.Sprintf(
			"%v selects an InfiniBand port, and %s",
			port,
			none,
		), false // the node has another network, or none
	}
	if why, sure := c.uncalled(port); why != "" {
		return why, sure
	}
	ports := c.infiniBandPorts()
	may, there := c.infiniBandPort(port.Number - 1)
	switch {
	case ports > 0 && port.Number > ports && !there:
		return fmt.Sprintf(
			"%v: the node has %s, so no adapter has a port %d",
			port,
			count(ports, "InfiniBand port"),
			port.Number,
		), !may
	case port.Number > 1 && !slices.ContainsFunc(c.Inventory.Devices, func(d inventory.Device) bool {
		return c.medium(d).ib && !onePort(d)
	}):
		return fmt.Sprintf(
			"%v: adapters from ConnectX-4 on have one port each: write the adapter (mlx5_1) or the port GUID",
			port,
		), false
	}
	return "", false
}

// onePort reports whether an adapter is one whose second port is a PCI function of its own, and an
// adapter to the kernel: ConnectX-4 and later.
func onePort(d inventory.Device) bool {
	vendor, device, _ := d.PCI()
	return vendor == vendorMellanox && (device >= firstConnectX4 && device < firstMlx4 || device > lastMlx4)
}

// uncalled says why no adapter has the name of a selector: its driver's and a number, as in
// mlx5_0 of mlx5_core and mthca0 of ib_mthca.
func (c *checker) uncalled(port link.PortSelector) (why string, sure bool) {
	if port.HCA == "" || c.builtin {
		return "", false
	}
	stem := strings.TrimRight(port.HCA, "0123456789")
	number, numbered := strconv.Atoi(port.HCA[len(stem):])
	stem = strings.TrimSuffix(stem, "_")
	same := func(driver string) bool { return strings.HasPrefix(strings.TrimPrefix(driver, "ib_"), stem) }
	var drivers []string
	mixed := false // Ethernet ports of such an adapter have a number, too, and so has one that is in no list
	sure = true
	for _, d := range c.Inventory.Devices {
		m := c.medium(d)
		a, known := c.adapterOf(d)
		switch {
		case known && same(a.Driver):
			mixed = mixed || m.eth || vpi(a)
		case m.ib && !known:
			sure = false // of somebody else's driver
		}
		if known && (m.ib || m.eth) && !slices.Contains(drivers, a.Driver) {
			drivers = append(drivers, a.Driver)
		}
	}
	if c.ready > 0 { // with those of the image's modules
		drivers = c.adapters
	}
	ports := c.infiniBandPorts()
	switch {
	case len(drivers) == 0:
		return "", false
	case !slices.ContainsFunc(drivers, same):
		return fmt.Sprintf(
			"%v: no adapter of the node is called so (their drivers are %s)",
			port,
			strings.Join(drivers, ", "),
		), sure
	case ports > 0 && numbered == nil && !mixed && number >= ports:
		return fmt.Sprintf(
			"%v: the node has %s, so no adapter is called %s",
			port,
			count(ports, "InfiniBand port"),
			port.HCA,
		), sure
	case ports > 0 && numbered == nil && number >= len(c.Inventory.Network)+c.unlisted().ports:
		return fmt.Sprintf(
			"%v: the node has %s, so no adapter is called %s",
			port,
			count(len(c.Inventory.Network), "network interface"),
			port.HCA,
		), false
	}
	return "", false
}
