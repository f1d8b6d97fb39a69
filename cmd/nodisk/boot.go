package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/init/linux"
	"github.com/nodisk/nodisk/integration"
)

// bootCmd boots a diskless node in QEMU, in a network of its own with real
// DHCP, TFTP, iSCSI and NFS servers, to try an image before it is deployed.
type bootCmd struct {
	Image  string `arg:"" help:"Image to boot, as nodisk build made it." type:"existingfile"`
	Kernel string `help:"Kernel to boot (vmlinuz)." type:"existingfile" required:""`

	Root   string `help:"Where the node's root is: ${enum}. The root is a small one of the lab's own, which reports and switches off; for ram the image must hold it (nodisk build --add)." enum:"iscsi,nfs3,nfs4,ram,none" default:"iscsi"`
	PXE    bool   `help:"Boot through the whole chain, iPXE ROM and pxelinux, instead of handing kernel and image to QEMU." name:"pxe"`
	Static bool   `help:"Give the address by ip= instead of DHCP."`

	Cmdline string `help:"Replace the words for address and root. {server} {client} {gateway} {mask} {mac} {name} {target} {export} {label} {uuid} stand for what the lab chose." placeholder:"WORDS"`
	Append  string `help:"Add words to the kernel command line." placeholder:"WORDS"`

	NIC     string        `help:"NIC model, as QEMU calls it (virtio-net-pci, e1000, ...)." name:"nic" default:"virtio-net-pci"`
	Memory  int           `help:"Memory in MiB." default:"512"`
	CPUs    int           `help:"Number of CPUs." name:"cpus" default:"2"`
	Accel   string        `help:"Acceleration: ${enum}. auto probes whether a guest really boots with KVM." enum:"auto,kvm,tcg" default:"auto"`
	Timeout time.Duration `help:"How long the node may take." default:"3m"`
	Log     string        `help:"Keep the console in this file too." placeholder:"FILE" type:"path"`
	Verbose bool          `help:"Tell what the lab starts." short:"v"`
}

// Run boots the node, shows its console, and returns nil when it reached its
// root.
func (c *bootCmd) Run(ctx context.Context, con console) error {
	root, err := integration.ParseRoot(c.Root)
	if err != nil {
		return err
	}
	spec := integration.BootSpec{
		Kernel: c.Kernel, Image: c.Image, Root: root,
		PXE: c.PXE, Static: c.Static, Cmdline: c.Cmdline, Append: c.Append,
		NIC: c.NIC, Memory: c.Memory, CPUs: c.CPUs, Timeout: c.Timeout,
		Console: integration.Plain(con.out), Log: c.Log,
	}
	if err := errors.Join(integration.Missing(spec)...); err != nil {
		return fmt.Errorf("boot: this needs servers that this machine lacks:\n%w", err)
	}
	// From here on in namespaces: this executes the program anew, once.
	if err := integration.Enter(ctx); err != nil {
		return err
	}
	for _, file := range []string{c.Kernel, c.Image} {
		if _, err := os.Stat(file); err != nil && strings.HasPrefix(file, "/run/") {
			return fmt.Errorf("open %s: the lab has a /run of its own, copy the file to another folder", filepath.Base(file))
		}
	}
	// QEMU may boot a kernel whose file says nothing here.
	if k, err := build.OpenKernel(c.Kernel); err == nil {
		if err := linux.TooOld(k.Release); err != nil {
			_, _ = fmt.Fprintf(con.err, "warning: %v\n", err)
		}
	}
	conf := integration.Config{}
	if c.Accel != "auto" {
		conf.Accel = c.Accel
	}
	if c.Verbose {
		conf.Log = slog.New(slog.NewTextHandler(con.err, nil))
	}
	res, err := integration.Boot(ctx, conf, spec)
	if err != nil {
		return err
	}
	if !res.Reached {
		return fmt.Errorf("boot: root not reached: %s (%s after %.1f s)", res.Why, res.End, res.Times.Wall.Seconds())
	}
	_, err = fmt.Fprintf(con.out, "root reached: %s\n", res.Summary())
	return err
}
