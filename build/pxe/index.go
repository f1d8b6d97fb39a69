package pxe

import (
	"maps"
	"net/netip"
	"slices"
)

// An index finds the parts of a description. Where two parts contradict each
// other, which Parse refuses, it has the first.
type index struct {
	defaults   Settings
	subnets    map[netip.Prefix]*Subnet
	subnetBits []int // the lengths of the prefixes, the longest first
	groups     map[string]*Group
	owners     map[netip.Prefix]*Group // of the prefixes of groups
	ownerBits  []int
}

func newIndex(n *Nodes) index {
	x := index{defaults: n.Defaults, subnets: map[netip.Prefix]*Subnet{}, groups: map[string]*Group{},
		owners: map[netip.Prefix]*Group{}}
	for i := range n.Subnets {
		if s := &n.Subnets[i]; x.subnets[s.Prefix] == nil {
			x.subnets[s.Prefix] = s
		}
	}
	for i := range n.Groups {
		g := &n.Groups[i]
		if x.groups[g.Name] == nil {
			x.groups[g.Name] = g
		}
		for _, prefix := range g.Prefixes {
			if x.owners[prefix] == nil {
				x.owners[prefix] = g
			}
		}
	}
	x.subnetBits, x.ownerBits = lengths(maps.Keys(x.subnets)), lengths(maps.Keys(x.owners))
	return x
}

// lengths are those of the prefixes, each once, the longest first.
func lengths(prefixes func(func(netip.Prefix) bool)) []int {
	seen := map[int]bool{}
	for p := range prefixes {
		seen[p.Bits()] = true
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b int) int { return b - a })
}

// subnet returns the one that the address is in, nil for none.
func (x index) subnet(a netip.Addr) *Subnet {
	for _, bits := range x.subnetBits {
		if p, err := a.Prefix(bits); err == nil && x.subnets[p] != nil {
			return x.subnets[p]
		}
	}
	return nil
}

// owns are the prefixes of groups that the address is in, the longest first.
func (x index) owns(a netip.Addr) []netip.Prefix {
	var all []netip.Prefix
	for _, bits := range x.ownerBits {
		if p, err := a.Prefix(bits); err == nil && x.owners[p] != nil {
			all = append(all, p)
		}
	}
	return all
}

// settings are those of a node with all that holds for it.
func (x index) settings(node Node) Settings {
	above := x.defaults
	if s := x.subnet(node.IP); s != nil {
		above = s.under(above)
	}
	if g := x.groups[node.Group]; g != nil {
		above = g.under(above)
	}
	return node.under(above)
}
