package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// A tool is a program or file of a Debian package that the lab runs or serves.
type tool struct {
	name    string   // as errors call it
	pkg     string   // Debian package
	paths   []string // where it may be; the first that exists is taken
	program bool     // look in PATH and in the sbin directories too
	// ends is the signal that ends it; zero: SIGTERM.
	ends syscall.Signal
}

// toolTgtd catches SIGTERM and goes on (usr/tgtd.c, signal_catch). It keeps nothing that would be lost.
func toolTgtd() tool { return tool{name: "tgtd", pkg: "tgt", program: true, ends: syscall.SIGKILL} }

// A MissingTool is a program or file that this machine lacks.
type MissingTool struct {
	Name    string
	Package string // Debian's
}

// Error names the package to install.
func (m *MissingTool) Error() string {
	return fmt.Sprintf("%s not found: install the package %s", m.Name, m.Package)
}

// program is a program of a Debian package.
func program(name, pkg string) tool { return tool{name: name, pkg: pkg, program: true} }

// toolFile is a file of a Debian package; the first of the paths that exists is taken.
func toolFile(name, pkg string, paths ...string) tool {
	return tool{name: name, pkg: pkg, paths: paths}
}

// toolQEMU emulates a PC.
func toolQEMU() tool { return program("qemu-system-x86_64", "qemu-system-x86") }

func toolQEMUARM() tool { return program("qemu-system-aarch64", "qemu-system-arm") }

// toolDnsmasq serves DHCP and TFTP.
func toolDnsmasq() tool { return program("dnsmasq", "dnsmasq-base") }

// toolDhcpd is ISC's DHCP server.
func toolDhcpd() tool { return program("dhcpd", "isc-dhcp-server") }

// toolTgtadm gives orders to tgtd.
func toolTgtadm() tool { return program("tgtadm", "tgt") }

// toolGanesha is an NFS server in user space.
func toolGanesha() tool { return program("ganesha.nfsd", "nfs-ganesha") }

// toolRpcbind is the portmapper of NFS version 3.
func toolRpcbind() tool { return program("rpcbind", "rpcbind") }

// toolMke2fs makes ext4 file systems.
func toolMke2fs() tool { return program("mke2fs", "e2fsprogs") }

// toolTune2fs changes ext4 file systems.
func toolTune2fs() tool { return program("tune2fs", "e2fsprogs") }

// toolIP is ip(8).
func toolIP() tool { return program("ip", "iproute2") }

// toolOpensm is the subnet manager of an InfiniBand fabric.
func toolOpensm() tool { return program("opensm", "opensm") }

// toolTC is tc(8).
func toolTC() tool { return program("tc", "iproute2") }

// toolQEMUImg makes disk images and looks at them.
func toolQEMUImg() tool { return program("qemu-img", "qemu-utils") }

// toolStorageDaemon exports disk images.
func toolStorageDaemon() tool { return program("qemu-storage-daemon", "qemu-system-common") }

// toolTar unpacks Debian trees.
func toolTar() tool { return program("tar", "tar") }

// toolMachine is the QEMU of an architecture.
func toolMachine(arch string) tool {
	if arch == "arm64" {
		return toolQEMUARM()
	}
	return toolQEMU()
}

// toolsNFSD are the kernel's NFS server as far as it is programs.
func toolsNFSD() []tool {
	const pkg = "nfs-kernel-server"
	return []tool{
		program("rpc.nfsd", pkg), program("rpc.mountd", pkg),
		program("exportfs", pkg), //nolint:misspell // a program's name
		toolRpcbind(),
	}
}

// toolVFS is what nfs-ganesha exports directories by.
func toolVFS() tool {
	paths, err := filepath.Glob("/usr/lib/*/ganesha/libfsalvfs.so")
	if err != nil {
		paths = nil
	}
	return toolFile("libfsalvfs.so", "nfs-ganesha-vfs", paths...)
}

// toolBusybox is what the lab's root is made of.
func toolBusybox() tool {
	return toolFile("busybox (static)", "busybox-static", "/bin/busybox", "/usr/bin/busybox")
}

// toolPXELinux is the loader that a BIOS gets by TFTP.
func toolPXELinux() tool {
	return toolFile("pxelinux.0", "pxelinux", "/usr/lib/PXELINUX/pxelinux.0", "/usr/lib/syslinux/pxelinux.0")
}

// toolLdlinux is what pxelinux loads first.
func toolLdlinux() tool {
	return toolFile("ldlinux.c32", "syslinux-common", "/usr/lib/syslinux/modules/bios/ldlinux.c32")
}

// find returns the path of the tool, or an error that names the package.
func (t tool) find() (string, error) {
	for _, p := range t.paths {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	if t.program {
		if p, err := exec.LookPath(t.name); err == nil {
			return p, nil
		}
		// sbin is not in everybody's PATH.
		for _, dir := range []string{"/usr/sbin", "/sbin"} {
			if p, err := exec.LookPath(filepath.Join(dir, t.name)); err == nil {
				return p, nil
			}
		}
	}
	return "", &MissingTool{Name: t.name, Package: t.pkg}
}

// run executes the tool to its end. What it wrote is in the error, if any.
func (t tool) run(ctx context.Context, args ...string) error {
	path, err := t.find()
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s %s: %w: %s", t.name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// missing has an error for each tool that this machine lacks.
func missing(tools ...tool) []error {
	var errs []error
	for _, t := range tools {
		if _, err := t.find(); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
