package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/init/cmdline"
)

// parseNaming reads what says whose names interfaces have. net.ifnames=,
// net.naming_scheme= and net.ifname_policy= are udev's: what it would not understand has no effect
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
		}
	}
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
	order := c.namePolicy(d)
	keeps := d.Udev.Kept && (order[0] == "keep" || order[0] == "kernel")
	if !d.hardware() || d.Up || keeps || c.KernelNames {
		return ""
	}
	cards := c.cards()
	for _, name := range d.Udev.all() {
		if udevValid(name) && slices.Contains(cards, name) {
			return name
		}
	}
	return d.Udev.by(order)
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

// given is the name that the kernel would have given to an interface if no other had
// been renamed: that of one which has been is free again, and so the next card has it,
// too.
func given(name string, taken func(string) bool) string {
	kind := series(name)
	for n := 0; taken(name); n++ {
		name = kind + strconv.Itoa(n)
	}
	return name
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
	n.dev.Given = r.given[n.key.index]
	have = r.devices()
	before := r.config
	config, others := before.called(have, i)
	r.config = config
	if len(others) > 0 {
		r.log.Info(n.dev.Name + ": is what the command line calls " + strings.Join(others, ", "))
	}
	for j, v := range r.config.VLANs {
		if m := before.VLANs[j].Parent; m.glob() && !v.Parent.glob() {
			r.log.Info(v.Name + ": is on " + n.dev.Name + ", the first interface that is as " + m.String() + " says")
		}
	}
	for _, s := range r.slots {
		if !s.spare {
			word := r.config.interfaces()[s.pos]
			s.Device, s.Match, s.need = word.Device, word.Match, r.config.need(s.pos)
		}
	}
	if err := r.config.clash(r.seen()); err != nil {
		r.fatal = err
	}
	if r.config.booted(n.dev) {
		n.dev.Boot = true
		for _, name := range r.config.over(n.dev) {
			r.boot[name] = true
		}
	}
	return true
}

// giveName keeps the name that the kernel has given to an interface, whatever becomes
// of it.
func (r *runner) giveName(d Device) {
	if d.hardware() && !d.Udev.Kept {
		r.given[d.Index] = given(d.Name, func(name string) bool {
			return slices.Contains(slices.Collect(maps.Values(r.given)), name)
		})
	}
}

// seen are the names of the interfaces that the words know by now.
func (r *runner) seen() []string {
	var names []string
	for _, n := range r.nics {
		if n.named && !n.key.six {
			names = append(names, n.dev.Name)
		}
	}
	return names
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
