package boot

import (
	"slices"
	"strings"

	"github.com/nodisk/nodisk/init/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// A ModulePreview is what a boot loads by name, for `nodisk plan`: the worker's stages do
// the same.
type ModulePreview struct {
	First   []string // one by one, before all else
	Pre     []string
	Drivers []modload.Request
	Post    []string
	Links   []modload.Request
	Root    []modload.Request // for the root, as far as it is known before DHCP
	Notes   []string
}

// Preview lists what the stages load by name from an image with this index.
func (p Plan) Preview(x *modload.Index) ModulePreview {
	m := p.Modules
	m.First, m.Pre, m.Post = slices.Clone(m.First), slices.Clone(m.Pre), slices.Clone(m.Post)
	m.Drivers, m.Links = slices.Clone(m.Drivers), slices.Clone(m.Links)
	notes := m.without(x)
	if p.Chain.Path != "" {
		m.withoutVendors(x)
	}
	root := p.ahead()
	if p.attaches() { // the stage attach asks for them once more
		root = append(requests("iscsi", modload.StageStorage), root...)
	}
	return ModulePreview{First: m.First, Pre: m.Pre, Drivers: m.Drivers, Post: m.Post, Links: m.Links, Root: root, Notes: notes}
}

// Has tells whether the image of the plan was built with a profile.
func (p Plan) Has(profile string) bool { return p.has(profile) }

// InitCandidates are the programs that the root's init may be, in the order in
// which they are looked for.
func (p Plan) InitCandidates() []string {
	if p.Init != "" {
		return []string{p.Init}
	}
	return initCandidates()
}

// Slips returns a warning for every word of a command line that nobody else is known
// to use and that is a slip of the finger away from a key of nodisk's. Of rd.* and
// nodisk.* keys the plan itself warns.
func Slips(args cmdline.Args) []string {
	var warnings []string
	table := keyTable(Keys())
	for _, a := range args {
		if _, known := table.lookup(a.Key); known || ours(a.Key) || len(a.Key) < 3 || others(a.Key) {
			continue
		}
		if near := slip(a.Key); near != "" {
			warnings = append(warnings, a.Key+": no key of nodisk's; did you mean "+near+"?")
		}
	}
	return warnings
}

// slip is the key that is meant, empty if the word is near to none.
func slip(word string) string {
	var long []string
	for _, k := range doneKeys() {
		switch {
		case strings.EqualFold(k.Name, word):
			return k.Name
		case len(k.Name) > 3 && k.Name != "boot": // which much is near to
			long = append(long, k.Name)
		}
	}
	return cmdline.Nearest(word, long, 2+len(word)/9)
}

// others tells words of the kernel and of other programs that are near to a key and
// in none of the manuals of Keys.
func others(name string) bool {
	return slices.Contains([]string{"initrd", "netboot", "noinit", "oops"}, name)
}
