package build

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/output"
	"github.com/nodisk/nodisk/internal/quantity"
)

// A Report is what became of an image.
type Report struct {
	Out         string
	DryRun      bool // nothing was compressed or written: Bytes, InitBytes and SHA256 are not known
	Compression compress.Compression
	Release     string   // of the modules
	Profiles    []string // as asked for
	Bytes       int64    // of the image's file
	Raw         int64    // of the archive before compression
	InitBytes   int64    // what /init alone takes when compressed
	Parts       []initramfs.PartSize
	Modules     []ModuleSize // largest first
	SHA256      string       // of the image's file, hexadecimal
	Took        time.Duration
	Microcode   []MicrocodeBlob // in the order of the image
	Secrets     []string        // paths in the image, never more
	SecretOut   string          // the file with the secrets, if they are not in the image
	Notes       []string        // what is as it should be, and may surprise
	Warnings    []string
}

// A MicrocodeBlob is the microcode of one maker in an image.
type MicrocodeBlob struct {
	Path    string   // absolute, in the image
	Updates []string // processor and revision of each: "06-55-04 revision 0x2007006"
}

// A ModuleSize is one module, uncompressed.
type ModuleSize struct {
	Name  string
	Bytes int64
}

// topModules is how many of the largest modules a summary lists.
const topModules = 10

// measure adds what an archive tells.
func (r *Report) measure(p initramfs.ArchiveBlocks) {
	r.Raw += p.Raw()
	sizes := make(map[initramfs.Part]initramfs.PartSize)
	for _, part := range r.Parts {
		sizes[part.Part] = part
	}
	for f, bytes := range p.Contents() {
		s := sizes[f.Part]
		s.Part, s.Files, s.Bytes = f.Part, s.Files+1, s.Bytes+bytes
		sizes[f.Part] = s
		if f.Part == initramfs.PartModules {
			r.Modules = append(r.Modules, ModuleSize{ko.ModuleName(f.Name), bytes})
		}
	}
	r.Parts = initramfs.SortParts(sizes)
	slices.SortFunc(r.Modules, func(a, b ModuleSize) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Name, b.Name))
	})
}

// WriteText prints the summary that ends nodisk build.
func (r Report) WriteText(w io.Writer) error {
	var out strings.Builder
	size, modules := fmt.Sprintf("%s in %v", quantity.Bytes(r.Bytes), r.Compression), topModules
	if r.DryRun {
		size, modules = "not written (dry run)", len(r.Modules)
	}
	fmt.Fprintf(
		&out,
		"%s: %s, %s unpacked, for Linux %s (%s)\n",
		output.Name(r.Out),
		size,
		quantity.Bytes(r.Raw),
		r.Release,
		strings.Join(r.Profiles, ", "),
	)
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, p := range r.Parts {
		_, _ = fmt.Fprintf(table, "%d\t  %s\t%s\n", p.Bytes, quantity.Plural(p.Files, "file"), partText(p.Part, r))
	}
	_ = table.Flush() // a strings.Builder takes everything
	if n := min(len(r.Modules), modules); n > 0 {
		fmt.Fprintf(&out, "largest of %s, unpacked:\n", quantity.Plural(len(r.Modules), "module"))
		table = tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, m := range r.Modules[:n] {
			_, _ = fmt.Fprintf(table, "%d\t  %s\n", m.Bytes, m.Name)
		}
		_ = table.Flush()
	}
	for _, blob := range r.Microcode {
		fmt.Fprintf(&out, "microcode %s: %s\n", blob.Path, blob.short())
	}
	for _, name := range r.Secrets {
		fmt.Fprintf(&out, "secret %s%s\n", name, inFile(r.SecretOut))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&out, "note: %s\n", note)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&out, "warning: %s\n", warning)
	}
	if !r.DryRun {
		fmt.Fprintf(&out, "sha256 %s\n", r.SHA256)
	}
	fmt.Fprintf(&out, "%.1f s\n", r.Took.Seconds())
	_, err := io.WriteString(w, out.String())
	return err
}

// WriteMicrocode lists the microcode of the image, a line for each processor.
func (r Report) WriteMicrocode(w io.Writer) error {
	var out strings.Builder
	for _, blob := range r.Microcode {
		fmt.Fprintf(&out, "microcode %s:\n", blob.Path)
		for _, u := range blob.Updates {
			fmt.Fprintf(&out, "  %s\n", u)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// short names a few processors, and counts them where a distribution's whole package is inside.
func (m MicrocodeBlob) short() string {
	const few = 4
	if len(m.Updates) > few {
		return fmt.Sprintf("for %d processors (--tree lists them)", len(m.Updates))
	}
	return strings.Join(m.Updates, ", ")
}

// inFile tells where secrets are if not in the image.
func inFile(name string) string {
	if name == "" {
		return ""
	}
	return ", in " + output.Name(name)
}

func partText(p initramfs.Part, r Report) string {
	if p == initramfs.PartInit && r.Compression != compress.None && r.InitBytes > 0 {
		return fmt.Sprintf("  %v (%s in %v)", p, quantity.Bytes(r.InitBytes), r.Compression)
	}
	return fmt.Sprintf("  %v", p)
}
