package build

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An unpacked is the tree that the kernel makes of an image: it says what a path of
// the node would hit. It has no content but what was loaded into it.
type unpacked struct {
	root *inode
	of   string // whose tree it is, for errors
	led  int64  // bytes of links' targets that lookups went by
}

// An inode is a file of an unpacked image. Hard links share it.
type inode struct {
	mode         uint32
	data         []byte // content of a regular file, if it was loaded
	target       string // of a symbolic link
	major, minor uint32
	names        int   // hard links that are left
	meta         *File // the entry that it has owner and time of; nil for the root
	body         *File // the entry that it has its content of
	entries      map[string]*inode
}

func (n *inode) is(kind uint32) bool { return n != nil && n.mode&typeMask == kind }

// size is that of the content, in bytes.
func (n *inode) size() int64 {
	if n.body == nil || n.mode&typeMask != typeFile {
		return 0
	}
	return n.body.Size
}

// matches reports whether an inode has the content, or the target, of a file of ours.
func (n *inode) matches(f file) bool {
	switch {
	case n.is(typeLink):
		return n.target == string(f.data)
	case n.size() != f.size():
		return false
	case n.size() == 0:
		return true
	case n.data != nil:
		return f.holds(n.data)
	}
	return n.body.Sum != nil && f.hashes(*n.body.Sum)
}

// Limits of lookups.
const (
	// maxFollowed is MAXSYMLINKS of include/linux/namei.h.
	maxFollowed = 40
	// nameMax is NAME_MAX of include/uapi/linux/limits.h.
	nameMax = 255
)

// maxLed bounds the bytes of links' targets by which an image of so many files is unpacked. The names of
// files have a bound already (see [limitsOf]): so both bound together how long all the paths without
// links are, and the time to look them up. A file of a real image goes by one link or two: lib -> usr/lib.
func maxLed(files int) int64 { return 8<<20 + 64*int64(files) }

// errLed is what is said of an image whose links are made to keep its reader busy.
var errLed = errors.New("its symbolic links lead on and on: no initramfs is like that")

// An identity is what hard links have in common. The kernel forgets it at the end of an
// archive (free_hash in init/initramfs.c).
type identity struct {
	archive                       int32
	major, minor, ino, typeOfFile uint32
}

func (f *File) identity() identity {
	return identity{f.archive, f.devMajor, f.devMinor, f.Ino, f.Mode & typeMask}
}

// newTree is an empty tree of somebody.
func newTree(of string) *unpacked {
	return &unpacked{root: &inode{mode: typeDir | 0o755, names: 1, entries: map[string]*inode{}}, of: of}
}

// unpackTree does with the files of an image what the kernel does
// (init/initramfs.c): a later file replaces an earlier one; one of another type takes its
// place; what has no directory to lie in, and what it does not understand, is passed
// over. The tree refers to files.
func unpackTree(ctx context.Context, files []File) (*unpacked, error) {
	t := newTree("the image")
	linked := make(map[identity]*inode)
	most := maxLed(len(files))
	for i := range files {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		t.unpack(&files[i], linked)
		if t.led > most {
			return nil, errLed
		}
	}
	return t, nil
}

// unpack does what one entry says.
func (t *unpacked) unpack(f *File, linked map[identity]*inode) {
	e := cpioEntry{mode: f.Mode, size: f.Size}
	if e.passedOver() {
		return
	}
	dir, base, old, err := t.parent(f.Name)
	if err != nil || dir == nil || base == "" {
		return
	}
	kind := f.Mode & typeMask
	if old != nil && (old.mode&typeMask != kind || kind == typeLink) {
		if old.is(typeDir) && len(old.entries) > 0 {
			return // rmdir fails, and so does what was to come there
		}
		t.remove(dir, base)
		old = nil
	}
	if old != nil && kind != typeFile {
		old.mode, old.meta = f.Mode, f
		return
	}
	first := linked[f.identity()]
	if f.NLink > 1 && kind != typeDir && kind != typeLink && first != nil {
		t.remove(dir, base)
		dir.entries[base] = first
		first.names++
		if kind == typeFile {
			first.mode, first.meta = f.Mode, f
			if f.Size > 0 { // mostly the last of the links has the content
				first.body = f
			}
		}
		return
	}
	if old == nil {
		old = &inode{major: f.Major, minor: f.Minor, names: 1}
		dir.entries[base] = old
	}
	old.mode, old.meta, old.body = f.Mode, f, f // O_TRUNC: all its links get the new content
	switch kind {
	case typeDir:
		old.entries = map[string]*inode{}
	case typeLink:
		old.target = f.Target
	default:
		if f.NLink > 1 {
			linked[f.identity()] = old
		}
	}
}

// parent is the directory in which a name lies, links followed, the last part of
// the name, and what bears it. A directory that does not exist is nil.
func (t *unpacked) parent(name string) (dir *inode, base string, n *inode, err error) {
	words, nodes, err := t.follow(name, false)
	if err != nil || len(words) == 0 {
		return nil, "", t.root, err
	}
	last := len(words) - 1
	if dir = nodes[last]; !dir.is(typeDir) {
		dir = nil
	}
	return dir, words[last], nodes[last+1], nil
}

func (t *unpacked) remove(dir *inode, base string) {
	if n := dir.entries[base]; n != nil {
		n.names--
		delete(dir.entries, base)
	}
}

// lookup follows the links of a path, its last part only if last says so. It
// returns the path without links, of what need not exist, and what is there.
func (t *unpacked) lookup(name string, last bool) (at string, n *inode, err error) {
	words, nodes, err := t.follow(name, last)
	if err != nil {
		return "", nil, err
	}
	return strings.Join(words, "/"), nodes[len(nodes)-1], nil
}

// follow is lookup with all that lies on the way: nodes begin with the root, and nodes[i+1] is what bears words[i],
// nil where there is nothing.
func (t *unpacked) follow(name string, last bool) (words []string, nodes []*inode, err error) {
	todo := []string{cleanName(name)} // what is left of the path and of links, innermost last
	nodes = []*inode{t.root}
	for followed := 0; len(todo) > 0; {
		word, rest, more := strings.Cut(todo[len(todo)-1], "/")
		if todo = todo[:len(todo)-1]; more {
			todo = append(todo, rest)
		}
		switch word {
		case "", ".":
			continue
		case "..":
			if len(words) > 0 {
				words, nodes = words[:len(words)-1], nodes[:len(nodes)-1]
			}
			continue
		}
		if len(word) > nameMax {
			return nil, nil, fmt.Errorf("/%s... is longer than a name can be", printable(word[:nameMax]))
		}
		here := nodes[len(nodes)-1]
		if here != nil && !here.is(typeDir) {
			return nil, nil, fmt.Errorf("/%s needs /%s as a directory, but in %s that is a file",
				name, strings.Join(words, "/"), t.of)
		}
		var next *inode
		if here != nil {
			next = here.entries[word]
		}
		if next.is(typeLink) && (last || len(todo) > 0) {
			if followed++; followed > maxFollowed {
				return nil, nil, fmt.Errorf("/%s: the links of %s lead round in circles", name, t.of)
			}
			if strings.HasPrefix(next.target, "/") {
				words, nodes = nil, nodes[:1]
			}
			todo = append(todo, next.target)
			t.led += int64(len(next.target))
			continue
		}
		words, nodes = append(words, word), append(nodes, next)
	}
	return words, nodes, nil
}

// get is what lies at a path, links followed; nil if there is nothing.
func (t *unpacked) get(name string) *inode {
	_, n, err := t.lookup(name, true)
	if err != nil {
		return nil
	}
	return n
}

// sibling is the first other name of a hard-linked file, below the root; empty
// if it has none.
func (t *unpacked) sibling(n *inode, besides string) string {
	found := ""
	t.walk("", t.root, func(name string, other *inode) {
		if found == "" && other == n && name != besides {
			found = name
		}
	})
	return found
}

// walk visits what lies below a directory, names sorted.
func (t *unpacked) walk(above string, dir *inode, visit func(name string, n *inode)) {
	words := make([]string, 0, len(dir.entries))
	for word := range dir.entries {
		words = append(words, word)
	}
	slices.Sort(words)
	for _, word := range words {
		n := dir.entries[word]
		name := strings.TrimPrefix(above+"/"+word, "/")
		visit(name, n)
		if n.is(typeDir) {
			t.walk(name, n, visit)
		}
	}
}
