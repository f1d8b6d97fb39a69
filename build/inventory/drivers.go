package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/internal/namelist"
	"github.com/nodisk/nodisk/modload"
)

// A Choice reduces the drivers of profiles to those that inventories ask
// for.
type Choice struct {
	index   *modload.Index
	aliases Aliases
	paths   map[string]string // of modules, below lib/modules/RELEASE
	wanted  []string          // modules that devices ask for, each once
	follow  []string          // those without which the drivers of adapters make no interface
	// ByClass are drivers which are not among modload.Adapters, of adapters whose class is
	// that of a fabric, and ib_ipoib: nothing else leads to it.
	ByClass []modload.Companion
}

// OpenChoice reads the aliases of a module tree.
func OpenChoice(x *modload.Index, tree fs.FS) (*Choice, error) {
	aliases, err := OpenAliases(tree, x.Release())
	if err != nil {
		return nil, err
	}
	c := &Choice{index: x, aliases: aliases, paths: make(map[string]string)}
	for name, at := range x.Files() {
		c.paths[name] = strings.TrimPrefix(at, initramfs.ModulesDir+"/"+x.Release()+"/")
	}
	return c, nil
}

// Choose takes from a module tree what the devices of some node types ask
// for: drivers of network and storage and of the buses they sit on. The
// profiles keep what /init loads by name and what is not a driver; their other
// drivers go. What was chosen is a profile of its own, the last of those
// returned.
//
// notes names the network and storage devices that no module serves. A
// node none of whose network devices has a driver is an error.
func (c *Choice) Choose(profiles []modload.Profile, list []List) (reduced []modload.Profile, notes []string,
	err error,
) {
	var errs []error
	for _, v := range list {
		more, err := c.serve(v)
		notes, errs = append(notes, more...), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	chosen := c.companions(profiles)
	for _, p := range profiles {
		loads := make(map[string]bool)
		for _, r := range p.Load {
			loads[r.Name] = true
		}
		goes := func(name string) bool { return !loads[name] && c.isDriver(name) && !slices.Contains(chosen, name) }
		p.Include = slices.DeleteFunc(slices.Clone(p.Include), goes)
		p.Maybe = slices.DeleteFunc(slices.Clone(p.Maybe), goes)
		p.OneOf = nil // whether there is a driver, the devices have said
		reduced = append(reduced, p)
	}
	return append(reduced, modload.Profile{Name: "of the inventory", Include: chosen}), namelist.Unique(notes), nil
}

// serve takes up what the devices of one inventory ask for.
func (c *Choice) serve(v List) (notes []string, err error) {
	var network, served []string // devices
	usb := false                 // a driver behind a USB host is wanted
	var hosts []string
	for _, d := range v.Devices {
		found, radio := false, false
		var drivers []string
		for _, name := range c.aliases.Match(c.index, d) {
			switch at := c.paths[name]; {
			case !Bootable(at, d):
				radio = radio || below(at, "net/wireless/")
				continue
			case strings.Contains(at, "drivers/usb/host/"):
				hosts = append(hosts, name)
			default:
				c.wanted, drivers = append(c.wanted, name), append(drivers, name)
				usb = usb || strings.HasPrefix(d.Modalias, "usb:")
			}
			if a, ok := modload.AdapterOf(name); ok {
				follow, lacking := c.linked(a, d)
				c.follow = append(c.follow, follow...)
				if lacking != nil {
					notes = append(notes, fmt.Sprintf("%v: Linux %s has no %s, without which %s makes no interface",
						d, c.index.Release(), strings.Join(lacking, " and no "), name))
				}
			}
			found = true
		}
		if note := c.fabric(d, drivers); note != "" {
			notes = append(notes, note)
		}
		found = found || c.aliases.Builtin(c.index, d)
		kind := d.Kind()
		if (kind == DeviceEthernet || kind == DeviceInfiniBand) && !radio {
			network = append(network, d.String())
			if found {
				served = append(served, d.String())
			}
		}
		if kind != 0 && !found && !radio {
			notes = append(notes, fmt.Sprintf("%v: no module in Linux %s serves it", d, c.index.Release()))
		}
	}
	if usb {
		c.wanted = append(c.wanted, hosts...)
	}
	c.wanted = namelist.Unique(c.wanted)
	switch {
	case usb || served != nil:
	case network == nil:
		notes = append(notes, fmt.Sprintf("inventory %s: no network adapter is known as one; was the whole "+
			"machine listed?", v.Name))
	default:
		return nil, fmt.Errorf("choose drivers: inventory %s: no network adapter has a driver in Linux %s: %s; take "+
			"a newer kernel, or add the maker's module by --module-dir and build without --inventory",
			v.Name, c.index.Release(), strings.Join(namelist.Unique(network), ", "))
	}
	return notes, nil
}

// fabric has ib_ipoib follow the drivers of a device whose class says that it is an adapter
// of a fabric, where they are not among modload.Adapters, and returns what is to be said of that.
func (c *Choice) fabric(d Device, drivers []string) string {
	id, _ := parsePCI(d.Modalias)
	switch id.class() {
	case pciInfiniBand, pciOldInfiniBand, pciFabric:
	default:
		return ""
	}
	known := func(name string) bool { _, ok := modload.AdapterOf(name); return ok }
	const module = "ib_ipoib"
	if len(drivers) == 0 || slices.ContainsFunc(drivers, known) {
		return ""
	}
	text := fmt.Sprintf("%v: what its driver %s needs for an interface is not known", d, strings.Join(drivers, ", "))
	switch {
	case c.index.Has(module):
		c.follow = append(c.follow, module)
		for _, name := range drivers {
			if !slices.ContainsFunc(c.ByClass, func(p modload.Companion) bool { return p.Module == name }) {
				c.ByClass = append(c.ByClass, modload.Companion{Module: name, Then: []string{module}})
			}
		}
		return text + "; by its class it gets " + module
	case c.index.Builtin(module):
		return ""
	}
	return fmt.Sprintf("%s; by its class it would get %s, which Linux %s does not have",
		text, module, c.index.Release())
}

// linked are the modules that an adapter's driver needs for an interface of a device, as its
// class says: of either kind where that is open, as with 0280 of ConnectX to ConnectX-3. lacking
// are those that the kernel does not have, where nothing else makes an interface.
func (c *Choice) linked(a modload.Adapter, d Device) (follow, lacking []string) {
	var names []string
	if a.Ethernet != "" && a.Ethernet != a.Driver && d.Kind() != DeviceInfiniBand {
		names = append(names, a.Ethernet)
	}
	if id, _ := parsePCI(d.Modalias); a.Ethernet == "" || id.class() != pciEthernet {
		names = append(names, a.IPoIB...)
	}
	for _, name := range names {
		switch {
		case c.index.Has(name):
			follow = append(follow, name)
		case !c.index.Builtin(name) && (a.Ethernet == "" || d.Kind() == DeviceInfiniBand):
			lacking = append(lacking, name)
		}
	}
	return follow, lacking
}

// companions adds to the wanted modules those that follow them though no
// device asks: what their adapters need, and of the others (modload.Companions) what a profile
// has, or what is for InfiniBand if a profile is.
func (c *Choice) companions(profiles []modload.Profile) []string {
	listed, infiniband := make(map[string]bool), false
	for _, p := range profiles {
		for _, name := range slices.Concat(p.Include, p.Maybe) {
			listed[ko.ModuleName(name)] = true
		}
		infiniband = infiniband ||
			slices.ContainsFunc(p.Load, func(r modload.Request) bool { return r.Name == "ib_ipoib" })
	}
	chosen := namelist.Unique(slices.Concat(c.wanted, c.follow))
	for i := 0; i < len(chosen); i++ {
		for _, pair := range modload.Companions() {
			if pair.Module != chosen[i] {
				continue
			}
			for _, name := range pair.Then {
				inTree := c.index.Has(name)
				if inTree && (listed[name] || infiniband && modload.ServesIPoIB(name)) && !slices.Contains(chosen,
					name) {
					chosen = append(chosen, name)
				}
			}
		}
	}
	return chosen
}

// isDriver tells a module that a device asks for, or that drivers of one kind share, from
// what a profile has for other reasons.
func (c *Choice) isDriver(name string) bool {
	name = ko.ModuleName(name)
	at, ok := c.paths[name]
	switch {
	case !ok:
		return false // a pattern, an alias, or not there at all
	case c.aliases.devices[name]:
		return Bootable(at, Device{})
	default: // without a device: a companion, or a library
		return below(at, "net/", "usb/", "infiniband/hw/")
	}
}

// Bootable tells by the path of a driver's file, below lib/modules/RELEASE,
// whether it may be on the way to a root: network, storage, and the buses they
// sit on. Of modules outside of the kernel's own tree the path does not tell it,
// so the device does.
func Bootable(at string, d Device) bool {
	if !strings.HasPrefix(at, "kernel/") {
		id, ok := parsePCI(d.Modalias)
		return !ok || d.Kind() != 0 || id.class()>>8 == 0x06
	}
	if below(at, "pci/hotplug/", "net/wireless/") || below(at, "block/") && d.Kind() != DeviceStorage {
		return false // no radio, no floppy disk
	}
	return modload.Network(modload.Module{Path: "/" + at}) ||
		below(at, "ata/", "nvme/", "scsi/", "block/", "message/fusion/", "mmc/", "ufs/", "usb/storage/")
}

// below reports whether a path is below one of some directories of kernel/drivers.
func below(at string, dirs ...string) bool {
	in, ok := strings.CutPrefix(at, "kernel/drivers/")
	return ok && slices.ContainsFunc(dirs, func(dir string) bool { return strings.HasPrefix(in, dir) })
}
