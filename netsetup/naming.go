package netsetup

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/link"
)

// parseNaming reads the keys that decide by whose rules interfaces are named. net.ifnames=,
// net.naming_scheme= and net.ifname_policy= are udev's: what it would not understand has no
// effect there, and none here.
func (c *Config) parseNaming(args cmdline.Args, p *problems) {
	for _, a := range args {
		switch {
		case cmdline.SameKey(a.Key, "net.ifnames"):
			if on, err := (cmdline.Args{a}).Bool(a.Key, true); err == nil {
				c.KernelNames = !on
			}
		case cmdline.SameKey(a.Key, "net.naming_scheme"):
			c.NamingScheme = a.Value
		case cmdline.SameKey(a.Key, "net.ifname_policy"):
			c.NamePolicies = append(c.NamePolicies, parseNamePolicy(a.Value))
		}
	}
	for _, a := range args {
		if !cmdline.SameKey(a.Key, "nodisk.ifnames") {
			continue
		}
		switch a.Value {
		case "kernel", "udev":
			c.KernelNames, c.USBNames = a.Value == "kernel", 0
		case USBByPath.String():
			c.KernelNames, c.USBNames = false, USBByPath
		case USBByAddress.String():
			c.KernelNames, c.USBNames = false, USBByAddress
		default:
			p.bad(a, "does not say whose names interfaces have", "write kernel, udev, usb-mac or usb-path")
			continue
		}
		if name := c.kernelName(); name != "" && !c.KernelNames {
			c.Unheeded = append(c.Unheeded, a.Key+"="+a.Value+": without effect, "+name+
				" is a name of the kernel's, and so all interfaces keep those: write udev's name, or the address")
		}
	}
}

// promised reports whether ifname= gives the name to an adapter.
func (c Config) promised(name string) bool {
	return slices.ContainsFunc(c.Renames, func(r Rename) bool { return r.Name == name })
}

// KeepsKernelNames reports whether interfaces keep the names that the kernel gives them: if the
// command line says so, or uses one. A name that is given up is free for the kernel to use again:
// ip=eth0:dhcp ip=eth1:dhcp would mean whatever appears when the first eth0 has become ens3.
func (c Config) KeepsKernelNames() bool {
	return c.KernelNames || c.kernelName() != ""
}

// kernelName is the first of the kernel's names that an argument uses.
func (c Config) kernelName() string {
	cards := c.cards()
	i := slices.IndexFunc(cards, func(name string) bool {
		if !link.DeviceMatch(name).Glob() {
			return !link.IsUdevName(name)
		}
		return !slices.ContainsFunc(udevKinds(), func(prefix string) bool { return mayBeUdevName(name, prefix) })
	})
	if i < 0 {
		return ""
	}
	return cards[i]
}

// mayBeUdevName reports whether a pattern may match udev's names with that beginning.
func mayBeUdevName(pattern, prefix string) bool {
	before, behind, _ := strings.Cut(pattern, "*")
	for i := range prefix {
		switch {
		case i == len(before):
			// A star stands for the rest; ens3f0np0 and enahisi2i0 have these letters.
			return strings.Trim(behind, prefix+"0123456789abcdefhinoprsuvxPX*?") == ""
		case before[i] != '?' && before[i] != prefix[i]:
			return false
		}
	}
	return true
}

// Ifname returns the name that ifname= gives to the device.
func (c Config) Ifname(d link.Device) (string, bool) {
	for _, r := range c.Renames {
		if d.Hardware() && r.Addr.Identifies(d) {
			return r.Name, true
		}
	}
	return "", false
}

// udevName is the name that udev of the root would give to the device, empty if it would leave it
// as it is. Where an argument calls it by another of udev's names, the root has other rules, and
// the device gets that name.
func (c Config) udevName(d link.Device) string {
	order := c.namePolicy(d)
	keeps := d.Udev.Kept && (order[0] == "keep" || order[0] == "kernel")
	if !d.Hardware() || d.Up || keeps || c.KernelNames {
		return ""
	}
	cards := c.cards()
	for _, name := range d.Udev.All() {
		if link.UdevValid(name) && slices.Contains(cards, name) {
			return name
		}
	}
	return d.Udev.By(order)
}

// Settled reports whether the device may be used under the name it has: it is not
// that of another device by ifname=, nor has ifname= another for this one.
func (c Config) Settled(d link.Device) bool {
	if name, ok := c.Ifname(d); ok {
		return d.Name == name
	}
	return d.Type == link.HwLoopback || c.Made(d.Name) || !c.promised(d.Name)
}

// former is the name that the kernel would have given to the device if no other had been renamed,
// where it has another and that is to be had: with the kernel's names eth1 is the second card,
// whether it appears before or after the first is renamed.
func (c Config) former(d link.Device, have []link.Device) (string, bool) {
	name := d.Given
	if name == "" || name == d.Name || !c.renames(d) || c.promised(name) || c.Made(name) {
		return "", false
	}
	return name, !slices.ContainsFunc(have, func(o link.Device) bool {
		return slices.Contains(strings.Split(o.Alt, "/"), name) || o.Name == name && !c.renames(o)
	})
}

// renames reports whether nodisk may give the device another name than the kernel did, and
// udev has none for it.
func (c Config) renames(d link.Device) bool {
	return d.Hardware() && !d.Up && !d.Udev.Kept && c.udevName(d) == ""
}

// Naming returns the renames by which have[i] gets its name: none if it has it,
// or cannot get a better one. Where that is the name of another device, that one gets
// its own, or this one's.
func (c Config) Naming(have []link.Device, i int) []link.SetName {
	d := have[i]
	at := func(name string) int {
		return slices.IndexFunc(have, func(d link.Device) bool { return d.Name == name })
	}
	free := func(name string) bool { return at(name) < 0 && !c.promised(name) }
	its := func(d link.Device) (string, bool) {
		if name, ok := c.Ifname(d); ok {
			return name, true
		}
		return c.former(d, have)
	}
	if name, ok := its(d); ok {
		j := at(name)
		switch {
		case j == i:
			return nil
		case j < 0:
			return []link.SetName{{Dev: d.Name, Name: name}}
		}
		other := have[j]
		// The name that udev gave for a time, before it gave up exchanging names.
		spare := "rename" + strconv.Itoa(other.Index)
		next := d.Name
		if own, ok := its(other); ok && at(own) < 0 {
			next = own
		}
		return []link.SetName{{Dev: other.Name, Name: spare}, {Dev: d.Name, Name: name}, {Dev: spare, Name: next}}
	}
	name := c.udevName(d)
	switch {
	case name == d.Name && c.Settled(d):
		return nil
	case name != "" && free(name):
		return []link.SetName{{Dev: d.Name, Name: name}}
	case c.Settled(d):
		return nil
	}
	// The next name that the kernel would give.
	kind := series(d.Name)
	for n := 0; ; n++ {
		if name := kind + strconv.Itoa(n); free(name) {
			return []link.SetName{{Dev: d.Name, Name: name}}
		}
	}
}

// Given is the name that the kernel would have given to an interface if no other had
// been renamed: that of one which has been is free again, and so the next card has it,
// too.
func Given(name string, taken func(string) bool) string {
	kind := series(name)
	for n := 0; taken(name); n++ {
		name = kind + strconv.Itoa(n)
	}
	return name
}
