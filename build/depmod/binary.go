package depmod

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Magic number, version and flags of kmod's binary indexes (libkmod/libkmod-index.h): the flags are the upper bits of
// a node's offset and say which of its parts are there.
const (
	binaryMagic   = 0xB007F457
	binaryVersion = 0x00020001

	nodePrefix   = 0x80000000
	nodeValues   = 0x40000000
	nodeChildren = 0x20000000
)

// Binary are kmod's indexes of the texts: modules.dep.bin and the like. Programs that use libkmod, among them udev and
// modprobe, read no other.
//
// The texts are those of [Indexes], modules.builtin and modules.builtin.modinfo; none of them is checked.
func Binary(dep, alias, builtin, modinfo string) map[string][]byte {
	deps, aliases, symbols, builtins, builtinAliases := newTrie(), newTrie(), newTrie(), newTrie(), newTrie()
	order := make(map[string]uint32) // of modules, which is the order of their lines
	for line := range strings.Lines(dep) {
		line = strings.TrimSuffix(line, "\n")
		path, _, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		name, n := moduleName(path), uint32(len(order)) //nolint:gosec // no kernel has so many
		order[name] = n
		deps.add(name, line, n)
	}
	for line := range strings.Lines(alias) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "alias" {
			aliases.add(underscored(words[1]), words[2], order[words[2]])
		}
	}
	for line := range strings.Lines(builtin) {
		if path := strings.TrimSpace(line); path != "" {
			builtins.add(moduleName(path), "", 0)
		}
	}
	for record := range strings.SplitSeq(modinfo, "\x00") {
		key, value, _ := strings.Cut(record, "=")
		if module, ok := strings.CutSuffix(key, ".alias"); ok {
			builtinAliases.add(underscored(value), module, 0)
		}
	}
	return map[string][]byte{
		"modules.dep.bin": deps.bytes(), "modules.alias.bin": aliases.bytes(), "modules.symbols.bin": symbols.bytes(),
		"modules.builtin.bin": builtins.bytes(), "modules.builtin.alias.bin": builtinAliases.bytes(),
	}
}

// moduleName is the name of the module in a file: what is before the first dot, with underscores.
func moduleName(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	name, _, _ = strings.Cut(name, ".")
	return strings.ReplaceAll(name, "-", "_")
}

// underscored spells an alias as libkmod looks for it: every dash is an underscore, but not in brackets.
func underscored(alias string) string {
	inside := false
	return strings.Map(func(r rune) rune {
		switch {
		case r == '[':
			inside = true
		case r == ']':
			inside = false
		case r == '-' && !inside:
			return '_'
		}
		return r
	}, alias)
}

// A trie is an index before it is written. Keys are bytes.
type trie struct {
	prefix   string // what all keys below have in common, after the byte that leads here
	values   []trieValue
	children map[byte]*trie
}

type trieValue struct {
	priority uint32
	text     string
}

func newTrie() *trie { return &trie{children: make(map[byte]*trie)} }

// add puts a value under a key. Of values of one key those of lower priority come first, and of one priority the
// latest, as depmod writes them.
func (t *trie) add(key, value string, priority uint32) {
	n := 0
	for n < len(t.prefix) && n < len(key) && t.prefix[n] == key[n] {
		n++
	}
	if n < len(t.prefix) { // the key leaves within the prefix
		below := *t
		below.prefix = t.prefix[n+1:]
		*t = trie{prefix: t.prefix[:n], children: map[byte]*trie{t.prefix[n]: &below}}
	}
	if n == len(key) {
		at, _ := slices.BinarySearchFunc(t.values, priority, func(v trieValue, p uint32) int {
			if v.priority < p {
				return -1
			}
			return 1
		})
		t.values = slices.Insert(t.values, at, trieValue{priority, value})
		return
	}
	next, ok := t.children[key[n]]
	if !ok {
		next = &trie{prefix: key[n+1:], children: make(map[byte]*trie)}
		t.children[key[n]] = next
	}
	next.add(key[n+1:], value, priority)
}

// bytes is the index as a file.
func (t *trie) bytes() []byte {
	out := binary.BigEndian.AppendUint32(nil, binaryMagic)
	out = binary.BigEndian.AppendUint32(out, binaryVersion)
	out = append(out, 0, 0, 0, 0)
	out, root := t.append(out)
	binary.BigEndian.PutUint32(out[8:], root)
	return out
}

// append writes a node after those below it and returns its offset with the flags.
func (t *trie) append(out []byte) (written []byte, offset uint32) {
	var offsets []uint32
	var first, last int
	for c := range 256 {
		child, ok := t.children[byte(c)]
		if !ok {
			if offsets != nil {
				offsets = append(offsets, 0)
			}
			continue
		}
		if offsets == nil {
			first = c
		}
		last = c
		var at uint32
		out, at = child.append(out)
		offsets = append(offsets, at)
	}
	offset = uint32(len(out)) //nolint:gosec // 28 bits are more than the largest
	if t.prefix != "" {
		out = append(append(out, t.prefix...), 0)
		offset |= nodePrefix
	}
	if offsets != nil {
		out = append(out, byte(first), byte(last))
		for _, at := range offsets[:last-first+1] {
			out = binary.BigEndian.AppendUint32(out, at)
		}
		offset |= nodeChildren
	}
	if t.values != nil {
		out = binary.BigEndian.AppendUint32(out, uint32(len(t.values))) //nolint:gosec // few
		for _, v := range t.values {
			out = binary.BigEndian.AppendUint32(out, v.priority)
			out = append(append(out, v.text...), 0)
		}
		offset |= nodeValues
	}
	return out, offset
}
