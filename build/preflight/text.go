package preflight

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText prints the report as nodisk plan does. The last line is the
// verdict. strict makes warnings count.
func (r Report) WriteText(w io.Writer, strict bool) error {
	var out strings.Builder
	for _, line := range r.About {
		out.WriteString(line + "\n")
	}
	if r.Plan != "" {
		out.WriteString("plan\n" + indent(r.Plan))
	}
	if r.Network != nil {
		out.WriteString("network, as commands\n")
		for _, command := range r.Network {
			out.WriteString("  " + command + "\n")
		}
	}
	table := func(title string, rows func(t io.Writer)) {
		out.WriteString(title + "\n")
		t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
		rows(t)
		_ = t.Flush() // a strings.Builder takes everything
	}
	if r.Devices != nil {
		table("network and storage devices", func(t io.Writer) {
			for _, d := range r.Devices {
				_, _ = fmt.Fprintf(t, "  %s\t%s\n", d.Device, d.Drivers)
			}
		})
	}
	for _, p := range r.Phases {
		table("modules "+p.Name+", in load order", func(t io.Writer) {
			for _, m := range p.Modules {
				_, _ = fmt.Fprintf(t, "  %s\t%s\n", m.Name, m.For)
			}
		})
	}
	for _, list := range []struct {
		word  string
		texts []string
	}{{"note", r.Notes}, {"warning", r.Doubts}, {"fault", r.Faults}} {
		for _, text := range list.texts {
			fmt.Fprintf(&out, "%s: %s\n", list.word, text)
		}
	}
	out.WriteString(r.Verdict(strict) + "\n")
	_, err := io.WriteString(w, printable(out.String()))
	return err
}

// Verdict is one line that begins with "would boot" or "would not boot". Of a fault in
// the command line it has what is wrong; what to write instead is above it.
func (r Report) Verdict(strict bool) string {
	wrong := ""
	if len(r.Faults) > 0 {
		if wrong = r.Faults[0]; strings.HasPrefix(wrong, "command line: ") {
			wrong, _, _ = strings.Cut(wrong, "; ")
		}
	}
	switch {
	case len(r.Faults) == 1:
		return "would not boot: " + wrong
	case len(r.Faults) > 1:
		return fmt.Sprintf("would not boot: %s (and %s)", wrong, count(len(r.Faults)-1, "further fault"))
	case strict && len(r.Doubts) > 0:
		return fmt.Sprintf("would not boot without doubt: %s (--strict)", count(len(r.Doubts), "warning"))
	case r.Without != "":
		return "would boot, as far as can be told: " + r.Without
	}
	return "would boot"
}

func indent(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString("  " + line)
	}
	return out.String()
}

// printable keeps a foreign image from writing to the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\ufffd' {
			return '?'
		}
		return r
	}, s)
}
