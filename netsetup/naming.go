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

	"github.com/nodisk/nodisk/internal/cmdline"
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
			continue
		}
		if name := c.kernelName(); name != "" && !c.KernelNames {
			c.Unheeded = append(c.Unheeded, a.Key+"="+a.Value+": without effect, "+name+
				" is a name of the kernel's, and so all interfaces keep those: write udev's name, or the address")
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
	return c.KernelNames || c.kernelName() != ""
}

// kernelName is how the first word does so that calls an interface by the kernel's name.
func (c Config) kernelName() string {
	cards := c.cards()
	i := slices.IndexFunc(cards, func(name string) bool {
		if !deviceMatch(name).glob() {
			return !IsUdevName(name)
		}
		return !slices.ContainsFunc([]string{"en", "ib", "ww", "sl"}, func(prefix string) bool { return mayBeUdevName(name, prefix) })
	})
	if i < 0 {
		return ""
	}
	return cards[i]
}

// mayBeUdevName tells whether a pattern can be of names of udev's that begin so.
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

// former is the name that the kernel would have given to the device if no other had
// been renamed, where it has another and that is to be had: with the kernel's names
// eth1 is the second card, whether it appears before the first is renamed or behind.
func (c Config) former(d Device, have []Device) (string, bool) {
	name := d.Given
	if name == "" || name == d.Name || !c.renames(d) || c.promised(name) || c.made(name) {
		return "", false
	}
	return name, !slices.ContainsFunc(have, func(o Device) bool {
		return slices.Contains(strings.Split(o.Alt, "/"), name) || o.Name == name && !c.renames(o)
	})
}

// renames tells whether nodisk may give the device another name than the kernel did, and
// udev has none for it.
func (c Config) renames(d Device) bool {
	return d.hardware() && !d.Up && !d.Udev.Kept && c.udevName(d) == ""
}

// naming returns the renames by which have[i] gets its name: none if it has it,
// or cannot get a better one. Where that is the name of another device, that one gets
// its own, or this one's.
func (c Config) naming(have []Device, i int) []LinkName {
	d := have[i]
	at := func(name string) int { return slices.IndexFunc(have, func(d Device) bool { return d.Name == name }) }
	free := func(name string) bool { return at(name) < 0 && !c.promised(name) }
	its := func(d Device) (string, bool) {
		if name, ok := c.ifname(d); ok {
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
			return []LinkName{{d.Name, name}}
		}
		other := have[j]
		// The name that udev gave for a time, before it gave up exchanging names.
		spare := "rename" + strconv.Itoa(other.Index)
		next := d.Name
		if own, ok := its(other); ok && at(own) < 0 {
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
	kind := series(d.Name)
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
// tells whether that is so and the words agree with what is there.
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
		if _, own := r.config.ifname(n.dev); !own && step.Name == n.dev.Given && errors.Is(err, fs.ErrExist) {
			return false // whoever has the name shows itself soon, and gets its own
		}
		n.fail(fmt.Errorf("%s: %w", step, err), !r.config.settled(n.dev), r.log)
		break
	}
	if !r.config.settled(n.dev) {
		return false
	}
	n.named, n.unnamed = true, nil
	r.called = append(r.called, n.key.index)
	others := r.resolve()
	if err := r.config.clash(r.seen()); err != nil {
		// Nothing is done with words that contradict each other: links could be made of
		// themselves.
		r.fatal, n.named = err, false
		r.called = r.called[:len(r.called)-1]
		r.resolve()
		return false
	}
	if len(others) > 0 {
		r.log.Info(n.dev.Name + ": is what the command line calls " + strings.Join(others, ", "))
	}
	if n.dev.Boot {
		r.dismiss()
	}
	return true
}

// giveName keeps the name that the kernel has given to an adapter, and returns it. What
// a program has named was given it before, by an attempt of this boot or not at all.
func (r *runner) giveName(d Device) string {
	if !d.hardware() {
		return ""
	}
	name := r.before.Given[d.Index]
	if name == "" && d.Udev.Kept {
		return ""
	}
	if name == "" {
		name = given(d.Name, func(name string) bool {
			return slices.Contains(slices.Collect(maps.Values(r.given)), name) ||
				slices.ContainsFunc(r.devices(), func(o Device) bool { return o.Given == "" && o.Index != d.Index && o.Name == name })
		})
	}
	r.given[d.Index] = name
	return name
}

// forget leaves what is known of an interface that is gone: another one may come by its
// name.
func (r *runner) forget(index int) {
	delete(r.given, index)
	r.before.Given = maps.Clone(r.before.Given)
	delete(r.before.Given, index)
	if i := slices.Index(r.called, index); i >= 0 {
		r.called = slices.Delete(r.called, i, i+1)
		r.resolve()
	}
}

// resolve has the words be about the interfaces that are known by now. It returns what
// they call the last one of those besides its name.
func (r *runner) resolve() (others []string) {
	have := r.devices()
	before := r.config
	config, places, others := r.written.resolved(have, r.called)
	r.config = config
	for i, v := range config.VLANs {
		if m := before.VLANs[i].Parent; m.glob() && !v.Parent.glob() {
			r.log.Info(v.Name + ": is on " + v.Parent.Name + ", the first interface that is as " + m.String() + " says")
		}
	}
	words := config.interfaces()
	for i, at := range places {
		s := r.slots[i]
		for j := range s.have {
			if s.have[j].pos == s.pos {
				s.have[j].pos = at
			}
		}
		s.pos, s.Interface, s.need = at, words[at], config.need(at)
		if s.of != nil {
			s.spare, s.of = false, nil
		}
		if j := slices.Index(places, at); j < i { // they are about one interface, and say the same
			s.spare, s.of = true, r.slots[j]
		}
	}
	r.boot = map[string]bool{}
	for _, n := range r.sorted() {
		if n.named && config.booted(n.dev) {
			n.dev.Boot = true
			for _, name := range config.over(n.dev) {
				r.boot[name] = true
			}
		}
	}
	return others
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
