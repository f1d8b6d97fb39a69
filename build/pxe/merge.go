package pxe

import (
	"go.yaml.in/yaml/v4"
)

// maxValues bounds what aliases add to what is written out: 100,000 nodes of 20
// values each.
const maxValues = 2 << 20

// resolve puts what aliases and merge keys (https://yaml.org/type/merge.html)
// stand for in their places. The tree is changed; what several aliases stand for
// is shared between them, never copied.
func (p *problems) resolve(root *yaml.Node) *yaml.Node {
	r := resolver{problems: p, open: map[*yaml.Node]bool{}, values: map[*yaml.Node]int{}}
	n, total := r.node(root)
	if total > maxValues+r.own {
		r.overflow(root)
	}
	return n
}

type resolver struct {
	*problems
	open   map[*yaml.Node]bool // anchors that the walk is inside of
	values map[*yaml.Node]int  // of each anchor: how many values a reader of it meets
	own    int                 // values that are written out
	merged int                 // keys and values that merge keys have brought
	full   bool
}

// overflow tells once that it is too much; after it nothing grows.
func (r *resolver) overflow(n *yaml.Node) {
	if !r.full {
		r.bad(at(n), "aliases (*name) and merge keys (<<) multiply the file by more than %d values", maxValues)
	}
	r.full = true
}

// node returns what stands for n, and how many values are in it. An alias
// always comes after its anchor, so the anchor has been resolved already, unless
// the alias is within it.
func (r *resolver) node(n *yaml.Node) (*yaml.Node, int) {
	if n.Kind == yaml.AliasNode {
		return r.alias(n)
	}
	anchored := n.Anchor != ""
	if anchored {
		r.open[n] = true
	}
	total := 1
	r.own++
	for i, c := range n.Content {
		var values int
		n.Content[i], values = r.node(c)
		total += values
		// Not more than a list of all of it, so that no sum overflows.
		if total > maxValues+r.own {
			r.overflow(n)
			n.Content = n.Content[:0]
			break
		}
	}
	if n.Kind == yaml.MappingNode {
		r.merge(n)
	}
	if anchored {
		delete(r.open, n)
		r.values[n] = total
	}
	return n, total
}

// alias is a copy of what it stands for at its own place, with shared contents.
func (r *resolver) alias(n *yaml.Node) (*yaml.Node, int) {
	if r.open[n.Alias] || n.Alias == nil {
		r.bad(at(n), "alias *%s is within what it stands for", clip(n.Value))
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}, 1
	}
	c := *n.Alias
	c.Anchor, c.Line, c.Column = "", n.Line, n.Column
	return &c, r.values[n.Alias]
}

// merge replaces the merge key of a mapping by the keys that are not there yet:
// own ones hold, then those of the first mapping of a list, then of the second.
func (r *resolver) merge(n *yaml.Node) {
	var (
		own   []*yaml.Node
		from  []*yaml.Node
		first *yaml.Node
	)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag != "!!merge":
			own = append(own, key, value)
		case first != nil:
			r.bad(at(key), "<<: again, is in line %d already: write one, with a list: <<: [*a, *b]", first.Line)
		default:
			first, from = key, elements(value)
		}
	}
	if first == nil {
		return
	}
	have := map[string]bool{}
	for i := 0; i < len(own); i += 2 {
		have[meaning(own[i].Value)] = true
	}
	for _, m := range from {
		if m.Kind != yaml.MappingNode {
			r.bad(at(m), "<<: only mappings (key: value), by their aliases (<<: *name), can be merged: %s",
				described(m))
			continue
		}
		if r.merged += len(m.Content); r.merged > maxValues {
			r.overflow(first)
			break
		}
		var brought []string
		for i := 0; i+1 < len(m.Content); i += 2 {
			if key := meaning(m.Content[i].Value); !have[key] {
				own, brought = append(own, m.Content[i], m.Content[i+1]), append(brought, key)
			}
		}
		for _, key := range brought {
			have[key] = true
		}
	}
	n.Content = own
}

// meaning is one name for keys that say the same.
func meaning(key string) string {
	switch key {
	case "images":
		return "image"
	case "prefixes":
		return "prefix"
	}
	return key
}
