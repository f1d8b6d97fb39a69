package depmod

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// kmod keeps modules and symbols in hash tables and writes them in the order of
// buckets, and within one by name. To write the same lines in the same order,
// the same function is needed: SuperFastHash of Paul Hsieh
// (http://www.azillionmonkeys.com/qed/hash.html), with 512 and 2048 buckets.
const (
	moduleBuckets = 512
	symbolBuckets = 2048
)

// superFastHash takes four bytes a round, as two numbers of 16 bits.
func superFastHash(key string) uint32 {
	pair := func(i int) uint32 { return uint32(key[i]) | uint32(key[i+1])<<8 }
	signed := func(i int) uint32 { return uint32(int32(int8(key[i]))) } //nolint:gosec // char is signed there
	h := uint32(len(key))                                               //nolint:gosec // a name
	i := 0
	for ; len(key)-i >= 4; i += 4 {
		h += pair(i)
		h = h<<16 ^ (pair(i+2)<<11 ^ h)
		h += h >> 11
	}
	switch len(key) - i {
	case 3:
		h += pair(i)
		h ^= h << 16
		h ^= signed(i+2) << 18
		h += h >> 11
	case 2:
		h += pair(i)
		h ^= h << 11
		h += h >> 17
	case 1:
		h += signed(i)
		h ^= h << 10
		h += h >> 1
	}
	h ^= h << 3
	h += h >> 5
	h ^= h << 4
	h += h >> 17
	h ^= h << 25
	h += h >> 6
	return h
}

// hashed sorts keys as a hash table of kmod yields them.
func hashed(keys []string, buckets uint32) []string {
	type place struct {
		bucket uint32
		key    string
	}
	places := make([]place, len(keys))
	for i, key := range keys {
		places[i] = place{superFastHash(key) % buckets, key}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.key, b.key))
	})
	for i, p := range places {
		keys[i] = p.key
	}
	return keys
}

// ordered sorts files by the lines of modules.order. Those that it lacks follow
// in the order of the hash table. A text whose last line has no end is
// passed over, as kmod does: it was cut off.
func ordered(files map[string]File, order string) []File {
	list := make([]File, 0, len(files))
	for _, name := range hashed(slices.Collect(maps.Keys(files)), moduleBuckets) {
		list = append(list, files[name])
	}
	if order == "" || !strings.HasSuffix(order, "\n") {
		return list
	}
	lines := strings.Split(strings.TrimSuffix(order, "\n"), "\n")
	rank := make(map[string]int, len(lines))
	for i, line := range lines {
		rank[line] = i - len(lines) // below zero
	}
	places := make(map[string]int, len(list))
	for _, f := range list {
		places[f.Name] = rank[stem(f.Path)+".ko"]
	}
	slices.SortStableFunc(list, func(a, b File) int { return cmp.Compare(places[a.Name], places[b.Name]) })
	return list
}
