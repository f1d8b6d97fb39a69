package netsetup

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/netsetup/link"
)

// Names are those that the command line gives: by ifname=, and to the links that it
// makes.
func (c Config) Names() []string {
	var names []string
	for _, r := range c.Renames {
		names = append(names, r.Name)
	}
	for _, l := range c.Links() {
		names = append(names, l.Name)
	}
	return names
}

// Makes reports whether the command line makes the link of that name: a bond, bridge, VLAN or
// P_Key child.
func (c Config) Makes(name string) bool { return c.Made(name) }

// Unlikely says why an interface of that name hardly exists, and what to write, in a sentence
// that follows the name and a colon. It is empty for a name that the kernel, udev or the command
// line gives, and for a description.
//
// never is set if there is certainly none: a VLAN, bond, bridge or P_Key child is there only if
// an argument makes it. Other names can come from a driver (the ports of a switch chip have those
// of the device tree) or be alternative ones.
func (c Config) Unlikely(name string) (why string, never bool) {
	gives := c.Names()
	if name == "" || strings.ContainsAny(name, "*?") || slices.Contains(gives, name) {
		return "", false
	}
	if key, word := linkWord(name); word != "" {
		// A link made of this one is not a name to write for it.
		gives = slices.DeleteFunc(gives, func(made string) bool { return c.under(made, name, nil) })
		if len(gives) > 0 {
			return "the command line makes " + strings.Join(gives, ", ") + ": write one of them, or add " + word, true
		}
		return "no " + key + "= makes it: add " + word, true
	}
	if link.IsUdevName(name) || kernelName(name) {
		return "", false
	}
	if lower := strings.ToLower(name); lower != name && (link.IsUdevName(lower) || kernelName(lower)) {
		return "names of the kernel and of udev are in lower case: write " + lower, false
	}
	makes := ""
	if len(gives) > 0 {
		makes = "the command line makes " + strings.Join(gives, ", ") + ", and "
	}
	return makes + "neither the kernel (eth0, ib0) nor udev (eno1, ens3, enp0s3, enx525400123456) gives " +
		"such a name: " +
		"unless the driver does, write one of theirs, or the address (ip=52-54-00-12-34-56:dhcp), or name " +
		"it by ifname=" + name + ":ADDRESS", false
}

// linkWord is the argument that would make a link of the name, and its key; empty if the
// name is not that of a link.
func linkWord(name string) (key, word string) {
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		on, number := name[:dot], name[dot+1:]
		if pkey, err := strconv.ParseUint(number, 16, 16); err == nil && link.InfiniBandName(on) && pkey&0x7fff != 0 {
			return "ib.pkey", "ib.pkey=" + name
		}
		if id, err := strconv.Atoi(number); err == nil && link.IsDigits(number) && id > 0 && id < 4095 {
			return "vlan", "vlan=" + name + ":" + on
		}
	}
	kind := series(name)
	if kind == name {
		return "", ""
	}
	switch kind {
	case "vlan":
		return "vlan", "vlan=" + name + ":DEVICE"
	case "bond", "team":
		return "bond", "bond=" + name + ":PORTS"
	case "br", "bridge":
		return "bridge", "bridge=" + name + ":PORTS"
	}
	return "", ""
}

// kernelName reports whether the kernel gives such a name to an adapter.
func kernelName(name string) bool {
	return series(name) != name && slices.Contains(kernelKinds(), series(name))
}

// kernelKinds are what the kernel's names of adapters begin with, before the number, udevKinds
// what udev's do.
func kernelKinds() []string { return []string{"eth", "ib", "usb", "wwan"} }
func udevKinds() []string   { return []string{"en", "ib", "ww", "sl"} }

// GivesLike reports whether ifname= gives a name that is as a pattern with * and ? says.
func (c Config) GivesLike(pattern string) bool {
	return slices.ContainsFunc(c.Renames, func(r Rename) bool {
		ok, err := path.Match(pattern, r.Name)
		return ok && err == nil
	})
}

// UnlikelyPattern is Unlikely for a pattern with * and ?, whose sentence stands alone. It is empty if
// the kernel or udev gives such names, as far as interfaces get udev's. never tells that they do not.
func (c Config) UnlikelyPattern(pattern string) (why string, never bool) {
	before := pattern
	if i := strings.IndexAny(pattern, "*?"); i >= 0 {
		before = pattern[:i]
	}
	begins := func(kind string) bool { return strings.HasPrefix(before, kind) || strings.HasPrefix(kind, before) }
	udev := slices.ContainsFunc(udevKinds(), begins)
	const keep = ": they keep the kernel's names (eth0, ib0), "
	none := "no interface is called " + pattern
	switch {
	case c.GivesLike(pattern), slices.ContainsFunc(kernelKinds(), begins), udev && !c.KeepsKernelNames():
		return "", false
	case udev && c.KernelNames:
		return none + keep + "as net.ifnames=0 or nodisk.ifnames=kernel says; leave that out, or write eth*", true
	case udev:
		return none + keep + "because another argument uses one; " +
			"write all arguments with udev's names, or all with the kernel's", true
	}
	have := "they have the kernel's names (eth0, ib0) or those of udev (eno1, ens3, enp0s3, enx525400123456)"
	if made := c.Names(); len(made) > 0 {
		have = "the command line makes " + strings.Join(made, ", ") + ", and of the others " + have
	}
	return none + ": " + have + "; write one of them, or the address (ip=52-54-00-12-34-56:dhcp)", false // unless a driver gives it
}

// CheckName is the remedy for a name that nothing has.
const CheckName = "check its name and that its driver is in the image"

// unknown is what to do about a name that no interface has; brief if it has been said before.
func (c Config) unknown(name string, brief bool) string {
	why, never := c.Unlikely(name)
	switch {
	case why != "" && (never || !brief):
		return why
	case brief || !link.IsUdevName(name):
		return CheckName
	default:
		return "check that its driver is in the image, and the name, which is one of udev's: " +
			"eno1 or end0 by a number on the board, ens3 by the slot, enp0s3 by the place on the bus, " +
			"enx525400123456 by the address"
	}
}
