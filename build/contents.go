package build

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText prints the contents as nodisk inspect does; files lists each of
// them too.
func (c Contents) WriteText(w io.Writer, files bool) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s, %s unpacked", bytesText(c.Bytes), bytesText(c.Raw))
	if c.Releases != nil {
		fmt.Fprintf(&out, ", modules of Linux %s", printable(strings.Join(c.Releases, ", ")))
	}
	out.WriteByte('\n')
	if c.Profiles != nil {
		fmt.Fprintf(&out, "profiles: %s\n", printable(strings.Join(c.Profiles, ", ")))
	}
	for _, d := range c.Flat {
		fmt.Fprintf(&out, "modules by name from /%s/%s: %s\n", modulesDir, printable(d.Name), printable(strings.Join(d.Modules, " ")))
	}
	for i, s := range c.Segments {
		fmt.Fprintf(&out, "segment %d at byte %d: %s in %v, %s unpacked, %s%s\n",
			i+1, s.Offset, bytesText(s.Bytes), s.Compression, bytesText(s.Raw), plural(s.Files, "file"), c.purpose(i))
	}
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, p := range c.Parts {
		_, _ = fmt.Fprintf(table, "%d\t  %s\t  %v\n", p.Bytes, plural(p.Files, "file"), p.Part)
	}
	_ = table.Flush() // a strings.Builder takes everything
	if files {
		for _, f := range c.Files {
			fmt.Fprintf(&out, "%s %9s %s\n", f.ModeString(), f.sizeText(), f.nameText())
		}
	}
	if c.Config != "" {
		fmt.Fprintf(&out, "%s:\n", configPath)
		for line := range strings.Lines(c.Config) {
			fmt.Fprintf(&out, "  %s\n", printable(strings.TrimSuffix(line, "\n")))
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// purpose names segments that are for one thing alone.
func (c Contents) purpose(segment int) string {
	parts := make(map[Part]bool)
	for _, f := range c.Files {
		if f.Segment == segment {
			parts[f.Part] = true
		}
	}
	delete(parts, PartTree)
	switch {
	case len(parts) == 1 && parts[PartSecret]:
		return ", secrets: mode 0600"
	case len(parts) == 1 && parts[PartMicrocode]:
		return ", microcode"
	}
	return ""
}

// sizeText is a size, or the numbers of a device.
func (f File) sizeText() string {
	if kind := f.Mode & typeMask; kind == typeChar || kind == typeBlock {
		return fmt.Sprintf("%d,%d", f.Major, f.Minor)
	}
	return fmt.Sprint(f.Size)
}

func (f File) nameText() string {
	name := printable("/" + strings.TrimPrefix(f.Name, "/"))
	if f.Mode&typeMask == typeLink {
		name += " -> " + printable(f.Target)
	}
	return name
}

// printable keeps a foreign image from writing to the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\ufffd' {
			return '?'
		}
		return r
	}, s)
}
