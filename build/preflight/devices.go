package preflight

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/modload"
)

// A storage sums up the storage devices of a node.
type storage struct {
	served  int
	useless []string // and why
}

// devices says for every network and storage device which modules serve it, and what keeps the
// node from its root.
func (c *checker) devices() {
	var (
		network, useless []string
		disks            storage
	)
	flat, known := c.flatIndex()
	for _, d := range c.Inventory.Devices {
		kind := d.Kind()
		drivers, usable := c.drivers(d)
		if known != nil && drivers == nil {
			drivers = flat.Match(known, d)
			usable = drivers != nil
		}
		if kind == 0 { // USB, boards, lists without classes: only the driver says
			kind = c.adapterKind(drivers)
		}
		if kind == 0 {
			continue
		}
		text := strings.Join(drivers, ", ")
		switch {
		case drivers == nil && c.aliases.Builtin(c.index, d):
			text, usable = "built into the kernel", true
		case drivers == nil && kind == inventory.DeviceStorage && !c.localRoot():
			text = "no driver in the image; this root needs none"
		case drivers == nil:
			text = c.lacking(d)
		}
		name := d.String()
		c.Devices = append(c.Devices, Served{Device: name, Drivers: text})
		if kind == inventory.DeviceStorage {
			if usable {
				disks.served++
			} else {
				disks.useless = append(disks.useless, name+": "+text)
			}
			continue
		}
		network = append(network, name)
		var why string
		if usable {
			usable, why = c.linkable(d, kind, drivers)
		} else {
			why = name + ": " + text
		}
		if usable {
			c.ready++
			c.builtin = c.builtin || drivers == nil
			for _, name := range drivers {
				if !slices.Contains(c.adapters, name) {
					c.adapters = append(c.adapters, name)
				}
			}
		} else {
			useless = append(useless, why)
		}
	}
	c.judge(network, useless, disks)
}

// drivers are the modules that a device would have. usable is false if one of
// them is in the image but would not load.
func (c *checker) drivers(d inventory.Device) (names []string, usable bool) {
	for _, name := range c.aliases.Match(c.index, d) {
		if c.loaded[name] {
			names = append(names, name)
		}
	}
	return names, names != nil
}

// flatIndex makes an index of the modules that were loaded by name from directories without one:
// only they themselves say which devices they serve. Nil: there are none.
func (c *checker) flatIndex() (inventory.Aliases, *modload.Index) {
	if c.flat == nil {
		return inventory.Aliases{}, nil
	}
	var dep, alias strings.Builder
	for _, m := range c.flat {
		fmt.Fprintf(&dep, "%s.ko:\n", m.Name)
		for _, pattern := range m.Aliases() {
			fmt.Fprintf(&alias, "alias %s %s\n", pattern, m.Name)
		}
	}
	files := textFS{modulesDir + "/flat/modules.dep": dep.String(), modulesDir + "/flat/modules.alias": alias.String()}
	x, err := modload.Open(files, "flat")
	if err != nil {
		return inventory.Aliases{}, nil // nothing that could fail
	}
	aliases, err := inventory.OpenAliases(files, "flat")
	if err != nil {
		return inventory.Aliases{}, nil
	}
	return aliases, x
}

// lacking says why a device has no driver, and where one is.
func (c *checker) lacking(d inventory.Device) string {
	if inside := c.aliases.Match(c.index, d); inside != nil {
		for _, name := range inside {
			if e, ok := c.forbidden(name); ok {
				return fmt.Sprintf("%s is in the image, but blacklisted by %s", name, e.Key)
			}
		}
		return fmt.Sprintf("%s is in the image, but would not load", strings.Join(inside, ", "))
	}
	if c.tree == nil && c.Driver != nil {
		if name := c.Driver(d); name != "" {
			return "no driver in the image: " + c.remedyFor(d, name)
		}
	}
	if c.tree == nil {
		return "no driver in the image (--modules would tell which one the kernel has)"
	}
	var found []string
	for _, name := range c.inTree.Match(c.tree, d) {
		for module, at := range c.tree.Files() {
			if module == name && inventory.Bootable(strings.TrimPrefix(at, modulesDir+"/"+c.tree.Release()+"/"), d) {
				found = append(found, name)
			}
		}
	}
	if found == nil {
		if c.inTree.Builtin(c.tree, d) {
			return "built into the kernel"
		}
		return "no module of Linux " + c.tree.Release() + " serves it"
	}
	return "no driver in the image; the kernel has " + strings.Join(found, ", ") + ": " + c.remedyFor(d, found[0])
}

// forbidden is the entry of a blacklist, on the command line or in modprobe.d, that is about a module.
func (c *checker) forbidden(module string) (modload.Blacklisted, bool) {
	return slices.Concat(c.conf.Blacklist, c.decided.Modules.Blacklist).Find(module, true)
}

// blacklisted says that a module is, by what, and what to do; empty if it is not.
func (c *checker) blacklisted(module string) string {
	e, ok := c.forbidden(module)
	switch {
	case !ok:
		return ""
	case strings.HasPrefix(e.Key, "/"): // a file of modprobe.d and a line
		return "blacklisted by " + e.Key + ": take that line out"
	}
	return "blacklisted: leave " + module + " out of " + e.Key + "="
}

// offer is what to add for a module that is missing by name; empty if nothing is
// known.
func (c *checker) offer(name string) string {
	if profile := profileOf(name); profile != "" {
		return "; add --profile " + profile
	}
	if c.tree != nil {
		if _, absent := c.tree.Absent([]string{name}); absent == nil {
			return "; add --module " + name
		}
	}
	return ""
}

// remedy is what brings a driver. An image may have a profile without its drivers:
// when it was built for the inventories of other nodes.
func (c *checker) remedy(module string) string {
	for _, name := range c.decided.Modules.Profiles {
		if p, ok := modload.LookupProfile(
			name,
		); ok &&
			(slices.Contains(p.Include, module) || slices.Contains(p.Maybe, module)) {
			return "build it with the inventory of this node too, or add --module " + module
		}
	}
	if p := profileOf(module); p != "" {
		return "add --profile " + p + " or --module " + module
	}
	return "add --module " + module
}

// remedyFor is what brings the driver of a device. One of InfiniBand needs more than its driver,
// and the first profile that has it may be for Ethernet.
func (c *checker) remedyFor(d inventory.Device, driver string) string {
	a, ok := modload.AdapterOf(driver)
	kind := d.Kind()
	switch {
	case !ok:
		return c.remedy(driver)
	case slices.Contains(c.decided.Modules.Profiles, a.Profiles):
		return "build it with the inventory of this node too"
	case a.Ethernet == "", kind == inventory.DeviceInfiniBand:
		return "add --profile " + a.Profiles
	case a.Ethernet != a.Driver:
		return fmt.Sprintf("add --profile %s for InfiniBand, --profile en for Ethernet", a.Profiles)
	}
	return c.remedy(driver)
}

// profileOf is the first profile that has a module; empty if none has.
func profileOf(module string) string {
	for _, p := range modload.Profiles() {
		if slices.Contains(p.Include, module) || slices.Contains(p.Maybe, module) {
			return p.Name
		}
	}
	return ""
}

// adapterKind is the kind of an adapter that only its drivers reveal: by their names, or by the
// place in the tree. Zero: none of them is for a network adapter.
func (c *checker) adapterKind(drivers []string) inventory.DeviceKind {
	kind := inventory.DeviceKind(0)
	for _, name := range drivers {
		if a, ok := modload.AdapterOf(name); ok && a.Ethernet == "" {
			return inventory.DeviceInfiniBand
		}
		if c.isAdapter(name) {
			kind = inventory.DeviceEthernet
		}
	}
	return kind
}

// isAdapter recognises a driver of network adapters by its name or its place in the tree.
func (c *checker) isAdapter(name string) bool {
	if _, ok := modload.AdapterOf(name); ok {
		return true
	}
	for module, at := range c.index.Files() {
		if module == name {
			return strings.Contains(at, "/kernel/drivers/net/ethernet/") ||
				strings.Contains(at, "/kernel/drivers/net/usb/")
		}
	}
	return false
}

// linkable reports whether an adapter with a driver would show an interface, and if not what
// is missing: drivers of InfiniBand adapters need further modules for that.
func (c *checker) linkable(d inventory.Device, kind inventory.DeviceKind, drivers []string) (bool, string) {
	has := func(module string) bool { return c.loaded[module] || c.index.Builtin(module) }
	i := slices.IndexFunc(drivers, func(name string) bool { _, ok := modload.AdapterOf(name); return ok })
	if i < 0 { // a driver of somebody else's
		if kind != inventory.DeviceInfiniBand || has("ib_ipoib") {
			return true, ""
		}
		return false, fmt.Sprintf("%v: no interface without %s", d, c.missing([]string{"ib_ipoib"}, "ib"))
	}
	a, _ := modload.AdapterOf(drivers[i])
	missing := slices.DeleteFunc(slices.Clone(a.IPoIB), has)
	// mlx4_core is for ports of either kind, whatever the class of the device says.
	ethernet := a.Ethernet != "" && kind != inventory.DeviceInfiniBand
	switch {
	case len(missing) == 0, ethernet && has(a.Ethernet):
		return true, ""
	case ethernet:
		return false, fmt.Sprintf(
			"%v: %s alone makes no interface: add --profile %s for InfiniBand, --profile en for Ethernet",
			d,
			a.Driver,
			a.Profiles,
		)
	}
	return false, fmt.Sprintf("%v: %s makes no interface without %s", d, a.Driver, c.missing(missing, a.Profiles))
}

// missing names modules that would not be loaded, and says what to do: add the profile that
// brings them, or remove from the blacklist what the image has.
func (c *checker) missing(modules []string, profiles string) string {
	names := strings.Join(modules, " and ")
	for _, name := range modules {
		if by := c.blacklisted(name); by != "" && c.index.Has(name) {
			return names + ": " + name + " is in the image, but " + by
		}
	}
	if len(modules) == 1 && c.index.Has(modules[0]) {
		names += " (it is in the image, and would not load)"
	}
	return names + ": add --profile " + profiles
}

// localRoot reports whether the root is on a disk of the node itself.
func (c *checker) localRoot() bool {
	return c.Plan != "" && c.decided.Root.Kind == rootfs.KindBlock && !c.decided.Root.NeedsNetwork()
}

// judge says what the devices mean for the plan.
func (c *checker) judge(network, useless []string, disks storage) {
	p := c.decided
	switch {
	case p.NeedNetwork && network == nil && c.Plan != "":
		c.fault("the root is behind the network, and the inventory has no network adapter")
	case p.NeedNetwork && c.ready == 0:
		for _, why := range useless {
			c.fault("no network: %s", why)
		}
	default:
		for _, why := range useless {
			c.doubt("%s", why)
		}
	}
	switch {
	case !c.localRoot() || disks.served > 0:
	case disks.useless == nil:
		c.fault("the root is on a disk of the node, and the inventory has no storage controller")
	default:
		for _, why := range disks.useless {
			c.fault("no disk: %s", why)
		}
	}
}

// A textFS has texts for files, by their paths. It has no directories to read.
type textFS map[string]string

// Open is fs.FS. What is asked for is read by ReadFile.
func (t textFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// ReadFile is fs.ReadFileFS.
func (t textFS) ReadFile(name string) ([]byte, error) {
	text, ok := t[name]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}
