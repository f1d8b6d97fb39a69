package initramfs

import (
	"errors"
	"os"
	"strings"
)

// pathMax is PATH_MAX of include/uapi/linux/limits.h.
const pathMax = 4096

// openDirs are a directory that is open, and all above it: for the next file in it, or near by, only what
// is not on the way already is opened. A tree is made in time in proportion to it, however deep it is.
type openDirs struct {
	words []string
	roots []*os.Root // roots[0] is the root, which is not closed here; roots[i+1] is words[i] in roots[i]
}

// dirOf opens the directory in which a path lies. It stays open until another is asked for.
func (o *openDirs) dirOf(name string) (dir *os.Root, base string, err error) {
	rest, depth := name, 0
	for {
		word, below, more := strings.Cut(rest, "/")
		if !more {
			base = word
			break
		}
		if depth == len(o.words) || o.words[depth] != word {
			if err := o.leave(depth); err != nil {
				return nil, "", err
			}
			next, err := o.roots[depth].OpenRoot(word)
			if err != nil {
				return nil, "", err
			}
			o.words, o.roots = append(o.words, word), append(o.roots, next)
		}
		rest, depth = below, depth+1
	}
	return o.roots[depth], base, o.leave(depth)
}

// leave closes what is deeper than depth.
func (o *openDirs) leave(depth int) error {
	var errs []error
	for _, dir := range o.roots[depth+1:] {
		errs = append(errs, dir.Close())
	}
	o.words, o.roots = o.words[:depth], o.roots[:depth+1]
	return errors.Join(errs...)
}
