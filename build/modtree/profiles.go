package modtree

import (
	"fmt"
	"io/fs"

	"github.com/nodisk/nodisk/internal/namelist"
	"github.com/nodisk/nodisk/modload"
)

// A Holding is what a profile takes of a module tree.
type Holding struct {
	Profile string
	Modules int
	Bytes   int64    // of the modules' files, as the tree has them
	Absent  []string // what the profile takes where a kernel has it, and this one has not
	Missing []string // what it needs: an image of this kernel cannot have the profile
	// OneOf are drivers of which it needs any, if the kernel has none: as with Missing.
	OneOf []string
}

// Holdings tells of all profiles what they take of a tree, in the order of their
// documentation, with all that their modules depend on.
func (t *Tree) Holdings() ([]Holding, error) {
	x, err := modload.Open(t.FS, t.Release)
	if err != nil {
		return nil, fmt.Errorf("list profiles: %w", err)
	}
	var list []Holding
	for _, known := range modload.Profiles() {
		p, _ := modload.LookupProfile(known.Name) // with what it contains
		h := Holding{Profile: p.Name}
		_, h.Missing = x.Absent(namelist.Unique(p.Include))
		_, h.Absent = x.Absent(namelist.Unique(p.Maybe))
		h.OneOf = x.Unserved(p)
		if h.Missing != nil || h.OneOf != nil {
			list = append(list, h)
			continue
		}
		mods, err := x.Select(p)
		if err != nil {
			return nil, fmt.Errorf("list profiles: %s: %w", p.Name, err)
		}
		h.Modules = len(mods)
		for _, m := range mods {
			info, err := fs.Stat(t.FS, m.Path)
			if err != nil {
				return nil, fmt.Errorf("list profiles: %s: %w", p.Name, err)
			}
			h.Bytes += info.Size()
		}
		list = append(list, h)
	}
	return list, nil
}
