package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
)

// A KeyState is what nodisk makes of a key of the command line. The zero value is
// invalid.
type KeyState int

// The states.
const (
	KeyDone      KeyState = iota + 1 // it does what the key's manual says
	KeyNotNeeded                     // what the key asks for is so in any case
	KeyForeign                       // the business of somebody else, of whom nothing is expected
	KeyInstead                       // without effect, which is a warning; something else is to be written
	KeyRefused                       // an error; something else is to be written
	KeyLater                         // of the grammar, and not built yet
)

// String is the state as docs/cmdline.md has it.
func (s KeyState) String() string {
	switch s {
	case KeyDone:
		return "done"
	case KeyNotNeeded:
		return "not needed"
	case KeyForeign:
		return "passed over"
	case KeyInstead:
		return "without effect"
	case KeyRefused:
		return "an error"
	case KeyLater:
		return "later"
	}
	return fmt.Sprintf("KeyState(%d)", int(s))
}

// A Key is a word of the command line that is known, of nodisk's own grammar or of
// the manuals that people have written their command lines by.
type Key struct {
	// Name is the key. One that ends in ".*" stands for all that begin so and are not
	// known by themselves.
	Name  string
	State KeyState
	// Why is the reason, and what to write instead.
	Why string
	// As is the key that this one is another name of.
	As string
	// Quiet are values with which a key asks for nothing, separated by spaces.
	Quiet string
	// From is the manual that has it, empty for nodisk's own.
	From string
	// Example is an argument with the key that can be used.
	Example string
}

// A keyTable is what Keys returns, for who looks up several.
type keyTable []Key

// lookup finds a key. Dash and underscore are the same; open-iscsi's are also known
// in capitals, in which its configuration file has them.
func (table keyTable) lookup(name string) (Key, bool) {
	if strings.HasPrefix(name, "ISCSI_") {
		name = strings.ToLower(name)
	}
	var family Key
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

// translate puts the keys of nodisk's grammar in the place of their other names, so
// that nobody else needs to know those. notes says which.
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

// ours tells whether a key can only be meant for nodisk: others belong to the
// kernel, to modules (which have a dot behind iscsi_tcp) or to the root's init.
func ours(name string) bool {
	return strings.HasPrefix(name, "rd.") || strings.HasPrefix(name, "nodisk.") ||
		strings.HasPrefix(strings.ToLower(name), "iscsi_") && !strings.Contains(name, ".")
}

// judge says what there is to say about the keys, each once: a warning for those
// without effect, for every rd.*, nodisk.* or iscsi_* key that nobody knows, and for
// every word that nobody else is known to use and that is a slip of the finger away
// from a key; a note for those that are not needed.
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
				warnings = append(warnings, a.Key+": no key of nodisk's; did you mean "+near+"?")
			}
		case k.State == KeyInstead:
			warnings = append(warnings, a.Key+": without effect: "+k.Why)
		case k.State == KeyLater:
			warnings = append(warnings, a.Key+": not built yet, without effect")
		case k.State == KeyNotNeeded:
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

// refused are the errors of keys that cannot be passed over: a login without the
// password that somebody gave; a key without a value gives none. Values may be
// secrets. Those of the network are netsetup's.
func (table keyTable) refused(args cmdline.Args) []error {
	var errs []error
	given := func(value string) bool { return value != "" }
	for _, k := range table {
		if k.State == KeyRefused && slices.ContainsFunc(args.All(k.Name), given) && !slices.Contains(netsetup.Keys(), k.Name) {
			problem, fix, _ := strings.Cut(k.Why, ": ")
			errs = append(errs, &cmdline.ValueError{Key: k.Name, Value: "...", Problem: problem, Fix: fix})
		}
	}
	return errs
}
