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
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/infile"
)

// pxeCmd is "nodisk pxe".
type pxeCmd struct {
	Nodes   string `help:"Description of the nodes (docs/pxe.md), or - for standard input." placeholder:"FILE"`
	Out     string `help:"TFTP directory: pxelinux.cfg/, grub/, ipxe/ and dhcp/ are written there." placeholder:"DIR" type:"path"`
	Force   bool   `help:"Overwrite files that are there and were not written by nodisk pxe, or were changed since."`
	Example bool   `help:"Print a description to begin with: nodisk pxe --example > nodes.yaml."`
}

// Help is shown by "nodisk pxe --help" after the flags' place.
func (*pxeCmd) Help() string {
	return `Examples:

  nodisk pxe --example > nodes.yaml                 # to begin with: change what is in it
  nodisk pxe --nodes nodes.yaml --out /srv/tftp     # again after each change`
}

// Run writes the files and tells what has changed.
func (p *pxeCmd) Run(ctx context.Context, c console) error {
	if p.Example {
		_, err := io.WriteString(c.out, pxe.Example)
		return err
	}
	if p.Nodes == "" || p.Out == "" {
		return &usageError{errors.New("pxe: give --nodes FILE and --out DIR, or --example for a file to begin with")}
	}
	nodes, name, err := readNodes(ctx, p.Nodes)
	if err != nil {
		return err
	}
	tree, err := pxe.Render(nodes, pxe.Options{Folder: p.Out, Check: checkCmdline})
	if err != nil {
		return mistakes(name, err)
	}
	changes, err := pxe.Write(ctx, p.Out, tree.Files, p.Force, c.tell)
	if err != nil {
		return fmt.Errorf("pxe: %w", err)
	}
	warnings := tree.Warnings
	if absent := missingFiles(p.Out, tree.Needs); len(absent) > 0 {
		warnings = append(warnings, fmt.Sprintf("not in %s yet: %s: put them there before the nodes boot",
			p.Out, strings.Join(absent, ", ")))
	}
	for _, f := range changes.Kept {
		warnings = append(warnings, f+" is no longer wanted, but somebody has changed it: remove it yourself")
	}
	for _, w := range warnings {
		if _, err := fmt.Fprintf(c.err, "nodisk: warning: %s\n", w); err != nil {
			return err
		}
	}
	return report(c.out, changes)
}

// readNodes reads a description of nodes; name is what messages call it.
func readNodes(ctx context.Context, file string) (nodes pxe.Nodes, name string, err error) {
	in, name := standardInput(ctx), file
	if file == "-" {
		name = "standard input"
	} else {
		f, err := infile.Open(ctx, file)
		if err != nil {
			return pxe.Nodes{}, name, fmt.Errorf("read nodes: %w", err)
		}
		defer f.Close() //nolint:errcheck // nothing was written
		in = f
	}
	nodes, err = pxe.Parse(in, name)
	if err != nil {
		return pxe.Nodes{}, name, mistakes(name, err)
	}
	return nodes, name, nil
}

// mistakes puts what is wrong with a description below one line where it is more
// than one: each begins with the file's name.
func mistakes(name string, err error) error {
	if list, several := err.(interface{ Unwrap() []error }); several && len(list.Unwrap()) > 1 {
		return fmt.Errorf("%s has mistakes:\n%w", name, err)
	}
	return err
}

func report(w io.Writer, c pxe.Changes) error {
	var b strings.Builder
	for _, f := range c.Written {
		b.WriteString("wrote   " + f + "\n")
	}
	for _, f := range c.Removed {
		b.WriteString("removed " + f + "\n")
	}
	_, err := fmt.Fprintf(w, "%s%d written, %d removed, %d unchanged\n", b.String(), len(c.Written), len(c.Removed),
		c.Unchanged)
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
