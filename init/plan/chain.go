package plan

import (
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// A Chain is the init of the initramfs that nodisk was added to. It runs in place of a root of
// ours. The zero value is none.
type Chain struct {
	Path string // nodisk.chain=PATH
	// Drivers: nodisk.chain=PATH,drivers: the network is left to it.
	Drivers bool
}

func parseChain(args cmdline.Args) (Chain, error) {
	value, _ := args.Last("nodisk.chain")
	path, how, comma := strings.Cut(value, ",")
	c := Chain{Path: path, Drivers: how == "drivers"}
	if value == "" || strings.HasPrefix(path, "/") && comma == c.Drivers {
		return c, nil
	}
	return Chain{}, &cmdline.ValueError{
		Key: "nodisk.chain", Value: value, Problem: "is not an init of this image",
		Fix: "write /init.vendor, or /init.vendor,drivers where it brings up the network itself",
	}
}

// ours drops the arguments that are for the other init: it knows what to do with them, and they
// are not errors here.
func (c Chain) ours(args cmdline.Args) cmdline.Args {
	if c.Path == "" {
		return args
	}
	var list cmdline.Args
	for _, a := range args {
		keys := vendorKeys
		word, rd := strings.CutPrefix(a.Key, "rd.")
		if rd {
			word, _, _ = strings.Cut(word, ".")
			keys = ownKeys
		}
		if strings.Contains(keys, " "+word+" ") == rd {
			list = append(list, a)
		}
	}
	return append(list, cmdline.Arg{Key: "root", Value: "/dev/ram", HasValue: true})
}

// When another init runs, vendorKeys are its own, and of rd.* all but ownKeys,
// which are about drivers and the network.
const (
	vendorKeys = " root netroot nfsroot rootfstype rootflags ro rw rootwait rootdelay init panic "
	ownKeys    = " driver net route neednet bootif peerdns "
)

// String is a line for the plan.
func (c Chain) String() string {
	if c.Drivers {
		return c.Path + " after the drivers"
	}
	return c.Path + " after drivers and network"
}

// forVendor makes the plan one for an init that has its own modprobe, which
// does not find our modules: all that the image's profiles know are loaded, and
// none is worth an error.
func (m *ModulePlan) forVendor() {
	names := m.Profiles
	for _, name := range names {
		p, _ := modload.LookupProfile(name)
		names = append(names, p.With...)
	}
	m.Drivers = append(m.Drivers, m.Links...)
	for _, p := range modload.Profiles() {
		if p.Key == "" && slices.Contains(names, p.Name) {
			m.Drivers = append(m.Drivers, p.Load...)
		}
	}
	for i := range m.Drivers {
		m.Drivers[i].Optional = true
	}
}

// withoutVendors removes what dracut's keys name and this image does not have: the vendor's own
// modules.
func (m *ModulePlan) withoutVendors(x *modload.Index) {
	m.Pre, _ = x.Absent(m.Pre)
	m.Post, _ = x.Absent(m.Post)
}
