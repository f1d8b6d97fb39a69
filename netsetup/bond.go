package netsetup

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/link"
)

// maxBondTargets is BOND_MAX_ARP_TARGETS and BOND_MAX_NS_TARGETS of
// include/net/bonding.h.
const maxBondTargets = 16

const bondFix = "write bond=bond0:eth0,eth1:mode=active-backup,miimon=100:1500, addresses with dashes, those of " +
	"IPv6 in brackets"

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
	b := link.Bond{Name: p.deviceName(a, f[0]), Ports: p.ports(a, f[1], bondFix), Options: p.bondOptions(a, f[2])}
	b.LeaveOut()
	if f[3] != "" {
		b.MTU = p.number(a, f[3], link.MinMTU, 65535)
	}
	if len(p.errs) == before {
		p.checkBond(a, b)
	}
	c.Bonds = append(c.Bonds, b)
}

// bondOptions reads option=value, separated by comma or semicolon. A value without "=" belongs to
// the list before it.
func (p *problems) bondOptions(a cmdline.Arg, s string) []link.BondOption {
	table := link.BondTable()
	values := make([]string, len(table))
	last := -1
	for item := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ';' }) {
		name, value, given := strings.Cut(item, "=")
		i := link.FindBondOption(table, name)
		if !given && last >= 0 {
			i, name, value = last, table[last].Name, item
		}
		last = -1
		switch {
		case name == "max_bonds":
			p.bad(a, "max_bonds is not an option of one bond", "leave it out: nodisk makes each bond by its own bond=")
			continue
		case i < 0:
			p.bad(
				a,
				strconv.Quote(item)+" is not an option of the bonding driver",
				"write options as in Documentation/networking/bonding.rst: miimon=100,updelay=200",
			)
			continue
		}
		o := table[i]
		if o.List() {
			last = i
		}
		text, ok := o.Read(value)
		switch {
		case o.Kind == link.BondPort && given && value == "": // none, as in sysfs
		case !ok:
			p.bad(a, name+"="+value+" is not "+o.Expects(), "write "+name+"="+o.Nearest(value))
		case values[i] == "":
			values[i] = text
		case !o.List():
			p.bad(a, name+" is given twice", "leave one of them out")
		case slices.Contains(strings.Split(values[i], ","), text):
			p.bad(a, name+" names "+text+" twice", "leave one of them out")
		case strings.Count(values[i], ",") == maxBondTargets-1:
			p.bad(
				a,
				name+" has more than "+strconv.Itoa(maxBondTargets)+" addresses",
				"leave some out: the kernel takes no more",
			)
		default:
			values[i] += "," + text
		}
	}
	if values[0] == "" {
		values[0] = "balance-rr" // the kernel's and dracut's
	}
	if i := link.FindBondOption(
		table,
		"miimon",
	); values[i] == "" &&
		!link.BondOn(values[link.FindBondOption(table, "arp_interval")]) {
		values[i] = "100" // without it a bond never notices a dead port
	}
	var b link.Bond
	for i, text := range values {
		if text != "" {
			b.Options = append(b.Options, link.BondOption{Name: table[i].Name, Value: text})
		}
	}
	return b.Options
}

// checkBond finds what the kernel would refuse, and what would have no effect.
func (p *problems) checkBond(a cmdline.Arg, b link.Bond) {
	mode := b.Option("mode")
	table := link.BondTable()
	for _, given := range b.Options {
		o := table[link.FindBondOption(table, given.Name)]
		switch why := b.Idle(o); {
		case why == "":
		case o.Modes&b.Mode() == 0:
			p.bad(a, given.Name+" has no effect "+why, "leave it out, or write mode="+o.ModeWords())
		default:
			p.bad(
				a,
				given.Name+" has no effect "+why,
				"leave it out, or add "+o.Needs+"="+table[link.FindBondOption(table, o.Needs)].Example(),
			)
		}
	}
	arp := b.On("arp_interval")
	switch {
	case arp && b.On("miimon"):
		p.bad(a, "arp_interval and miimon exclude each other", "leave one of them out")
	case arp && b.Option("arp_ip_target") == "" && b.Option("ns_ip6_target") == "":
		p.bad(
			a,
			"arp_interval has nobody to ask",
			"add arp_ip_target=10.0.0.1, with the address of a host that always answers",
		)
	case !arp && !b.On("miimon"):
		p.bad(a, "miimon=0 never notices a dead port", "write miimon=100")
	}
	if !slices.ContainsFunc(b.Ports, link.PortMatch.InfiniBand) {
		return
	}
	if b.Mode() != link.ModeBackup {
		p.bad(a, "mode "+mode+" is impossible on InfiniBand", "write mode=active-backup")
	}
	// bond_enslave sets it itself, to active.
	if v := b.Option("fail_over_mac"); v != "" && v != "active" {
		p.bad(a, "fail_over_mac="+v+" is impossible on InfiniBand", "leave it out")
	}
}
