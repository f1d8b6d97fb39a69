// Package fabric is a network of the lab's whose nodes boot over InfiniBand, without
// hardware for it.
//
// Nodes and server have the software HCA softib, whose cable is an Ethernet segment. The
// server is a virtual machine, because a kernel module is nothing for a namespace: the kernel
// under test with this machine's dnsmasq, tgtd and opensm, and the kernel's nfsd. One [Fabric]
// serves many nodes; one with a subnet manager has a single node, because there is no switch.
// An act of a node's script changes its cables, its adapter or the server while it boots.
//
// The command in the directory shell is for trying a server by hand.
package fabric
