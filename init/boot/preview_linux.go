package boot

import (
	"slices"

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

// FindInit looks in a directory for the root's init as /init does after the mount, links followed
// inside of it: a program for this machine. Only an error of permissions says nothing of the tree.
func (p Plan) FindInit(tree string) (string, error) { return findInit(tree, p.Init) }

// InitCandidates are the programs that the root's init may be, in the order in
// which they are looked for.
func (p Plan) InitCandidates() []string {
	if p.Init != "" {
		return []string{p.Init}
	}
	return initCandidates()
}
