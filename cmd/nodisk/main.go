// Command nodisk makes and examines boot images for diskless Linux nodes.
//
//	nodisk build     make an image: /init, kernel modules, config
//	nodisk inspect   show what is in an image
//	nodisk check     check that modules are of a kernel
//	nodisk plan      say whether a node would boot
//	nodisk inventory print what hardware this machine has
//	nodisk boot      boot a node in QEMU with an image
//	nodisk pxe       write the files of a boot server
//	nodisk wake      wake nodes, in order and staggered
//	nodisk clean     remove the images of kernels that are gone
//	nodisk version   show what this program is
//
// Each subcommand is a file of its own, and what it does is in a package:
// here are only flags, the progress line and the way to /init's source.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/nodisk/nodisk/build"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) //nolint:forbidigo // the one place where the command ends
}

// cli are the subcommands; a new one is a field here and a file. "boot"
// (boot.go) has its place behind Inspect.
type cli struct {
	Build     buildCmd     `cmd:"" help:"Make an image: /init, the kernel modules of some profiles, a config file."`
	Inspect   inspectCmd   `cmd:"" help:"Show what is in an image."`
	Check     checkCmd     `cmd:"" help:"Check that modules are of a kernel: build flags, symbol versions, signatures."`
	Plan      planCmd      `cmd:"" help:"Say whether a node would boot: the plan, the modules that would load, what is missing."`
	Inventory inventoryCmd `cmd:"" help:"Print what hardware this machine has, for --inventory."`
	Boot      bootCmd      `cmd:"" help:"Boot a node in QEMU with an image, against real servers, to try it before it is deployed."`
	PXE       pxeCmd       `cmd:"" name:"pxe" help:"Write what a boot server needs of a description of the nodes: pxelinux.cfg, iPXE, GRUB, dnsmasq, dhcpd, Kea."`
	Wake      wakeCmd      `cmd:"" help:"Wake nodes over the network (wake-on-LAN), in order and staggered."`
	Clean     cleanCmd     `cmd:"" help:"Remove the images of kernels that are gone."`
	Version   versionCmd   `cmd:"" help:"Show what this program is."`

	Help       helpCmd       `cmd:"" help:"Explain a command."`
	Completion completionCmd `cmd:"" help:"Print a script that completes the command's words in a shell."`
	Man        manCmd        `cmd:"" help:"Print a manual page, or write all of them."`

	ShowVersion kong.VersionFlag `name:"version" help:"Show what this program is."`
}

// A console is what subcommands write to.
type console struct {
	out, err io.Writer
}

// beside is where a summary goes: not to the standard output if what is made goes there.
func (c console) beside(specs ...build.Spec) console {
	for _, s := range specs {
		if slices.ContainsFunc([]string{s.Out, s.SecretOut, s.SBOM}, build.IsStdout) {
			return console{out: c.err, err: c.err}
		}
	}
	return c
}

// Exit statuses.
const (
	exitFailed = 1
	exitUsage  = 2
)

// run is main for tests.
func run(args []string, stdout, stderr io.Writer) int {
	status, exited := 0, false
	parser, err := kong.New(&cli{},
		kong.Name("nodisk"), vars(),
		kong.Description("Boot images for diskless Linux nodes: a /init that brings up the network and mounts a root by iSCSI or NFS."),
		kong.Writers(stdout, stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(code int) { status, exited = code, true }))
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "nodisk: %v\n", err)
		return exitFailed
	}
	switch {
	case completing():
		err = completeLine(parser, stdout)
	case len(args) == 0:
		if err = printFirstSteps(stdout, parser.Model); err == nil {
			return exitUsage
		}
	}
	if completing() || err != nil {
		return finish(err, stderr)
	}
	line, err := parser.Parse(args)
	if exited { // --help has been printed
		return status
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "nodisk: %s\n", explain(err))
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	line.BindTo(ctx, (*context.Context)(nil))
	return finish(line.Run(console{out: stdout, err: stderr}), stderr)
}

// finish prints the error that a command ended with, and is its exit status.
func finish(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "nodisk: %v\n", err)
	if _, unusable := errors.AsType[*usageError](err); unusable {
		return exitUsage
	}
	return exitFailed
}
