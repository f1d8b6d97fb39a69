package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/nodisk/nodisk/build/pxe"
	"github.com/nodisk/nodisk/init/cmdline"
)

// pxeCmd is "nodisk pxe".
type pxeCmd struct {
	Nodes string `help:"Description of the nodes (docs/pxe.md), or - for standard input." placeholder:"FILE" required:""`
	Out   string `help:"TFTP folder: pxelinux.cfg/, grub/, ipxe/ and dhcp/ are written there." placeholder:"DIR" required:"" type:"path"`
	Force bool   `help:"Overwrite files that are there and were not written by nodisk pxe, or were changed since."`
}

// Run writes the files and tells what has changed.
func (p *pxeCmd) Run(ctx context.Context, c console) error {
	in := standardInput(ctx)
	if p.Nodes != "-" {
		f, err := os.Open(p.Nodes)
		if err != nil {
			return fmt.Errorf("pxe: %w", err)
		}
		defer f.Close() //nolint:errcheck // nothing was written
		in = f
	}
	nodes, err := pxe.Parse(in)
	if err != nil {
		return fmt.Errorf("%s:\n%w", p.Nodes, err)
	}
	tree, err := pxe.Render(nodes, pxe.Options{Folder: p.Out, Check: checkCmdline})
	if err != nil {
		return fmt.Errorf("%s:\n%w", p.Nodes, err)
	}
	changes, err := pxe.Write(p.Out, tree.Files, p.Force)
	if err != nil {
		return fmt.Errorf("pxe: %w", err)
	}
	warnings := tree.Warnings
	if absent := missingFiles(p.Out, tree.Needs); len(absent) > 0 {
		warnings = append(warnings, fmt.Sprintf("not in %s yet: %s: put them there before the nodes boot", p.Out, strings.Join(absent, ", ")))
	}
	for _, w := range warnings {
		if _, err := fmt.Fprintf(c.err, "nodisk: warning: %s\n", w); err != nil {
			return err
		}
	}
	for _, f := range changes.Kept {
		if _, err := fmt.Fprintf(c.err, "nodisk: warning: %s is not wanted any more, but somebody has changed it: remove it yourself\n", f); err != nil {
			return err
		}
	}
	return report(c.out, changes)
}

func report(w io.Writer, c pxe.Changes) error {
	var b strings.Builder
	for _, f := range c.Written {
		b.WriteString("wrote   " + f + "\n")
	}
	for _, f := range c.Removed {
		b.WriteString("removed " + f + "\n")
	}
	_, err := fmt.Fprintf(w, "%s%d written, %d removed, %d unchanged\n", b.String(), len(c.Written), len(c.Removed), c.Unchanged)
	return err
}

// checkCmdline judges a command line as /init would. A root that is not named
// there may be in the image's config.
func checkCmdline(line string) (warnings []string, err error) {
	plan, _, err := planOf(cmdline.Parse(line), nil)
	return plan.Warnings, err
}

// missingFiles are those that loaders will ask for in vain.
func missingFiles(folder string, needs []string) []string {
	var absent []string
	for _, f := range needs {
		if _, err := os.Stat(filepath.Join(folder, filepath.FromSlash(f))); errors.Is(err, os.ErrNotExist) {
			absent = append(absent, f)
		}
	}
	return absent
}
