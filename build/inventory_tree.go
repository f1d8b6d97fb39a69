package build

import "io/fs"

// A ModuleTree is lib/modules/RELEASE of a kernel, wherever it lies.
type ModuleTree struct {
	Release string
	FS      fs.FS // rooted at "/"; only the tree is in it
}

// OpenTree finds a module tree: DIR is lib/modules/RELEASE, lib/modules or a root
// that holds it. release says which one of several; empty: there must be one. Where depmod has not run the indexes
// are made, or taken from the cache, which may be nil.
func OpenTree(dir, release string, cache *Cache) (*ModuleTree, error) {
	t, err := findTree(dir, release)
	if err != nil {
		return nil, err
	}
	if t, _, _, err = t.indexed(cache); err != nil {
		return nil, err
	}
	return &ModuleTree{Release: t.release, FS: t}, nil
}
