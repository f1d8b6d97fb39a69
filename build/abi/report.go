package abi

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Faults counts the findings that make a module unusable.
func (r Report) Faults() int { return r.count(Fault) }

// Warnings counts the findings that may.
func (r Report) Warnings() int { return r.count(Warning) }

func (r Report) count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// WriteText prints all findings, at most limit of each severity (0: all), and
// the summary.
func (r Report) WriteText(w io.Writer, limit int, took time.Duration) error {
	var out strings.Builder
	shown := 0
	for i, f := range r.Findings {
		if i > 0 && r.Findings[i-1].Severity != f.Severity {
			shown = 0
		}
		shown++
		if limit > 0 && shown > limit {
			if shown == limit+1 {
				more := r.count(f.Severity) - limit
				fmt.Fprintf(&out, "... and %s more, which --all lists\n", plural(more, f.Severity.String()))
			}
			continue
		}
		fmt.Fprintf(&out, "%v: %s\n", f.Severity, f)
		// A remedy for several modules is printed once, below the last.
		last := i+1 == len(r.Findings) || limit > 0 && shown == limit
		if f.Remedy != "" && (last || r.Findings[i+1].Remedy != f.Remedy || r.Findings[i+1].Severity != f.Severity) {
			fmt.Fprintf(&out, "  remedy: %s\n", printable(f.Remedy))
		}
	}
	fmt.Fprintln(&out, r.Summary(took))
	_, err := io.WriteString(w, out.String())
	return err
}

// Summary is the last line.
func (r Report) Summary(took time.Duration) string {
	text := fmt.Sprintf("checked %s of %s", plural(r.Modules, "module"), printable(r.Release))
	if r.Subject != "" {
		text += " in " + printable(r.Subject)
	}
	if r.OutOfTree > 0 {
		text += fmt.Sprintf(" (%s out of tree)", thousands(r.OutOfTree))
	}
	text += fmt.Sprintf(" in %.1f s: ", took.Seconds())
	if n := r.Faults(); n > 0 {
		text += plural(n, "fault")
	} else {
		text += "no fault"
	}
	if n := r.Warnings(); n > 0 {
		text += ", " + plural(n, "warning")
	}
	return text
}

// String is the finding without severity and remedy, in one line.
func (f Finding) String() string {
	text := f.Text
	switch {
	case f.Path != "":
		text = fmt.Sprintf("%s (%s): %s", f.Module, f.Path, f.Text)
	case f.Module != "":
		text = f.Module + ": " + f.Text
	}
	return printable(text)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return thousands(n) + " " + what + "s"
}

// thousands prints 4012 as 4,012.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// printable keeps what modules say of themselves from writing to the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\ufffd' {
			return '?'
		}
		return r
	}, s)
}
