package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// A ModulePlan says which modules are loaded by name, and how. Drivers of the
// machine's devices come by coldplug besides.
type ModulePlan struct {
	First    []string // nodisk.modules=: one by one, in this order
	Pre      []string // rd.driver.pre=: before the coldplug
	Post     []string // rd.driver.post=: after it
	Profiles []string // nodisk.profile= of the config file, as the image was built
	Serial   bool     // nodisk.load=serial
	// AsyncProbe: modules that the kernel asks for, see modload.LoaderConfig.
	AsyncProbe bool

	// Drivers are what the profiles load between the coldplug and Post: all of
	// those that the command line names, whatever the hardware, what nothing
	// else asks for of the image's.
	Drivers []modload.Request
	// Links are for the virtual links that are asked for and for the network's own
	// sockets, before it opens one.
	Links []modload.Request

	Params    modload.Params
	Blacklist modload.Blacklist
	Ports     []PortType // nodisk.mlx4.port_type=, at most one for each port

	Warnings []string
}

// NewModulePlan is what command line and config say about modules, and what is wrong with it.
func NewModulePlan(line, config cmdline.Args) (ModulePlan, []error) {
	args := cmdline.Merge(config, line)
	m := ModulePlan{
		First:    list(args, "nodisk.modules"),
		Pre:      list(args, "rd.driver.pre"),
		Post:     list(args, "rd.driver.post"),
		Profiles: list(config, "nodisk.profile"),
	}
	whole := list(line, "nodisk.profile")
	var errs []error
	for _, name := range slices.Concat(m.Profiles, whole) {
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
		errs = append(
			errs,
			&cmdline.ValueError{
				Key:     "nodisk.load",
				Value:   how,
				Problem: "is not a way to load modules",
				Fix:     "write parallel or serial",
			},
		)
	}
	m.Params, m.Blacklist = modload.ParseParams(args)
	if err := m.SetPorts(args); err != nil {
		errs = append(errs, err)
	}
	if m.Profiles == nil {
		m.Profiles = whole // an image that does not say what it is
	}
	if errs == nil {
		m.request(whole, args)
	}
	return m, errs
}

// request fills in what profiles load. whole are those of the command line.
func (m *ModulePlan) request(whole []string, args cmdline.Args) {
	var image []string // its profiles, and those that they contain
	for _, name := range m.Profiles {
		p, _ := modload.LookupProfile(name)
		image = append(append(image, name), p.With...)
	}
	for _, name := range whole {
		p, _ := modload.LookupProfile(name)
		for _, module := range p.Order {
			// Optional: a driver that finds nothing must not end the boot.
			m.Drivers = append(m.Drivers, modload.Request{Name: module, Stage: modload.StageDrivers, Optional: true})
		}
		if !slices.Contains(image, name) {
			m.Warnings = append(
				m.Warnings,
				"nodisk.profile="+name+": the image was built for "+strings.Join(m.Profiles, ", ")+
					"; add "+name+" to nodisk build --profile",
			)
		}
	}
	for _, p := range modload.Profiles() {
		switch {
		case p.Key != "" && asks(args, p.Key), p.Key == "" && slices.Contains(image, p.Name):
			m.Drivers = append(m.Drivers, p.At(modload.StageDrivers)...)
			for _, r := range p.At(modload.StageNetwork) {
				if !slices.Contains(m.Links, r) { // a protocol is of several profiles
					m.Links = append(m.Links, r)
				}
			}
		}
	}
}

// asks reports whether the command line has the argument that a profile waits for: a key, or one
// of the fields of its value.
func asks(args cmdline.Args, word string) bool {
	key, field, _ := strings.Cut(word, "=")
	if field == "" {
		return args.Has(key)
	}
	for _, v := range args.All(key) {
		if slices.Contains(strings.Split(v, ":"), field) {
			return true
		}
	}
	return false
}

// clone has lists of its own.
func (m ModulePlan) clone() ModulePlan {
	m.First, m.Pre, m.Post = slices.Clone(m.First), slices.Clone(m.Pre), slices.Clone(m.Post)
	m.Drivers, m.Links = slices.Clone(m.Drivers), slices.Clone(m.Links)
	return m
}

// without removes the names that the index does not have and that are not errors: those that
// newer kernels have merged or dropped, and what whole profiles have besides. Lists are copied
// from manuals that are older than the kernel. notes says what was removed.
func (m *ModulePlan) without(x *modload.Index) (notes []string) {
	var retired, missing []string
	gone := func(name string, optional bool) bool {
		switch _, absent := x.Absent([]string{name}); {
		case absent == nil:
			return false
		case modload.Retired(name):
			retired = append(retired, name)
		case optional:
			missing = append(missing, name)
		default:
			return false // its error comes when it is loaded
		}
		return true
	}
	for _, names := range []*[]string{&m.First, &m.Pre, &m.Post} {
		*names = slices.DeleteFunc(*names, func(name string) bool { return gone(name, false) })
	}
	m.Drivers = slices.DeleteFunc(m.Drivers, func(r modload.Request) bool { return gone(r.Name, r.Optional) })
	// A kernel need not have what is optional before the network: a socket says so
	// where it is wanted.
	m.Links = slices.DeleteFunc(m.Links, func(r modload.Request) bool {
		_, absent := x.Absent([]string{r.Name})
		return r.Optional && absent != nil
	})
	if retired != nil {
		notes = append(
			notes,
			"modules: no "+strings.Join(retired, " ")+": this kernel has them in ib_core or does without",
		)
	}
	if missing != nil {
		notes = append(
			notes,
			"modules: no "+strings.Join(missing, " ")+" in the image: loading the rest of nodisk.profile=",
		)
	}
	return notes
}

func requestNames(requests []modload.Request) []string {
	var names []string
	for _, r := range requests {
		if !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	return names
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

// has reports whether the image was built with a profile.
func (p Plan) has(profile string) bool {
	return slices.Contains(p.Modules.Profiles, profile)
}

// OtherKernels says that the image has no modules for the kernel that boots, only those of the
// releases in have.
func OtherKernels(release string, have []string) string {
	others := strings.Join(have, ", ")
	if others == "" {
		others = "none"
	}
	return fmt.Sprintf(
		"the image has no modules for this kernel, %s (it has those of %s): build it with the modules of the "+
			"kernel that boots",
		release,
		others,
	)
}
