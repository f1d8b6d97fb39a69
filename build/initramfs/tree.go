package initramfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/escape"
)

// A Tree is the tree that the kernel makes of an image: it says what a path of
// the node would hit. It has no content but what was loaded into it.
type Tree struct {
	Root *Inode
	of   string // whose tree it is, for errors
	led  int64  // bytes of links' targets that lookups went by
}

// An Inode is a file of an unpacked image. Hard links share it.
type Inode struct {
	Mode         uint32
	Data         []byte // content of a regular file, if it was loaded
	Target       string // of a symbolic link
	Major, Minor uint32
	Names        int   // hard links that are left
	meta         *File // the entry that it has owner and time of; nil for the root
	body         *File // the entry that it has its content of
	Entries      map[string]*Inode
}

// Is reports whether there is an inode, and whether it is of a type in st_mode.
func (n *Inode) Is(kind uint32) bool { return n != nil && n.Mode&TypeMask == kind }

// size is that of the content, in bytes.
func (n *Inode) size() int64 {
	if n.body == nil || n.Mode&TypeMask != TypeFile {
		return 0
	}
	return n.body.Size
}

// Matches reports whether an inode has the content, or the target, of a file of ours.
func (n *Inode) Matches(f Entry) bool {
	switch {
	case n.Is(TypeLink):
		return n.Target == string(f.Data)
	case n.size() != f.size():
		return false
	case n.size() == 0:
		return true
	case n.Data != nil:
		return f.holds(n.Data)
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
	return identity{f.archive, f.devMajor, f.devMinor, f.Ino, f.Mode & TypeMask}
}

// NewTree is an empty tree of somebody.
func NewTree(of string) *Tree {
	return &Tree{Root: &Inode{Mode: TypeDir | 0o755, Names: 1, Entries: map[string]*Inode{}}, of: of}
}

// unpackTree does with the files of an image what the kernel does
// (init/initramfs.c): a later file replaces an earlier one; one of another type takes its
// place; what has no directory to lie in, and what it does not understand, is passed
// over. The tree refers to files.
func unpackTree(ctx context.Context, files []File) (*Tree, error) {
	t := NewTree("the image")
	linked := make(map[identity]*Inode)
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
func (t *Tree) unpack(f *File, linked map[identity]*Inode) {
	e := cpioEntry{mode: f.Mode, size: f.Size}
	if e.passedOver() {
		return
	}
	dir, base, old, err := t.parent(f.Name)
	if err != nil || dir == nil || base == "" {
		return
	}
	kind := f.Mode & TypeMask
	if old != nil && (old.Mode&TypeMask != kind || kind == TypeLink) {
		if old.Is(TypeDir) && len(old.Entries) > 0 {
			return // rmdir fails, and so does what was to come there
		}
		t.remove(dir, base)
		old = nil
	}
	if old != nil && kind != TypeFile {
		old.Mode, old.meta = f.Mode, f
		return
	}
	first := linked[f.identity()]
	if f.NLink > 1 && kind != TypeDir && kind != TypeLink && first != nil {
		t.remove(dir, base)
		dir.Entries[base] = first
		first.Names++
		if kind == TypeFile {
			first.Mode, first.meta = f.Mode, f
			if f.Size > 0 { // mostly the last of the links has the content
				first.body = f
			}
		}
		return
	}
	if old == nil {
		old = &Inode{Major: f.Major, Minor: f.Minor, Names: 1}
		dir.Entries[base] = old
	}
	old.Mode, old.meta, old.body = f.Mode, f, f // O_TRUNC: all its links get the new content
	switch kind {
	case TypeDir:
		old.Entries = map[string]*Inode{}
	case TypeLink:
		old.Target = f.Target
	default:
		if f.NLink > 1 {
			linked[f.identity()] = old
		}
	}
}

// parent is the directory in which a name lies, links followed, the last part of
// the name, and what bears it. A directory that does not exist is nil.
func (t *Tree) parent(name string) (dir *Inode, base string, n *Inode, err error) {
	words, nodes, err := t.follow(name, false)
	if err != nil || len(words) == 0 {
		return nil, "", t.Root, err
	}
	last := len(words) - 1
	if dir = nodes[last]; !dir.Is(TypeDir) {
		dir = nil
	}
	return dir, words[last], nodes[last+1], nil
}

func (t *Tree) remove(dir *Inode, base string) {
	if n := dir.Entries[base]; n != nil {
		n.Names--
		delete(dir.Entries, base)
	}
}

// Lookup follows the links of a path, its last part only if last says so. It
// returns the path without links, of what need not exist, and what is there.
func (t *Tree) Lookup(name string, last bool) (at string, n *Inode, err error) {
	words, nodes, err := t.follow(name, last)
	if err != nil {
		return "", nil, err
	}
	return strings.Join(words, "/"), nodes[len(nodes)-1], nil
}

// follow is lookup with all that lies on the way: nodes begin with the root, and nodes[i+1] is what bears words[i],
// nil where there is nothing.
func (t *Tree) follow(name string, last bool) (words []string, nodes []*Inode, err error) {
	todo := []string{CleanName(name)} // what is left of the path and of links, innermost last
	nodes = []*Inode{t.Root}
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
			return nil, nil, fmt.Errorf("/%s... is longer than a name can be", escape.Text(word[:nameMax]))
		}
		here := nodes[len(nodes)-1]
		if here != nil && !here.Is(TypeDir) {
			return nil, nil, fmt.Errorf("/%s needs /%s as a directory, but in %s that is a file",
				name, strings.Join(words, "/"), t.of)
		}
		var next *Inode
		if here != nil {
			next = here.Entries[word]
		}
		if next.Is(TypeLink) && (last || len(todo) > 0) {
			if followed++; followed > maxFollowed {
				return nil, nil, fmt.Errorf("/%s: the links of %s lead round in circles", name, t.of)
			}
			if strings.HasPrefix(next.Target, "/") {
				words, nodes = nil, nodes[:1]
			}
			todo = append(todo, next.Target)
			t.led += int64(len(next.Target))
			continue
		}
		words, nodes = append(words, word), append(nodes, next)
	}
	return words, nodes, nil
}

// Get is what lies at a path, links followed; nil if there is nothing.
func (t *Tree) Get(name string) *Inode {
	_, n, err := t.Lookup(name, true)
	if err != nil {
		return nil
	}
	return n
}

// Sibling is the first other name of a hard-linked file, below the root; empty
// if it has none.
func (t *Tree) Sibling(n *Inode, besides string) string {
	found := ""
	t.Walk("", t.Root, func(name string, other *Inode) {
		if found == "" && other == n && name != besides {
			found = name
		}
	})
	return found
}

// Walk visits what lies below a directory, names sorted.
func (t *Tree) Walk(above string, dir *Inode, visit func(name string, n *Inode)) {
	words := make([]string, 0, len(dir.Entries))
	for word := range dir.Entries {
		words = append(words, word)
	}
	slices.Sort(words)
	for _, word := range words {
		n := dir.Entries[word]
		name := strings.TrimPrefix(above+"/"+word, "/")
		visit(name, n)
		if n.Is(TypeDir) {
			t.Walk(name, n, visit)
		}
	}
}
