package netsetup

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

const (
	bondNumber  bondKind = iota + 1 // from min to max
	bondWord                        // one of words, or its number
	bondSwitch                      // off or on, of which ip(8) takes the number
	bondAddr                        // an Ethernet address
	bondTargets                     // IPv4 addresses
	bondNS                          // IPv6 addresses
	bondPort                        // a port; the kernel is told when it has joined
)

// The modes, as sets: 1 << BOND_MODE_* of include/uapi/linux/if_bonding.h.
const (
	modeRR = 1 << iota
	modeBackup
	modeXOR
	modeBroadcast
	modeAD
	modeTLB
	modeALB

	modePrimary = modeBackup | modeTLB | modeALB
	modeARP     = modeRR | modeBackup | modeXOR | modeBroadcast
	modeAny     = modeARP | modeAD | modeTLB | modeALB
)

const (
	bondModes = "balance-rr active-backup balance-xor broadcast 802.3ad balance-tlb balance-alb"
	offOn     = "off on"
	maxInt    = 1<<31 - 1
)

// A bondOption describes an option of Documentation/networking/bonding.rst: the
// name that ip-link(8) has for it, other names in use, the attribute
// (IFLA_BOND_* of include/uapi/linux/if_link.h) and its size in bytes, the
// values (drivers/net/bonding/bond_options.c), the modes in which it has an
// effect, and the option without which it has none. broadcast_neighbor is of Linux
// 6.17, ad_select=actor_port_prio of 6.18, lacp_strict of 7.2; an older one ignores
// an option that it does not know, which bondAdd tells.
type bondOption struct {
	name, alias string
	attr, size  uint8
	kind        bondKind
	modes       uint8
	min, max    int
	words       string // in the order of their numbers
	needs       string
	// usual is the kernel's default (bond_check_params of
	// drivers/net/bonding/bond_main.c): where the option has no effect it may be
	// written all the same.
	usual string
}

// bondTable returns the options. Those of ports come last.
func bondTable() []bondOption {
	return []bondOption{
		{name: "mode", attr: 1, size: 1, kind: bondWord, modes: modeAny, words: bondModes},
		{name: "miimon", attr: 3, size: 4, kind: bondNumber, modes: modeAny, max: maxInt},
		{name: "updelay", usual: "0", attr: 4, size: 4, kind: bondNumber, modes: modeAny, max: maxInt, needs: "miimon"},
		{name: "downdelay", usual: "0", attr: 5, size: 4, kind: bondNumber, modes: modeAny, max: maxInt, needs: "miimon"},
		{name: "peer_notify_delay", alias: "peer_notif_delay", usual: "0", attr: 28, size: 4, kind: bondNumber, modes: modeBackup, max: 300000, needs: "miimon"},
		{name: "use_carrier", usual: "1", attr: 6, size: 1, kind: bondSwitch, modes: modeAny, words: offOn, needs: "miimon"},
		{name: "arp_interval", usual: "0", attr: 7, size: 4, kind: bondNumber, modes: modeARP, max: maxInt},
		{name: "arp_ip_target", attr: 8, kind: bondTargets, modes: modeARP, needs: "arp_interval"},
		{name: "ns_ip6_target", attr: 31, kind: bondNS, modes: modeARP, needs: "arp_interval"},
		{
			name: "arp_validate", usual: "none", attr: 9, size: 4, kind: bondWord, modes: modeARP, needs: "arp_interval",
			words: "none active backup all filter filter_active filter_backup",
		},
		{name: "arp_all_targets", usual: "any", attr: 10, size: 4, kind: bondWord, modes: modeBackup, words: "any all", needs: "arp_interval"},
		{name: "arp_missed_max", usual: "2", attr: 30, size: 1, kind: bondNumber, modes: modeARP, min: 1, max: 255, needs: "arp_interval"},
		{name: "primary_reselect", usual: "always", attr: 12, size: 1, kind: bondWord, modes: modePrimary, words: "always better failure", needs: "primary"},
		{name: "fail_over_mac", usual: "none", attr: 13, size: 1, kind: bondWord, modes: modeBackup, words: "none active follow"},
		{
			name: "xmit_hash_policy", usual: "layer2", attr: 14, size: 1, kind: bondWord, modes: modeXOR | modeAD | modeTLB,
			words: "layer2 layer3+4 layer2+3 encap2+3 encap3+4 vlan+srcmac",
		},
		{name: "resend_igmp", usual: "1", attr: 15, size: 4, kind: bondNumber, modes: modeRR | modePrimary, max: 255},
		{name: "num_grat_arp", alias: "num_unsol_na num_peer_notif", usual: "1", attr: 16, size: 1, kind: bondNumber, modes: modeBackup, max: 255},
		{name: "all_slaves_active", alias: "all_ports_active", usual: "0", attr: 17, size: 1, kind: bondSwitch, modes: modeAny, words: offOn},
		{name: "min_links", usual: "0", attr: 18, size: 4, kind: bondNumber, modes: modeAD, max: maxInt},
		{name: "lp_interval", usual: "1", attr: 19, size: 4, kind: bondNumber, modes: modeTLB | modeALB, min: 1, max: maxInt},
		{name: "packets_per_slave", alias: "packets_per_port", usual: "1", attr: 20, size: 4, kind: bondNumber, modes: modeRR, max: 65535},
		{name: "tlb_dynamic_lb", attr: 27, size: 1, kind: bondSwitch, modes: modeTLB | modeALB, words: offOn},
		{name: "lacp_rate", usual: "slow", attr: 21, size: 1, kind: bondWord, modes: modeAD, words: "slow fast"},
		{name: "lacp_active", usual: "on", attr: 29, size: 1, kind: bondWord, modes: modeAD, words: offOn},
		{name: "coupled_control", usual: "on", attr: 32, size: 1, kind: bondWord, modes: modeAD, words: offOn},
		{name: "broadcast_neighbor", usual: "off", attr: 33, size: 1, kind: bondWord, modes: modeAD, words: offOn},
		{name: "lacp_strict", usual: "off", attr: 34, size: 1, kind: bondWord, modes: modeAD, words: offOn},
		{name: "ad_select", usual: "stable", attr: 22, size: 1, kind: bondWord, modes: modeAD, words: "stable bandwidth count actor_port_prio"},
		{name: "ad_user_port_key", usual: "0", attr: 25, size: 2, kind: bondNumber, modes: modeAD, max: 1023},
		{name: "ad_actor_sys_prio", usual: "65535", attr: 24, size: 2, kind: bondNumber, modes: modeAD, min: 1, max: 65535},
		{name: "ad_actor_system", attr: 26, kind: bondAddr, modes: modeAD},
		{name: "primary", attr: 11, kind: bondPort, modes: modePrimary},
		{name: "active_slave", alias: "active_port", attr: 2, kind: bondPort, modes: modePrimary},
	}
}

// findBondOption returns the position of the option that has the name, -1 for
// none.
func findBondOption(table []bondOption, name string) int {
	return slices.IndexFunc(table, func(o bondOption) bool {
		return o.name == name || slices.Contains(strings.Fields(o.alias), name)
	})
}

// monitors tells whether the option asks for ARP monitoring.
func (o bondOption) monitors() bool {
	return o.name == "arp_interval" || o.name == "arp_ip_target" || o.name == "ns_ip6_target"
}

func (o bondOption) list() bool { return o.kind == bondTargets || o.kind == bondNS }

// read returns the value as ip(8) writes it.
func (o bondOption) read(s string) (string, bool) {
	switch o.kind {
	case bondNumber, bondWord, bondSwitch:
		v, ok := o.number(s)
		if o.kind == bondWord && ok {
			return strings.Fields(o.words)[v], true
		}
		return strconv.Itoa(v), ok
	case bondAddr:
		addr, err := ParseHardwareAddr(s)
		// bond_option_ad_actor_system_set refuses groups.
		return addr.String(), err == nil && addr[0]&1 == 0
	case bondPort:
		m, err := parsePortMatch(s)
		return m.String(), err == nil && !m.glob()
	default:
		addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
		return addr.String(), err == nil && addr.Is4() == (o.kind == bondTargets) && validTarget(addr)
	}
}

// validTarget follows bond_is_ip_target_ok and bond_is_ip6_target_ok of
// include/net/bonding.h.
func validTarget(a netip.Addr) bool {
	return a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// number is the value that the kernel gets.
func (o bondOption) number(s string) (int, bool) {
	v, err := strconv.Atoi(s)
	ok := err == nil && isDigits(s)
	if o.words == "" {
		return v, ok && v >= o.min && v <= o.max
	}
	words := strings.Fields(o.words)
	if i := slices.Index(words, s); i >= 0 {
		return i, true
	}
	return v, ok && v < len(words)
}

func (o bondOption) expects() string {
	switch o.kind {
	case bondNumber:
		return "a number from " + strconv.Itoa(o.min) + " to " + strconv.Itoa(o.max)
	case bondAddr:
		return "the Ethernet address of a system, written with dashes"
	case bondPort:
		return "the name or address of a port"
	case bondTargets:
		return "the IPv4 address of a host"
	case bondNS:
		return "the IPv6 address of a host, in brackets"
	default:
		return "one of " + strings.ReplaceAll(o.words, " ", ", ")
	}
}

// nearest is the word that is meant by one that is none, else the example.
func (o bondOption) nearest(s string) string {
	s = strings.ReplaceAll(strings.ToLower(s), "_", "-")
	words := strings.Fields(o.words)
	if slices.Contains(words, s) {
		return s
	}
	return cmp.Or(cmdline.Nearest(s, words, 3), o.example())
}

func (o bondOption) example() string {
	switch o.kind {
	case bondNumber:
		return strconv.Itoa(min(100, o.max))
	case bondAddr:
		return "02-00-00-00-00-01"
	case bondPort:
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

// modeWords lists the modes of an option.
func (o bondOption) modeWords() string {
	var words []string
	for i, word := range strings.Fields(bondModes) {
		if o.modes&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return strings.Join(words, " or ")
}
