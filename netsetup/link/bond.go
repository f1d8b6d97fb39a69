package link

import (
	"slices"
	"strings"
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

// Option returns the value of an option, empty if it is not given.
func (b Bond) Option(name string) string {
	for _, o := range b.Options {
		if o.Name == name {
			return o.Value
		}
	}
	return ""
}

// On reports whether a numeric option is given and not 0.
func (b Bond) On(name string) bool {
	return BondOn(b.Option(name))
}

// Mode is the mode as a set.
func (b Bond) Mode() uint8 {
	return 1 << max(0, slices.Index(strings.Fields(bondModes), b.Option("mode")))
}

// LeaveOut takes out the options that would have no effect: the kernel refuses most of them,
// where other initramfs let them pass. A default is not worth mentioning. What asks for ARP
// monitoring stays, and is an error: without it the bond notices less than it is asked to.
func (b *Bond) LeaveOut() {
	table := BondTable()
	all := *b
	b.Options = slices.DeleteFunc(slices.Clone(all.Options), func(given BondOption) bool {
		o := table[FindBondOption(table, given.Name)]
		why := all.Idle(o)
		switch {
		case given.Value == o.usual:
			return o.Name == "arp_interval" || why != ""
		case why == "" || o.monitors():
			return false
		}
		b.LeftOut = append(b.LeftOut, given.Name+"="+given.Value+" has no effect "+why)
		return true
	})
}

// Idle says why an option has no effect on the bond; empty if it has one.
func (b Bond) Idle(o BondOptionRow) string {
	switch {
	case o.Modes&b.Mode() == 0:
		return "in mode " + b.Option("mode")
	case o.Needs != "" && !b.On(o.Needs):
		return "without " + o.Needs
	}
	return ""
}

// BondOn reports whether the value of a numeric option is given and not 0.
func BondOn(value string) bool { return value != "" && value != "0" }
