// Command nodisk makes and examines boot images for diskless Linux nodes.
//
//	nodisk build     make an image: /init, kernel modules, config
//	nodisk inspect   show what is in an image
//	nodisk diff      say how two images differ
//	nodisk check     check that a kernel will accept modules
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
	"slices"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/output"
	"github.com/nodisk/nodisk/integration/lab"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) //nolint:forbidigo // the one place where the command ends
}

// cli are the subcommands; a new one is a field here and a file. "boot"
// (boot.go) has its place after Inspect.
type cli struct {
	Build     buildCmd     `cmd:"" help:"Make an image: /init, the kernel modules of some profiles, a config file."`
	Inspect   inspectCmd   `cmd:"" help:"Show what is in an image."`
	Diff      diffCmd      `cmd:"" help:"Say how two images differ."`
	Check     checkCmd     `cmd:"" help:"Check that a kernel will accept modules: build flags, symbol versions, signatures."`
	Plan      planCmd      `cmd:"" help:"Say whether a node would boot: the plan, the modules that would load, what is missing."`
	Inventory inventoryCmd `cmd:"" help:"Print what hardware this machine has, for --inventory."`
	Boot      bootCmd      `cmd:"" help:"Boot a node in QEMU with an image, against real servers, to try it before it is deployed."`
	PXE       pxeCmd       `cmd:"" name:"pxe" help:"Write what a boot server needs of a description of the nodes: pxelinux.cfg, iPXE, GRUB, dnsmasq, dhcpd, Kea."`
	Wake      wakeCmd      `cmd:"" help:"Wake nodes over the network (wake-on-LAN), in order and staggered."`
	Clean     cleanCmd     `cmd:"" help:"Remove the images of kernels that are gone."`
	Version   versionCmd   `cmd:"" help:"Show what this program is."`

	Explain    helpCmd       `cmd:"" name:"help" help:"Explain a command."`
	Completion completionCmd `cmd:"" help:"Print a script that completes the command's arguments in a shell."`
	Man        manCmd        `cmd:"" help:"Print a manual page, or write all of them."`

	ShowVersion kong.VersionFlag `name:"version" help:"Show what this program is."`
}

// Help is the end of nodisk --help.
func (cli) Help() string { return statuses }

// A console is what subcommands write to.
type console struct {
	out, err io.Writer
}

// tell prints what is waited for.
func (c console) tell(s string) { _, _ = fmt.Fprintf(c.err, "nodisk: %s\n", s) } // the work does not depend on it

// beside is where a summary goes: not to the standard output if what is made goes there.
func (c console) beside(specs ...build.Spec) console {
	for _, s := range specs {
		if slices.ContainsFunc([]string{s.Out, s.SecretOut, s.SBOM}, output.IsStdout) {
			return console{out: c.err, err: c.err}
		}
	}
	return c
}

// Exit statuses of every command.
const (
	exitFailed = 1
	exitUsage  = 2
	// signalled and the signal's number is what shells report of a process that it ended.
	signalled = 128
)

// statuses is the rule of exit statuses, the end of nodisk --help.
const statuses = "Exit status: 0 it is done; 1 it could not be done, or the answer of boot, check, diff " +
	"or plan is no; " +
	"2 the command line cannot be used: an unknown flag, a value that a flag does not take, flags that contradict " +
	"each other, a file that it names and that is not there; " +
	"of boot, diff and plan also when something given cannot be read. A signal ends it with 128 and its number."

// An exitStatus is the answer of a command that has printed the rest.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// run is main for tests.
func run(args []string, stdout, stderr io.Writer) int {
	status, exited := 0, false
	ctx, end, stop := heed(context.Background())
	defer stop()
	con := newConsole(stdout, stderr, end)
	defer con.flush() //nolint:errcheck // there is nobody left to tell
	shown := &errorKeeper{Writer: con.out}
	parser, err := kong.New(&cli{},
		kong.Name("nodisk"), vars(),
		kong.Description("Boot images for diskless Linux nodes: a /init that brings up the network and mounts a root "+
			"by iSCSI or NFS."),
		kong.Writers(shown, con.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(code int) { status, exited = code, true }))
	if err != nil {
		_, _ = fmt.Fprintf(con.err, "nodisk: %v\n", err)
		return exitFailed
	}
	switch {
	case completing():
		err = completeLine(parser, con.out)
	case len(args) == 0:
		if err = printFirstSteps(con.out, parser.Model); err == nil {
			return exitUsage
		}
	}
	if completing() || err != nil {
		return con.conclude(ctx, err)
	}
	line, err := parser.Parse(args)
	if shown.err != nil { // kong goes on silently, or takes it for an error of the command line
		return con.conclude(ctx, shown.err)
	}
	if exited { // --help has been printed
		return status
	}
	if err != nil {
		_, _ = fmt.Fprintf(con.err, "nodisk: %s\n", explain(err))
		return exitUsage
	}
	for _, w := range repeated(line) {
		_, _ = fmt.Fprintf(con.err, "warning: %s\n", w)
	}
	line.BindTo(ctx, (*context.Context)(nil))
	return con.conclude(ctx, line.Run(con))
}

// An errorKeeper is what kong prints help and version to: it remembers that they could not be written.
type errorKeeper struct {
	io.Writer

	err error // the first
}

func (w *errorKeeper) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if w.err == nil {
		w.err = err
	}
	return n, err
}

// conclude says why a command has failed, and returns the exit status.
func (c console) conclude(ctx context.Context, err error) int {
	cause, interrupted := errors.AsType[*interruption](context.Cause(ctx))
	switch {
	case interrupted && cause.signal == syscall.SIGPIPE: // as if it had ended the process
		return cause.status()
	case err == nil:
		return 0
	case interrupted:
		if outside() { // of the two processes of a lab, one says it
			_, _ = fmt.Fprintf(c.err, "nodisk: %v\n", cause)
		}
		return cause.status()
	}
	if outside, ok := errors.AsType[*lab.Outside](err); ok { // its child has said why, if it could
		if by := syscall.Signal(outside.Status - signalled); by > 0 && by != syscall.SIGPIPE {
			_, _ = fmt.Fprintf(c.err, "nodisk: the process in the lab's namespaces was ended: %v\n", by)
		}
		return outside.Status
	}
	if status, ok := errors.AsType[exitStatus](err); ok { // all has been said
		return int(status)
	}
	_, _ = fmt.Fprintf(c.err, "nodisk: %v\n", err)
	if _, unusable := errors.AsType[*usageError](err); unusable {
		return exitUsage
	}
	return exitFailed
}
