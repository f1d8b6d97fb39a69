// Package integration is the test lab: a node without disks, made by QEMU, and
// everything it boots from, in a network namespace of its own. Nothing in it
// is mocked. The firmware is iPXE's, the loader pxelinux, DHCP and TFTP are
// dnsmasq's, the iSCSI target is tgtd, the NFS server nfs-ganesha, the kernel
// a distribution's.
//
// # Use
//
// A program enters the lab's namespaces first, starts a [Lab] and boots nodes
// in it:
//
//	if err := integration.Enter(ctx); err != nil { ... }
//	lab, err := integration.New(ctx, integration.Config{})
//	defer lab.Close()
//	res, err := lab.Boot(ctx, integration.BootSpec{
//		Kernel: "vmlinuz", Image: "nodisk.img", Root: integration.RootISCSI, PXE: true,
//	})
//
// The command `nodisk boot` does that for administrators, the tests TestBoot*
// for us, and the program in the directory bench for the stop-watch.
//
// # Shape
//
// One process holds one lab. The servers for roots (tgtd, nfs-ganesha with
// rpcbind) are started when the first node asks for them and are shared; every
// node gets a network of its own, a bridge with the subnet 10.77.N.0/24, its
// own taps and its own dnsmasq, so that nodes can run side by side and a fault
// made for one is not seen by another.
//
// A [Fabric] is a network of another kind: its nodes boot over InfiniBand. They
// and the server have the software HCA softib, and because a kernel module is
// nothing for a namespace, the server is a virtual machine too: the kernel under
// test and an initramfs made of this machine's programs (dnsmasq, tgtd, the
// kernel's nfsd, opensm) and of the scripts in the directory server. It takes
// commands over its second serial port. One fabric serves many nodes; one with a
// subnet manager has a single node, because there is no switch.
//
// A [Rig] is for what Ethernet can do: bonds, VLANs, bridges, spanning trees,
// cables that are pulled. Its cables go from a node's NIC straight to one of a
// server VM (QEMU's datagram sockets), because a bridge between keeps LACP and
// spanning tree frames for itself, and the machine's own kernel may lack all of
// this. The server wires its ends as a test says, in a network namespace for each
// node, so that many nodes boot at a time; a script pulls cables, puts NICs in
// and starts servers when the node's console says the right line.
//
// A storm is many boots, each with one fault ([Lab.Storm]). A [StormCase] is data
// made of a seed: what breaks, at which moment of the boot, for how long, and
// what nodisk.onfail= and nodisk.deadline= say. Every node has servers of its own,
// the server of its root with an address of its own. Moments are counted from
// lines of the console, because races sit where one stage ends and the next
// begins. What hits the worker itself is done by an agent in the node (the directory
// agent), which /init does not know of. The judge is a pure function of the case
// and the console: root or policy in time, by guest time, with a line that says why.
//
// # Tests
//
// All tests that boot nodes run side by side (t.Parallel), in one lab (sharedLab), and
// wait for a place on the machine before they take its time: for a node, for a server
// VM while it starts, for an image that is made (takePlace in places_test.go). There is
// room for a busy node on each processor, which emulates it, and for one more that
// waits for a deadline; a place of a node that waits is half of a busy one's. What must
// have the machine for itself takes all of it. Places go by turns, so a big one is not passed over; nodes that are busy
// for minutes ask for their places after it (takeLong). TestStorm is alone with a lab of
// its own, because its servers come and go under the lab's port numbers; it goes first, as
// all tests without t.Parallel.
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
package integration
