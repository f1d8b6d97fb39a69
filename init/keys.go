package boot

import (
	"fmt"
	"strings"

	"github.com/nodisk/nodisk/init/cmdline"
)

// A key is a word of the command line that nodisk knows.
type key struct {
	name string
	// notYet is what the administrator must know of a key that the grammar
	// has and this version does not act on. It makes the key a warning.
	notYet string
}

// keys are those of the grammar (docs/cmdline.md), so that a misspelt one can
// be told from one that belongs to somebody else. Keys whose values matter to
// the boot are parsed where their package is.
func keys() []key {
	const later = "not built yet, without effect"
	return []key{
		{name: "root"},
		{name: "netroot"},
		{name: "nfsroot"},
		{name: "rootfstype"},
		{name: "rootflags"},
		{name: "ro"},
		{name: "rw"},
		{name: "rootwait"},
		{name: "rootdelay"},
		{name: "init"},
		{name: "ip"},
		{name: "BOOTIF"},
		{name: "bond"},
		{name: "vlan"},
		{name: "bridge"},
		{name: "ib.pkey"},
		{name: "ifname"},
		{name: "net.ifnames"},
		{name: "net.naming_scheme"},
		{name: "nodisk.ifnames"},
		{name: "nameserver"},
		{name: "rd.route"},
		{name: "rd.neednet"},
		{name: "bootdev"},
		{name: "rd.bootif"},
		{name: "rd.peerdns"},
		{name: "nodisk.arp-probe"},
		{name: "rd.net.timeout.carrier"},
		{name: "rd.net.timeout.dhcp"},
		{name: "rd.net.dhcp.retry"},
		{name: "rd.net.dhcp.vendor-class"},
		{name: "modprobe.blacklist"},
		{name: "module_blacklist"},
		{name: "rd.driver.blacklist"},
		{name: "rd.driver.pre"},
		{name: "rd.driver.post"},
		{name: "nodisk.modules"},
		{name: "nodisk.profile"},
		{name: "nodisk.load"},
		{name: "rd.iscsi.initiator"},
		{name: "rd.iscsi.target.name"},
		{name: "rd.iscsi.target.ip"},
		{name: "rd.iscsi.target.port"},
		{name: "rd.iscsi.target.group", notYet: later},
		{name: "rd.iscsi.username"},
		{name: "rd.iscsi.password"},
		{name: "rd.iscsi.in.username"},
		{name: "rd.iscsi.in.password"},
		{name: "rd.iscsi.param", notYet: later},
		{name: "rd.iscsi.login_retry_max", notYet: "not needed: logins are tried until nodisk.deadline"},
		{name: "rd.iscsi.waitnet", notYet: "not needed: the network is waited for in any case"},
		{name: "rd.iscsi.testroute", notYet: "not needed: a login that finds no way says so"},
		{name: "rd.debug", notYet: "dracut's, without effect: write nodisk.log=debug"},
		{name: "rd.info", notYet: "dracut's, without effect: nodisk.log=info is the default"},
		{name: "rd.auto", notYet: "dracut's, without effect: nodisk assembles no volumes"},
		{name: "rd.iscsi.firmware"},
		{name: "rd.iscsi.ibft"},
		{name: "nodisk.chain"},
		{name: "nodisk.onfail"},
		{name: "nodisk.deadline"},
		{name: "nodisk.log"},
		{name: "rd.shell"},
		{name: "rd.emergency"},
		{name: "rd.retry"},
		{name: "panic"},
		{name: "nodisk.syslog", notYet: later},
		{name: "nodisk.report", notYet: later},
		{name: "rd.break"},
		{name: "nodisk.dhcp.clientid"},
		{name: "nodisk.dhcp.user-class"},
		{name: "nodisk.hostname"},
		{name: "nodisk.ib.mode"},
		{name: "nodisk.ib.port"},
		{name: "nodisk.mlx4.port_type"},
		{name: "nodisk.mount", notYet: later},
		{name: "rd.overlay", notYet: later},
	}
}

// ours tells whether a key can only be meant for nodisk: others belong to the
// kernel, to modules or to the root's init.
func ours(name string) bool {
	return strings.HasPrefix(name, "rd.") || strings.HasPrefix(name, "nodisk.")
}

// unknown returns a warning for every rd.* or nodisk.* key that nodisk does
// not know, with the nearest that it knows, and for those it does not act on.
func unknown(args cmdline.Args) []string {
	var warnings []string
	seen := map[string]bool{}
	for _, a := range args {
		if seen[a.Key] {
			continue
		}
		seen[a.Key] = true
		known, found := key{}, false
		for _, k := range keys() {
			if cmdline.SameKey(k.name, a.Key) {
				known, found = k, true
				break
			}
		}
		switch {
		case found && known.notYet != "":
			warnings = append(warnings, fmt.Sprintf("%s: %s", a.Key, known.notYet))
		case !found && ours(a.Key):
			w := a.Key + ": unknown key"
			if near := nearest(a.Key); near != "" {
				w += ", did you mean " + near + "?"
			}
			warnings = append(warnings, w)
		}
	}
	return warnings
}

// nearest is the known key with the smallest edit distance, or "" when none is
// near enough to be a slip of the finger.
func nearest(name string) string {
	var names []string
	for _, k := range keys() {
		names = append(names, k.name)
	}
	return nearestOf(name, names)
}

func nearestOf(name string, names []string) string {
	return cmdline.Nearest(name, names, len(name)/3+1)
}
