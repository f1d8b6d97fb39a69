package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// firstSteps is what a newcomer gets who types the command alone.
const firstSteps = `nodisk makes boot images for Linux nodes without a disk, and tries them.

An image for the kernel that runs here (root by iSCSI, ext4):
  nodisk build --out node.img
Its node, booted in QEMU with a root that the lab brings along:
  nodisk boot node.img --kernel /boot/vmlinuz-$(uname -r)
The same with a root of your own, which is not written to, at its console:
  nodisk boot node.img --kernel /boot/vmlinuz-$(uname -r) --tree DIR --interactive
A root by NFS instead, for another kernel that is installed, and what there is to choose from:
  nodisk build --kver RELEASE --profile eth,nfs --out node.img
  nodisk build --list-profiles
What is in an image, and would a node boot with it:
  nodisk inspect node.img
  nodisk plan --image node.img root=dhcp ip=dhcp
The files of a boot server, of a list of nodes that you fill in:
  nodisk pxe --example >nodes.yaml
  nodisk pxe --nodes nodes.yaml --out /srv/tftp

Commands:
`

// printFirstSteps prints what to type first, and every command with a line about it.
func printFirstSteps(w io.Writer, app *kong.Application) error {
	var out strings.Builder
	out.WriteString(firstSteps)
	for _, node := range app.Children {
		if !node.Hidden {
			fmt.Fprintf(&out, "  %-10s %s\n", node.Name, node.Help)
		}
	}
	out.WriteString("nodisk --help and nodisk COMMAND --help tell more.\n")
	_, err := io.WriteString(w, out.String())
	return err
}

// explain is an error of the command line with what to write instead.
func explain(err error) string {
	parse, ok := errors.AsType[*kong.ParseError](err)
	if !ok || parse.Context == nil {
		return fmt.Sprintf("%v; nodisk --help tells more", err)
	}
	command := "nodisk"
	node := parse.Context.Selected()
	if node == nil {
		return fmt.Sprintf("%v; nodisk --help tells more", err)
	}
	command += " " + node.Name
	for _, arg := range node.Positional {
		if arg.Required && strings.Contains(err.Error(), "expected \""+arg.Summary()) {
			return fmt.Sprintf("%s: which %s? usage: nodisk %s; %s --help tells more",
				node.Name, strings.ToUpper(arg.Name), node.Summary(), command)
		}
	}
	return fmt.Sprintf("%v; %s --help tells more", err, command)
}

// helpCmd is "nodisk help", for those who type it so.
type helpCmd struct {
	Command []string `arg:"" optional:"" help:"Command to explain."`
}

// Run prints what --help would.
func (h *helpCmd) Run(c console) error {
	if status := run(append(h.Command, "--help"), c.out, c.err); status != 0 {
		return &usageError{fmt.Errorf("help: there is no command %q", strings.Join(h.Command, " "))}
	}
	return nil
}
