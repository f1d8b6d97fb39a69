package initramfs

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/internal/escape"
	"github.com/nodisk/nodisk/internal/quantity"
)

// WriteText prints the contents as nodisk inspect does; files lists each of
// them too.
func (c Contents) WriteText(w io.Writer, files bool) error {
	out := bufio.NewWriterSize(w, compress.InputBuffer) // it keeps the first error, for Flush
	put := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
	put("%s, %s unpacked", quantity.Bytes(c.Bytes), quantity.Bytes(c.Raw))
	if c.Releases != nil {
		put(", modules of Linux %s", escape.Text(strings.Join(c.Releases, ", ")))
	}
	put("\n")
	if c.Profiles != nil {
		put("profiles: %s\n", escape.Text(strings.Join(c.Profiles, ", ")))
	}
	for _, d := range c.Flat {
		put(
			"modules by name from /%s/%s: %s\n",
			ModulesDir,
			escape.Text(d.Name),
			escape.Text(strings.Join(d.Modules, " ")),
		)
	}
	purposes := c.purposes()
	for i, s := range c.Segments {
		put(
			"segment %d at byte %d: %s in %v, %s unpacked, %s%s\n",
			i+1,
			s.Offset,
			quantity.Bytes(s.Bytes),
			s.Compression,
			quantity.Bytes(s.Raw),
			quantity.Plural(s.Files, "file"),
			purposes[i],
		)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, p := range c.Parts {
		_, _ = fmt.Fprintf(table, "%d\t  %s\t  %v\n", p.Bytes, quantity.Plural(p.Files, "file"), p.Part)
	}
	_ = table.Flush() // as put
	for _, text := range c.Warnings {
		put("warning: %s\n", text)
	}
	if files {
		c.list(put)
	}
	if c.Config != "" {
		put("%s:\n", ConfigPath)
		for line := range strings.Lines(c.Config) {
			put("  %s\n", escape.Text(withoutPasswords(strings.TrimSuffix(line, "\n"))))
		}
	}
	return out.Flush()
}

// list prints a line for every file. Owners have a column if any file is not root's.
func (c Contents) list(put func(format string, args ...any)) {
	owners := make([]string, 0, len(c.Files))
	width, foreign := 0, false
	for i := range c.Files {
		f := &c.Files[i]
		foreign = foreign || f.UID != 0 || f.GID != 0
		owners = append(owners, fmt.Sprintf("%d:%d", f.UID, f.GID))
		width = max(width, len(owners[i]))
	}
	links := c.links()
	for i := range c.Files {
		f := &c.Files[i]
		put("%s ", f.ModeString())
		if foreign {
			put("%-*s ", width, owners[i])
		}
		put("%9s %s", f.sizeText(), f.nameText())
		if first := links[i]; first >= 0 {
			put(" = %s", c.Files[first].nameText())
		}
		put("\n")
	}
}

// links has for every file the first of the hard links to it, -1 for that one and
// for a file with one name.
func (c Contents) links() []int {
	firsts := make(map[identity]int)
	links := make([]int, len(c.Files))
	for i := range c.Files {
		f := &c.Files[i]
		links[i] = -1
		if f.NLink < 2 || f.Mode&TypeMask == TypeDir {
			continue
		}
		if first, ok := firsts[f.identity()]; ok {
			links[i] = first
		} else {
			firsts[f.identity()] = i
		}
	}
	return links
}

// purposes name segments that are for one thing alone; empty for all others.
func (c Contents) purposes() []string {
	parts := make([]map[Part]bool, len(c.Segments))
	for _, f := range c.Files {
		if f.Part == PartTree || f.Segment >= len(parts) {
			continue
		}
		if parts[f.Segment] == nil {
			parts[f.Segment] = make(map[Part]bool)
		}
		parts[f.Segment][f.Part] = true
	}
	texts := make([]string, len(parts))
	for i, p := range parts {
		switch {
		case len(p) == 1 && p[PartSecret]:
			texts[i] = ", secrets: mode 0600"
		case len(p) == 1 && p[PartMicrocode]:
			texts[i] = ", microcode"
		}
	}
	return texts
}

// sizeText is a size, or the numbers of a device.
func (f *File) sizeText() string {
	if kind := f.Mode & TypeMask; kind == TypeChar || kind == TypeBlock {
		return fmt.Sprintf("%d,%d", f.Major, f.Minor)
	}
	return fmt.Sprint(f.Size)
}

func (f *File) nameText() string {
	name := escape.Text("/" + strings.TrimPrefix(f.Name, "/"))
	if f.Mode&TypeMask == TypeLink {
		name += " -> " + escape.Text(f.Target)
	}
	return name
}
