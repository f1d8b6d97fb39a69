// Package link deals with network interfaces as the kernel has them. A [Device] is one, with all
// its names and addresses; a [Step] is a change, which prints as the ip(8) command that does the
// same and is applied by a [Kernel]; [Kernel.Watch] reports what is there and then what changes.
//
// # Identity
//
// [HardwareAddr] is a link-layer address of any length. The part of an IPoIB address that lasts
// is the port's [GUID], which is read in every spelling that firmware, kernels and people have
// for it. A [PortMatch] is how an argument names interfaces: by name, pattern, address, GUID or
// driver. [UdevNames] are the names that udev will give in the root.
//
// # The kernel
//
// Changes are made through the netlink library. Messages are read by our own code
// (watch_linux.go), because a dump and the events after it must be followed in order, and because
// an overrun of the socket must be noticed and repaired.
package link
