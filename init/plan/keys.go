package plan

import (
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
)

// A keyTable is what Keys returns, for several look-ups.
type keyTable []cmdline.Key

// lookup finds a key. Dash and underscore are the same; open-iscsi's are also known
// in capitals, in which its configuration file has them.
func (table keyTable) lookup(name string) (cmdline.Key, bool) {
	if strings.HasPrefix(name, "ISCSI_") {
		name = strings.ToLower(name)
	}
	var family cmdline.Key
	for _, k := range table {
		prefix, all := strings.CutSuffix(k.Name, "*")
		switch {
		case cmdline.SameKey(k.Name, name):
			return k, true
		case all && len(name) > len(prefix) && cmdline.SameKey(name[:len(prefix)], prefix):
			family = k
		}
	}
	return family, family.Name != ""
}

// translate replaces other names of keys by those of nodisk's grammar, so that nobody else needs
// to know them. notes says which.
func (table keyTable) translate(args cmdline.Args) (own cmdline.Args, notes []string) {
	for _, a := range args {
		if k, ok := table.lookup(a.Key); ok && k.As != "" {
			notes = append(notes, a.Key+": taken as "+k.As)
			a.Key = k.As
		}
		own = append(own, a)
	}
	slices.Sort(notes)
	return own, slices.Compact(notes)
}

// ours reports whether a key can only be meant for nodisk: others belong to the kernel, to
// modules (which have a dot after iscsi_tcp) or to the root's init.
func ours(name string) bool {
	return strings.HasPrefix(name, "rd.") || strings.HasPrefix(name, "nodisk.") ||
		strings.HasPrefix(strings.ToLower(name), "iscsi_") && !strings.Contains(name, ".")
}

// judge says what there is to say about the keys, each once: a warning for those without effect,
// for every unknown rd.*, nodisk.* or iscsi_* key, and for every argument that nobody else is
// known to use and that is one typing error away from a key; a note for those that are not
// needed.
func (table keyTable) judge(args cmdline.Args) (warnings, notes []string) {
	seen := map[string]bool{}
	for _, a := range args {
		k, known := table.lookup(a.Key)
		if seen[a.Key] || known && slices.Contains(strings.Fields(k.Quiet), strings.ToLower(a.Value)) {
			continue
		}
		seen[a.Key] = true
		switch {
		case !known && ours(a.Key):
			w := a.Key + ": unknown key"
			if near := table.meant(a.Key); near != "" {
				w += ", did you mean " + near + "?"
			}
			warnings = append(warnings, w)
		case !known:
			if near := slip(a.Key); near != "" {
				warnings = append(warnings, "unknown key "+a.Key+": did you mean "+near+"?")
			}
		case k.State == cmdline.KeyInstead:
			warnings = append(warnings, a.Key+": without effect: "+k.Why)
		case k.State == cmdline.KeyLater:
			warnings = append(warnings, a.Key+": not built yet, without effect")
		case k.State == cmdline.KeyNotNeeded:
			notes = append(notes, a.Key+": not needed: "+k.Why)
		}
	}
	return warnings, notes
}

// KeyWarnings are those of a plan that are about keys alone: unknown ones, with what was probably
// meant, and those without effect. They hold for a config file whatever the command line adds.
func KeyWarnings(args cmdline.Args) []string {
	table := keyTable(Keys())
	args, _ = table.translate(args)
	warnings, _ := table.judge(args)
	return warnings
}

// refused are the errors of keys that cannot be ignored: a login without the password that
// somebody gave; a key without a value gives none. Values may be secrets. Those of the network
// netsetup reports itself.
func (table keyTable) refused(args cmdline.Args) []error {
	var errs []error
	given := func(value string) bool { return value != "" }
	told := func(name string) bool {
		return slices.ContainsFunc(netsetup.Keys(), func(k cmdline.Key) bool { return k.Name == name })
	}
	for _, k := range table {
		if k.State == cmdline.KeyRefused && slices.ContainsFunc(args.All(k.Name), given) && !told(k.Name) {
			problem, fix, _ := strings.Cut(k.Why, ": ")
			errs = append(errs, &cmdline.ValueError{Key: k.Name, Value: "...", Problem: problem, Fix: fix})
		}
	}
	return errs
}
