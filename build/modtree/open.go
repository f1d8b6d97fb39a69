package modtree

import (
	"io/fs"

	"github.com/nodisk/nodisk/build/cache"
)

// A Tree is lib/modules/RELEASE of a kernel, wherever it lies.
type Tree struct {
	Release string
	FS      fs.FS // rooted at "/"; only the tree is in it
}

// Open finds a module tree: DIR is lib/modules/RELEASE, lib/modules or a root
// that holds it. release says which one of several; empty: there must be one. Where depmod has not run the indexes
// are made, or taken from the cache, which may be nil.
func Open(dir, release string, cache *cache.Cache) (*Tree, error) {
	t, err := Find(dir, release)
	if err != nil {
		return nil, err
	}
	if t, _, _, err = t.Indexed(cache); err != nil {
		return nil, err
	}
	return &Tree{Release: t.Release, FS: t}, nil
}
