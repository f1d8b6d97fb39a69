package tool

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// A Tool is a program or file of a Debian package that the lab runs or serves.
type Tool struct {
	Name    string   // as errors call it
	pkg     string   // Debian package
	paths   []string // where it may be; the first that exists is taken
	program bool     // look in PATH and in the sbin directories too
	// ends is the signal that ends it; zero: SIGTERM.
	ends syscall.Signal
}

// Tgtd catches SIGTERM and goes on (usr/tgtd.c, signal_catch). It keeps nothing that would be lost.
func Tgtd() Tool { return Tool{Name: "tgtd", pkg: "tgt", program: true, ends: syscall.SIGKILL} }

// NotFound is a program or file that this machine lacks.
type NotFound struct {
	Name    string
	Package string // Debian's
}

// Error names the package to install.
func (m *NotFound) Error() string {
	return fmt.Sprintf("%s not found: install the package %s", m.Name, m.Package)
}

// Program is a program of a Debian package.
func Program(name, pkg string) Tool { return Tool{Name: name, pkg: pkg, program: true} }

// File is a file of a Debian package; the first of the paths that exists is taken.
func File(name, pkg string, paths ...string) Tool {
	return Tool{Name: name, pkg: pkg, paths: paths}
}

// QEMU emulates a PC.
func QEMU() Tool { return Program("qemu-system-x86_64", "qemu-system-x86") }

func qemuARM() Tool { return Program("qemu-system-aarch64", "qemu-system-arm") }

// Dnsmasq serves DHCP and TFTP.
func Dnsmasq() Tool { return Program("dnsmasq", "dnsmasq-base") }

// Dhcpd is ISC's DHCP server.
func Dhcpd() Tool { return Program("dhcpd", "isc-dhcp-server") }

// Tgtadm gives orders to tgtd.
func Tgtadm() Tool { return Program("tgtadm", "tgt") }

// Ganesha is an NFS server in user space.
func Ganesha() Tool { return Program("ganesha.nfsd", "nfs-ganesha") }

// Rpcbind is the portmapper of NFS version 3.
func Rpcbind() Tool { return Program("rpcbind", "rpcbind") }

// Mke2fs makes ext4 file systems.
func Mke2fs() Tool { return Program("mke2fs", "e2fsprogs") }

// Tune2fs changes ext4 file systems.
func Tune2fs() Tool { return Program("tune2fs", "e2fsprogs") }

// IP is ip(8).
func IP() Tool { return Program("ip", "iproute2") }

// Opensm is the subnet manager of an InfiniBand fabric.
func Opensm() Tool { return Program("opensm", "opensm") }

// TC is tc(8).
func TC() Tool { return Program("tc", "iproute2") }

// QEMUImg makes disk images and looks at them.
func QEMUImg() Tool { return Program("qemu-img", "qemu-utils") }

// StorageDaemon exports disk images.
func StorageDaemon() Tool { return Program("qemu-storage-daemon", "qemu-system-common") }

// Tar unpacks Debian trees.
func Tar() Tool { return Program("tar", "tar") }

// QEMUFor is the QEMU of an architecture.
func QEMUFor(arch string) Tool {
	if arch == "arm64" {
		return qemuARM()
	}
	return QEMU()
}

// NFSD are the kernel's NFS server as far as it is programs.
func NFSD() []Tool {
	const pkg = "nfs-kernel-server"
	return []Tool{
		Program("rpc.nfsd", pkg), Program("rpc.mountd", pkg),
		Program("exportfs", pkg), //nolint:misspell // a program's name
		Rpcbind(),
	}
}

// VFS is what nfs-ganesha exports directories by.
func VFS() Tool {
	paths, err := filepath.Glob("/usr/lib/*/ganesha/libfsalvfs.so")
	if err != nil {
		paths = nil
	}
	return File("libfsalvfs.so", "nfs-ganesha-vfs", paths...)
}

// Busybox is what the lab's root is made of.
func Busybox() Tool {
	return File("busybox (static)", "busybox-static", "/bin/busybox", "/usr/bin/busybox")
}

// PXELinux is the loader that a BIOS gets by TFTP.
func PXELinux() Tool {
	return File("pxelinux.0", "pxelinux", "/usr/lib/PXELINUX/pxelinux.0", "/usr/lib/syslinux/pxelinux.0")
}

// Ldlinux is what pxelinux loads first.
func Ldlinux() Tool {
	return File("ldlinux.c32", "syslinux-common", "/usr/lib/syslinux/modules/bios/ldlinux.c32")
}

// Find returns the path of the tool, or an error that names the package.
func (t Tool) Find() (string, error) {
	for _, p := range t.paths {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	if t.program {
		if p, err := exec.LookPath(t.Name); err == nil {
			return p, nil
		}
		// sbin is not in everybody's PATH.
		for _, dir := range []string{"/usr/sbin", "/sbin"} {
			if p, err := exec.LookPath(filepath.Join(dir, t.Name)); err == nil {
				return p, nil
			}
		}
	}
	return "", &NotFound{Name: t.Name, Package: t.pkg}
}

// Run executes the tool to its end. What it wrote is in the error, if any.
func (t Tool) Run(ctx context.Context, args ...string) error {
	path, err := t.Find()
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s %s: %w: %s", t.Name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Missing has an error for each tool that this machine lacks.
func Missing(tools ...Tool) []error {
	var errs []error
	for _, t := range tools {
		if _, err := t.Find(); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
