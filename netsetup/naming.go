package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/init/cmdline"
)

// parseNaming reads what says whose names interfaces have. net.ifnames= and
// net.naming_scheme= are udev's: what it would not understand has no effect
// there, and none here.
func (c *Config) parseNaming(args cmdline.Args, p *problems) {
	for _, a := range args {
		switch {
		case cmdline.SameKey(a.Key, "net.ifnames"):
			if on, err := (cmdline.Args{a}).Bool(a.Key, true); err == nil {
				c.KernelNames = !on
			}
		case cmdline.SameKey(a.Key, "net.naming_scheme"):
			c.NamingScheme = a.Value
		}
	}
	for _, a := range args {
		if !cmdline.SameKey(a.Key, "nodisk.ifnames") {
			continue
		}
		switch a.Value {
		case "kernel", "udev":
			c.KernelNames = a.Value == "kernel"
		default:
			p.bad(a, "does not say whose names interfaces have", "write nodisk.ifnames=kernel or nodisk.ifnames=udev")
		}
	}
}

// mapNames returns the config with every name by which a word calls an
// interface replaced by f. The names of what the words make are not among them.
func (c Config) mapNames(f func(name string) string) Config {
	name := func(s string) string {
		if s == "" {
			return ""
		}
		return f(s)
	}
	ports := func(of []PortMatch) []PortMatch {
		of = slices.Clone(of)
		for i := range of {
			of[i].Name = name(of[i].Name)
		}
		return of
	}
	c.BootDev = name(c.BootDev)
	c.Interfaces = slices.Clone(c.Interfaces)
	for i := range c.Interfaces {
		c.Interfaces[i].Device = name(c.Interfaces[i].Device)
	}
	c.Needs.Hosts = slices.Clone(c.Needs.Hosts)
	for i := range c.Needs.Hosts {
		c.Needs.Hosts[i].Dev = name(c.Needs.Hosts[i].Dev)
	}
	c.Routes = slices.Clone(c.Routes)
	for i := range c.Routes {
		c.Routes[i].Dev = name(c.Routes[i].Dev)
	}
	c.Children = slices.Clone(c.Children)
	for i := range c.Children {
		c.Children[i].Parent = name(c.Children[i].Parent)
	}
	c.VLANs = slices.Clone(c.VLANs)
	for i := range c.VLANs {
		c.VLANs[i].Parent.Name = name(c.VLANs[i].Parent.Name)
	}
	c.Bonds = slices.Clone(c.Bonds)
	for i := range c.Bonds {
		b := &c.Bonds[i]
		b.Ports, b.Options = ports(b.Ports), slices.Clone(b.Options)
		for j, o := range b.Options {
			if m, ok := parsePortMatch(o.Value); ok && m.Name != "" && (o.Name == "primary" || o.Name == "active_slave") {
				b.Options[j].Value = name(o.Value)
			}
		}
	}
	c.Bridges = slices.Clone(c.Bridges)
	for i := range c.Bridges {
		c.Bridges[i].Ports = ports(c.Bridges[i].Ports)
	}
	return c
}

// cards are the names and globs by which the words call adapters: not those of
// links that the words make, and not those of ifname=.
func (c Config) cards() []string {
	var names []string
	c.mapNames(func(name string) string {
		if !c.made(name) && !c.promised(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
		return name
	})
	return names
}

// promised tells whether ifname= gives the name to an adapter.
func (c Config) promised(name string) bool {
	return slices.ContainsFunc(c.Renames, func(r Rename) bool { return r.Name == name })
}

// kernelNames tells whether interfaces keep the names that the kernel gives them:
// if it is said, or if a word calls one so. A name that is given up is the
// kernel's to give again: ip=eth0:dhcp ip=eth1:dhcp would mean whatever
// appears when the first eth0 has become ens3.
func (c Config) kernelNames() bool {
	return c.KernelNames || slices.ContainsFunc(c.cards(), func(name string) bool {
		before, glob := name, false
		if i := strings.IndexAny(name, "*?"); i >= 0 {
			before, glob = name[:i], true
		}
		if !glob {
			return !IsUdevName(name)
		}
		return !slices.ContainsFunc([]string{"en", "ib", "ww", "sl"}, func(prefix string) bool {
			return strings.HasPrefix(before, prefix) || strings.HasPrefix(prefix, before)
		})
	})
}

// ifname returns the name that ifname= gives to the device.
func (c Config) ifname(d Device) (string, bool) {
	for _, r := range c.Renames {
		if d.hardware() && r.Addr.identifies(d) {
			return r.Name, true
		}
	}
	return "", false
}

// udevName is the name that udev of the root would give to the device, empty if
// it would leave it as it is. Where a word calls it by another of udev's names,
// the root goes by other rules, and it gets that one.
func (c Config) udevName(d Device) string {
	if !d.hardware() || d.Up || d.Udev.Kept || c.KernelNames {
		return ""
	}
	cards := c.cards()
	for _, name := range d.Udev.all() {
		if udevValid(name) && slices.Contains(cards, name) {
			return name
		}
	}
	return d.Udev.policy()
}

// settled tells whether the device may be used under the name it has: it is not
// that of another device by ifname=, nor has ifname= another for this one.
func (c Config) settled(d Device) bool {
	if name, ok := c.ifname(d); ok {
		return d.Name == name
	}
	return d.Type == hwLoopback || c.made(d.Name) || !c.promised(d.Name)
}

// naming returns the renames by which have[i] gets its name: none if it has it,
// or cannot get a better one. Where ifname= gives it the name of another device,
// that one gets its own, or this one's.
func (c Config) naming(have []Device, i int) []LinkName {
	d := have[i]
	at := func(name string) int { return slices.IndexFunc(have, func(d Device) bool { return d.Name == name }) }
	free := func(name string) bool { return at(name) < 0 && !c.promised(name) }
	if name, ok := c.ifname(d); ok {
		j := at(name)
		switch {
		case j == i:
			return nil
		case j < 0:
			return []LinkName{{d.Name, name}}
		}
		other := have[j]
		// The name that udev gave for a time, before it gave up exchanging names.
		spare := "rename" + strconv.Itoa(other.Index)
		next := d.Name
		if own, ok := c.ifname(other); ok && at(own) < 0 {
			next = own
		}
		return []LinkName{{other.Name, spare}, {d.Name, name}, {spare, next}}
	}
	name := c.udevName(d)
	switch {
	case name == d.Name && c.settled(d):
		return nil
	case name != "" && free(name):
		return []LinkName{{d.Name, name}}
	case c.settled(d):
		return nil
	}
	// The next that the kernel would give.
	kind := strings.TrimRight(d.Name, "0123456789")
	for n := 0; ; n++ {
		if name := kind + strconv.Itoa(n); free(name) {
			return []LinkName{{d.Name, name}}
		}
	}
}

// called replaces other names of have[i] in the words by the one it has, so that
// a name is compared with one name from here on.
func (c Config) called(have []Device, i int) (_ Config, others []string) {
	cards := c.cards()
	for _, name := range have[i].names() {
		if slices.Contains(cards, name) && !slices.ContainsFunc(have, func(d Device) bool { return d.Name == name }) {
			others = append(others, name)
		}
	}
	if len(others) == 0 {
		return c, nil
	}
	return c.mapNames(func(name string) string {
		if slices.Contains(others, name) {
			return have[i].Name
		}
		return name
	}), others
}

// name settles the name of an interface before anything else is done with it, and
// tells whether that is so.
func (r *runner) name(n *nic) bool {
	have := r.devices()
	i := slices.IndexFunc(have, func(d Device) bool { return d.Index == n.key.index })
	steps := r.config.naming(have, i)
	for at, step := range steps {
		err := r.rename(step)
		if err == nil {
			continue
		}
		if at == 1 { // the other one keeps its name
			_ = r.rename(LinkName{Dev: steps[0].Name, Name: steps[0].Dev})
		}
		n.fail(fmt.Errorf("%s: %w", step, err), !r.config.settled(n.dev), r.log)
		break
	}
	if !r.config.settled(n.dev) {
		return false
	}
	n.named, n.unnamed = true, nil
	have = r.devices()
	config, others := r.config.called(have, i)
	if len(others) > 0 {
		r.log.Info(n.dev.Name + ": is what the command line calls " + strings.Join(others, ", "))
		r.config = config
		for _, s := range r.slots {
			if slices.Contains(others, s.Device) {
				s.Device = n.dev.Name
			}
			if !s.spare {
				s.need = r.config.need(s.pos)
			}
		}
	}
	if r.config.booted(n.dev) {
		n.dev.Boot = true
		for _, name := range r.config.over(n.dev) {
			r.boot[name] = true
		}
	}
	return true
}

// rename renames an interface, whatever the kernel is still to tell of it under
// its old name.
func (r *runner) rename(step LinkName) error {
	if err := step.apply(r.sys); err != nil {
		return err
	}
	for _, n := range r.nics {
		if n.dev.Name == step.Dev {
			n.dev.Name, n.renamed = step.Name, true
		}
	}
	return nil
}

// fail takes note of a name that an interface did not get. That there is one of
// that name shows itself soon, and then there is a way.
func (n *nic) fail(err error, must bool, log *slog.Logger) {
	switch {
	case !must:
		log.Debug(err.Error())
	case n.unnamed == nil && !errors.Is(err, fs.ErrExist):
		log.Warn(err.Error() + "; " + n.dev.Name + " is left alone")
	}
	n.unnamed = err
}
