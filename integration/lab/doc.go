// Package lab boots a node without disks, made by QEMU, from servers in a network namespace
// of its own. Nothing in it is mocked. The firmware is iPXE's, the loader pxelinux, DHCP and
// TFTP are dnsmasq's, the iSCSI target is tgtd, the NFS server nfs-ganesha, the kernel a
// distribution's.
//
// # Use
//
// A program enters the lab's namespaces first, starts a [Lab] and boots nodes
// in it:
//
//	if err := lab.Enter(ctx); err != nil { ... }
//	l, err := lab.New(ctx, lab.Config{})
//	defer l.Close()
//	res, err := l.Boot(ctx, lab.BootSpec{
//		Kernel: "vmlinuz", Image: "nodisk.img", Root: lab.RootISCSI, PXE: true,
//	})
//
// The command `nodisk boot` does that for administrators, the tests TestBoot* of package
// integration for us, and the program in the directory integration/bench for the stop-watch.
//
// # Shape
//
// One process holds one lab. The servers for roots (tgtd, nfs-ganesha with
// rpcbind) are started when the first node asks for them and are shared; every
// node gets a network of its own, a bridge with the subnet 10.77.N.0/24, its
// own taps and its own dnsmasq, so that nodes can run side by side and a fault
// made for one is not seen by another.
//
// Other kinds of networks are made on top of a lab, by the packages fabric (InfiniBand), rig
// (point-to-point cables) and storm (faults). They put a [Machine] together themselves, switch
// it on ([Lab.Power]) and follow it to its end ([Node.Follow]); a script of theirs is a list of
// [Act]. This package knows none of them.
//
// # Safety
//
// The namespaces are the safety net: the lab has a PID namespace, so nothing
// that it starts outlives the process that called Enter, whatever ends it. It
// needs no privilege where the kernel allows user namespaces, except for NFS:
// nfs-ganesha opens files by handle, which is root's.
//
// Servers are waited for by what they log and by their sockets, nodes by what
// they write to the serial console. All waits have deadlines.
package lab
