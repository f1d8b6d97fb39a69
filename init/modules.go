package boot

import (
	"slices"
	"strings"

	"github.com/nodisk/nodisk/init/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// A ModulePlan says which modules are loaded by name, and how. Drivers of the
// machine's devices come by coldplug besides.
type ModulePlan struct {
	First    []string // nodisk.modules=: one by one, in this order
	Pre      []string // rd.driver.pre=: before the coldplug
	Post     []string // rd.driver.post=: after it
	Profiles []string // nodisk.profile=, as the image was built
	Serial   bool     // nodisk.load=serial

	Params    modload.Params
	Blacklist modload.Blacklist
}

func newModulePlan(args cmdline.Args) (ModulePlan, []error) {
	var errs []error
	m := ModulePlan{
		First:    list(args, "nodisk.modules"),
		Pre:      list(args, "rd.driver.pre"),
		Post:     list(args, "rd.driver.post"),
		Profiles: list(args, "nodisk.profile"),
	}
	for _, name := range m.Profiles {
		if _, ok := modload.LookupProfile(name); !ok {
			errs = append(errs, &cmdline.ValueError{
				Key: "nodisk.profile", Value: name, Problem: "is no profile",
				Fix: "write one or several of " + strings.Join(profileNames(), ", "),
			})
		}
	}
	switch how, _ := args.Last("nodisk.load"); how {
	case "", "parallel":
	case "serial":
		m.Serial = true
	default:
		errs = append(errs, &cmdline.ValueError{Key: "nodisk.load", Value: how, Problem: "is not a way to load modules", Fix: "write parallel or serial"})
	}
	m.Params, m.Blacklist = modload.ParseParams(args)
	return m, errs
}

func profileNames() []string {
	var names []string
	for _, p := range modload.Profiles() {
		names = append(names, p.Name)
	}
	return names
}

// list reads the comma-separated values of all occurrences of a key, in order.
func list(args cmdline.Args, key string) []string {
	var words []string
	for _, v := range args.All(key) {
		for w := range strings.SplitSeq(v, ",") {
			if w = strings.TrimSpace(w); w != "" && !slices.Contains(words, w) {
				words = append(words, w)
			}
		}
	}
	return words
}
