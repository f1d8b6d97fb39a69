package build

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
)

// treeFold is the share of the image below which a folder or file is not shown by
// itself: 1/100.
const treeFold = 100

// A sizeNode is a folder or file with all that is below it.
type sizeNode struct {
	name   string
	raw    int64 // unpacked, with the archive's headers
	packed int64 // compressed, as far as it can be told; see File.Packed
	files  int
	below  map[string]*sizeNode
}

func (n *sizeNode) add(name string, f File) {
	n.raw += f.Size
	n.packed += f.Packed
	if f.Mode&typeMask != typeDir {
		n.files++
	}
	if name == "" {
		return
	}
	head, tail, _ := strings.Cut(name, "/")
	child := n.below[head]
	if child == nil {
		if n.below == nil {
			n.below = make(map[string]*sizeNode)
		}
		child = &sizeNode{name: head}
		n.below[head] = child
	}
	child.add(tail, f)
}

// sorted are the nodes below, those first that take most of the image.
func (n *sizeNode) sorted() []*sizeNode {
	list := make([]*sizeNode, 0, len(n.below))
	for _, child := range n.below {
		list = append(list, child)
	}
	slices.SortFunc(list, func(a, b *sizeNode) int {
		return cmp.Or(cmp.Compare(b.packed, a.packed), cmp.Compare(b.raw, a.raw), strings.Compare(a.name, b.name))
	})
	return list
}

// WriteTree prints sizes by folder: unpacked, compressed, the share of the image.
// Compressed sizes are estimates: files of one block share what it takes by their
// unpacked sizes.
func (c Contents) WriteTree(w io.Writer) error {
	root := &sizeNode{name: "/"}
	for _, f := range c.Files {
		root.add(cleanName(f.Name), f)
	}
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(table, "unpacked\tcompressed\tof image\t\n") // a strings.Builder takes everything
	root.write(table, "", "/", max(root.packed, 1))
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// write prints a node and those below it; folders with one thing in them are
// joined with it.
func (n *sizeNode) write(w io.Writer, indent, name string, whole int64) {
	for len(n.below) == 1 && name != "/" {
		only := n.sorted()[0]
		n, name = only, path.Join(name, only.name)
	}
	sizeLine(w, n.raw, n.packed, whole, indent+printable(name))
	var small sizeNode
	folded := 0
	for _, child := range n.sorted() {
		if child.packed*treeFold < whole {
			folded++
			small.raw += child.raw
			small.packed += child.packed
			small.files += child.files
			continue
		}
		child.write(w, indent+"  ", child.name, whole)
	}
	if small.files > 0 && folded < len(n.below) {
		sizeLine(w, small.raw, small.packed, whole, fmt.Sprintf("%s  (%s smaller than %d %%)", indent, plural(small.files, "file"), 100/treeFold))
	}
}

func sizeLine(w io.Writer, raw, packed, whole int64, name string) {
	_, _ = fmt.Fprintf(w, "%d\t%d\t%.1f %%\t  %s\n", raw, packed, 100*float64(packed)/float64(whole), name) // to a strings.Builder
}
