package lab

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/internal/mounts"
)

// Obstacles says in one line each what keeps this machine and this user from booting a
// node as the specification says, and what to do about it. Nil means that nothing is
// known to.
func Obstacles(s BootSpec) []error {
	var errs []error
	if err := install(Missing(s)); err != nil {
		errs = append(errs, err)
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		errs = append(errs, fmt.Errorf("no network for the node: %w: load the module (modprobe tun), or give the "+
			"container the device", err))
	}
	nfs := s.Root == RootNFS3 || s.Root == RootNFS4
	if nfs && !rootOutside() {
		errs = append(errs, fmt.Errorf("root %v: nfs-ganesha opens files by handle, which only root may: run it as "+
			"root (sudo), or take --root iscsi", s.Root))
	}
	if err := s.mountsStay(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// mountsStay is an error where this user cannot leave out what is mounted below the tree: in a user namespace a mount
// shows what is mounted on it, or is none (EINVAL, mount_namespaces(7)).
func (s BootSpec) mountsStay() error {
	if s.Tree == "" || rootOutside() {
		return nil
	}
	points, err := mounts.Below(s.Tree)
	if err != nil || points == nil {
		return err
	}
	return fmt.Errorf("tree %s: only root can leave out what is mounted below it (%s): unmount that, or run it "+
		"as root (sudo)",
		s.Tree, strings.Join(points, ", "))
}

// Notes says in one line each what of the root that was given the node does not get.
func Notes(s BootSpec) ([]string, error) {
	if s.Tree == "" {
		return nil, nil
	}
	points, err := mounts.Below(s.Tree)
	if err != nil || points == nil {
		return nil, err
	}
	return []string{fmt.Sprintf("what is mounted below %s is left out, directories stay, empty: %s",
		s.Tree, strings.Join(points, ", "))}, nil
}

// Missing lists what this machine lacks to boot a node as the specification
// says: one error for every absent program or file, nil when all is there.
func Missing(s BootSpec) []error {
	want := []tool.Tool{tool.IP(), tool.QEMUFor(s.arch())}
	if !s.Own() {
		want = append(want, tool.Busybox()) // of the lab's root
	}
	if s.Disk != "" {
		want = append(want, tool.QEMUImg())
	}
	switch s.Root {
	case RootISCSI:
		if s.Disk != "" {
			want = append(want, tool.StorageDaemon())
		} else {
			want = append(want, tool.Mke2fs())
		}
		want = append(want, tool.Tgtd(), tool.Tgtadm())
	case RootNFS3, RootNFS4:
		want = append(want, tool.Ganesha(), tool.VFS(), tool.Rpcbind())
	case RootRAM, RootNone, RootVirtio:
	}
	if s.PXE {
		want = append(want, tool.PXELinux(), tool.Ldlinux(), romOf(s.nic()))
	}
	if s.PXE || !s.Static {
		want = append(want, tool.Dnsmasq())
	}
	return tool.Missing(want...)
}

// romOf is the iPXE ROM of a NIC model; QEMU finds it itself and boots
// without a word if it is not there.
func romOf(nic string) tool.Tool {
	name := "efi-virtio.rom"
	if nic != NICVirtio {
		name = "efi-" + nic + ".rom"
	}
	return tool.File(name, "ipxe-qemu", "/usr/lib/ipxe/qemu/"+name, "/usr/share/qemu/"+name)
}

// install joins what is missing into the one command that installs it.
func install(missing []error) error {
	var names, packages []string
	var others []error
	for _, err := range missing {
		tool, ok := errors.AsType[*tool.NotFound](err)
		if !ok {
			others = append(others, err)
			continue
		}
		names = append(names, tool.Name)
		if !slices.Contains(packages, tool.Package) {
			packages = append(packages, tool.Package)
		}
	}
	if names != nil {
		others = append(others, fmt.Errorf("this machine lacks %s: sudo apt-get install -y --no-install-recommends "+
			"%s (Debian's names)",
			strings.Join(names, ", "), strings.Join(packages, " ")))
	}
	return errors.Join(others...)
}
