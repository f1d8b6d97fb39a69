package link

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A bondKind is what the value of an option is.
type bondKind uint8

// Kinds of values.
const (
	bondNumber  bondKind = iota + 1 // from min to max
	bondWord                        // one of several names, or its number
	bondSwitch                      // off or on; ip(8) takes the number
	bondAddr                        // an Ethernet address
	bondTargets                     // IPv4 addresses
	bondNS                          // IPv6 addresses
	BondPort                        // a port; the kernel is told when it has joined
)

// The modes, as sets: 1 << BOND_MODE_* of include/uapi/linux/if_bonding.h.
const (
	modeRR = 1 << iota
	ModeBackup
	modeXOR
	modeBroadcast
	modeAD
	modeTLB
	modeALB

	modePrimary = ModeBackup | modeTLB | modeALB
	modeARP     = modeRR | ModeBackup | modeXOR | modeBroadcast
	modeAny     = modeARP | modeAD | modeTLB | modeALB
)

// What options take (Documentation/networking/bonding.rst).
const (
	bondModes = "balance-rr active-backup balance-xor broadcast 802.3ad balance-tlb balance-alb"
	offOn     = "off on"
	maxInt    = 1<<31 - 1
)

// A BondOptionRow describes an option of Documentation/networking/bonding.rst: the
// name that ip-link(8) has for it, other names in use, the attribute
// (IFLA_BOND_* of include/uapi/linux/if_link.h) and its size in bytes, the
// values (drivers/net/bonding/bond_options.c), the modes in which it has an
// effect, and the option without which it has none. broadcast_neighbor is of Linux
// 6.17, ad_select=actor_port_prio of 6.18, lacp_strict of 7.2; an older one ignores
// an option that it does not know, which bondAdd tells.
type BondOptionRow struct {
	Name, alias string
	Attr, size  uint8
	Kind        bondKind
	Modes       uint8
	min, max    int
	words       string // in the order of their numbers
	Needs       string
	// usual is the kernel's default (bond_check_params of
	// drivers/net/bonding/bond_main.c): where the option has no effect it may be
	// written all the same.
	usual string
}

// BondTable returns the options. Those of ports come last.
func BondTable() []BondOptionRow {
	return []BondOptionRow{
		{Name: "mode", Attr: 1, size: 1, Kind: bondWord, Modes: modeAny, words: bondModes},
		{Name: "miimon", Attr: 3, size: 4, Kind: bondNumber, Modes: modeAny, max: maxInt},
		{
			Name:  "updelay",
			usual: "0",
			Attr:  4,
			size:  4,
			Kind:  bondNumber,
			Modes: modeAny,
			max:   maxInt,
			Needs: "miimon",
		},
		{
			Name:  "downdelay",
			usual: "0",
			Attr:  5,
			size:  4,
			Kind:  bondNumber,
			Modes: modeAny,
			max:   maxInt,
			Needs: "miimon",
		},
		{
			Name:  "peer_notify_delay",
			alias: "peer_notif_delay",
			usual: "0",
			Attr:  28,
			size:  4,
			Kind:  bondNumber,
			Modes: ModeBackup,
			max:   300000,
			Needs: "miimon",
		},
		{
			Name:  "use_carrier",
			usual: "1",
			Attr:  6,
			size:  1,
			Kind:  bondSwitch,
			Modes: modeAny,
			words: offOn,
			Needs: "miimon",
		},
		{Name: "arp_interval", usual: "0", Attr: 7, size: 4, Kind: bondNumber, Modes: modeARP, max: maxInt},
		{Name: "arp_ip_target", Attr: 8, Kind: bondTargets, Modes: modeARP, Needs: "arp_interval"},
		{Name: "ns_ip6_target", Attr: 31, Kind: bondNS, Modes: modeARP, Needs: "arp_interval"},
		{
			Name:  "arp_validate",
			usual: "none",
			Attr:  9,
			size:  4,
			Kind:  bondWord,
			Modes: modeARP,
			Needs: "arp_interval",
			words: "none active backup all filter filter_active filter_backup",
		},
		{
			Name:  "arp_all_targets",
			usual: "any",
			Attr:  10,
			size:  4,
			Kind:  bondWord,
			Modes: ModeBackup,
			words: "any all",
			Needs: "arp_interval",
		},
		{
			Name:  "arp_missed_max",
			usual: "2",
			Attr:  30,
			size:  1,
			Kind:  bondNumber,
			Modes: modeARP,
			min:   1,
			max:   255,
			Needs: "arp_interval",
		},
		{
			Name:  "primary_reselect",
			usual: "always",
			Attr:  12,
			size:  1,
			Kind:  bondWord,
			Modes: modePrimary,
			words: "always better failure",
			Needs: "primary",
		},
		{
			Name:  "fail_over_mac",
			usual: "none",
			Attr:  13,
			size:  1,
			Kind:  bondWord,
			Modes: ModeBackup,
			words: "none active follow",
		},
		{
			Name:  "xmit_hash_policy",
			usual: "layer2",
			Attr:  14,
			size:  1,
			Kind:  bondWord,
			Modes: modeXOR | modeAD | modeTLB,
			words: "layer2 layer3+4 layer2+3 encap2+3 encap3+4 vlan+srcmac",
		},
		{Name: "resend_igmp", usual: "1", Attr: 15, size: 4, Kind: bondNumber, Modes: modeRR | modePrimary, max: 255},
		{
			Name:  "num_grat_arp",
			alias: "num_unsol_na num_peer_notif",
			usual: "1",
			Attr:  16,
			size:  1,
			Kind:  bondNumber,
			Modes: ModeBackup,
			max:   255,
		},
		{
			Name:  "all_slaves_active",
			alias: "all_ports_active",
			usual: "0",
			Attr:  17,
			size:  1,
			Kind:  bondSwitch,
			Modes: modeAny,
			words: offOn,
		},
		{Name: "min_links", usual: "0", Attr: 18, size: 4, Kind: bondNumber, Modes: modeAD, max: maxInt},
		{
			Name:  "lp_interval",
			usual: "1",
			Attr:  19,
			size:  4,
			Kind:  bondNumber,
			Modes: modeTLB | modeALB,
			min:   1,
			max:   maxInt,
		},
		{
			Name:  "packets_per_slave",
			alias: "packets_per_port",
			usual: "1",
			Attr:  20,
			size:  4,
			Kind:  bondNumber,
			Modes: modeRR,
			max:   65535,
		},
		{Name: "tlb_dynamic_lb", Attr: 27, size: 1, Kind: bondSwitch, Modes: modeTLB | modeALB, words: offOn},
		{Name: "lacp_rate", usual: "slow", Attr: 21, size: 1, Kind: bondWord, Modes: modeAD, words: "slow fast"},
		{Name: "lacp_active", usual: "on", Attr: 29, size: 1, Kind: bondWord, Modes: modeAD, words: offOn},
		{Name: "coupled_control", usual: "on", Attr: 32, size: 1, Kind: bondWord, Modes: modeAD, words: offOn},
		{Name: "broadcast_neighbor", usual: "off", Attr: 33, size: 1, Kind: bondWord, Modes: modeAD, words: offOn},
		{Name: "lacp_strict", usual: "off", Attr: 34, size: 1, Kind: bondWord, Modes: modeAD, words: offOn},
		{
			Name:  "ad_select",
			usual: "stable",
			Attr:  22,
			size:  1,
			Kind:  bondWord,
			Modes: modeAD,
			words: "stable bandwidth count actor_port_prio",
		},
		{Name: "ad_user_port_key", usual: "0", Attr: 25, size: 2, Kind: bondNumber, Modes: modeAD, max: 1023},
		{
			Name:  "ad_actor_sys_prio",
			usual: "65535",
			Attr:  24,
			size:  2,
			Kind:  bondNumber,
			Modes: modeAD,
			min:   1,
			max:   65535,
		},
		{Name: "ad_actor_system", Attr: 26, Kind: bondAddr, Modes: modeAD},
		{Name: "primary", Attr: 11, Kind: BondPort, Modes: modePrimary},
		{Name: "active_slave", alias: "active_port", Attr: 2, Kind: BondPort, Modes: modePrimary},
	}
}

// FindBondOption returns the position of the option that has the name, -1 for
// none.
func FindBondOption(table []BondOptionRow, name string) int {
	return slices.IndexFunc(table, func(o BondOptionRow) bool {
		return o.Name == name || slices.Contains(strings.Fields(o.alias), name)
	})
}

// monitors reports whether the option asks for ARP monitoring.
func (o BondOptionRow) monitors() bool {
	return o.Name == "arp_interval" || o.Name == "arp_ip_target" || o.Name == "ns_ip6_target"
}

// List reports whether the option takes several values.
func (o BondOptionRow) List() bool { return o.Kind == bondTargets || o.Kind == bondNS }

// Read returns the value as ip(8) writes it.
func (o BondOptionRow) Read(s string) (string, bool) {
	switch o.Kind {
	case bondNumber, bondWord, bondSwitch:
		v, ok := o.number(s)
		if o.Kind == bondWord && ok {
			return strings.Fields(o.words)[v], true
		}
		return strconv.Itoa(v), ok
	case bondAddr:
		addr, err := ParseHardwareAddr(s)
		// bond_option_ad_actor_system_set refuses groups.
		return addr.String(), err == nil && addr[0]&1 == 0
	case BondPort:
		m, err := ParsePortMatch(s)
		return m.String(), err == nil && !m.Glob()
	default:
		addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
		return addr.String(), err == nil && addr.Is4() == (o.Kind == bondTargets) && validTarget(addr)
	}
}

// validTarget follows bond_is_ip_target_ok and bond_is_ip6_target_ok of
// include/net/bonding.h.
func validTarget(a netip.Addr) bool {
	return a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// number is the value that the kernel gets.
func (o BondOptionRow) number(s string) (int, bool) {
	v, err := strconv.Atoi(s)
	ok := err == nil && IsDigits(s)
	if o.words == "" {
		return v, ok && v >= o.min && v <= o.max
	}
	words := strings.Fields(o.words)
	if i := slices.Index(words, s); i >= 0 {
		return i, true
	}
	return v, ok && v < len(words)
}

// Expects says in words what the option takes.
func (o BondOptionRow) Expects() string {
	switch o.Kind {
	case bondNumber:
		return "a number from " + strconv.Itoa(o.min) + " to " + strconv.Itoa(o.max)
	case bondAddr:
		return "the Ethernet address of a system, written with dashes"
	case BondPort:
		return "the name or address of a port"
	case bondTargets:
		return "the IPv4 address of a host"
	case bondNS:
		return "the IPv6 address of a host, in brackets"
	default:
		return "one of " + strings.ReplaceAll(o.words, " ", ", ")
	}
}

// Nearest is the name probably meant by one that is not valid, or else the example.
func (o BondOptionRow) Nearest(s string) string {
	s = strings.ReplaceAll(strings.ToLower(s), "_", "-")
	words := strings.Fields(o.words)
	if slices.Contains(words, s) {
		return s
	}
	return cmp.Or(cmdline.Nearest(s, words, 3), o.Example())
}

// Example is a value that the option takes.
func (o BondOptionRow) Example() string {
	switch o.Kind {
	case bondNumber:
		return strconv.Itoa(min(100, o.max))
	case bondAddr:
		return "02-00-00-00-00-01"
	case BondPort:
		return "eth0"
	case bondTargets:
		return "10.0.0.1;10.0.0.2"
	case bondNS:
		return "[2001:db8::1];[2001:db8::2]"
	default:
		word, _, _ := strings.Cut(o.words, " ")
		return word
	}
}

// ModeWords lists the modes of an option.
func (o BondOptionRow) ModeWords() string {
	var words []string
	for i, word := range strings.Fields(bondModes) {
		if o.Modes&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return strings.Join(words, " or ")
}
