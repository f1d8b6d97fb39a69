package preflight

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/modload"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
)

// commands are what the node does with the interfaces that the command line mentions.
func (c *checker) commands() {
	if !c.decided.NeedNetwork || c.decided.Network.Off {
		return
	}
	var err error
	if c.Network, err = c.decided.Network.Commands(); err != nil {
		c.doubt("network: %v", err)
	}
}

// interfaces compares the names and addresses that the command line has for
// interfaces with those that there can be: the kernel's names and udev's.
func (c *checker) interfaces() {
	if !c.decided.NeedNetwork {
		return
	}
	n := c.decided.Network
	wrong := 0
	for _, i := range n.Interfaces {
		key := fmt.Sprintf("ip=%v", i)
		why, sure := c.unlikely(i.Device)
		if missing := c.absent(link.PortMatch{Name: i.Device, Addr: i.Match}); missing != "" {
			why, sure = missing, true
		}
		if sure {
			wrong++
		}
		switch {
		case why == "":
		case sure && wrong == len(n.Interfaces):
			c.fault("%s: %s", key, why)
		default:
			c.doubt("%s: %s", key, why)
		}
		c.driver(key, i.Driver)
	}
	boot := n.BootDevice()
	switch why, sure := c.unlikely(boot.Name); {
	case sure:
		c.fault("bootdev=%s: %s", n.BootDev, why)
	case why != "":
		c.doubt("bootdev=%s: %s", n.BootDev, why)
	}
	if why := c.portless(boot.Addr); why != "" {
		c.fault("bootdev=%s", why)
	} else {
		c.address("bootdev=", boot.Addr)
	}
	c.driver("bootdev="+n.BootDev, boot.Driver)
	port := func(key string, p link.PortMatch) {
		if why, _ := c.unlikely(p.Name); why != "" {
			c.doubt("%s: %s", key, why)
		}
		c.address(key, p.Addr)
		c.driver(key, p.Driver)
	}
	for _, b := range n.Bonds {
		for _, p := range b.Ports {
			port("bond="+b.Name, p)
		}
	}
	for _, b := range n.Bridges {
		for _, p := range b.Ports {
			port("bridge="+b.Name, p)
		}
	}
	for _, v := range n.VLANs {
		port("vlan="+v.Name, v.Parent)
	}
	for _, child := range n.Children {
		key := "ib.pkey=" + child.Name
		if why := c.ipoib(); why != "" {
			c.doubt("%s %s", key, why)
			continue
		}
		port(key, link.PortMatch{Name: child.Parent})
	}
	for _, r := range n.Renames {
		c.address("ifname="+r.Name, r.Addr)
	}
	for _, r := range n.Routes {
		if a, err := link.ParsePort(r.Dev); err == nil {
			c.address("rd.route="+r.Dst.String(), a)
		} else if why, _ := c.unlikely(r.Dev); why != "" {
			c.doubt("rd.route=%v: %s", r.Dst, why)
		}
	}
	c.selector(n)
	none, _ := c.noInfiniBand()
	if none == "" || len(n.BootIF) == 6 || c.Inventory.Network != nil {
		c.address("BOOTIF=", n.BootIF)
	}
	if none != "" && len(n.BootIF) > 6 {
		c.doubt("BOOTIF=%v names an InfiniBand port, and %s", n.BootIF, none)
	}
}

// unlikely says why no interface has a name, or one that matches a pattern with * and ?; empty if
// one can. sure is set if none can.
func (c *checker) unlikely(name string) (why string, sure bool) {
	if strings.ContainsAny(name, "*?") {
		return c.unlike(name)
	}
	switch why, sure := c.decided.Network.Unlikely(name); {
	case sure:
		return "no interface is called " + name + ": " + why, true
	case why != "":
		return name + ": " + why, false
	}
	kind := strings.TrimRight(name, "0123456789")
	number, err := strconv.Atoi(name[len(kind):])
	v := c.Inventory
	switch {
	case slices.Contains(c.decided.Network.Names(), name):
		return "", false // the machine knows
	case kind == "ib" && err == nil, strings.HasPrefix(name, "ib") && link.IsUdevName(name):
		if why, sure := c.noPort(name); why != "" {
			return why, sure
		}
	case kind == "eth" && err == nil, strings.HasPrefix(name, "en") && link.IsUdevName(name):
		if why, sure := c.noEthernet(); why != "" {
			return name + " is an Ethernet interface, and " + why, sure
		}
	}
	if v == nil {
		return "", false
	}
	if err == nil && !link.IsUdevName(name) {
		if why, sure := c.uncounted(name, kind, number); why != "" {
			return why, sure
		}
	}
	return c.against(name), false
}

// uncounted says why no interface has a name of the kernel's: the inventory has fewer. Empty if one
// can have it, or nobody knows.
func (c *checker) uncounted(name, kind string, number int) (why string, sure bool) {
	all, ports := len(c.Inventory.Network), c.infiniBandPorts()
	may, there := c.unlisted().allows(number, all)
	tooFew := func(n int, what string) string {
		return fmt.Sprintf("the node has %s, so there is no %s", count(n, what), name)
	}
	switch {
	case there, kind != "ib" && kind != "eth", kind == "ib" && ports == 0, all == 0:
		return "", false
	case number >= all:
		return tooFew(all, "network interface"), !may
	case kind == "ib" && number >= ports:
		return tooFew(ports, "InfiniBand port"), false
	}
	return "", false
}

// kernelKinds are what the kernel's names of adapters begin with, before the number.
func kernelKinds() []string { return []string{"eth", "ib", "usb", "wwan"} }

// nameless says that no interface has a name, and what names there are.
func nameless(name string, made []string) string {
	const have = "they have the kernel's names (eth0, ib0) or those of udev (eno1, ens3, enp0s3, enx525400123456)"
	const write = "write one of them, or the address (ip=52-54-00-12-34-56:dhcp)"
	if len(made) > 0 {
		return fmt.Sprintf(
			"no interface is called %s: the command line makes %s, and of the others %s; %s",
			name,
			strings.Join(made, ", "),
			have,
			write,
		)
	}
	return fmt.Sprintf("no interface is called %s: %s; %s", name, have, write)
}

// unlike is unlikely for a pattern.
func (c *checker) unlike(pattern string) (why string, sure bool) {
	n := c.decided.Network
	if slices.ContainsFunc(n.Renames, func(r netsetup.Rename) bool { return like(pattern, r.Name) }) {
		return "", false
	}
	before := pattern[:strings.IndexAny(pattern, "*?")]
	switch {
	case strings.HasPrefix(before, "ib"):
		if why, sure := c.noPort(pattern); why != "" {
			return why, sure
		}
	case strings.HasPrefix(before, "en"), strings.HasPrefix(before, "eth"):
		if why, sure := c.noEthernet(); why != "" {
			return pattern + " describes Ethernet interfaces, and " + why, sure
		}
	}
	begins := func(kind string) bool { return strings.HasPrefix(before, kind) || strings.HasPrefix(kind, before) }
	udev := slices.ContainsFunc([]string{"en", "ib", "ww", "sl"}, begins)
	switch {
	case slices.ContainsFunc(kernelKinds(), begins), udev && !n.KeepsNames():
		return "", false
	case !udev:
		return nameless(pattern, n.Names()), false // unless a driver gives it
	case n.KernelNames:
		return fmt.Sprintf(
			"no interface is called %s: they keep the kernel's names (eth0, ib0), as net.ifnames=0 or "+
				"nodisk.ifnames=kernel says; leave that out, or write eth*",
			pattern,
		), true
	}
	return fmt.Sprintf(
		"no interface is called %s: they keep the kernel's names (eth0, ib0), because another argument uses one; "+
			"write all arguments with udev's names, or all with the kernel's",
		pattern,
	), true
}

// like reports whether a text matches a pattern with * and ?.
func like(pattern, text string) bool {
	ok, err := path.Match(pattern, text)
	return ok && err == nil
}

// driver warns about a description by a driver that no adapter of the node has or, if that is not
// known, neither the image nor the kernel.
func (c *checker) driver(key, pattern string) {
	if pattern == "" || c.index == nil || c.index.Empty() {
		return
	}
	same := func(name string) bool {
		return like(strings.ReplaceAll(pattern, "-", "_"), strings.ReplaceAll(name, "-", "_"))
	}
	switch {
	case c.builtin:
	case c.Inventory != nil && c.ready > 0:
		if !slices.ContainsFunc(c.adapters, same) {
			c.doubt("%s: no adapter of the node has such a driver (they have %s)", key, strings.Join(c.adapters, ", "))
		}
		return
	}
	for name := range c.index.Names {
		if same(name) {
			return
		}
	}
	c.doubt("%s: neither the image nor the kernel has such a driver", key)
}

// infiniBandPorts is how many InfiniBand addresses the inventory has: none if the kernel under
// which it was made had no ib_ipoib.
func (c *checker) infiniBandPorts() int {
	n := 0
	for _, have := range c.Inventory.Network {
		if strings.Count(have, ":") == 19 {
			n++
		}
	}
	return n
}

// ipoib says why the image makes no InfiniBand interface; empty if it makes one, or nobody
// knows. What it says goes after the name of one.
func (c *checker) ipoib() string {
	const module = "ib_ipoib"
	switch e, black := c.forbidden(module); {
	case c.index == nil || c.index.Empty() || c.flat != nil:
		return ""
	case black && c.index.Has(module) && !c.loaded[module] && (e.Never || c.Inventory != nil):
		return "needs " + module + ", which is in the image, but " + c.blacklisted(module)
	case !c.index.Has(module) && !c.loaded[module] && !c.index.Builtin(module):
		return "needs " + module + ", which is not in the image: add --profile " + c.fabricProfile()
	case c.Inventory == nil:
		return "" // it follows the driver, if no profile loads it
	}
	first := ""
	for _, d := range c.Inventory.Devices {
		if !c.medium(d).ib {
			continue
		}
		drivers, _ := c.drivers(d)
		ok, why := c.linkable(d, inventory.DeviceInfiniBand, drivers)
		switch {
		case drivers == nil && !c.aliases.Builtin(c.index, d):
			why = fmt.Sprintf("%v: %s", d, c.lacking(d))
		case ok:
			return ""
		}
		if first == "" {
			first = "needs an InfiniBand adapter that works: " + why
		}
	}
	return first
}

// fabricProfile brings ib_ipoib and the drivers of the node's adapters, as far as they are known.
func (c *checker) fabricProfile() string {
	if c.Inventory != nil {
		for _, d := range c.Inventory.Devices {
			names := c.aliases.Match(c.index, d)
			if c.tree != nil {
				names = append(names, c.inTree.Match(c.tree, d)...)
			}
			for _, name := range names {
				if a, ok := modload.AdapterOf(name); ok {
					return a.Profiles
				}
			}
		}
	}
	return "ib, mlx5 for ConnectX-4 and later, or opa for Omni-Path"
}

// portless says that the image makes no interface for the address of an InfiniBand port; empty
// for other addresses.
func (c *checker) portless(address link.HardwareAddr) string {
	if len(address) != 8 && len(address) != 20 {
		return ""
	}
	if why, sure := c.noInfiniBand(); sure && why != "" {
		return fmt.Sprintf("%v is the address of an InfiniBand port, and %s", address, why)
	}
	if why := c.ipoib(); why != "" {
		return fmt.Sprintf("%v %s", address, why)
	}
	return ""
}

// noPort says why there is no InfiniBand interface of a name or pattern: the node has no such
// adapter, which matters more than what the image lacks for one.
func (c *checker) noPort(name string) (why string, sure bool) {
	none, sure := c.noInfiniBand()
	lacks := c.ipoib()
	// A list need not have everything that is plugged in, and only the kernel counts from 0.
	if none == noneThere && link.IsUdevName(name) {
		sure = false
	}
	switch {
	case none == "" && lacks == "":
		return "", false
	case none == "":
		return name + " " + lacks, true
	case strings.ContainsAny(name, "*?"):
		why = name + " describes InfiniBand interfaces, and " + none
	default:
		why = name + " is an InfiniBand interface, and " + none
	}
	if !sure && lacks != "" {
		return why + "; it " + lacks, true
	}
	return why, sure
}

// address warns about one that the inventory does not have: it may be that of another node.
func (c *checker) address(key string, address link.HardwareAddr) {
	if address == "" {
		return
	}
	if why := c.stranger(address); why != "" {
		c.doubt("%s %s", key, why)
	}
}

func count(n int, what string) string {
	if n == 1 || what == "more" {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
