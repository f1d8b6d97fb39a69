package modload

import (
	"slices"
	"strings"
)

// An aliasTable is modules.alias with its lines chained by the beginning of the
// pattern, so that a lookup compares a handful of some ten thousand lines.
type aliasTable struct {
	entries []aliasEntry
	heads   map[string]int32 // key of a chain -> last entry of it
}

type aliasEntry struct {
	pattern string
	module  string
	next    int32 // towards the beginning of the file; -1 ends the chain
}

// Lengths of chain keys. A pattern without wildcard is its own key. Otherwise the
// longest of these that the literal beginning of the pattern fills is the key: the bus with
// its colon and afterDevice bytes ("pci:v00008086d0000100E"), with afterVendor
// bytes ("pci:v00008086"), or alone ("cpu:"). Where the bus itself has a
// wildcard ("acpi*:", "dmi*:"), the first beforeBus bytes are the key.
const (
	afterDevice = 18
	afterVendor = 9
	beforeBus   = 3
)

// parseAliases reads "alias PATTERN MODULE", one a line; other lines are
// comments.
func parseAliases(text string) *aliasTable {
	n := strings.Count(text, "\n") + 1
	t := &aliasTable{entries: make([]aliasEntry, 0, n), heads: make(map[string]int32, n/4)}
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line, ok := strings.CutPrefix(line, "alias ")
		i := strings.LastIndexByte(line, ' ')
		if !ok || i <= 0 || i == len(line)-1 {
			continue
		}
		pattern := line[:i]
		key := chainOf(pattern)
		next, ok := t.heads[key]
		if !ok {
			next = -1
		}
		t.heads[key] = int32(len(t.entries)) //nolint:gosec // a file of some MB has no 2^31 lines
		t.entries = append(t.entries, aliasEntry{pattern: pattern, module: normal(line[i+1:]), next: next})
	}
	return t
}

// chainOf is the key of a pattern's chain.
func chainOf(pattern string) string {
	bus := 0 // length of the bus with its colon
	for i := range len(pattern) {
		switch pattern[i] {
		case ':':
			if bus == 0 {
				bus = i + 1
			}
		case '*', '?', '[', '\\':
			switch {
			case bus == 0:
				return normal(pattern[:min(i, beforeBus)])
			case i >= bus+afterDevice:
				return normal(pattern[:bus+afterDevice])
			case i >= bus+afterVendor:
				return normal(pattern[:bus+afterVendor])
			default:
				return normal(pattern[:bus])
			}
		}
	}
	return normal(pattern)
}

// lookup returns the modules whose patterns match a normalised alias, in the
// order of the file.
func (t *aliasTable) lookup(alias string) []string {
	var keys [8]string // 1 + 3 + beforeBus + 1
	n := 0
	add := func(key string) {
		if !slices.Contains(keys[:n], key) {
			keys[n], n = key, n+1
		}
	}
	add(alias)
	if bus := strings.IndexByte(alias, ':') + 1; bus > 0 {
		add(alias[:min(len(alias), bus+afterDevice)])
		add(alias[:min(len(alias), bus+afterVendor)])
		add(alias[:bus])
	}
	for i := min(len(alias), beforeBus); i >= 0; i-- {
		add(alias[:i])
	}
	var found []int32
	for _, key := range keys[:n] {
		i, ok := t.heads[key]
		if !ok {
			continue
		}
		for ; i >= 0; i = t.entries[i].next {
			if match(t.entries[i].pattern, alias) {
				found = insert(found, i)
			}
		}
	}
	var modules []string
	for _, i := range found {
		if m := t.entries[i].module; !slices.Contains(modules, m) {
			modules = append(modules, m)
		}
	}
	return modules
}

// suits reports whether a module may work with this processor: it names no
// processors, or this one.
func (t *aliasTable) suits(module, cpu string) bool {
	named := false
	for i := range t.entries {
		e := &t.entries[i]
		if strings.HasPrefix(e.pattern, "cpu:") && e.module == module {
			if match(e.pattern, cpu) {
				return true
			}
			named = true
		}
	}
	return !named
}

// insert keeps a short list sorted.
func insert(list []int32, i int32) []int32 {
	list = append(list, i)
	for j := len(list) - 1; j > 0 && list[j-1] > list[j]; j-- {
		list[j-1], list[j] = list[j], list[j-1]
	}
	return list
}

// Match returns the modules for a modalias, such as
// "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00" from sysfs, in the
// order in which modprobe would load them. An alias by name
// ("crypto-crc32c") works too. It is empty when no module serves the device,
// or one that is built in.
func (x *Index) Match(modalias string) []string {
	modalias = normal(modalias)
	if modules, ok := x.configured(modalias); ok {
		return modules
	}
	return x.aliases().lookup(modalias)
}

// match is fnmatch(3) without flags for the patterns of modules.alias: "*",
// "?", "[a-z]", "[!a]" and "\" before a byte. s is normalised, and so is the
// pattern outside of brackets. Its time is bounded by len(pattern)*len(s).
func match(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0 // after the last "*", and where in s it was tried last
	for i < len(s) {
		ok, next := false, p
		if p < len(pattern) {
			switch c := pattern[p]; c {
			case '*':
				p++
				star, mark = p, i
				continue
			case '?':
				ok, next = true, p+1
			case '[':
				ok, next = class(pattern, p, s[i])
			case '\\':
				next = min(p+1, len(pattern)-1)
				ok = fold(pattern[next]) == s[i]
				next++
			default:
				ok, next = fold(c) == s[i], p+1
			}
		}
		switch {
		case ok:
			p, i = next, i+1
		case star < 0:
			return false
		default:
			mark++
			p, i = star, mark
		}
	}
	return strings.TrimLeft(pattern[p:], "*") == ""
}

func fold(c byte) byte {
	if c == '-' {
		return '_'
	}
	return c
}

// class matches the bracket expression at pattern[p] and returns the index
// after it. A bracket that is never closed stands for itself.
func class(pattern string, p int, c byte) (ok bool, next int) {
	i := p + 1
	negate := i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^')
	if negate {
		i++
	}
	for first := i; i < len(pattern); first = -1 {
		lo := pattern[i]
		if lo == ']' && i != first {
			return ok != negate, i + 1
		}
		hi := lo
		i++
		if i+1 < len(pattern) && pattern[i] == '-' && pattern[i+1] != ']' {
			hi = pattern[i+1]
			i += 2
		}
		if lo <= c && c <= hi {
			ok = true
		}
	}
	return c == '[', p + 1
}
