package netsetup

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A Bond is one bond=name[:ports[:options[:mtu]]].
type Bond struct {
	Name  string
	Ports []PortMatch
	// Options are in the order of bondOptions; the first is the mode.
	Options []BondOption
	MTU     int // bytes, 0 for the kernel's
	// LeftOut are options that would have no effect, with the reason.
	LeftOut []string
}

// A BondOption is an option of the bonding driver, as ip(8) writes it.
type BondOption struct{ Name, Value string }

// maxBondTargets is BOND_MAX_ARP_TARGETS and BOND_MAX_NS_TARGETS of
// include/net/bonding.h.
const maxBondTargets = 16

const bondFix = "write bond=bond0:eth0,eth1:mode=active-backup,miimon=100:1500, addresses with dashes, those of IPv6 in brackets"

// option returns the value of an option, empty if it is not given.
func (b Bond) option(name string) string {
	for _, o := range b.Options {
		if o.Name == name {
			return o.Value
		}
	}
	return ""
}

// on tells whether a numeric option is given and not 0.
func (b Bond) on(name string) bool {
	return bondOn(b.option(name))
}

// mode is the mode as a set.
func (b Bond) mode() uint8 {
	return 1 << max(0, slices.Index(strings.Fields(bondModes), b.option("mode")))
}

// parseBond reads bond=name[:ports[:options[:mtu]]] of dracut.cmdline(7), which
// has these defaults, too.
func (c *Config) parseBond(a cmdline.Arg, p *problems) {
	f, ok := splitFields(a.Value)
	if !ok || len(f) > 4 {
		p.bad(a, "is not name:ports:options[:mtu]", bondFix)
		return
	}
	f = append(f, "", "", "", "")
	if a.Value == "" {
		f[0] = "bond0"
	}
	if !strings.Contains(a.Value, ":") {
		f[1] = "eth0,eth1"
	}
	before := len(p.errs)
	b := Bond{Name: p.deviceName(a, f[0]), Ports: p.ports(a, f[1], bondFix), Options: p.bondOptions(a, f[2])}
	b.leaveOut()
	if f[3] != "" {
		b.MTU = p.number(a, f[3], minMTU, 65535)
	}
	if len(p.errs) == before {
		p.checkBond(a, b)
	}
	c.Bonds = append(c.Bonds, b)
}

// bondOptions reads option=value, separated by comma or semicolon. What has no
// "=" is one more value of the list before it.
func (p *problems) bondOptions(a cmdline.Arg, s string) []BondOption {
	table := bondTable()
	values := make([]string, len(table))
	last := -1
	for item := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ';' }) {
		name, value, given := strings.Cut(item, "=")
		i := findBondOption(table, name)
		if !given && last >= 0 {
			i, name, value = last, table[last].name, item
		}
		last = -1
		switch {
		case name == "max_bonds":
			p.bad(a, "max_bonds is not an option of one bond", "leave it out: nodisk makes each bond by its own bond=")
			continue
		case i < 0:
			p.bad(a, strconv.Quote(item)+" is not an option of the bonding driver", "write options as in Documentation/networking/bonding.rst: miimon=100,updelay=200")
			continue
		}
		o := table[i]
		if o.list() {
			last = i
		}
		text, ok := o.read(value)
		switch {
		case o.kind == bondPort && given && value == "": // none, as in sysfs
		case !ok:
			p.bad(a, name+"="+value+" is not "+o.expects(), "write "+name+"="+o.nearest(value))
		case values[i] == "":
			values[i] = text
		case !o.list():
			p.bad(a, name+" is given twice", "leave one of them out")
		case slices.Contains(strings.Split(values[i], ","), text):
			p.bad(a, name+" names "+text+" twice", "leave one of them out")
		case strings.Count(values[i], ",") == maxBondTargets-1:
			p.bad(a, name+" has more than "+strconv.Itoa(maxBondTargets)+" addresses", "leave some out: the kernel takes no more")
		default:
			values[i] += "," + text
		}
	}
	if values[0] == "" {
		values[0] = "balance-rr" // the kernel's and dracut's
	}
	if i := findBondOption(table, "miimon"); values[i] == "" && !bondOn(values[findBondOption(table, "arp_interval")]) {
		values[i] = "100" // without it a bond never notices a dead port
	}
	var b Bond
	for i, text := range values {
		if text != "" {
			b.Options = append(b.Options, BondOption{table[i].name, text})
		}
	}
	return b.Options
}

// leaveOut takes out the options that would have no effect: the kernel refuses most of
// them, where other initramfs let them pass. A default is not worth a word. What asks
// for ARP monitoring stays, and is an error: without it the bond notices less than it
// is asked to.
func (b *Bond) leaveOut() {
	table := bondTable()
	all := *b
	b.Options = slices.DeleteFunc(slices.Clone(all.Options), func(given BondOption) bool {
		o := table[findBondOption(table, given.Name)]
		why := all.idle(o)
		switch {
		case given.Value == o.usual:
			return o.name == "arp_interval" || why != ""
		case why == "" || o.monitors():
			return false
		}
		b.LeftOut = append(b.LeftOut, given.Name+"="+given.Value+" has no effect "+why)
		return true
	})
}

// idle says why an option has no effect on the bond; empty if it has one.
func (b Bond) idle(o bondOption) string {
	switch {
	case o.modes&b.mode() == 0:
		return "in mode " + b.option("mode")
	case o.needs != "" && !b.on(o.needs):
		return "without " + o.needs
	}
	return ""
}

// bondOn tells whether the value of a numeric option is given and not 0.
func bondOn(value string) bool { return value != "" && value != "0" }

// checkBond looks for what the kernel refuses, and for what would have no
// effect.
func (p *problems) checkBond(a cmdline.Arg, b Bond) {
	mode := b.option("mode")
	table := bondTable()
	for _, given := range b.Options {
		o := table[findBondOption(table, given.Name)]
		switch why := b.idle(o); {
		case why == "":
		case o.modes&b.mode() == 0:
			p.bad(a, given.Name+" has no effect "+why, "leave it out, or write mode="+o.modeWords())
		default:
			p.bad(a, given.Name+" has no effect "+why, "leave it out, or add "+o.needs+"="+table[findBondOption(table, o.needs)].example())
		}
	}
	arp := b.on("arp_interval")
	switch {
	case arp && b.on("miimon"):
		p.bad(a, "arp_interval and miimon exclude each other", "leave one of them out")
	case arp && b.option("arp_ip_target") == "" && b.option("ns_ip6_target") == "":
		p.bad(a, "arp_interval has nobody to ask", "add arp_ip_target=10.0.0.1, with the address of a host that always answers")
	case !arp && !b.on("miimon"):
		p.bad(a, "miimon=0 never notices a dead port", "write miimon=100")
	}
	if !slices.ContainsFunc(b.Ports, PortMatch.infiniBand) {
		return
	}
	if b.mode() != modeBackup {
		p.bad(a, "mode "+mode+" is impossible on InfiniBand", "write mode=active-backup")
	}
	// bond_enslave sets it itself, to active.
	if v := b.option("fail_over_mac"); v != "" && v != "active" {
		p.bad(a, "fail_over_mac="+v+" is impossible on InfiniBand", "leave it out")
	}
}
