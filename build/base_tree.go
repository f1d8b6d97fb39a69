package build

import (
	"fmt"
	"slices"
	"strings"
)

// An unpacked is the tree that the kernel makes of an image, in memory: it tells
// what a path of ours would hit there.
type unpacked struct {
	root *inode
	of   string // whose tree it is, for errors
}

// An inode is a file of an unpacked image. Hard links share it.
type inode struct {
	mode         uint32
	data         []byte // content, or the target of a link
	major, minor uint32
	names        int // hard links that are left
	entries      map[string]*inode
}

func (n *inode) is(kind uint32) bool { return n != nil && n.mode&typeMask == kind }

// maxFollowed is MAXSYMLINKS of include/linux/namei.h.
const maxFollowed = 40

// unpackTree does with the files of an image what the kernel does
// (init/initramfs.c): a later file replaces an earlier one; one of another type takes its
// place; what has no folder to lie in is passed over.
func unpackTree(files []ImageFile) *unpacked {
	type identity struct {
		segment   int
		ino, kind uint32
	}
	t := &unpacked{root: &inode{mode: typeDir | 0o755, names: 1, entries: map[string]*inode{}}, of: "the base"}
	linked := make(map[identity]*inode)
	for _, f := range files {
		dir, base, old, err := t.parent(f.Name)
		if err != nil || dir == nil || base == "" {
			continue
		}
		kind := f.Mode & typeMask
		if old != nil && (old.mode&typeMask != kind || kind == typeLink) {
			if old.is(typeDir) && len(old.entries) > 0 {
				continue // rmdir fails, and so does what was to come there
			}
			t.remove(dir, base)
			old = nil
		}
		if old != nil && kind != typeFile {
			old.mode = f.Mode
			continue
		}
		id := identity{f.Segment, f.Ino, kind}
		if first := linked[id]; f.NLink > 1 && kind == typeFile && first != nil {
			t.remove(dir, base)
			dir.entries[base] = first
			first.names++
			if len(f.Data) > 0 { // the last of the links has the content
				first.data = f.Data
			}
			continue
		}
		if old != nil { // O_TRUNC: all its links get the new content
			old.mode, old.data = f.Mode, f.Data
		} else {
			old = &inode{mode: f.Mode, data: f.Data, major: f.Major, minor: f.Minor, names: 1}
			dir.entries[base] = old
		}
		switch kind {
		case typeDir:
			old.entries = map[string]*inode{}
		case typeLink:
			old.data = []byte(f.Target)
		case typeFile:
			if f.NLink > 1 {
				linked[id] = old
			}
		}
	}
	return t
}

// parent is the folder in which a name lies, links followed, the last word of
// the name, and what bears it. A folder that does not exist is nil.
func (t *unpacked) parent(name string) (dir *inode, base string, n *inode, err error) {
	at, n, err := t.lookup(name, false)
	if err != nil || at == "" {
		return nil, "", n, err
	}
	above, base := "", at
	if i := strings.LastIndexByte(at, '/'); i >= 0 {
		above, base = at[:i], at[i+1:]
	}
	if _, dir, err = t.lookup(above, false); !dir.is(typeDir) {
		dir = nil
	}
	return dir, base, n, err
}

func (t *unpacked) remove(dir *inode, base string) {
	if n := dir.entries[base]; n != nil {
		n.names--
		delete(dir.entries, base)
	}
}

// lookup follows the links of a path, its last word only if last says so. It
// returns the path without links, of what need not exist, and what is there.
func (t *unpacked) lookup(name string, last bool) (at string, n *inode, err error) {
	todo := strings.Split(cleanName(name), "/")
	var words []string
	nodes := []*inode{t.root} // nodes[i] is what words[:i] lead to; nil: nothing
	for followed := 0; len(todo) > 0; {
		word := todo[0]
		todo = todo[1:]
		switch word {
		case "", ".":
			continue
		case "..":
			if len(words) > 0 {
				words, nodes = words[:len(words)-1], nodes[:len(nodes)-1]
			}
			continue
		}
		here := nodes[len(nodes)-1]
		if here != nil && !here.is(typeDir) {
			return "", nil, fmt.Errorf("/%s needs /%s as a folder, but in %s that is a file", name, strings.Join(words, "/"), t.of)
		}
		var next *inode
		if here != nil {
			next = here.entries[word]
		}
		if next.is(typeLink) && (last || len(todo) > 0) {
			if followed++; followed > maxFollowed {
				return "", nil, fmt.Errorf("/%s: the links of %s lead round in circles", name, t.of)
			}
			target := string(next.data)
			if strings.HasPrefix(target, "/") {
				words, nodes = nil, nodes[:1]
			}
			todo = append(strings.Split(target, "/"), todo...)
			continue
		}
		words, nodes = append(words, word), append(nodes, next)
	}
	return strings.Join(words, "/"), nodes[len(nodes)-1], nil
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

// walk visits what lies below a folder, names sorted.
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
