package initramfs

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/nodisk/nodisk/internal/escape"
	"github.com/nodisk/nodisk/internal/quantity"
)

// treeFold is the share of the image below which a directory or file is not shown by
// itself: 1/100.
const treeFold = 100

// A sizeNode is a directory or file with all that is below it.
type sizeNode struct {
	name   string
	raw    int64 // unpacked, with the archive's headers
	packed int64 // compressed, as far as it can be told; see File.Packed
	files  int
	count  int         // nodes right below
	below  []*sizeNode // those of them that are shown: the large ones, or the only one
	folded sizeNodes   // the others
}

// sizeNodes is a sum.
type sizeNodes struct {
	nodes, files int
	raw, packed  int64
}

func (n *sizeNode) add(f *File) {
	n.raw += f.Size
	n.packed += f.Packed
	if f.Mode&TypeMask != TypeDir {
		n.files++
	}
}

// take adds a node that is complete to the one above it. Only what is shown is kept: of an image
// with a hundred thousand files some dozens.
func (n *sizeNode) take(child *sizeNode, whole int64) {
	n.raw += child.raw
	n.packed += child.packed
	n.files += child.files
	n.count++
	if n.count == 2 && n.below[0].packed*treeFold < whole {
		n.folded.add(n.below[0])
		n.below = nil
	}
	if n.count > 1 && child.packed*treeFold < whole {
		n.folded.add(child)
		return
	}
	n.below = append(n.below, child)
}

func (s *sizeNodes) add(n *sizeNode) {
	s.nodes++
	s.files += n.files
	s.raw += n.raw
	s.packed += n.packed
}

// sorted are the nodes below, those first that take most of the image.
func (n *sizeNode) sorted() []*sizeNode {
	slices.SortFunc(n.below, func(a, b *sizeNode) int {
		return cmp.Or(cmp.Compare(b.packed, a.packed), cmp.Compare(b.raw, a.raw), strings.Compare(a.name, b.name))
	})
	return n.below
}

// sizes makes the tree of an image: the files in the order of their paths, a node above each part of the path
// that is being read.
func (c Contents) sizes() *sizeNode {
	type named struct {
		name string
		file *File
	}
	list := make([]named, len(c.Files))
	whole := int64(0)
	for i := range c.Files {
		list[i] = named{CleanName(c.Files[i].Name), &c.Files[i]}
		whole += c.Files[i].Packed
	}
	whole = max(whole, 1)
	slices.SortStableFunc(list, func(a, b named) int { return comparePaths(a.name, b.name) })
	stack := []*sizeNode{{name: "/"}}
	last := ""
	pop := func(depth int) {
		for len(stack) > depth {
			n := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			stack[len(stack)-1].take(n, whole)
		}
	}
	for _, one := range list {
		common := commonParts(last, one.name)
		pop(1 + common)
		if one.name != "" {
			parts := strings.Split(one.name, "/")
			for _, part := range parts[common:] {
				stack = append(stack, &sizeNode{name: part})
			}
		}
		stack[len(stack)-1].add(one.file)
		last = one.name
	}
	pop(1)
	return stack[0]
}

// comparePaths orders paths so that what lies in a directory follows it.
func comparePaths(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		}
		return cmp.Compare(a[i], b[i])
	}
	return cmp.Compare(len(a), len(b))
}

// commonParts is how many parts two paths begin with in common.
func commonParts(a, b string) int {
	parts := 0
	for a != "" && b != "" {
		x, restA, _ := strings.Cut(a, "/")
		y, restB, _ := strings.Cut(b, "/")
		if x != y {
			break
		}
		parts++
		a, b = restA, restB
	}
	return parts
}

// WriteTree prints sizes by folder: unpacked, compressed, the share of the image.
// Compressed sizes are estimates: files of one block share what it takes by their
// unpacked sizes.
func (c Contents) WriteTree(w io.Writer) error {
	root := c.sizes()
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

// write prints a node and those below it; directories with one thing in them are
// joined with it.
func (n *sizeNode) write(w io.Writer, indent, name string, whole int64) {
	for n.count == 1 && name != "/" {
		n, name = n.below[0], path.Join(name, n.below[0].name)
	}
	sizeLine(w, n.raw, n.packed, whole, indent+escape.Text(name))
	small := n.folded
	for _, child := range n.sorted() {
		if child.packed*treeFold < whole { // the only one
			small.add(child)
			continue
		}
		child.write(w, indent+"  ", child.name, whole)
	}
	if small.files > 0 && small.nodes < n.count {
		sizeLine(w, small.raw, small.packed, whole, fmt.Sprintf("%s  (%s smaller than %d %%)",
			indent, quantity.Plural(small.files, "file"), 100/treeFold))
	}
}

func sizeLine(w io.Writer, raw, packed, whole int64, name string) {
	// to a strings.Builder
	_, _ = fmt.Fprintf(w, "%d\t%d\t%.1f %%\t  %s\n", raw, packed, 100*float64(packed)/float64(whole), name)
}
