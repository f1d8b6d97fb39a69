package preflight

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/netsetup"
)

// interfaces compares the names and addresses that the command line has for
// interfaces with those that there can be: the kernel's names and udev's.
func (c *checker) interfaces() {
	if !c.decided.NeedNetwork {
		return
	}
	n := c.decided.Network
	made := c.made()
	wrong := 0
	for _, i := range n.Interfaces {
		if why := c.unlikely(i.Device); why != "" {
			c.doubt("ip=%v: %s", i, why)
		}
		if why := c.absent(netsetup.PortMatch{Name: i.Device, Addr: i.Match}, made); why != "" {
			wrong++
			if wrong < len(n.Interfaces) {
				c.doubt("ip=%v: %s", i, why)
			} else {
				c.fault("ip=%v: %s", i, why)
			}
		}
	}
	boot := n.BootDevice()
	if why := c.impossible(boot.Name, made); why != "" {
		c.fault("bootdev=%s: %s", n.BootDev, why)
	}
	c.address("bootdev=", boot.Addr)
	port := func(key string, p netsetup.PortMatch) {
		if why := c.impossible(p.Name, made); why != "" {
			c.doubt("%s: %s", key, why)
		}
		c.address(key, p.Addr)
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
		port("ib.pkey="+child.Name, netsetup.PortMatch{Name: child.Parent})
	}
	for _, r := range n.Renames {
		c.address("ifname="+r.Name, r.Addr)
	}
	c.address("BOOTIF=", n.BootIF)
	if v := c.Inventory; v != nil && len(n.BootIF) > 6 && !slices.ContainsFunc(v.Devices, c.maybeInfiniBand) {
		c.doubt("BOOTIF=%v names an InfiniBand port, and the node has no such adapter", n.BootIF)
	}
}

// made are the names that the command line itself gives.
func (c *checker) made() []string {
	n := c.decided.Network
	var names []string
	for _, r := range n.Renames {
		names = append(names, r.Name)
	}
	for _, b := range n.Bonds {
		names = append(names, b.Name)
	}
	for _, b := range n.Bridges {
		names = append(names, b.Name)
	}
	for _, v := range n.VLANs {
		names = append(names, v.Name)
	}
	for _, child := range n.Children {
		names = append(names, child.Name)
	}
	return names
}

// impossible says why no interface can have a name; empty if one can, or for a
// glob.
func (c *checker) impossible(name string, made []string) string {
	if name == "" || strings.ContainsAny(name, "*?") || slices.Contains(made, name) {
		return ""
	}
	if netsetup.IsUdevName(name) {
		return "" // the machine tells
	}
	kind := strings.TrimRight(name, "0123456789")
	number, err := strconv.Atoi(name[len(kind):])
	if err != nil || !slices.Contains([]string{"eth", "ib", "usb", "wwan"}, kind) {
		const have = "they have the kernel's names (eth0, ib0) or those of udev (eno1, ens3, enp0s3, enx525400123456)"
		const write = "write one of them, or the address (ip=52-54-00-12-34-56:dhcp)"
		if len(made) > 0 {
			return fmt.Sprintf("no interface is called %s: the command line makes %s, and of the others %s; %s", name, strings.Join(made, ", "), have, write)
		}
		return fmt.Sprintf("no interface is called %s: %s; %s, or name it by ifname=%s:ADDRESS", name, have, write, name)
	}
	v := c.Inventory
	if v == nil {
		return ""
	}
	if kind == "ib" && !slices.ContainsFunc(v.Devices, c.maybeInfiniBand) {
		return fmt.Sprintf("%s is an InfiniBand interface, and the node has no such adapter", name)
	}
	if kind == "ib" && c.index != nil && !c.loaded["ib_ipoib"] && !c.index.Builtin("ib_ipoib") {
		return fmt.Sprintf("%s needs ib_ipoib, which would not load: add --profile ib", name)
	}
	if have := len(v.Network); kind == "eth" && have > 0 && number >= have {
		return fmt.Sprintf("the node has %s, so there is no %s", count(have, "network interface"), name)
	}
	return ""
}

// maybeInfiniBand tells adapters of InfiniBand, and those that can be it.
func (c *checker) maybeInfiniBand(d build.Device) bool {
	if d.Kind() == build.DeviceInfiniBand {
		return true
	}
	if c.index == nil {
		return strings.HasPrefix(d.Modalias, "pci:v000015B3")
	}
	for _, name := range c.aliases.Match(c.index, d) {
		if name == "mlx4_core" || name == "mlx5_core" {
			return true
		}
	}
	return false
}

// address warns of one that the inventory does not have: it may be that of
// another node.
func (c *checker) address(key string, address netsetup.HardwareAddr) {
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
