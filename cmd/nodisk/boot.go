package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
)

// bootCmd boots a diskless node in QEMU, in a network of its own with real
// DHCP, TFTP, iSCSI and NFS servers, to try an image before it is deployed.
type bootCmd struct {
	Image  string `arg:"" help:"Image to boot, as nodisk build made it." type:"existingfile"`
	Kernel string `help:"Kernel to boot (vmlinuz); default is the installed one whose modules the image has." placeholder:"FILE" type:"existingfile"`

	Tree       string `help:"The node's root is this directory. It is never written to: the node has a copy (--root iscsi), or an overlay over it by NFS." placeholder:"DIR" type:"existingdir" xor:"own"`
	Disk       string `help:"The node's root is on this disk image (raw, qcow2, vmdk ...) or block device. It is never written to: the node has a snapshot." placeholder:"FILE|DEVICE" type:"existingfile" xor:"own"`
	DiskFormat string `help:"What --disk is: raw, qcow2, vmdk, vdi, vhdx, vpc or qed. Default: raw for a block device; a file is looked at, and must not name another file." placeholder:"FORMAT" enum:"raw,qcow2,vmdk,vdi,vhdx,vpc,qed," default:""`
	NFS        string `help:"The node's root is this directory, exported as it is: what the node writes is WRITTEN THERE." placeholder:"DIR" name:"nfs" type:"existingdir" xor:"own"`

	Root string `help:"By what the node gets its root: ${enum}. auto is the first of iscsi, nfs4, nfs3 and ram that the image is for; virtio is a disk of the machine's own, without iSCSI, for --disk. Without --tree, --disk and --nfs the root is a small one of the lab's, which reports and switches off; with ram it is the one in the image (nodisk build --add), with none what --cmdline names." enum:"auto,iscsi,nfs3,nfs4,ram,none,virtio" default:"auto"`
	Init string `help:"The root's init, in place of /sbin/init." placeholder:"PATH"`
	PXE  bool   `help:"Boot through the whole chain, iPXE ROM and pxelinux, instead of handing kernel and image to QEMU." name:"pxe"`

	Interactive bool     `help:"This terminal is the node's console. Ctrl-a x ends the node, Ctrl-a h lists QEMU's other keys." short:"i"`
	Until       string   `help:"The node is up when a line of its console matches. With a root of your own that is a login prompt, multi-user.target or a shell's prompt." placeholder:"REGEXP"`
	Timeout     duration `help:"How long the node may take: 3m, 10m with a root of your own, with --interactive as long as you like." placeholder:"TIME"`
	Force       bool     `help:"Boot also what would not."`

	Static  bool   `help:"Give the address by ip= instead of DHCP."`
	Cmdline string `help:"Replace the arguments for address and root. {server} {client} {gateway} {mask} {mac} {name} {target} {export} {label} {uuid} {disk} stand for what the lab chose." placeholder:"WORDS"`
	Append  string `help:"Add arguments to the kernel command line. A root=LABEL=... chooses a file system of --disk." placeholder:"WORDS"`

	NIC     string `help:"NIC model, as QEMU calls it (virtio-net-pci, e1000, ...)." name:"nic" default:"virtio-net-pci"`
	Memory  int    `help:"Memory in MiB: 512, or what the image needs." placeholder:"MIB"`
	CPUs    int    `help:"Number of CPUs." name:"cpus" default:"2"`
	Accel   string `help:"Acceleration: ${enum}. auto probes whether a guest really boots with KVM." enum:"auto,kvm,tcg" default:"auto"`
	Log     string `help:"Keep the console in this file too." placeholder:"FILE" type:"path"`
	Verbose bool   `help:"Tell what the lab starts." short:"v"`
}

// Help is the end of nodisk boot --help.
func (bootCmd) Help() string {
	return "What is real: kernel, image, DHCP, TFTP (--pxe), iSCSI or NFS server and your root. What is not: the " +
		"machine, QEMU's with the NIC of --nic. " +
		"Before it starts, nodisk plan's and nodisk check's knowledge of image, kernel and this machine is " +
		"consulted, and what would not boot is refused.\n\n" +
		"Exit status: 0 the root came up, 1 it did not or would not, or this machine cannot try it, 2 something " +
		"given cannot be used."
}

// Run boots the node, shows its console, and returns nil when it reached its
// root.
func (c *bootCmd) Run(ctx context.Context, con console) error {
	spec, err := c.spec()
	if err != nil {
		return &usageError{fmt.Errorf("boot: %w", err)}
	}
	if err := c.forecast(ctx, &spec, con); err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	if err := errors.Join(lab.Obstacles(spec)...); err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	if err := tellNotes(spec, con); err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	if c.Interactive {
		restore, err := keepTerminal()
		if err != nil {
			return &usageError{err}
		}
		defer restore()
	}
	// From here on in namespaces: outside it returns when all is done.
	if err := lab.Enter(ctx); err != nil {
		return err
	}
	if err := c.visible(); err != nil {
		return err
	}
	conf := lab.Config{}
	if c.Accel != "auto" {
		conf.Accel = c.Accel
	}
	if c.Verbose {
		conf.Log = slog.New(slog.NewTextHandler(con.err, nil))
	}
	res, err := c.boot(ctx, conf, spec, con)
	if _, refused := errors.AsType[*lab.NotStarted](err); refused {
		return &usageError{fmt.Errorf("boot: %w", err)}
	}
	if err != nil {
		return err
	}
	text, err := outcome(spec, res)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(con.out, text)
	return err
}

// tellNotes tells once what of the root is left out.
func tellNotes(s lab.BootSpec, con console) error {
	if !outside() {
		return nil
	}
	notes, err := lab.Notes(s)
	for _, note := range notes {
		_, werr := fmt.Fprintf(con.err, "note: %s\n", note)
		err = errors.Join(err, werr)
	}
	return err
}

// boot boots the node, with the terminal as its console if that is wanted.
func (c *bootCmd) boot(ctx context.Context, conf lab.Config, spec lab.BootSpec,
	con console,
) (res lab.BootResult, err error) {
	spec.Console = transcript.Plain(con.out)
	if spec.Tree != "" && spec.Root == lab.RootISCSI {
		if _, err := fmt.Fprintf(con.err, "nodisk: copying %s into a disk image (--root nfs4 copies nothing)\n",
			spec.Tree); err != nil {
			return res, err
		}
	}
	if c.Interactive {
		keyboard, words, leave, err := takeTerminal(con)
		if err != nil {
			return res, err
		}
		defer leave()
		spec.Keyboard, spec.Console = keyboard, con.raw() // the node may move the cursor
		spec.Append = strings.TrimSpace(words + " " + spec.Append)
	}
	return lab.Boot(ctx, conf, spec)
}

// spec is what the flags say; kernel, way to the root and memory may be open.
func (c *bootCmd) spec() (lab.BootSpec, error) {
	s := lab.BootSpec{
		Kernel: c.Kernel, Image: c.Image, Tree: c.Tree, Export: c.NFS, Disk: c.Disk, DiskFormat: c.DiskFormat,
		Init: c.Init,
		PXE:  c.PXE, Static: c.Static, Cmdline: c.Cmdline, Append: c.Append, Until: c.Until,
		NIC: c.NIC, Memory: c.Memory, CPUs: c.CPUs, Timeout: time.Duration(c.Timeout), Log: c.Log,
		Interactive: c.Interactive,
	}
	if _, err := regexp.Compile(c.Until); err != nil {
		return s, fmt.Errorf("--until: %w", err)
	}
	if c.Disk != "" {
		if err := lab.CheckDisk(c.Disk); err != nil {
			return s, fmt.Errorf("--disk: %w", err)
		}
	}
	s.Root = c.ways()[0]
	return s, nil
}

// visible reports files that the lab's own /run hides.
func (c *bootCmd) visible() error {
	for _, file := range []string{c.Kernel, c.Image, c.Tree, c.Disk, c.NFS} {
		if _, err := os.Stat(file); file != "" && err != nil && strings.HasPrefix(file, "/run/") {
			return fmt.Errorf("open %s: the lab has a /run of its own, copy it to another directory", file)
		}
	}
	return nil
}

// outcome is the last line, or why it was not a success.
func outcome(s lab.BootSpec, r lab.BootResult) (string, error) {
	switch {
	case !s.Own() && r.Reached:
		return "root reached: " + r.Summary(), nil
	case s.Own() && r.Up(s.Interactive):
		return "root is up: " + r.OwnSummary(), nil
	case s.Own() && r.Switched && r.Why == "":
		return "", fmt.Errorf("boot: the root's init began, but nothing like a login prompt came (%s after %.1f s): "+
			"--until REGEXP says what else to wait for, --timeout how long, --interactive gives you its console",
			r.End, r.Times.Wall.Seconds())
	case s.Own() && r.Switched:
		return "", fmt.Errorf("boot: the root's init began, but did not come up: %s (%s after %.1f s)",
			r.Why, r.End, r.Times.Wall.Seconds())
	default:
		return "", fmt.Errorf("boot: root not reached: %s (%s after %.1f s)", r.Why, r.End, r.Times.Wall.Seconds())
	}
}
